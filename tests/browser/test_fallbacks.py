"""Where there are no service workers: a built site's files show, and nothing else happens."""

from __future__ import annotations

import pytest

from tests.browser.serving import FOLDER, serving

PAGES = ("index.html", "deep/index.html")
_STATE = """() => Array.from(document.images, (image) => ({
  id: image.id, width: image.naturalWidth, shown: image.currentSrc.split("/").pop(),
  box: image.getBoundingClientRect().height,
}))"""


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_every_picture_shows(built, new_page, scheme):
    with serving(built) as site:
        # A name that is not this machine's: then plain http is not trusted.
        http = f"http://plain.test:{site.port}/"
        root = f"{built.as_uri()}/" if scheme == "file" else http
        visits = []
        for path in PAGES:
            page = new_page()
            page.set_viewport_size({"width": 900, "height": 2000})
            asked = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(root + path)
            visits.append((page, asked))
        page.wait_for_timeout(900)  # longer than a worker takes to register
        for page, asked in visits:
            check(page, asked)
        assert not site.asked("sitecodec-sw.js")


def check(page, asked):
    images = {state["id"]: state for state in page.evaluate(_STATE)}
    assert set(images) == {"photo", "large", "text", "tiny"}
    for state in images.values():
        assert state["width"] > 0
        assert state["box"] > 0
    assert images["photo"]["shown"].endswith((".avif", ".jpg"))
    assert images["large"]["shown"].endswith((".avif", ".jpg"))
    # Nothing is fetched twice: what a picture's sources decide is asked for, and no more.
    pictures = [
        url.rpartition("/")[2] for url in asked if FOLDER in url and not url.endswith(".js")
    ]
    assert sorted(pictures) == sorted(
        state["shown"] for state in images.values() if "-" in state["shown"]
    )
    assert not [url for url in asked if url.endswith((".slat", ".bin"))]
    assert not page.evaluate("navigator.serviceWorker && navigator.serviceWorker.controller")
    assert page.errors == []

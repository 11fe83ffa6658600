"""Without the worker: a built site's files show in a browser, from a server and from a folder."""

from __future__ import annotations

import shutil

import pytest

from sitecodec.settings import Settings
from sitecodec.site import rewrite_site
from tests.browser.conftest import FOLDER, serving
from tests.conftest import encode, make_photo, make_text

_STATE = """() => Array.from(document.images, (image) => ({
  id: image.id, width: image.naturalWidth, shown: image.currentSrc.split("/").pop(),
  complete: image.complete, box: image.getBoundingClientRect().height,
}))"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fallbacks")
    root = folder / "site"
    (root / "deep").mkdir(parents=True)
    files = {
        "photo.png": encode(make_photo(80, 120, 0)),
        "large.jpg": encode(make_photo(300, 400, 1), "JPEG", quality=97),
        "text.png": encode(make_text(200, 300)),
        "tiny.png": encode(make_photo(8, 8)),
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    head = '<!doctype html><title>t</title><link rel=icon href="data:,"><main>'
    body = "".join(f"<p><img id={n.partition('.')[0]} src={{}}{n}></p>" for n in files)
    (root / "index.html").write_text(head + body.replace("{}", ""))
    (root / "deep/index.html").write_text(head + body.replace("{}", "../"))
    summary = rewrite_site(root, Settings(store=folder / "store", browser="always"))
    assert not summary.problems
    assert any(row.payload for row in summary.images)
    return root


@pytest.mark.parametrize("page_path", ["index.html", "deep/index.html"])
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_every_picture_shows(built, tmp_path, chromium, scheme, page_path):
    root = shutil.copytree(built, tmp_path / "site")
    context = chromium.new_context(viewport={"width": 900, "height": 2000}, service_workers="block")
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("requestfailed", lambda request: errors.append(request.url))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    with serving(root) as site:
        place = (root / page_path).as_uri() if scheme == "file" else site.url + page_path
        page.goto(place)
        page.wait_for_function("Array.from(document.images).every((image) => image.complete)")
        page.wait_for_timeout(500)
        images = {state["id"]: state for state in page.evaluate(_STATE)}
    context.close()
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
    assert errors == []

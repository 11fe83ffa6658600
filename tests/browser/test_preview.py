"""The author's preview in Chromium: `mkdocs serve`, and the inspector."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sitecodec import codecs
from sitecodec.store import Store
from tests.conftest import encode, make_photo, make_text
from tests.hosts.running import Live, mkdocs

# Kept by CI; not by git.
ARTEFACTS = Path(os.environ.get("SITECODEC_ARTEFACTS", "artefacts"))
DECODED = 'img => img.complete && img.naturalWidth && img.currentSrc.includes("/_sitecodec/")'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("preview")
    (root / "docs/images").mkdir(parents=True)
    (root / "docs/images/photo.png").write_bytes(encode(make_photo(240, 320, 3)))
    (root / "docs/images/other.png").write_bytes(encode(make_photo(240, 320, 4)))
    (root / "docs/images/text.png").write_bytes(encode(make_text(240, 320)))
    (root / "docs/index.md").write_text(
        "# Home\n\n![A photograph](images/photo.png)\n\n![Text](images/text.png)\n"
    )
    (root / "docs/second.md").write_text("# Second\n\n![Another](images/other.png)\n")
    (root / "mkdocs.yml").write_text(
        "site_name: x\ntheme: {name: material, font: false}\nplugins: [sitecodec]\n"
    )
    return root


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Live]:
    with mkdocs(project) as it:
        yield it


def wait_decoded(page: Any, name: str) -> str:
    """Wait until the page shows the decoded picture of an image; its URL."""
    image = f'img[src$="{name}"]'
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{image}')].some({DECODED})", timeout=60_000
    )
    return str(page.locator(image).evaluate("img => img.currentSrc"))


def pixels_of(page: Any, name: str) -> Any:
    """What the browser has decoded, (H, W, 3) uint8."""
    values = page.locator(f'img[src$="{name}"]').evaluate(
        """img => {
          const canvas = new OffscreenCanvas(img.naturalWidth, img.naturalHeight);
          const context = canvas.getContext("2d");
          context.drawImage(img, 0, 0);
          return [canvas.width, canvas.height,
            [...context.getImageData(0, 0, canvas.width, canvas.height).data]];
        }"""
    )
    width, height, data = values
    return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]


def test_pages_show_what_the_engine_decodes_and_follow_an_edit(
    page: Any, server: Live, project: Path
) -> None:
    page.goto(server.url)
    url = wait_decoded(page, "photo.png")
    digest = re.search("[0-9a-f]{64}", url)
    assert digest
    payload = Store(project / ".cache/sitecodec").get(digest[0])
    assert payload
    assert np.array_equal(pixels_of(page, "photo.png"), codecs.get("web").decode(payload))
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "preview-page.png")

    (project / "docs/images/photo.png").write_bytes(encode(make_photo(240, 320, 11)))
    page.wait_for_function(
        f"""url => [...document.querySelectorAll('img[src$="photo.png"]')].some(
            img => ({DECODED})(img) && img.currentSrc !== url)""",
        arg=url,
        timeout=60_000,
    )
    shown = pixels_of(page, "photo.png").astype(int)
    edited = make_photo(240, 320, 11).astype(int)
    assert np.abs(shown - edited).mean() < 12
    assert page.errors == []


def opened(page: Any, server: Live, name: str) -> None:
    page.goto(f"{server.url}_sitecodec/")
    page.get_by_role("button", name=f"images/{name}").click()
    page.wait_for_function(
        "() => { const i = document.querySelector('#stack .new');"
        " return i.complete && i.naturalWidth; }"
    )


def test_the_inspector_lists_every_image_and_why(page: Any, server: Live) -> None:
    page.goto(f"{server.url}_sitecodec/")
    page.get_by_text("All 3 images are judged.").wait_for(timeout=90_000)
    rows = page.locator("#rows tr")
    assert rows.count() == 3
    text = rows.filter(has_text="images/text.png").inner_text()
    assert "index.html" in text
    assert "payload" not in text.lower().splitlines()
    page.get_by_role("searchbox").fill("second")
    assert rows.count() == 1
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Source").click()
    sizes = page.locator("#rows td[data-name=Source]").all_inner_texts()
    values = [float(size.split()[0]) for size in sizes]
    assert values == sorted(values, reverse=True)
    assert page.locator("[aria-sort=descending]").count() == 1
    assert page.errors == []


def test_the_slider_the_difference_and_the_dial(page: Any, server: Live) -> None:
    opened(page, server, "other.png")
    stack = page.locator("#stack")
    # By keyboard, as by a mouse.
    page.locator("#split").focus()
    page.keyboard.press("Home")
    left = Image.open(io.BytesIO(stack.screenshot()))
    page.keyboard.press("End")
    right = Image.open(io.BytesIO(stack.screenshot()))
    changed = np.abs(np.asarray(left, int) - np.asarray(right, int))[..., :3].mean()
    assert 0.5 < changed < 30  # decoded against original
    page.get_by_label("Slider").press("ArrowRight")
    assert stack.get_attribute("data-mode") == "old"
    page.get_by_text("Difference").click()
    dark = np.asarray(Image.open(io.BytesIO(stack.screenshot())))[..., :3].mean()
    assert dark < 80
    page.get_by_text("2×").click()
    assert stack.bounding_box()["width"] == 640

    figures = page.locator("#figures")
    before = page.locator("#stack .new").get_attribute("src")
    page.locator("#quality").fill("10")
    page.wait_for_function(
        "src => document.querySelector('#stack .new').getAttribute('src') !== src", arg=before
    )
    page.wait_for_function("() => document.querySelector('#dial-news').textContent === ''")
    assert re.search(r"Score\s*-?\d+\.\d", figures.inner_text())
    page.keyboard.press("Escape")
    assert not page.locator("#compare").is_visible()
    assert page.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_it_fits_narrow_and_wide_screens(page: Any, server: Live, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, server, "photo.png")
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"inspector-compare-{width}-{scheme}.png")
    within = "() => document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(within)
    for control in page.locator("#compare button, #compare label").all():
        box = control.bounding_box()
        assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= width)
    page.get_by_role("button", name="Close").click()
    page.screenshot(path=ARTEFACTS / f"inspector-{width}-{scheme}.png")
    assert page.evaluate(within)
    for cell in page.locator("#rows td, #rows th").all():
        box = cell.bounding_box()
        assert box is None or box["x"] + box["width"] <= width
    assert page.errors == []

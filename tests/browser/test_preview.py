"""The author's preview in Chromium: `mkdocs serve` of the example site, and the inspector.

Nothing here waits until all its images are judged, which takes a minute.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sitecodec import codecs
from sitecodec.disk.store import Store
from tests.conftest import encode, make_photo
from tests.hosts.running import Live, mkdocs

EXAMPLE = Path(__file__).resolve().parents[2] / "example_site"
# Kept by CI; not by git.
ARTEFACTS = Path(os.environ.get("SITECODEC_ARTEFACTS", "artefacts"))
SHOWN = 'img.complete && img.naturalWidth && img.currentSrc.includes("/_sitecodec/")'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example site, with the photographs that the installed packages offer."""
    root = tmp_path_factory.mktemp("preview") / "example_site"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".cache", "site", "photos"))
    spec = importlib.util.spec_from_file_location("prepare_for_preview", EXAMPLE / "prepare.py")
    assert spec
    assert spec.loader
    prepare = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = prepare
    spec.loader.exec_module(prepare)
    for photo in prepare.PHOTOGRAPHS:
        with suppress(FileNotFoundError):
            prepare.prepare(photo, root / "docs/images/photos")
    ARTEFACTS.mkdir(exist_ok=True)
    return root


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Live]:
    with mkdocs(project) as it:
        yield it


def until_shown(page: Any, but: str = "") -> list[str]:
    """Wait for decoded pictures on the page, other than one; the URLs of all that it shows."""
    page.wait_for_function(
        "but => { const all = [...document.images].filter("
        f'img => {SHOWN} && img.currentSrc.endsWith(".png")).map(img => img.currentSrc);'
        " return all.length && (!but || !all.includes(but)); }",
        arg=but,
        timeout=300_000,
    )
    return list(
        page.evaluate(f"() => [...document.images].filter(img => {SHOWN}).map(i => i.currentSrc)")
    )


def pixels_of(page: Any, url: str) -> Any:
    """What the browser has decoded, (H, W, 3) uint8."""
    page.wait_for_function(
        "url => [...document.images].some(img => img.complete && img.currentSrc === url)", arg=url
    )
    width, height, data = page.evaluate(
        """url => {
          const img = [...document.images].find(img => img.currentSrc === url);
          const canvas = new OffscreenCanvas(img.naturalWidth, img.naturalHeight);
          const context = canvas.getContext("2d");
          context.drawImage(img, 0, 0);
          const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
          let text = "";
          for (let n = 0; n < data.length; n += 9999)
            text += String.fromCharCode(...data.subarray(n, n + 9999));
          return [canvas.width, canvas.height, text];
        }""",
        url,
    )
    return np.frombuffer(data.encode("latin-1"), np.uint8).reshape(height, width, 4)[..., :3]


def test_pages_show_what_the_engine_decodes_and_follow_an_edit(
    page: Any, server: Live, project: Path
) -> None:
    page.goto(server.url)
    decoded = [url for url in until_shown(page) if url.endswith(".png")]
    for url in decoded:
        digest = re.search("[0-9a-f]{64}", url)
        assert digest
        payload = Store(project / ".cache/sitecodec").get(digest[0])
        assert payload
        assert np.array_equal(pixels_of(page, url), codecs.get("web").decode(payload))
    page.screenshot(path=ARTEFACTS / "preview-page.png")

    # Live reload, for an image that has just got ready, may have the page between two documents.
    hero = "() => document.querySelector('.hero')?.currentSrc"
    before = page.wait_for_function(hero).json_value()
    edited = make_photo(800, 1200, 11)
    (project / "docs/images/lake.jpg").write_bytes(encode(edited, "JPEG", quality=90))
    page.wait_for_function(
        "before => { const img = document.querySelector('.hero');"
        f" return img && {SHOWN} && img.naturalHeight === 800 && img.currentSrc !== before; }}",
        arg=before,
        timeout=300_000,
    )
    shown = pixels_of(page, page.wait_for_function(hero).json_value()).astype(int)
    assert np.abs(shown - edited.astype(int)).mean() < 12
    assert page.errors == []


def opened(page: Any, server: Live, name: str) -> None:
    page.goto(f"{server.url}_sitecodec/")
    page.get_by_role("button", name=f"images/{name}").click()
    page.wait_for_function(
        "() => document.querySelector('#stack .new')"
        " && [...document.querySelectorAll('#stack img')].every(i => i.complete && i.naturalWidth)",
        timeout=300_000,
    )


def test_the_inspector_lists_every_image_and_why(page: Any, server: Live, project: Path) -> None:
    page.goto(f"{server.url}_sitecodec/")
    page.get_by_text("images/photos").first.wait_for()
    rows = page.locator("#rows tr")
    names = "\n".join(page.locator("#rows th").all_inner_texts())
    for place in (project / "docs/images").rglob("*.*"):
        assert place.relative_to(project / "docs").as_posix() in names
    for name, reason in (("payload.svg", "vector"), ("ripples.gif", "animated")):
        row = rows.filter(has_text=name)
        row.filter(has_text=reason).wait_for(timeout=300_000)
        assert "left alone" in row.inner_text()
    page.get_by_role("searchbox").fill("hard-cases")
    assert "images/lake.jpg" not in page.locator("#rows").inner_text()
    assert "images/leaf.png" in page.locator("#rows").inner_text()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Source").click()
    values = []
    for text in page.locator("#rows td[data-name=Source]").all_inner_texts():
        number, _, unit = text.partition(" ")
        if unit:  # a dash has none
            values.append(float(number) * {"B": 1, "kB": 1e3, "MB": 1e6}[unit])
    assert len(values) > 8
    assert values == sorted(values, reverse=True)
    assert page.locator("[aria-sort=descending]").count() == 1
    assert page.errors == []


def test_the_slider_the_difference_and_the_dial(page: Any, context: Any, server: Live) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened(page, server, "table.jpg")
    stack = page.locator("#stack")
    # By keyboard, as by a mouse.
    page.locator("#split").focus()
    page.keyboard.press("Home")
    left = Image.open(io.BytesIO(stack.screenshot()))
    page.keyboard.press("End")
    right = Image.open(io.BytesIO(stack.screenshot()))
    changed = np.abs(np.asarray(left, int) - np.asarray(right, int))[..., :3].mean()
    assert 0.3 < changed < 30  # decoded against original
    page.get_by_label("Slider").press("ArrowRight")
    assert stack.get_attribute("data-mode") == "old"
    page.get_by_text("Difference").click()
    dark = np.asarray(Image.open(io.BytesIO(stack.screenshot())))[..., :3].mean()
    assert dark < 80
    page.get_by_text("2×").click()
    assert stack.bounding_box()["width"] == 2400

    before = page.locator("#stack .new").get_attribute("src")
    page.locator("#quality").fill("10")
    page.wait_for_function(
        "src => document.querySelector('#stack .new').getAttribute('src') !== src", arg=before
    )
    page.wait_for_function(
        "() => document.querySelector('#dial-news').textContent === ''", timeout=300_000
    )
    score = re.search(r"Score\s*(-?\d+)\.\d", page.locator("#figures").inner_text())
    assert score
    page.get_by_role("button", name=re.compile("Copy “quality=")).click()
    page.get_by_text("Copied").wait_for()
    copied = str(page.evaluate("() => navigator.clipboard.readText()"))
    assert re.fullmatch(r'data-sitecodec="quality=\d+"', copied)
    assert abs(int(re.findall(r"\d+", copied)[0]) - max(0, int(score[1]))) <= 1
    page.get_by_role("button", name="Copy “off”").click()
    page.get_by_text('Copied data-sitecodec="off"').wait_for()
    page.keyboard.press("Escape")
    assert not page.locator("#compare").is_visible()
    # Closed, the focus is where it was before.
    page.wait_for_function("() => document.activeElement.textContent === 'images/table.jpg'")
    assert page.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_it_fits_narrow_and_wide_screens(page: Any, server: Live, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, server, "photos/flower.jpg" if width == 360 else "table.jpg")
    page.screenshot(path=ARTEFACTS / f"inspector-compare-{width}-{scheme}.png")
    within = "() => document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(within)
    for control in page.locator("#compare button, #compare label").all():
        box = control.bounding_box()
        assert box is None or (box["x"] >= 0 and box["x"] + box["width"] <= width)
    page.get_by_role("button", name="Close").click()
    page.screenshot(path=ARTEFACTS / f"inspector-{width}-{scheme}.png")
    assert page.evaluate(within)
    cut_off = page.evaluate(
        "width => [...document.querySelectorAll('td, th, dd, button')].filter(e => e.offsetParent"
        " && (e.getBoundingClientRect().right > width || e.scrollWidth > e.clientWidth + 1))"
        ".map(e => e.outerHTML)",
        width,
    )
    assert cut_off == []
    assert page.errors == []

"""The example site: its pictures are what they claim to be, its pages name none that is missing."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

SITE = Path(__file__).resolve().parent.parent / "example_site"
DOCS = SITE / "docs"
PAGES = sorted(DOCS.glob("**/*.md"))


def _load_prepare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_site_prepare", SITE / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


prepare = _load_prepare()


def _named_images(page: Path) -> set[str]:
    """Image addresses in a page, Markdown and HTML, without fragments."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"!\[[^\]]*\]\(\s*([^\s)]+)", text)
    found += re.findall(r"<img\b[^>]*?\bsrc=[\"']([^\"']+)", text)
    return {unquote(address.partition("#")[0]) for address in found}


@pytest.mark.parametrize("photo", prepare.PHOTOGRAPHS, ids=lambda photo: str(photo.name))
def test_photograph_matches_its_source(photo, tmp_path):
    try:
        source = prepare.source_path(photo)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    target = prepare.prepare(photo, tmp_path / "photos")
    assert target.name == photo.name
    if photo.copied:
        assert target.read_bytes() == source.read_bytes()
        return
    with Image.open(source) as a, Image.open(target) as b:
        assert (b.format, b.mode, b.size) == ("JPEG", a.mode, a.size)
        error = np.asarray(a, float) - np.asarray(b, float)
    assert np.sqrt((error**2).mean()) < 5


def test_missing_package_says_what_to_install(tmp_path):
    photo = prepare.Photo("skimage", "data/no-such-picture.png", "no.jpg")
    with pytest.raises(FileNotFoundError, match="pip install --upgrade scikit-image"):
        prepare.prepare(photo, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_image_named_in_a_page_exists(page):
    made = {f"images/photos/{photo.name}" for photo in prepare.PHOTOGRAPHS}
    missing = {
        name
        for name in _named_images(page)
        if name not in made and not (page.parent / name).is_file()
    }
    assert not missing


def test_every_photograph_is_shown_and_credited():
    shown = set().union(*map(_named_images, PAGES))
    credits_page = (DOCS / "credits.md").read_text(encoding="utf-8")
    for photo in prepare.PHOTOGRAPHS:
        assert f"images/photos/{photo.name}" in shown
        row = next(
            line for line in credits_page.splitlines() if line.startswith(f"| `{photo.name}`")
        )
        assert f"`{Path(photo.source).name}`" in row


def test_every_committed_picture_is_shown_credited_and_small():
    shown = set().union(*map(_named_images, PAGES))
    credits_page = (DOCS / "credits.md").read_text(encoding="utf-8")
    committed = [path for path in (DOCS / "images").iterdir() if path.is_file()]
    for path in committed:
        assert f"images/{path.name}" in shown
        assert path.stat().st_size < 600_000
    assert sum(path.stat().st_size for path in committed) < 4_000_000
    for path in committed:
        if path.suffix == ".jpg":
            assert f"`{path.name}`" in credits_page
            assert (SITE / "scenes" / path.name).with_suffix(".pov").is_file()


def test_site_has_the_kinds_of_image_it_promises():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for wanted in ("#only-dark", "#only-light", 'data-sitecodec="off"', "<figure", "<img ", "!!! "):
        assert wanted in text
    with Image.open(DOCS / "images/ripples.gif") as image:
        assert getattr(image, "n_frames", 1) > 1
    with Image.open(DOCS / "images/leaf.png") as image:
        low, high = image.getchannel("A").getextrema()
        assert (low, high > 200) == (0, True)


def test_configuration_loads_nothing_from_elsewhere():
    config = (SITE / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(r"^  font: false\b", config, re.MULTILINE)
    assert re.search(r"^  - sitecodec:?$", config, re.MULTILINE)
    assert "analytics" not in config
    assert "http" not in config

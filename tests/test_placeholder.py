"""sitecodec.site.placeholder: small, of the right colours, and remembered."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sitecodec.codecs.web import WebCodec
from sitecodec.disk.store import Store
from sitecodec.page.html import scan
from sitecodec.settings import Settings
from sitecodec.site import assets, placeholder
from sitecodec.site.build import rewrite_site


def image_of(site: Path, pixels: Any, name: str) -> assets.Image:
    """An encoded image with one file."""
    if name == "slat":
        data = WebCodec().encode(pixels, 50)
    else:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, name.upper())
        data = buffer.getvalue()
    (site / f"x.{name}").write_bytes(data)
    height, width = pixels.shape[:2]
    asset = assets.Asset({name: f"x.{name}"}, width, height, {}, {})
    return assets.Image(width, height, (asset,))


@pytest.mark.parametrize("name", ["slat", "avif", "webp", "png"])
@pytest.mark.parametrize("kind", ["blur", "colour"])
def test_what_is_behind_a_transparent_image_stays_clear(
    tmp_path: Path, make: Any, name: str, kind: str
) -> None:
    pixels = np.dstack([make.photo(40, 60), make.photo(40, 60, 2)[..., 0]])
    image = image_of(tmp_path, pixels, name)
    assert placeholder.declarations(kind, tmp_path, image, Store(tmp_path / "store")) == ""


@pytest.mark.parametrize("name", ["slat", "avif", "jpeg"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_blur_is_short_and_looks_like_the_picture(
    tmp_path: Path, make: Any, name: str, seed: int
) -> None:
    pixels = make.photo(120, 180, seed)
    css = placeholder.declarations(
        "blur", tmp_path, image_of(tmp_path, pixels, name), Store(tmp_path / "store")
    )
    assert len(f' style="{css}"') <= 200
    match = re.fullmatch(
        r"background:url\(data:image/webp;base64,([\w+/=]+)\)0/100% 100% content-box", css
    )
    assert match
    blur = Image.open(io.BytesIO(base64.b64decode(match[1])))
    assert blur.size == (10, 7)
    wanted = Image.fromarray(pixels).resize(blur.size, Image.Resampling.BOX)
    difference = np.asarray(blur, float) - np.asarray(wanted, float)
    assert np.sqrt((difference**2).mean()) < 25
    assert np.abs(difference.mean(axis=(0, 1))).max() < 6


def test_a_colour_is_the_mean(tmp_path: Path, make: Any) -> None:
    pixels = make.photo(60, 90, 4)
    css = placeholder.declarations(
        "colour", tmp_path, image_of(tmp_path, pixels, "slat"), Store(tmp_path / "store")
    )
    match = re.fullmatch("background:#(..)(..)(..)", css)
    assert match
    colour = [int(part, 16) for part in match.groups()]
    assert np.abs(pixels.mean(axis=(0, 1)) - colour).max() < 4


@pytest.mark.parametrize("shape", [(4, 900, 3), (900, 4, 3), (64, 64, 3)])
def test_noise_and_slivers_are_short_too(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    css = placeholder.declarations(
        "blur", tmp_path, image_of(tmp_path, pixels, "jpeg"), Store(tmp_path / "store")
    )
    assert css.startswith("background:")
    assert len(css) <= placeholder.MOST_BYTES


def test_a_site_with_placeholders(tmp_path: Path, make: Any) -> None:
    """Each encoded image has one, beside the author's style; a warm build imports nothing heavy."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.png").write_bytes(make.file(make.photo(80, 120)))
    page = '<img src="a.png"><img src="a.png" style="color:red"><img src="a.png" class=x>'
    settings = Settings(store=tmp_path / "store", placeholder="blur", workers=1)
    (site / "index.html").write_text(page)
    rewrite_site(site, settings)
    first = (site / "index.html").read_bytes()
    styles = [i.get("style") or "" for i in scan(first).images]
    assert styles[1] == f"color:red;{styles[0]}"
    assert styles[0].startswith("background:url(data:image/webp;base64,")
    rewrite_site(site, settings)
    assert (site / "index.html").read_bytes() == first
    (site / "index.html").write_text(page)
    code = (
        "import sys; from pathlib import Path\n"
        "from sitecodec.settings import Settings; from sitecodec.site.build import rewrite_site\n"
        "s = Settings(store=Path(sys.argv[2]), placeholder='blur')\n"
        "assert rewrite_site(Path(sys.argv[1]), s).rewritten == 1\n"
        "heavy = {'numpy', 'PIL', 'wasmtime'} & sys.modules.keys(); assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code, site, settings.store], check=True)
    assert (site / "index.html").read_bytes() == first
    (site / "index.html").write_text(page)
    rewrite_site(site, replace(settings, placeholder="off"))
    assert b"background" not in (site / "index.html").read_bytes()

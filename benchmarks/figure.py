"""Draws the pictures of the manual: `python benchmarks/figure.py` (needs the extra `example`).

docs/figures/before-after.jpg shows parts of a photograph and of a screenshot of example_site. The
author's files are on the left, and a build's files on the right, both enlarged twice.
docs/figures/compare.jpg shows a photograph at equal bytes in four formats, enlarged. It is Chelsea,
by Stéfan van der Walt, CC0, from scikit-image's wheel.

Captions belong in the text beside a picture, where phones and dark modes can show them. The figures
for them are printed.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

import sitecodec
from sitecodec.codecs.web import WebCodec
from sitecodec.metrics import ssimulacra2

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "figures"
IMAGES = ROOT / "example_site" / "docs" / "images"
CHELSEA = Path(skimage.__file__).parent / "data" / "chelsea.png"
GAP = 8
GREY = (128, 128, 128)  # stands out from white pages and from dark ones

# Name, width that a page shows, place of the part that is drawn.
PARTS = (("pebbles.jpg", 760, (190, 170)), ("screenshot-terminal.png", 880, (14, 194)))
PART = (264, 176)
TWICE = (528, 352)  # so that letters can be read on a phone

QUALITY = 40.0
CROP = (95, 60, 255, 180)
SCALE = 3


def before_after() -> None:
    """A photograph and a screenshot, before and after a build at the default settings."""
    cells = []
    with tempfile.TemporaryDirectory() as made:
        site = Path(made) / "site"
        site.mkdir()
        for name, _, _ in PARTS:
            shutil.copy(IMAGES / name, site)
        images = "".join(f'<p><img src="{name}" alt="">' for name, _, _ in PARTS)
        (site / "index.html").write_text(f"<!doctype html><title>x</title><main>{images}</main>")
        widths = tuple(width for _, width, _ in PARTS)
        settings = sitecodec.Settings(widths=widths, store=Path(made) / "store", browser="always")
        sitecodec.build_site(site, settings)
        for name, width, (x, y) in PARTS:
            stem = name.partition(".")[0]
            found = {p.suffix: p for p in (site / settings.asset_dir).glob(f"{stem}-*-{width}w.*")}
            shown = found.get(".avif") or found[".webp"]
            box = (x, y, x + PART[0], y + PART[1])
            for path in (site / name, shown):
                with Image.open(path) as image:
                    height = round(width * image.height / image.width)
                    whole = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
                    cells.append(whole.crop(box).resize(TWICE, Image.Resampling.BICUBIC))
            sizes = {p.suffix: p.stat().st_size for p in found.values()}
            print(f"{name}: {(site / name).stat().st_size} bytes before; at {width}: {sizes}")
    draw(cells, 2, FIGURES / "before-after.jpg", 92)


def at_size(encode: Callable[[int], bytes], size: int) -> bytes:
    """The file of lowest quality that has at least `size` bytes: the 2022 experiment's rule."""
    return next(data for quality in range(1, 101) if len(data := encode(quality)) >= size)


def compare() -> None:
    """One photograph at equal bytes in four formats."""
    pixels = np.asarray(Image.open(CHELSEA).convert("RGB"))
    image = Image.fromarray(pixels)  # without the source's 3 kB of metadata
    codec = WebCodec()
    payload = codec.encode(pixels, QUALITY)

    def pillow(name: str, **options: object) -> Callable[[int], bytes]:
        def encode(quality: int) -> bytes:
            stream = io.BytesIO()
            image.save(stream, name, quality=quality, **options)
            return stream.getvalue()

        return encode

    rows = [("source", CHELSEA.stat().st_size, pixels)]
    for label, encode in (
        ("JPEG", pillow("JPEG", optimize=True, progressive=True)),
        ("WebP", pillow("WEBP", method=6)),
        ("AVIF", pillow("AVIF", speed=6)),
    ):
        data = at_size(encode, len(payload))
        rows.append((label, len(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))))
    rows.append(("sitecodec", len(payload), codec.decode(payload)))

    width, height = (CROP[2] - CROP[0]) * SCALE, (CROP[3] - CROP[1]) * SCALE
    whole = Image.new("RGB", (width, height), GREY)
    small = image.resize((width, width * image.height // image.width))
    whole.paste(small, (0, (height - small.height) // 2))
    cells = [whole]
    for label, size, decoded in rows:
        part = Image.fromarray(decoded).crop(CROP)
        cells.append(part.resize((width, height), Image.Resampling.NEAREST))
        print(f"{label}: {size / 1000:.2f} kB, score {ssimulacra2(pixels, decoded):.0f}")
    draw(cells, 3, FIGURES / "compare.jpg", 88)


def draw(cells: list[Image.Image], columns: int, path: Path, quality: int) -> None:
    """Write cells of one size, rows from the top, with a grey gap between them."""
    width, height = (side + GAP for side in cells[0].size)
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * width - GAP, rows * height - GAP), GREY)
    for place, cell in enumerate(cells):
        sheet.paste(cell, (place % columns * width, place // columns * height))
    sheet.save(path, quality=quality, optimize=True, progressive=True)


if __name__ == "__main__":
    before_after()
    compare()

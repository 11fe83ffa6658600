"""Draws docs/figures/compare.jpg: one photograph at equal bytes in four formats, enlarged.

`python benchmarks/figure.py` (needs the extra `example`). The photograph is Chelsea, by Stéfan van
der Walt, CC0, from scikit-image's wheel.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageDraw, ImageFont

from sitecodec.codecs.web import WebCodec
from sitecodec.metrics import ssimulacra2

SOURCE = Path(skimage.__file__).parent / "data" / "chelsea.png"
OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "figures" / "compare.jpg"
QUALITY = 40.0
CROP = (95, 60, 255, 180)
SCALE = 3


def at_size(encode: Callable[[int], bytes], size: int) -> bytes:
    """The file of lowest quality that has at least `size` bytes: the 2022 experiment's rule."""
    return next(data for quality in range(1, 101) if len(data := encode(quality)) >= size)


def main() -> None:
    pixels = np.asarray(Image.open(SOURCE).convert("RGB"))
    image = Image.fromarray(pixels)  # without the source's 3 kB of metadata
    codec = WebCodec()
    payload = codec.encode(pixels, QUALITY)

    def pillow(name: str, **options: object) -> Callable[[int], bytes]:
        def encode(quality: int) -> bytes:
            stream = io.BytesIO()
            image.save(stream, name, quality=quality, **options)
            return stream.getvalue()

        return encode

    rows = [("source", SOURCE.stat().st_size, pixels)]
    for label, encode in (
        ("JPEG", pillow("JPEG", optimize=True, progressive=True)),
        ("WebP", pillow("WEBP", method=6)),
        ("AVIF", pillow("AVIF", speed=6)),
    ):
        data = at_size(encode, len(payload))
        rows.append((label, len(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))))
    rows.append(("sitecodec", len(payload), codec.decode(payload)))

    width, height = (CROP[2] - CROP[0]) * SCALE, (CROP[3] - CROP[1]) * SCALE
    caption, gap = 34, 12
    sheet = Image.new("RGB", (3 * width + 2 * gap, 2 * (height + caption) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(20)
    places = [1, 2, 3, 4, 5]
    for place, (label, size, decoded) in zip(places, rows, strict=True):
        x, y = place % 3 * (width + gap), place // 3 * (height + caption + gap)
        crop = Image.fromarray(decoded).crop(CROP).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(crop, (x, y))
        score = "" if label == "source" else f", score {ssimulacra2(pixels, decoded):.0f}"
        draw.text((x + 4, y + height + 5), f"{label}: {size / 1000:.2f} kB{score}", "black", font)
    sheet.paste(image.resize((width, width * image.height // image.width)), (0, 0))
    draw.text((4, height + 5), "the whole picture, 451x300", "black", font)
    sheet.save(OUTPUT, quality=88, optimize=True, progressive=True)


if __name__ == "__main__":
    main()

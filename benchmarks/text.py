"""Do pictures of text stay readable? Twenty rendered pages, read by tesseract before and after.

Pages are of the manual's own words, in several fonts, sizes and colours, light and dark, half of
them saved as PNG and half as JPEG. Each goes through a build's own encoding at default settings;
every form that a page would offer is read again. Needs `tesseract` and matplotlib's fonts.
"""

from __future__ import annotations

import collections
import io
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sitecodec import codecs
from sitecodec.encoding import sources, variants
from sitecodec.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FACES = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Bold", "DejaVuSerif-Italic")
THEMES = (("#222222", "#ffffff"), ("#e6e6e6", "#1b1f27"), ("#334455", "#f4eedd"), ("#ffffff", ""))
PAGES, WIDTH, HEIGHT = 20, 760, 560
LIMIT = 98.0  # per cent


def page(number: int, words: list[str]) -> Image.Image:
    """A page of text; those without a background colour lie on a soft picture."""
    random = np.random.default_rng(number)
    ink, paper = THEMES[number % len(THEMES)]
    if paper:
        image = Image.new("RGB", (WIDTH, HEIGHT), paper)
    else:
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
        waves = 60 + 25 * np.sin(x / 90 + number) * np.cos(y / 70)
        soft = np.stack([waves, 0.8 * waves, 0.6 * waves], -1) + random.normal(
            0, 4, (HEIGHT, WIDTH, 3)
        )
        image = Image.fromarray(soft.clip(0, 255).astype(np.uint8))
    size = 14 + number % 5 * 2
    font = ImageFont.truetype(str(FONTS / f"{FACES[number % len(FACES)]}.ttf"), size)
    draw = ImageDraw.Draw(image)
    at, top = int(random.integers(len(words) - 600)), 20
    while top < HEIGHT - 2 * size:
        line = ""
        while draw.textlength(f"{line} {words[at]}", font=font) < WIDTH - 50:
            line, at = f"{line} {words[at]}".strip(), at + 1
        draw.text((24, top), line, fill=ink, font=font)
        top += int(1.5 * size)
    return image


def read(image: Image.Image) -> collections.Counter[str]:
    """The words that tesseract reads."""
    data = io.BytesIO()
    image.save(data, "PNG")
    command = ["tesseract", "stdin", "stdout", "--psm", "6"]
    done = subprocess.run(command, input=data.getvalue(), capture_output=True, check=True)
    return collections.Counter(done.stdout.decode().split())


def main() -> int:
    if not shutil.which("tesseract"):
        print("needs tesseract: install it with  apt install tesseract-ocr")
        return 2
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md")))
    words = [word for word in text.split() if word.isalpha() and word.isascii()]
    found: collections.Counter[str] = collections.Counter()
    wanted: collections.Counter[str] = collections.Counter()
    files: collections.Counter[str] = collections.Counter()
    before = 0
    for number in range(PAGES):
        name, options = ("PNG", {}) if number % 2 else ("JPEG", {"quality": 92})
        data = io.BytesIO()
        page(number, words).save(data, name, **options)
        source = sources.load(data.getvalue(), f"page {number}", Settings().max_pixels)
        assert isinstance(source, sources.Source)
        truth = read(Image.fromarray(source.pixels))
        outcome = variants.encode(source, len(data.getvalue()), Settings(), {})
        before += len(data.getvalue())
        for variant in outcome.variants:
            if variant.format == "slat":
                shown = Image.fromarray(codecs.get("web").decode(variant.data))
            else:
                shown = Image.open(io.BytesIO(variant.data)).convert("RGB")
            again = read(shown)
            files[variant.format] += 1
            wanted[variant.format] += truth.total()
            found[variant.format] += (truth & again).total()
    print(f"{PAGES} pages, {before / 1000:.0f} kB of PNG and JPEG; words read again, per cent")
    worst = 100.0
    for form, count in files.items():
        share = 100 * found[form] / wanted[form]
        worst = min(worst, share) if form in ("slat", "avif", "webp") else worst
        print(f"{form:<6} {count:>3} pages {share:>7.2f}")
    print(f"worst of what browsers take first: {worst:.2f} (limit {LIMIT:g})")
    return 0 if worst >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

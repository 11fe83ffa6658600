"""Screenshots and diagrams: what a build makes of them, beside lossless WebP and AVIF.

Every picture at three widths, as pages show it: all its colours in a lossless WebP; the AVIF of the
lowest quality that scores 85 (at speed 6, 4:4:4; some never do); the file of fewer colours that a
build makes, and its score; the payload of the same pixels.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from sitecodec import metrics
from sitecodec.encoding import conventional, images, palette
from sitecodec.encoding.task import Task
from sitecodec.facts.calibration import GRAPHICS_SCORE, GRAPHICS_TILE

WIDTHS = (None, 760, 380)
FIRST, COUNT = 100_000, 12  # numbers of pictures that no model was trained on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="PNG files; else Chromium draws some")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or drawn(Path(made))
        sources = [np.asarray(Image.open(p).convert("RGB")) for p in sorted(folder.glob("*.png"))]
    print(f"{len(sources)} pictures; kB of all of them together")
    print("width   lossless WebP  AVIF of 85  of them  fewer colours  payload  score  s per MP")
    for width in WIDTHS:
        rows = [row(pixels, width) for pixels in sources]
        lossless, avif, few, payload, score, seconds = zip(*rows, strict=True)
        reached = [place for place, size in enumerate(avif) if size is not None]
        peer = sum(avif[place] or 0 for place in reached)
        print(
            f"{width or 'whole':<5}{sum(lossless) / 1e3:>16.1f}{peer / 1e3:>12.1f}"
            f"{len(reached):>9}{sum(few) / 1e3:>15.1f}{sum(payload) / 1e3:>9.1f}"
            f"{statistics.median(score):>7.1f}{statistics.median(seconds):>10.2f}"
        )
        for name, sizes in (("fewer colours", few), ("payload", payload)):
            both = sum(sizes[place] for place in reached)
            print(
                f"      {name}: {percent(sum(sizes), sum(lossless))} against WebP,"
                f" {percent(both, peer)} against AVIF where that reaches 85",
                flush=True,
            )


def row(pixels: np.ndarray, width: int | None) -> tuple[int, int | None, int, int, float, float]:
    """Bytes of the four files, the score of the last two, and CPU seconds a megapixel for them."""
    if width and width < pixels.shape[1]:
        pixels = images.resized(pixels, width)
    with metrics.against(pixels) as score:
        task = Task(pixels, score, True, GRAPHICS_SCORE, GRAPHICS_TILE)
        avif = conventional.smallest(task, math.inf, conventional.Offsets()).encoded
        began = time.process_time()
        flat = palette.flat(task)
        assert flat, "a picture with the colours of a photograph"
        payload = palette.payload(flat)
        seconds = time.process_time() - began
    return (
        len(images.webp(pixels).data),
        avif.size if avif else None,
        len(flat.file.data),
        payload.size if payload else len(flat.file.data),
        flat.trial.score,
        seconds / (pixels.shape[0] * pixels.shape[1] / 1e6),
    )


def drawn(folder: Path) -> Path:
    command = [sys.executable, "-m", "sitecodec.training.screens", str(folder)]
    numbers = ["--count", str(COUNT), "--first", str(FIRST)]
    subprocess.run([*command, *numbers], check=True, stdout=subprocess.DEVNULL)
    return folder


def percent(size: float, peer: float) -> str:
    return f"{100 * (size / peer - 1):+.0f} %" if peer else "-"


if __name__ == "__main__":
    main()

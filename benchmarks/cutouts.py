"""Photographs cut out: bytes of a payload beside an AVIF with alpha at the same score.

`python benchmarks/cutouts.py [FOLDER]` (default: Kodak in ../shared/data/kodak). Each picture is
masked by an ellipse whose edge fades over so many pixels. Both files reach the score over black and
over white, and have no part under the gate's floor. Also what the mask alone takes: in a lossless
WebP, coded without loss by the engine, and eased as builds do.
"""

from __future__ import annotations

import io
import math
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sitecodec import engine, metrics
from sitecodec.codecs import aim, alpha
from sitecodec.codecs.web import WebCodec
from sitecodec.encoding import images
from sitecodec.encoding.conventional import Offsets, smallest
from sitecodec.encoding.encoders import avif as avif_encoder
from sitecodec.encoding.task import Task
from sitecodec.encoding.trials import measured
from sitecodec.errors import SettingsError
from sitecodec.settings import Settings

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "kodak"
EDGES = (1.5, 8, 40)
TARGETS = (50, 70)
FLOOR = Settings.min_tile_score


def masked(pixels: Pixels, edge: float) -> Pixels:
    """The picture within an ellipse whose edge fades over that many pixels."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width]
    away = np.hypot((2 * x + 1) / width - 1, (2 * y + 1) / height - 1)
    inside = (0.92 - away) * min(width, height) / 2
    plane = np.clip(255 * (inside / edge + 0.5), 0, 255).round().astype(np.uint8)
    return images.filled(np.dstack([pixels, plane]))


def webp_size(plane: Pixels) -> int:
    """What a lossless WebP spends on a mask: a black picture's, less its headers."""
    pixels = np.zeros((*plane.shape, 4), np.uint8)
    pixels[..., 3] = plane
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=100, method=6, exact=True)
    return len(buffer.getvalue()) - 34


def sizes(pixels: Pixels, target: float) -> tuple[float, float]:
    """Bytes of the smallest payload and AVIF of a score; infinite where none reaches it."""
    codec = WebCodec(effort=Settings.effort)
    with metrics.against(pixels) as score, codec.analysed(alpha.eased(pixels, target)) as encode:
        task = Task(pixels, score, False, target, FLOOR)

        def level(data: bytes) -> float:
            return task.level(measured(data, score(codec.decode(data))))

        avif = smallest(task, math.inf, Offsets(), avif_encoder("4:2:0", 6)).encoded
        try:
            payload = float(len(aim.for_score(encode, level, target, step=100)))
        except SettingsError:
            payload = math.inf
    return payload, avif.size if avif else math.inf


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    sources = [np.asarray(Image.open(p).convert("RGB")) for p in sorted(folder.iterdir())]
    print(f"{len(sources)} pictures; medians\n")
    print("edge  score   payload / AVIF   smaller by 5 %   mask in bytes: WebP  exact  eased")
    for edge in EDGES:
        pictures = [masked(pixels, edge) for pixels in sources]
        plane = pictures[0][..., 3]
        for target in TARGETS:
            pairs = [sizes(pixels, target) for pixels in pictures]
            ratios = [payload / avif for payload, avif in pairs]
            eased = alpha.eased(pictures[0], target)[..., 3]
            section, least = (len(engine.encode_alpha(part)) for part in (plane, eased))
            print(
                f"{edge:4} {target:6}   {statistics.median(ratios):14.3f}"
                f"   {sum(r <= 0.95 for r in ratios):8} of {len(ratios):<3}"
                f"   {webp_size(plane):19} {section:6} {least:6}",
                flush=True,
            )


if __name__ == "__main__":
    main()

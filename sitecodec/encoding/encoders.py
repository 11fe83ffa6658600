"""How the conventional files are made that are sought by their score: an encoder for each format.

An AVIF, of graphics with colours as sharp as their luma: without that, coloured lines never score
85. Of a picture with soft transparency a WebP, because some systems' Chromium reads an AVIF's alpha
as if its levels went from 16 to 235 only: shadows vanish.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sitecodec.encoding import images, search
from sitecodec.encoding.task import Task
from sitecodec.encoding.trials import measured
from sitecodec.facts import calibration, formats
from sitecodec.facts.formats import Format

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels


@dataclass(frozen=True)
class Encoder:
    """How files of a format are made, and what to expect of them."""

    format: Format

    name: str
    """The name of its trials; other settings have another name."""

    encode: Callable[[Pixels, int, bool], bytes]
    """A file of a picture at a quality; a quick one, if asked."""

    qualities: tuple[int, ...]
    """The qualities at which files differ."""

    curve: search.Curve
    """Mean scores of files to ship on Kodak pictures, for each of these. Only a prior: a search
    corrects it by what it measures on the picture at hand."""


def _quantiser(quality: int) -> int:
    return ((100 - quality) * 63 + 50) // 100


AVIF_QUALITIES = tuple(q for q in range(101) if q == 0 or _quantiser(q) < _quantiser(q - 1))
"""The qualities at which AVIF files differ: libavif has 64 quantisers."""

# Trials at this speed cost a tenth of a file's; at the same quality they score a little less, and
# are larger: photographs by a tenth, graphics by half.
_QUICK = 9


@functools.cache
def avif(chroma: str, speed: int) -> Encoder:
    """AVIFs with colours as sharp as `chroma` says, whose files to ship have a speed."""
    return Encoder(
        formats.AVIF,
        f"avif/{_QUICK}" if chroma == "4:2:0" else f"avif {chroma}/{_QUICK}",
        lambda pixels, quality, quick: images.avif(
            pixels, quality, _QUICK if quick else speed, chroma
        ),
        AVIF_QUALITIES,
        search.curve(calibration.AVIF_SCORES)[list(AVIF_QUALITIES)],
    )


WEBP = Encoder(
    formats.WEBP,
    "webp",
    lambda pixels, quality, quick: images.lossy_webp(pixels, quality),
    tuple(range(101)),
    search.curve(calibration.WEBP_SCORES),
)


def _avif(task: Task) -> Encoder | None:
    """The encoder of a picture's AVIFs; None if browsers might misread them."""
    if task.source.shape[2] == 4 and _is_soft(task):
        return None
    return avif("4:4:4" if task.graphics else "4:2:0", task.speed)


LOSSY: dict[str, Callable[[Task], Encoder | None]] = {"avif": _avif, "webp": lambda task: WEBP}
"""The encoder of a picture's files by the name of their format; None where they would not do."""

DECODERS: dict[str, Callable[[bytes], Pixels]] = {}
"""The decoders of formats that Pillow does not know, by name: they give (H, W, 3 or 4) uint8."""


def usual(task: Task) -> Encoder:
    """The encoder of the files that every current browser shows."""
    found = (LOSSY[known.name](task) for known in formats.modern() if known.name in LOSSY)
    return next(encoder for encoder in found if encoder)


def others(task: Task) -> list[Encoder]:
    """The encoders of further files, which only some browsers show."""
    found = (LOSSY[known.name](task) for known in formats.apart() if known.name in LOSSY)
    return [encoder for encoder in found if encoder]


def decode(data: bytes) -> Pixels:
    """The uint8 pixels of a conventional file of ours: (H, W, 3), or 4 channels with alpha."""
    known = next((f for f in formats.conventional() if f.is_of(data)), None)
    return DECODERS.get(known.name if known else "", images.decode)(data)


def _is_soft(task: Task) -> bool:
    """Whether a picture's transparency is such that misreading it as Chromium does is seen."""
    alpha = task.source[..., 3].astype(np.float32)
    misread = np.clip((alpha - 16) * (255 / 219), 0, 255).round().astype(np.uint8)
    shown = np.dstack([task.source[..., :3], misread])
    strict = replace(task, target=max(task.target, calibration.UNHARMED))
    return not strict.reached(measured(b"", task.score(shown)))

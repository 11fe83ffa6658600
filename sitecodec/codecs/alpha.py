"""The parts of a transparent picture that hardly show, chosen so that they cost few bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sitecodec import engine
from sitecodec.facts import calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sitecodec.facts.pixels import Pixels

_FRACTION = 8  # bits below a level of colour


def filled(pixels: Pixels) -> Pixels:
    """The (H, W, 3) colours of an (H, W, 4) picture, smooth where it is fully transparent.

    Pull-push (Gortler et al., "The Lumigraph", SIGGRAPH 1996): the picture is halved again and
    again, each pixel the mean of those of its four that are known, until all are. On the way back
    unknown pixels take what lies between those of the smaller picture. In integers: the same
    everywhere. A picture without any colour becomes grey.
    """
    known = pixels[..., 3] > 0
    colours = pixels[..., :3].astype(np.int32) << _FRACTION
    if not known.any():
        return np.full_like(pixels[..., :3], 128)
    mended = _mended(colours * known[..., None], known)
    return ((mended + (1 << _FRACTION >> 1)) >> _FRACTION).astype(np.uint8)


def eased(pixels: Pixels, score: float) -> Pixels:
    """An (H, W, 4) picture with less exact edges, for a payload that is to reach a score up to 100.

    As with AVIF, edges need not be better than the rest. At 100 the alpha stays as it is.
    """
    plane = engine.eased_alpha(pixels[..., 3], calibration.alpha_slack(score))
    return np.dstack([pixels[..., :3], plane])


def _mended(colours: NDArray[np.int32], known: NDArray[np.bool_]) -> NDArray[np.int32]:
    """All colours of a picture whose unknown ones are 0."""
    if known.all():
        return colours
    height, width = known.shape
    even = ((0, height % 2), (0, width % 2))
    total, count = np.pad(colours, (*even, (0, 0))), np.pad(known, even).astype(np.int32)
    for _ in range(2):  # pairs of rows become columns, then those of columns rows
        total = (total[::2] + total[1::2]).swapaxes(0, 1)
        count = (count[::2] + count[1::2]).T
    means = total // np.maximum(count, 1)[..., None]
    between = _mended(means, count > 0)
    for _ in range(2):
        between = _doubled(between).swapaxes(0, 1)
    return np.where(known[..., None], colours, between[:height, :width])


def _doubled(rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """Twice as many rows, each three parts of the nearest and one of the next."""
    edged = np.concatenate([rows[:1], rows, rows[-1:]])
    pairs = np.stack([3 * rows + edged[:-2], 3 * rows + edged[2:]], axis=1)
    return ((pairs + 2) >> 2).reshape(-1, *rows.shape[1:])

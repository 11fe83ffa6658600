"""May a page use this picture of a generative decoder? Stricter than the gate for `web`.

A generative decoder's faults look authentic: letters that say something else, other faces. A score
of the whole picture overlooks them, so each part must be near the source, and parts that look like
text nearer still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitecodec import metrics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sitecodec.codecs import Pixels

    Plane = NDArray[np.float32]

WORST_TILE = 30.0
"""The lowest SSIMULACRA2 that any 256x256 part may have; 10 is the rule for `web`."""

TEXT_CORRELATION = 0.9
"""How well text-like blocks must agree with the source: letters are gone well above 0.8."""

BLOCK = 32
_EDGE = 40.0  # a step between neighbours, in levels, that counts as a stroke's edge
_EDGES = 0.12  # share of such steps in a text-like block
_TWO_TONES = 0.8  # share of a text-like block's pixels near its darkest or lightest
_TEXT_BLOCKS = 2


@dataclass(frozen=True)
class Verdict:
    """The decision on one picture."""

    reason: str
    """Why it should not be used; '' if it may."""

    worst_tile: float

    text_agreement: float
    """Correlation with the source in the worst of the text-like blocks; 1 where there are none."""

    @property
    def kept(self) -> bool:
        """Whether it may be used."""
        return not self.reason


def judge(source: Pixels, decoded: Pixels, min_tile_score: float = WORST_TILE) -> Verdict:
    """Decide on what a generative decoder made of (H, W, 3) uint8 `source`."""
    tile = metrics.worst_tile(source, decoded)
    floor = max(min_tile_score, WORST_TILE)
    text = text_agreement(source, decoded)
    if text < TEXT_CORRELATION:
        reason = f"text: agreement {text:.2f} is under {TEXT_CORRELATION:g}"
    elif tile < floor:
        reason = f"worst tile {tile:.1f} is under {floor:g}"
    else:
        reason = ""
    return Verdict(reason, tile, text)


def text_agreement(source: Pixels, decoded: Pixels) -> float:
    """The lowest correlation of a text-like block with its decoded one; 1 where there are none.

    Text-like is a 32x32 block with many strong edges and two tones. Fewer than two are an accident.
    """
    import numpy as np

    before, after = _blocks(_luma(source)), _blocks(_luma(decoded))
    chosen = text_like(before)
    if int(chosen.sum()) < _TEXT_BLOCKS:
        return 1.0
    a, b = before[chosen].reshape(-1, BLOCK * BLOCK), after[chosen].reshape(-1, BLOCK * BLOCK)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt(np.square(a).sum(1) * np.square(b).sum(1)) + 1e-6
    return float(((a * b).sum(1) / scale).min())


def text_like(blocks: Plane) -> NDArray[np.bool_]:
    """Which of (N, 32, 32) blocks of luma look like text."""
    import numpy as np

    across = np.abs(np.diff(blocks, axis=2)) > _EDGE
    low = np.percentile(blocks, 5, axis=(1, 2))[:, None, None]
    high = np.percentile(blocks, 95, axis=(1, 2))[:, None, None]
    margin = (high - low) / 5
    tones = (blocks < low + margin) | (blocks > high - margin)
    chosen: NDArray[np.bool_] = (
        (across.mean((1, 2)) > _EDGES)
        & (tones.mean((1, 2)) > _TWO_TONES)
        & ((high - low)[:, 0, 0] > 2 * _EDGE)
    )
    return chosen


def _luma(pixels: Pixels) -> Plane:
    import numpy as np

    return (pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)).astype(
        np.float32
    )


def _blocks(plane: Plane) -> Plane:
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    whole = plane[: rows * BLOCK, : columns * BLOCK]
    split = whole.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    return split.reshape(-1, BLOCK, BLOCK)

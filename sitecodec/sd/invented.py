"""May a page use this picture of a generative decoder? Stricter than the gate for `web`.

A generative decoder's faults look authentic: letters that say something else, other faces. A score
of the whole picture overlooks them, so each part must be near the source: those that look like
text or skin nearer still. No detector of faces is used: small ones miss profiles and covered faces,
good ones are models to download, and what only has the colour of skin costs no more than a payload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitecodec import lettering, metrics
from sitecodec.facts.calibration import GENERATIVE_TILE, SKIN_SCORE, STRICTER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sitecodec.facts.pixels import Pixels

    Plane = NDArray[np.float32]

TEXT_CORRELATION = 0.9
"""How well text-like blocks must agree with the source: letters are gone well above 0.8."""

BLOCK = lettering.SIDE
SKIN_BLOCK = 64
_EDGE = 40.0  # a step between neighbours, in levels, that counts as a stroke's edge
_EDGES = 0.12  # share of such steps in a text-like block
_TWO_TONES = 0.8  # share of a text-like block's pixels near its darkest or lightest
_TEXT_BLOCKS = 2
# Chai and Ngan, "Face segmentation using skin-color map in videophone applications", 1999: people
# differ in lightness, hardly in chroma.
_SKIN_CB, _SKIN_CR = (77, 127), (133, 173)
_DARK = 40
_SKIN = 0.25  # share of a block that a face of 40 pixels fills
_GREY = 4.0  # spread of chroma under which a picture says nothing of skin


@dataclass(frozen=True)
class Verdict:
    """The decision on one picture."""

    reason: str
    """Why it should not be used; '' if it may."""

    worst_tile: float

    text_agreement: float
    """Correlation with the source in the worst of the text-like blocks; 1 where there are none."""

    skin_score: float
    """The lowest score of a block that may be skin; 100 where there are none."""

    @property
    def kept(self) -> bool:
        """Whether it may be used."""
        return not self.reason


def judge(source: Pixels, decoded: Pixels, min_tile_score: float = 0.0) -> Verdict:
    """Decide on what a generative decoder made of (H, W, 3) uint8 `source`.

    `min_tile_score` is the floor for other codecs.
    """
    tile = metrics.worst_tile(source, decoded)
    floor = max(min_tile_score + STRICTER, GENERATIVE_TILE)
    text = text_agreement(source, decoded)
    skin = skin_score(source, decoded)
    if text < TEXT_CORRELATION:
        reason = f"text: agreement {text:.2f} is under {TEXT_CORRELATION:g}"
    elif skin < SKIN_SCORE:
        reason = f"skin, perhaps a face: a part scores {skin:.0f}, under {SKIN_SCORE:g}"
    elif tile < floor:
        reason = f"worst tile {tile:.1f} is under {floor:g}"
    else:
        reason = ""
    return Verdict(reason, tile, text, skin)


def skin_score(source: Pixels, decoded: Pixels) -> float:
    """The lowest SSIMULACRA2 of a 64x64 block that may show skin; 100 where there are none.

    In a picture without colours every block may.
    """
    skin = skin_like(source)
    if not skin.any():
        return 100.0
    worst = 100.0
    for (left, top, right, bottom), score in metrics.tile_scores(source, decoded, SKIN_BLOCK):
        part = skin[top:bottom, left:right]
        if part.size and part.mean() >= _SKIN:
            worst = min(worst, score)
    return worst


def skin_like(pixels: Pixels) -> NDArray[np.bool_]:
    """The pixels of an (H, W, 3) picture whose colour skin can have, in any tone."""
    import numpy as np

    red, green, blue = np.moveaxis(pixels.astype(np.float32), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    cb, cr = 128 + 0.564 * (blue - luma), 128 + 0.713 * (red - luma)
    chosen: NDArray[np.bool_] = luma > _DARK
    if max(float(cb.std()), float(cr.std())) < _GREY:
        return chosen
    for plane, (low, high) in ((cb, _SKIN_CB), (cr, _SKIN_CR)):
        chosen &= (plane >= low) & (plane <= high)
    return chosen


def text_agreement(source: Pixels, decoded: Pixels) -> float:
    """The lowest correlation of a text-like block with its decoded one; 1 where there are none.

    Text-like is a 32x32 block with many strong edges and two tones. Fewer than two are an accident.
    """
    before, after = _blocks(_luma(source)), _blocks(_luma(decoded))
    chosen = text_like(before)
    if int(chosen.sum()) < _TEXT_BLOCKS:
        return 1.0
    mine, other = (part[chosen].reshape(-1, BLOCK * BLOCK) for part in (before, after))
    return lettering.least_alike(lettering.centred(mine), lettering.centred(other))


def text_like(blocks: Plane) -> NDArray[np.bool_]:
    """The blocks among (N, 32, 32) blocks of luma that look like text."""
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

"""The screens of two pages: pictures may differ as far as encoding changes them, the rest may not.

Pixels are (H, W, 3) uint8 sRGB.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sitecodec.check.boxes import Box
from sitecodec.facts.calibration import CHECK_SCORE, CHECK_TILE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    _T = TypeVar("_T", bound=np.generic)

SHIFT = 4.0
"""The most that a picture's mean colour may change, in any channel, in levels of 255."""

BLOCK = 40.0
"""The most that the mean colour of a block may change, in any channel, in levels of 255."""

_BLOCK = 16  # pixels a side
_SHARE = 0.1  # of blocks: edges that fall between pixels
_NOISE = 40  # of 255: how far a pixel outside pictures may go: edges of letters, gradients


@dataclass(frozen=True)
class Changed:
    """A difference in a picture or outside of all pictures, in words; `place` is in pixels."""

    detail: str
    place: tuple[int, int, int, int]
    """Left, top, right and bottom."""


def joined(shots: Sequence[bytes]) -> Pixels:
    """Screenshots that continue each other, as one picture."""
    import numpy as np
    from PIL import Image

    parts = [
        np.asarray(Image.open(io.BytesIO(shot), formats=["PNG"]).convert("RGB")) for shot in shots
    ]
    width = min(part.shape[1] for part in parts)
    return np.concatenate([part[:, :width] for part in parts])


def crop(page: NDArray[_T], box: Box, density: int, margin: int = 0) -> NDArray[_T]:
    """The part of a page in which a box is, in whole pixels; empty if it is nowhere on it."""
    left, top, right, bottom = (
        round(edge * density)
        for edge in (box.left, box.top, box.left + box.width, box.top + box.height)
    )
    rows = slice(max(0, top - margin), max(0, bottom + margin))
    return page[rows, max(0, left - margin) : max(0, right + margin)]


def place_change(plain: Pixels, built: Pixels) -> str:
    """Whether a picture is in its place: what is wrong with the screen there, '' if nothing is.

    Only colours are looked at, in blocks: a box that begins between two pixels is drawn anew.
    """
    import numpy as np

    height, width = (min(a, b) for a, b in zip(plain.shape[:2], built.shape[:2], strict=True))
    if min(height, width) < 2:
        return ""
    plain, built = plain[:height, :width], built[:height, :width]
    shift = np.abs(plain.mean((0, 1)) - built.mean((0, 1))).max()
    if shift > 2 * SHIFT:
        return f"colours shifted by {shift:.0f}"
    apart = np.abs(_blocks(plain) - _blocks(built)).max(2)
    share = float((apart > BLOCK).mean())
    return f"{share:.0%} of it differs" if share > _SHARE else ""


def file_change(plain: bytes, built: bytes) -> str:
    """The fault of a file as the built page shows it; '' if there is none.

    Both are PNGs, drawn alone at the size that the page shows.
    """
    import numpy as np

    from sitecodec import metrics

    a, b = (_picture(data) for data in (plain, built))
    if np.array_equal(a, b):
        return ""
    shift, block = 0.0, 0.0
    for ground in (0, 255):
        x, y = metrics.over(a, ground), metrics.over(b, ground)
        shift = max(shift, float(np.abs(x.mean((0, 1)) - y.mean((0, 1))).max()))
        block = max(block, float(np.abs(_blocks(x) - _blocks(y)).max()))
    if shift > SHIFT:
        return f"colours shifted by {shift:.0f}"
    if block > BLOCK:
        return f"a part's colour differs by {block:.0f}"
    opaque = bool((a[..., 3] == 255).all() and (b[..., 3] == 255).all())
    if opaque:
        a, b = np.ascontiguousarray(a[..., :3]), np.ascontiguousarray(b[..., :3])
    with metrics.against(a) as judge:
        scores = judge(b)
    if scores.score < CHECK_SCORE:
        return f"score {scores.score:.0f}"
    if scores.worst_tile < CHECK_TILE:
        return f"worst part {scores.worst_tile:.0f}"
    return ""


def rest_change(
    plain: Pixels, built: Pixels, ignored: Sequence[tuple[Box, Box]], density: int
) -> Changed | None:
    """Whether two pages differ outside of the boxes that are ignored: their pictures."""
    import numpy as np

    height, width = (min(a, b) for a, b in zip(plain.shape[:2], built.shape[:2], strict=True))
    plain, built = plain[:height, :width], built[:height, :width]
    if np.array_equal(plain, built):
        return None
    far = np.zeros((height, width), bool)
    for top in range(0, height, 512):
        some = slice(top, top + 512)
        far[some] = np.abs(plain[some].astype(np.int16) - built[some]).max(2) > _NOISE
    for pair in ignored:
        for box in pair:
            crop(far, box, density, margin=2)[...] = False
    # A few pixels are the edges of letters, a block of them is something to see.
    counts = _sums(far)
    if not (counts > _BLOCK).any():
        return None
    rows, columns = (np.flatnonzero((counts > _BLOCK).any(axis)) for axis in (1, 0))
    place = (
        int(columns[0]) * _BLOCK,
        int(rows[0]) * _BLOCK,
        int(columns[-1] + 1) * _BLOCK,
        int(rows[-1] + 1) * _BLOCK,
    )
    return Changed(f"{int(far.sum())} pixels outside of pictures", place)


def _picture(png: bytes) -> Pixels:
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGBA"))


def _blocks(pixels: Pixels) -> NDArray[np.float64]:
    """The mean colour of each block; what is over at the right and bottom belongs to none."""
    height, width = (max(1, side // _BLOCK) for side in pixels.shape[:2])
    side_y, side_x = pixels.shape[0] // height, pixels.shape[1] // width
    part = pixels[: height * side_y, : width * side_x]
    blocks: NDArray[np.float64] = part.reshape(height, side_y, width, side_x, 3).mean((1, 3))
    return blocks


def _sums(values: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many are true in each block."""
    import numpy as np

    missing = [(0, -side % _BLOCK) for side in values.shape]
    padded = np.pad(values, missing)
    height, width = (side // _BLOCK for side in padded.shape)
    sums: NDArray[np.int64] = padded.reshape(height, _BLOCK, width, _BLOCK).sum((1, 3))
    return sums

"""Networks over grids that are too large for one piece: overlapping tiles, blended."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

OVERLAP = 24
"""Latents that neighbouring tiles share: the outer thirds are dropped, since a network sees no
further than a tile's edge there; in the middle third the tiles are blended linearly."""


def run(
    network: Callable[[Array], Array], grid: Array, tile: int, unit: int, scale: Fraction
) -> Array:
    """`network` over an (H, W, C) array whose result is `scale` times as large.

    `tile` counts latents; `unit` is how many rows of `grid` a latent is. diffusers' own tiling
    blends the same way, but up to a tile's very edge, and differs between its two autoencoders.
    """
    import numpy as np

    rows, columns = grid.shape[0] // unit, grid.shape[1] // unit
    if max(rows, columns) <= tile:
        return network(grid)
    tops, lefts = starts(rows, tile), starts(columns, tile)
    height, width = (int(n * unit * scale) for n in (rows, columns))
    total: Array | None = None
    weights = np.zeros((height, width, 1), np.float32)
    for top in tops:
        for left in lefts:
            bottom, right = min(top + tile, rows), min(left + tile, columns)
            part = network(grid[top * unit : bottom * unit, left * unit : right * unit])
            if total is None:
                total = np.zeros((height, width, part.shape[2]), np.float32)
            vertical = ramp(top, bottom, rows, int(unit * scale))
            horizontal = ramp(left, right, columns, int(unit * scale))
            weight = (vertical[:, None] * horizontal[None, :])[..., None]
            place = np.s_[
                int(top * unit * scale) : int(bottom * unit * scale),
                int(left * unit * scale) : int(right * unit * scale),
            ]
            total[place] += part * weight
            weights[place] += weight
    assert total is not None
    total /= weights
    return total


def starts(length: int, tile: int) -> list[int]:
    """The starts of tiles that cover `length` and overlap by at least OVERLAP."""
    if length <= tile:
        return [0]
    count = math.ceil((length - OVERLAP) / (tile - OVERLAP))
    return [i * (length - tile) // (count - 1) for i in range(count)]


def ramp(start: int, end: int, length: int, unit: int) -> Array:
    """The weights of a tile from `start` to `end`, `unit` of them for a latent."""
    import numpy as np

    places = (np.arange((end - start) * unit, dtype=np.float32) + 0.5) / unit
    third = OVERLAP / 3
    weights = np.ones_like(places)
    if start > 0:
        weights = np.minimum(weights, (places - third) / third)
    if end < length:
        weights = np.minimum(weights, (end - start - places - third) / third)
    # Above zero throughout: where tiles overlap by more than they must, all is covered anyway.
    return np.maximum(weights, np.float32(1e-6)).astype(np.float32)

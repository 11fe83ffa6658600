"""The parts of a picture that look like text, and how much of their shape a copy keeps.

Scores are means over parts that are mostly ground: letters may be gone from a part that still
scores well. Correlation with the source tells: at 0.91 text is worn, at 0.96 it is clean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sitecodec.facts.pixels import Pixels

SIDE = 32
"""The side of a part in pixels: a few letters."""

# Text is strokes on calm ground: so much of a part differs by so few levels from the next pixels,
# and so much of it by so many.
_CALM, _GROUND = 4, 0.4
_EDGE, _STROKES = 24, 0.06
_BAND = 16 * SIDE  # rows at once: memory does not grow with the picture's height


def against(reference: Pixels) -> Callable[[Pixels], float]:
    """A function that tells how alike the text of a copy of an (H, W, 3) picture is, at its worst.

    Correlation of luma in a part of 32x32 pixels, at most 1; 1.0 of a picture without text.
    """
    places = text_like(reference)
    if not places.any():
        return lambda shown: 1.0
    mine = centred(_chosen(reference, places))

    def likeness(shown: Pixels) -> float:
        return least_alike(mine, centred(_chosen(shown, places)))

    return likeness


def least_alike(mine: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The lowest correlation, at most 1, of (N, K) parts whose means are 0 with those of a copy."""
    strength = np.sqrt(np.sum(mine * mine, axis=1) * np.sum(other * other, axis=1))
    return float(np.min(np.sum(mine * other, axis=1) / np.maximum(strength, 1e-6)))


def text_like(pixels: Pixels) -> NDArray[np.bool_]:
    """The parts of an (H, W, 3) picture that look like text: (rows, columns) of parts of 32x32.

    At the right and lower edge parts are filled up with the last pixels.
    """
    found = []
    for parts in _bands(pixels):
        # Of a pixel at a part's edge the next one is in another part: it does not count.
        across = np.abs(np.diff(parts, axis=3, append=parts[..., -1:]))
        down = np.abs(np.diff(parts, axis=2, append=parts[..., -1:, :]))
        steps = np.maximum(across, down)
        calm, edges = (steps <= _CALM).mean((2, 3)), (steps >= _EDGE).mean((2, 3))
        found.append((calm >= _GROUND) & (edges >= _STROKES))
    return np.concatenate(found)


def _bands(pixels: Pixels) -> list[NDArray[np.int16]]:
    """The luma of all parts, (rows, columns, 32, 32), in bands of rows."""
    height, width = pixels.shape[:2]
    found = []
    for top in range(0, height, _BAND):
        luma = np.asarray(Image.fromarray(pixels[top : top + _BAND]).convert("L"))
        luma = np.pad(luma, ((0, -len(luma) % SIDE), (0, -width % SIDE)), mode="edge")
        rows, columns = luma.shape[0] // SIDE, luma.shape[1] // SIDE
        parts = luma.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)
        found.append(parts.astype(np.int16))
    return found


def _chosen(pixels: Pixels, places: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The luma of the parts at these places, (N, 1024)."""
    found, row = [], 0
    for parts in _bands(pixels):
        here = places[row : row + len(parts)]
        found.append(parts[here].reshape(-1, SIDE * SIDE).astype(np.float32))
        row += len(parts)
    return np.concatenate(found)


def centred(parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (N, K) parts less their means."""
    means: NDArray[np.float32] = parts.mean(axis=1, keepdims=True)
    return parts - means

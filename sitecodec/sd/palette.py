"""The seed experiment's quantisation: 8 bits, a palette of 256 4-vectors, error diffusion.

The experiment used libimagequant. Its bindings on PyPI do not fit here: the maintained one
(`imagequant`) bundles GPL code and cannot set the speed, and the library weighs the fourth
channel as opacity, which a latent is not. So: k-means++ (Arthur and Vassilvitskii 2007) and Lloyd's
iterations for the palette, Floyd and Steinberg (1976) for the diffusion, both in latent space.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from sitecodec.errors import PayloadError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sitecodec.sd.grid import Latents

SCALING = 0.18215
"""The published constant: Stable Diffusion 1.4's scaling factor, also the quantisation step."""

COLOURS = 256
CHANNELS = 4

_SAMPLE = 4096  # places that the palette is made from: all of a 512x512 picture's
_LLOYD = 4


def quantise(latents: Latents) -> NDArray[np.uint8]:
    """8-bit values of latents in scaled units.

    uint8(255 clamp(z / (255 · 0.18215) + 0.5, 0, 1) + 0.5), z the unscaled latent: a step of
    0.18215 and a range of ±23.2 in z.
    """
    import numpy as np

    unscaled = latents / np.float32(SCALING)
    shares = np.clip(unscaled / np.float32(255 * SCALING) + np.float32(0.5), 0, 1)
    values: NDArray[np.uint8] = (np.float32(255) * shares + np.float32(0.5)).astype(np.uint8)
    return values


def dequantise(values: NDArray[np.uint8]) -> Latents:
    """Latents in scaled units, the middle of each step: (q / 255 - 0.5) · 255 · 0.18215²."""
    import numpy as np

    unscaled = (values.astype(np.float32) / 255 - np.float32(0.5)) * np.float32(255 * SCALING)
    return (unscaled * np.float32(SCALING)).astype(np.float32)


def encode(latents: Latents, dither: float = 1.0, level: int = 9) -> bytes:
    """(H, W, 4) latents as deflated palette and indices."""
    values = quantise(latents)
    palette = make_palette(values.reshape(-1, CHANNELS))
    indices = diffuse(values, palette, dither)
    raw = bytes([len(palette) - 1]) + palette.tobytes() + indices.tobytes()
    return zlib.compress(raw, level)


def decode(body: bytes, height: int, width: int) -> Latents:
    """The (H, W, 4) latents. Raises PayloadError for anything that `encode` does not write."""
    import numpy as np

    places = height * width
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(body, 2 + COLOURS * CHANNELS + places)
    except zlib.error as error:
        raise PayloadError("corrupt payload: cannot inflate it; encode again") from error
    count = (raw[0] + 1) if raw else 0
    whole = len(raw) == 1 + count * CHANNELS + places
    if not whole or not inflate.eof or inflate.unused_data:
        raise PayloadError("corrupt payload: its palette and size differ; encode again")
    palette = np.frombuffer(raw, np.uint8, count * CHANNELS, 1).reshape(count, CHANNELS)
    indices = np.frombuffer(raw, np.uint8, places, 1 + count * CHANNELS)
    if int(indices.max()) >= count:
        raise PayloadError("corrupt payload: an index beyond its palette; encode again")
    return dequantise(palette[indices].reshape(height, width, CHANNELS))


def make_palette(values: NDArray[np.uint8], colours: int = COLOURS) -> NDArray[np.uint8]:
    """At most `colours` (n, C) uint8 centres for (N, C) values; the same for the same values."""
    import numpy as np

    generator = np.random.default_rng(0)
    if len(values) > _SAMPLE:
        values = values[np.sort(generator.choice(len(values), _SAMPLE, replace=False))]
    points = values.astype(np.float32)
    centres = np.empty((colours, points.shape[1]), np.float32)
    centres[0] = points[generator.integers(len(points))]
    nearest = np.full(len(points), np.inf, np.float32)
    powers = (points * points).sum(1)
    count = 1
    for count in range(1, colours + 1):
        # |p - c|²: whole numbers under 2^24, so exact in any order
        newest = centres[count - 1]
        np.minimum(nearest, powers - 2 * (points @ newest) + newest @ newest, out=nearest)
        sums = np.cumsum(nearest, dtype=np.float64)
        if count == colours or sums[-1] == 0:
            break
        at = int(np.searchsorted(sums, generator.random() * sums[-1], side="right"))
        centres[count] = points[min(at, len(points) - 1)]
    centres = centres[:count]
    for _ in range(_LLOYD):
        labels = _nearest(points, centres)
        sizes = np.bincount(labels, minlength=count)
        for channel in range(points.shape[1]):
            total = np.bincount(labels, points[:, channel], count)
            mean = total / np.maximum(sizes, 1)
            centres[:, channel] = np.where(sizes > 0, mean, centres[:, channel])
    return np.unique(np.rint(centres).astype(np.uint8), axis=0)


def diffuse(
    values: NDArray[np.uint8], palette: NDArray[np.uint8], amount: float = 1.0
) -> NDArray[np.uint8]:
    """(H, W) indices into the palette for (H, W, C) values, `amount` of each error passed on.

    Floyd and Steinberg's shares: 7/16 east, 3/16 south-west, 5/16 south, 1/16 south-east. Places
    with equal x + 2y do not touch one another and are done at once.
    """
    import numpy as np

    height, width, channels = values.shape
    centres = palette.astype(np.float32)
    # A margin takes what leaves the picture.
    wanted = np.zeros((height + 1, width + 2, channels), np.float32)
    wanted[:height, 1:-1] = values
    indices = np.zeros((height, width), np.uint8)
    for front in range(width + 2 * (height - 1)):
        first = max(0, (front - width + 2) // 2)
        rows = np.arange(first, min(height - 1, front // 2) + 1)
        columns = front - 2 * rows
        # An error must not wander off where the palette cannot follow.
        here = np.clip(wanted[rows, columns + 1], 0, 255)
        chosen = _nearest(here, centres)
        indices[rows, columns] = chosen
        error = (here - centres[chosen]) * np.float32(amount / 16)
        wanted[rows, columns + 2] += 7 * error
        wanted[rows + 1, columns] += 3 * error
        wanted[rows + 1, columns + 1] += 5 * error
        wanted[rows + 1, columns + 2] += error
    return indices


def _nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    """The index of each point's nearest centre, the first of equal ones."""
    import numpy as np

    result = np.empty(len(points), np.intp)
    powers = (centres * centres).sum(1)
    for start in range(0, len(points), _SAMPLE):
        part = points[start : start + _SAMPLE]
        # |p - c|² without |p|², which is the same for all centres
        result[start : start + _SAMPLE] = (powers - 2 * (part @ centres.T)).argmin(1)
    return result

"""Quality scores of a distorted picture against its reference.

All pictures are (H, W, 3) uint8 sRGB, but that those of `against` may have alpha. numpy and the
scoring module load on first use.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sitecodec.engine.scores import Tile
    from sitecodec.facts.pixels import Pixels

# The weights of SSIMULACRA2 belong to six scales, each of at least 8 pixels; its reference
# implementation pairs them with the wrong terms when there are fewer, and scores jump by ±30.
_FULL_SCALES_SIDE = 256
_SMALLEST_FULL_SIDE = 225  # halves, rounded up, five times to 8
_TILE = 256
_SAMPLE_PIXELS = 16 * _FULL_SCALES_SIDE**2
# Wang, Simoncelli and Bovik, "Multi-scale structural similarity", Asilomar 2003.
_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_MS_SSIM_TAPS = 11
_MS_SSIM_SIGMA = 1.5


@dataclass(frozen=True)
class Scores:
    """How a picture looks beside its reference, on the scale of SSIMULACRA2."""

    score: float
    """The score of the whole picture, or of its `sample` if it is large."""

    worst_tile: float
    """The lowest of a 256x256 part."""

    text: float = 1.0
    """How alike the worst of what looks like text is (`lettering`): 1 for the same."""


@contextmanager
def against(reference: Pixels) -> Iterator[Callable[[Pixels], Scores]]:
    """A function that scores any number of pictures against one reference, which is prepared once.

    A reference with alpha is seen over black and over white, and the lower scores count.
    Raises ValueError for a picture of another size.
    """
    if reference.ndim == 3 and reference.shape[2] == 4:
        with against(over(reference, 0)) as on_black, against(over(reference, 255)) as on_white:

            def lowest(distorted: Pixels) -> Scores:
                seen = on_black(over(distorted, 0)), on_white(over(distorted, 255))
                return Scores(*(min(pair) for pair in zip(*map(astuple, seen), strict=True)))

            yield lowest
        return
    from sitecodec import lettering

    part = sample(reference)
    text = lettering.against(reference)
    with _opened(part) as score:

        def scores(distorted: Pixels) -> Scores:
            _check_same_shape(reference, distorted)
            if part is not reference:
                (whole,) = score(sample(distorted), [_whole(part)])
                return Scores(whole, worst_tile(reference, distorted), text(distorted))
            whole, *tiles = score(distorted, [_whole(part), *_tiles(part)])
            return Scores(whole, min(tiles), text(distorted))

        yield scores


@contextmanager
def judged_against(reference: Pixels) -> Iterator[Callable[[Pixels], float]]:
    """A function that asks the second judge about any number of pictures, against one reference.

    ColorVideoVDP's just objectionable differences: 10 is the same picture, 9 is one that three of
    four viewers would tell from it. No model is trained for it. Large pictures are judged by their
    `sample`; a reference with alpha over black and over white, and the lower figure counts.
    """
    from sitecodec.engine import judge

    if reference.shape[2] == 4:
        with (
            judged_against(over(reference, 0)) as on_black,
            judged_against(over(reference, 255)) as on_white,
        ):
            yield lambda shown: min(on_black(over(shown, 0)), on_white(over(shown, 255)))
        return
    side = judge.SMALLEST
    with judge.opened(_at_least(sample(reference), side, side)) as figure:

        def judged(distorted: Pixels) -> float:
            _check_same_shape(reference, distorted)
            return figure(_at_least(sample(distorted), side, side))

        yield judged


def over(pixels: Pixels, level: int) -> Pixels:
    """The (H, W, 3) picture over a grey of 0 (black) to 255 (white), as browsers compose it."""
    import numpy as np

    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint16)
    mixed = pixels[..., :3] * alpha + np.uint16(level) * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def ssimulacra2(reference: Pixels, distorted: Pixels) -> float:
    """SSIMULACRA2 (Sneyers 2023): 100 identical, 70 high quality, 50 medium, under 10 very low.

    Sides too short for the metric's six scales are extended to 256 pixels by mirroring, so that
    scores of small pictures and tiles mean what scores of large ones mean. Time and memory grow
    with the picture; see `sample` for large ones. The score is within 0.05 of the package
    `ssimulacra2`'s.
    """
    _check_same_shape(reference, distorted)
    with _opened(reference) as score:
        return score(distorted, [_whole(reference)])[0]


def sample(pixels: Pixels) -> Pixels:
    """A picture of at most a megapixel that scores as a large one does, at a bounded cost.

    A picture over a megapixel is split into 16 equal cells (fewer if it is narrow), and a 256x256
    block from the middle of each is joined to a mosaic. SSIMULACRA2 of two such mosaics is within
    2.5 of that of the whole pictures on scenes made of Kodak pictures; a mean of the blocks'
    scores is not, because the metric's norms weigh the worst places most.
    """
    import numpy as np

    height, width = pixels.shape[:2]
    side = _FULL_SCALES_SIDE
    if max(height, side) * max(width, side) <= _SAMPLE_PIXELS:
        return pixels
    # Cells as square as a power of two allows.
    rows = 2 ** min(4, max(0, round(math.log2(4 * math.sqrt(height / width)))))
    columns = min(16 // rows, max(1, width // side))
    rows = min(rows, max(1, height // side))
    tops, lefts = _block_starts(height, rows, side), _block_starts(width, columns, side)
    return np.concatenate(
        [
            np.concatenate([pixels[top : top + side, left : left + side] for left in lefts], axis=1)
            for top in tops
        ]
    )


def worst_tile(reference: Pixels, distorted: Pixels) -> float:
    """The lowest SSIMULACRA2 of any 256x256 part (see `tile_scores`)."""
    return min(score for _, score in tile_scores(reference, distorted))


def tile_scores(
    reference: Pixels, distorted: Pixels, side: int = _TILE
) -> list[tuple[Tile, float]]:
    """The parts of a picture, (left, top, right, bottom) in pixels, and the SSIMULACRA2 of each.

    Parts cover the picture, those at its edges shifted inwards; of a small picture there is one,
    which may reach beyond it. Scores come from the error maps of the picture, or of a row of parts
    if it is large. A 256x256 part cut out would score 1.3 higher (standard deviation 0.7, 8 Kodak
    pictures): the metric blurs its borders with black.
    """
    _check_same_shape(reference, distorted)
    height = reference.shape[0]
    tops = [0]
    if sample(reference) is not reference:  # memory does not grow with the picture's height
        tops = _starts(height, _TILE)
    found = []
    for top in tops:
        rows = slice(top, top + _TILE if len(tops) > 1 else height)
        tiles = _tiles(reference[rows], side)
        with _opened(reference[rows]) as score:
            for tile, value in zip(tiles, score(distorted[rows], tiles), strict=True):
                place = (tile[0], tile[1] + top, tile[2], tile[3] + top)
                found.append((place, value))
    return found


def psnr(reference: Pixels, distorted: Pixels) -> float:
    """Peak signal-to-noise ratio over all three channels, in dB; infinite if identical."""
    import numpy as np

    _check_same_shape(reference, distorted)
    total = 0.0
    for start in range(0, len(reference), 256):
        rows = slice(start, start + 256)
        difference = reference[rows].astype(np.int32) - distorted[rows]
        total += float(np.sum(np.square(difference), dtype=np.float64))
    mean = total / reference.size
    return 10 * math.log10(255**2 / mean) if mean else math.inf


def ms_ssim(reference: Pixels, distorted: Pixels) -> float:
    """Multi-scale SSIM (Wang et al. 2003), mean over the RGB channels; 1 is identical.

    Five scales, 11-tap Gaussian with sigma 1.5, K1 0.01, K2 0.03, valid windows only, as in
    pytorch-msssim. Pictures with a side under 161 pixels have fewer scales, whose weights are
    normalised; sides under 11 are extended by mirroring.
    """
    import numpy as np

    _check_same_shape(reference, distorted)
    scales = _ms_ssim_scales(min(reference.shape[:2]))
    weights = np.array(_MS_SSIM_WEIGHTS[:scales])
    if scales < len(_MS_SSIM_WEIGHTS):
        weights /= weights.sum()
    values = []
    for channel in range(3):
        x = _at_least(reference[..., channel], _MS_SSIM_TAPS).astype(np.float64)
        y = _at_least(distorted[..., channel], _MS_SSIM_TAPS).astype(np.float64)
        factors = []
        for scale in range(scales):
            similarity, contrast = _ssim_means(x, y)
            last = scale == scales - 1
            factors.append(max(similarity if last else contrast, 0.0))
            if not last:
                x, y = _pool(x), _pool(y)
        values.append(float(np.prod(np.power(factors, weights))))
    return float(np.mean(values))


def _check_same_shape(reference: Pixels, distorted: Pixels) -> None:
    if reference.shape != distorted.shape:
        raise ValueError(f"pictures differ in size: {reference.shape} and {distorted.shape}")
    if not reference.size or reference.ndim != 3 or reference.shape[2] != 3:
        raise ValueError(f"not a picture of (height, width, 3): {reference.shape}")


@contextmanager
def _opened(reference: Pixels) -> Iterator[Callable[[Pixels, list[Tile]], list[float]]]:
    """The same as `engine.scores.opened`, for pictures and tiles of any size."""
    from sitecodec.engine import scores

    sides = [_FULL_SCALES_SIDE if n < _SMALLEST_FULL_SIDE else 1 for n in reference.shape[:2]]
    with scores.opened(_at_least(reference, *sides)) as score:
        yield lambda distorted, tiles: score(_at_least(distorted, *sides), tiles)


def _whole(pixels: Pixels) -> Tile:
    height, width = (
        max(n, _FULL_SCALES_SIDE * (n < _SMALLEST_FULL_SIDE)) for n in pixels.shape[:2]
    )
    return 0, 0, width, height


def _tiles(pixels: Pixels, side: int = _TILE) -> list[Tile]:
    """The tiles that cover a picture, or what it is extended to."""
    _, _, width, height = _whole(pixels)
    return [
        (left, top, min(width, left + side), min(height, top + side))
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]


def _at_least(
    values: NDArray[np.uint8], height: int, width: int | None = None
) -> NDArray[np.uint8]:
    """The first two axes extended to at least (height, width) by mirroring."""
    import numpy as np

    wanted = (height, height if width is None else width)
    missing = [max(0, side - n) for n, side in zip(values.shape[:2], wanted, strict=True)]
    if not any(missing):
        return values
    pad = [(0, m) for m in missing] + [(0, 0)] * (values.ndim - 2)
    return np.pad(values, pad, mode="symmetric")


def _starts(length: int, tile: int) -> list[int]:
    """The starts of tiles that cover `length`, evenly spread and within it."""
    count = max(1, math.ceil(length / tile))
    room = max(0, length - tile)
    return [round(i * room / max(1, count - 1)) for i in range(count)]


def _block_starts(length: int, count: int, side: int) -> list[int]:
    """The starts of blocks in the middle of `count` equal parts of `length`."""
    middles = [(2 * i + 1) * length // (2 * count) for i in range(count)]
    return [min(max(0, middle - side // 2), max(0, length - side)) for middle in middles]


def _ms_ssim_scales(side: int) -> int:
    scales = 1
    while scales < len(_MS_SSIM_WEIGHTS) and side > (_MS_SSIM_TAPS - 1) * 2**scales:
        scales += 1
    return scales


@functools.cache
def _gaussian() -> tuple[float, ...]:
    offsets = range(-(_MS_SSIM_TAPS // 2), _MS_SSIM_TAPS // 2 + 1)
    taps = [math.exp(-(x * x) / (2 * _MS_SSIM_SIGMA**2)) for x in offsets]
    return tuple(tap / sum(taps) for tap in taps)


def _ssim_means(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure term over all windows within the picture."""
    import numpy as np

    def blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        for _ in range(2):  # rows, then columns as rows
            count = len(plane) - _MS_SSIM_TAPS + 1
            blurred = np.zeros((count, *plane.shape[1:]))
            for n, tap in enumerate(_gaussian()):
                blurred += tap * plane[n : n + count]
            plane = blurred.T
        return plane

    mu_x, mu_y = blur(x), blur(y)
    var_x = blur(x * x) - mu_x * mu_x
    var_y = blur(y * y) - mu_y * mu_y
    cov = blur(x * y) - mu_x * mu_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    contrast = (2 * cov + c2) / (var_x + var_y + c2)
    similarity = contrast * (2 * mu_x * mu_y + c1) / (mu_x * mu_x + mu_y * mu_y + c1)
    return float(np.mean(similarity)), float(np.mean(contrast))


def _pool(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """2x2 mean with stride 2; an odd side gets zeros before it, as in pytorch-msssim."""
    import numpy as np

    even = np.pad(plane, [(n % 2, 0) for n in plane.shape])
    pooled: NDArray[np.float64] = (
        even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    ) / 4
    return pooled

"""Write the conventional files, and see to the pixels that go into them."""

from __future__ import annotations

import functools
import io
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sitecodec.codecs import alpha
from sitecodec.engine import flat
from sitecodec.facts import formats
from sitecodec.settings import REFINING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sitecodec.facts.formats import Format
    from sitecodec.facts.pixels import Pixels

_log = logging.getLogger("sitecodec")

_PALETTE = 256


@dataclass(frozen=True)
class Lossless:
    """A file that shows the very pixels."""

    format: Format
    data: bytes


def avif(pixels: Pixels, quality: int, speed: int = 6, chroma: str = "4:2:0") -> bytes:
    """An AVIF of (H, W, 3 or 4) uint8 `pixels`: quality 0-100, speed 0 (slow) to 10 (fast).

    `chroma` is "4:2:0" or "4:4:4".
    """
    options = _tuning() if quality < 100 else {}  # libaom refuses it there: 100 may be lossless
    options = {"quality": quality, "speed": speed, "subsampling": chroma} | options
    return _avif(Image.fromarray(pixels), **options)


def lossy_webp(pixels: Pixels, quality: int) -> bytes:
    """A WebP whose colours are lossy and whose alpha is not, of quality 0-100."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def jpeg(pixels: Pixels, quality: int, chroma: str = "4:2:0") -> bytes:
    """A progressive JPEG of (H, W, 3) uint8 `pixels`: quality 1-100, `chroma` as of `avif`."""
    buffer = io.BytesIO()
    options = {"quality": quality, "progressive": True, "optimize": True, "subsampling": chroma}
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def avif_speed(effort: int) -> int:
    """The speed of AVIFs at an effort: a payload refined for a minute has to beat one as patient.

    Slower than 2 is no smaller: on three Kodak pictures, against Pillow's own, SSIMULACRA2 -6 % at
    0.8 s a megapixel (speed 6), -12 % at 12 s (speed 2), -12 % at 14 s (speed 1).
    """
    return 2 if effort >= REFINING else 6


def lossless(pixels: Pixels) -> tuple[Lossless, ...]:
    """The file of each lossless format that can hold them, the smallest first."""
    # From the last on: of two that are as small the one that more browsers show.
    able = [f for f in formats.ALL[::-1] if f.lossless and max(pixels.shape) <= f.largest_side]
    files = [LOSSLESS[known.name](pixels) for known in able]
    return tuple(sorted(files, key=lambda file: len(file.data)))


def webp(pixels: Pixels) -> Lossless:
    """A lossless WebP."""
    buffer = io.BytesIO()
    # Method 6 saves 2 % more and takes fifty times as long.
    Image.fromarray(cleared(pixels)).save(buffer, "WEBP", lossless=True, quality=100, method=4)
    return Lossless(formats.WEBP, buffer.getvalue())


def png(pixels: Pixels) -> Lossless:
    """An optimised PNG, with a palette if 256 colours suffice."""
    pixels = cleared(pixels)
    image, options = Image.fromarray(pixels), {}
    # Pillow's own `quantize` would do, but takes colours that are near for the same.
    colours, places, _ = flat.counted(pixels)
    if len(colours) <= _PALETTE:
        image = Image.fromarray(places.astype(np.uint8), "P")
        image.putpalette(colours[:, :3].tobytes())
        if pixels.shape[2] == 4:
            options["transparency"] = colours[:, 3].tobytes()
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, **options)
    return Lossless(formats.PNG, buffer.getvalue())


LOSSLESS: dict[str, Callable[[Pixels], Lossless]] = {"webp": webp, "png": png}
"""The encoders of the lossless formats, by name."""


def cleared(pixels: Pixels) -> Pixels:
    """The picture with nothing where it is transparent: what costs least without loss."""
    if pixels.shape[2] == 3:
        return pixels
    return np.where(pixels[..., 3:] > 0, pixels, np.uint8(0))


def flatness(pixels: Pixels) -> float:
    """The share of pixels that equal their right neighbour: near 1 for screenshots, 0 for photos.

    It is taken from at most 512 rows, spread over the picture, where they can be seen.
    """
    rows = pixels[:: max(1, pixels.shape[0] // 512)]
    equal = np.all(rows[:, 1:] == rows[:, :-1], axis=2)
    if pixels.shape[2] == 4:
        equal = equal[(rows[:, 1:, 3] > 0) & (rows[:, :-1, 3] > 0)]
    return float(np.mean(equal)) if equal.size else 0.0


def resized(pixels: Pixels, width: int) -> Pixels:
    """The picture scaled down to `width` by a Lanczos filter, its shape kept.

    Colours are weighted by alpha, if there is any.
    """
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(image))


def filled(pixels: Pixels) -> Pixels:
    """An (H, W, 4) picture whose fully transparent pixels have colours that cost few bits.

    Without the alpha if that turns out to be opaque, as it may in a smaller size.
    """
    colours, plane = alpha.filled(pixels), pixels[..., 3]
    return colours if plane.min() == 255 else np.dstack([colours, plane])


def decode(data: bytes) -> Pixels:
    """The uint8 pixels of a file of ours that Pillow reads: (H, W, 3), or 4 channels with alpha."""
    names = [known.name.upper() for known in formats.conventional() if known.is_of(data)]
    with Image.open(io.BytesIO(data), formats=names) as image:
        mode = "RGBA" if image.has_transparency_data else "RGB"
        return np.ascontiguousarray(np.asarray(image.convert(mode)))


# Options for libaom. Tuning for SSIMULACRA2 makes files of Kodak pictures 6 % smaller at
# equal scores and 4 % at equal MS-SSIM; the others cost nothing and save a fifth of the time.
_TUNING = {
    "color:tune": "ssimulacra2",
    "color:disable-trellis-quant": "1",
    "color:enable-filter-intra": "0",
}


@functools.cache
def _tuning() -> dict[str, object]:
    """Pillow's argument for that; none if its libaom is older than 3.13 and does not know it."""
    try:
        _avif(Image.new("RGB", (16, 16)), quality=50, speed=10, advanced=_TUNING)
    except ValueError:
        _log.warning(
            "this Pillow's libaom cannot tune AVIFs, so they are 6 %% larger; install its wheel"
        )
        return {}
    return {"advanced": _TUNING}


def _avif(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    # One thread: the jobs are what runs in parallel, and the bytes must not depend on the machine.
    image.save(buffer, "AVIF", max_threads=1, **options)
    return buffer.getvalue()

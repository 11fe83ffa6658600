"""Write the conventional files, and see to the pixels that go into them."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sitecodec.codecs import alpha
from sitecodec.encoding import search
from sitecodec.engine import flat

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels

_JPEG_BEST_QUALITY = 80
# The logarithm of sizes on Kodak, and a constant that does not matter.
_JPEG_SIZES = search.curve((-1.95, -1.08, -0.59, -0.32, -0.14, 0, 0.13, 0.32, 0.51, 0.92, 1.76))
# The fallback is what old browsers and hosts without a worker show; Lighthouse 13's
# image-delivery-insight does not flag a JPEG of at most 2/12 byte per pixel for its format.
_JPEG_BITS_PER_PIXEL = (2, 12)


@dataclass(frozen=True)
class Lossless:
    """A file that shows the very pixels."""

    format: str
    """'webp' or 'png'."""

    data: bytes


def jpeg_fallback(pixels: Pixels, max_bytes: int) -> bytes:
    """The best progressive 4:2:0 JPEG, to a hundredth, of `max_bytes` and 1/6 byte a pixel at most.

    `pixels` is (H, W, 3) uint8. Quality is at most 80. Where even quality 1 is over (a picture
    so small that the headers dominate) the file of quality 1 is returned: the caller compares.
    """
    height, width = pixels.shape[:2]
    limit = min(max_bytes, height * width * _JPEG_BITS_PER_PIXEL[0] // _JPEG_BITS_PER_PIXEL[1])
    image = Image.fromarray(pixels)
    file = functools.cache(lambda quality: _jpeg(image, max(1, quality)))
    return file(
        search.largest_under(lambda q: len(file(q)), limit + 1, _JPEG_BEST_QUALITY, _JPEG_SIZES)
    )


def avif(pixels: Pixels, quality: int, speed: int = 6) -> bytes:
    """A 4:2:0 AVIF of (H, W, 3 or 4) uint8 `pixels`: quality 0-100, speed 0 (slow) to 10 (fast)."""
    tuning = _tuning() if quality < 100 else {}  # libaom refuses it there: 100 may be lossless
    return _avif(Image.fromarray(pixels), quality=quality, speed=speed, **tuning)


def lossless(pixels: Pixels) -> tuple[Lossless, ...]:
    """A lossless WebP and a PNG, the smaller one first."""
    return tuple(sorted((webp(pixels), png(pixels)), key=lambda file: len(file.data)))


def webp(pixels: Pixels) -> Lossless:
    """A lossless WebP."""
    buffer = io.BytesIO()
    # Method 6 saves 2 % more and takes fifty times as long.
    Image.fromarray(cleared(pixels)).save(buffer, "WEBP", lossless=True, quality=100, method=4)
    return Lossless("webp", buffer.getvalue())


def png(pixels: Pixels) -> Lossless:
    """An optimised PNG, with a palette if 256 colours suffice."""
    pixels = cleared(pixels)
    image = Image.fromarray(pixels)
    options = {}
    if pixels.shape[2] == 4:
        if image.getcolors(256) is not None:
            image, options["transparency"] = _with_palette(pixels)
    elif (colours := image.getcolors(256)) is not None:
        palette = Image.new("P", (1, 1))
        palette.putpalette([value for _, colour in colours for value in colour])  # type: ignore[union-attr]
        image = image.quantize(palette=palette, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, **options)
    return Lossless("png", buffer.getvalue())


def cleared(pixels: Pixels) -> Pixels:
    """The picture with nothing where it is transparent: what costs least without loss."""
    if pixels.shape[2] == 3:
        return pixels
    return np.where(pixels[..., 3:] > 0, pixels, np.uint8(0))


def _with_palette(pixels: Pixels) -> tuple[Image.Image, bytes]:
    """A picture of at most 256 colours with alpha, and the alpha of each."""
    colours, places, _ = flat.counted(pixels)
    image = Image.fromarray(places.astype(np.uint8), "P")
    image.putpalette(colours[:, :3].tobytes())
    return image, colours[:, 3].tobytes()


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
    """The uint8 pixels of a file that this module made: (H, W, 3), or 4 channels with alpha."""
    with Image.open(io.BytesIO(data), formats=["AVIF", "JPEG", "PNG", "WEBP"]) as image:
        mode = "RGBA" if image.has_transparency_data else "RGB"
        return np.ascontiguousarray(np.asarray(image.convert(mode)))


# What libaom is asked for. Tuning for SSIMULACRA2 makes files of Kodak pictures 6 % smaller at
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
        return {}
    return {"advanced": _TUNING}


def _avif(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    # One thread: the jobs are what runs in parallel, and the bytes must not depend on the machine.
    image.save(buffer, "AVIF", subsampling="4:2:0", max_threads=1, **options)
    return buffer.getvalue()


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(
        buffer, "JPEG", quality=quality, progressive=True, optimize=True, subsampling="4:2:0"
    )
    return buffer.getvalue()

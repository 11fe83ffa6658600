"""Load a source safely as upright sRGB pixels, and write the conventional files."""

from __future__ import annotations

import io
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from sitecodec.codecs import alpha
from sitecodec.errors import ImageError

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels

_FORMATS = ("PNG", "JPEG", "WEBP")
# First bytes of what pages show but this package leaves alone: (offset, bytes, name).
_OTHER_FORMATS = (
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"jP  ", "JPEG 2000"),
)
_MAX_SIDE = 65_500  # what a JPEG, our fallback, can have
# warnings.catch_warnings changes the whole process, so only one thread at a time may be in it.
_warnings_lock = threading.Lock()

_JPEG_BEST_QUALITY = 80
# The fallback is what old browsers and hosts without a worker show; Lighthouse 13's
# image-delivery-insight does not flag a JPEG of at most 2/12 byte per pixel for its format.
_JPEG_BITS_PER_PIXEL = (2, 12)


@dataclass(frozen=True)
class Source:
    """A decoded source: contiguous (height, width, 3) uint8 pixels, sRGB, upright.

    Where some are transparent there are 4 channels, the last one straight alpha.
    """

    pixels: Pixels

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])


@dataclass(frozen=True)
class LeftAlone:
    """A source that is sound but not for us."""

    reason: str
    """A few words for the report: 'animated', 'has transparency', 'not a photo format: GIF'."""


@dataclass(frozen=True)
class Lossless:
    """A file that shows the very pixels."""

    format: str
    """'webp' or 'png'."""

    data: bytes


def load(data: bytes, name: str, max_pixels: int, *, alpha: bool = True) -> Source | LeftAlone:
    """Decode the bytes of a PNG, JPEG or WebP file.

    EXIF orientation is applied and an ICC profile converted to sRGB (a broken profile is
    ignored). Size is checked against `max_pixels` before anything is decoded. Without `alpha` a
    picture that is transparent somewhere is left alone.
    Raises ImageError, which names `name`, if the file is empty, damaged or too large.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty; export the image again")
    for offset, magic, format_name in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            return LeftAlone(_other_format(data, format_name))
    try:
        with _open(data) as image:
            if image.width * image.height > max_pixels:
                raise ImageError(
                    f"{name}: {image.width}x{image.height} is over the limit of {max_pixels}"
                    " pixels; scale the image down or raise max_pixels"
                )
            if max(image.size) > _MAX_SIDE:
                return LeftAlone(f"a side over {_MAX_SIDE} pixels")
            # A multi-picture JPEG (MPO) holds a stereo pair or a gain map, and is shown as a still.
            if getattr(image, "is_animated", False) and image.format != "MPO":
                return LeftAlone("animated")
            image.load()
            return _convert(image, alpha)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not a PNG, JPEG or WebP image; export it again or exclude it"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name}: larger than any image that can be read safely; scale it down"
        ) from error
    except MemoryError as error:
        raise ImageError(
            f"{name}: not enough memory to decode it; scale it down or lower 'workers'"
        ) from error
    except Exception as error:  # Pillow raises nearly anything on hostile files
        what = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{name}: damaged image ({what[:100]}); export it again or exclude it"
        ) from error


def jpeg_fallback(pixels: Pixels, max_bytes: int) -> bytes:
    """The best progressive 4:2:0 JPEG of at most `max_bytes` and at most 1/6 byte per pixel.

    `pixels` is (H, W, 3) uint8. Quality is at most 80. Where even quality 1 is over (a picture
    so small that the headers dominate) the file of quality 1 is returned: the caller compares.
    """
    height, width = pixels.shape[:2]
    limit = min(max_bytes, height * width * _JPEG_BITS_PER_PIXEL[0] // _JPEG_BITS_PER_PIXEL[1])
    image = Image.fromarray(pixels)
    best = _jpeg(image, _JPEG_BEST_QUALITY)
    if len(best) <= limit:
        return best
    low, high = 0, _JPEG_BEST_QUALITY  # low fits (or is 0), high does not
    best = b""
    while high - low > 1:
        middle = (low + high) // 2
        file = _jpeg(image, middle)
        if len(file) <= limit:
            low, best = middle, file
        else:
            high = middle
    return best or _jpeg(image, 1)


def avif(pixels: Pixels, quality: int, speed: int = 6) -> bytes:
    """A 4:2:0 AVIF of (H, W, 3 or 4) uint8 `pixels`: quality 0-100, speed 0 (slow) to 10 (fast)."""
    buffer = io.BytesIO()
    # One thread: the jobs are what runs in parallel, and the bytes must not depend on the machine.
    Image.fromarray(pixels).save(
        buffer, "AVIF", quality=quality, speed=speed, subsampling="4:2:0", max_threads=1
    )
    return buffer.getvalue()


def lossless(pixels: Pixels) -> Lossless:
    """The smaller of a lossless WebP and a PNG."""
    return min(webp(pixels), png(pixels), key=lambda file: len(file.data))


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
    words = np.ascontiguousarray(pixels).view("<u4")[..., 0]
    known, places = np.unique(words, return_inverse=True)
    colours = known.view(np.uint8).reshape(-1, 4)
    image = Image.fromarray(places.reshape(words.shape).astype(np.uint8), "P")
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


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(
        buffer, "JPEG", quality=quality, progressive=True, optimize=True, subsampling="4:2:0"
    )
    return buffer.getvalue()


def _open(data: bytes) -> Image.Image:
    # Pillow warns above its own limit; ours is checked by the caller, from the same header.
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=_FORMATS)


def _other_format(data: bytes, format_name: str) -> str:
    if format_name == "GIF":
        try:
            with Image.open(io.BytesIO(data), formats=["GIF"]) as image:
                if getattr(image, "is_animated", False):
                    return "animated"
        except Exception:  # a damaged GIF is no more our business than a sound one
            pass
    return f"not a photo format: {format_name}"


def _convert(image: Image.Image, alpha: bool) -> Source | LeftAlone:
    """Make a decoded Pillow image of any mode upright 8-bit sRGB."""
    profile = image.info.get("icc_profile")
    if "transparency" in image.info and image.mode != "P":
        # A transparent colour in a picture without palette: rare, and Pillow compares it with
        # pixels of another depth where the file has not 8 bits.
        return LeftAlone("has transparency")
    upright = _upright(image)
    if upright.mode.startswith("I"):
        upright = _eight_bits(upright)
    if upright.mode in ("P", "LA"):
        upright = upright.convert("RGBA")
    plane = None
    if upright.mode == "RGBA":
        plane = upright.getchannel("A")
        least, most = plane.getextrema()
        if least == 255:
            plane = None
        elif not alpha:
            return LeftAlone("has transparency")
        elif most == 0:
            return LeftAlone("transparent all over")
        upright = upright.convert("RGB")
    if profile:
        upright = _to_srgb(upright, profile)
    if upright.mode != "RGB":
        upright = upright.convert("RGB")
    if plane:
        upright.putalpha(plane)
    return Source(np.ascontiguousarray(np.asarray(upright)))


def _upright(image: Image.Image) -> Image.Image:
    for name in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(name, None)  # Pillow would turn by it, browsers do not
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF: browsers ignore it, too
        return image


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion of 16-bit greyscale to 8 bits clips instead of scaling.
    # The upper byte is what it takes itself of 16-bit colour.
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert from an embedded profile; a profile that is broken or of another space is ignored."""
    if image.mode == "1":
        image = image.convert("L")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        elif space == "GRAY" and image.mode == "RGB":
            image = image.convert("L")
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return converted if converted is not None else image

"""Load a source safely as upright sRGB pixels, or say why it is left alone."""

from __future__ import annotations

import io
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

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

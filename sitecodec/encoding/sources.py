"""Load a source safely as browsers show it, upright and in sRGB, or say why it is left alone."""

from __future__ import annotations

import io
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from sitecodec.encoding import chunks, colours, jpeg_scans
from sitecodec.errors import ImageError
from sitecodec.facts import formats

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels

_FORMATS = tuple(known.name.upper() for known in formats.ALL if known.taken)
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
_END_OF_JPEG = b"\xff\xd9"
_TURNS = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
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
    """Decode the bytes of a PNG, JPEG or WebP file as browsers show it.

    A JPEG is turned as its Exif says. Colours become sRGB as browsers read them: `colours`. Size is
    checked against `max_pixels` before anything is decoded. Without `alpha` a picture that is
    transparent somewhere is left alone, as is one that Chromium and Firefox show differently.
    Raises ImageError, which names `name`, if the file is empty, damaged or too large.
    """
    if not data:
        raise ImageError(f"{name}: the file is empty; export the image again")
    for offset, magic, format_name in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            return LeftAlone(_other_format(data, format_name))
    png = chunks.read(data)
    if reason := jpeg_scans.excess(data, 0):
        return LeftAlone(reason)  # before Pillow goes through its segments
    try:
        with _open(png.needed if png else data) as image:
            if image.width * image.height > max_pixels:
                raise ImageError(
                    f"{name}: {image.width}x{image.height} is over the limit of {max_pixels}"
                    " pixels; scale the image down or raise max_pixels"
                )
            said = _shape(image, data) or _said(image, data, png)
            if isinstance(said, LeftAlone):
                return said
            return _convert(_loaded(image, data), said, alpha)
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
            f"{name}: not enough memory to decode it; scale it down or lower the setting 'workers'"
        ) from error
    except Exception as error:  # Pillow raises nearly anything on hostile files
        what = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{name}: damaged image ({what[:100]}); export it again or exclude it"
        ) from error


def _shape(image: Image.Image, data: bytes) -> LeftAlone | None:
    """Why a picture is left alone by its shape; None if it is not."""
    if reason := jpeg_scans.excess(data, image.width * image.height):
        return LeftAlone(reason)
    if max(image.size) > _MAX_SIDE:
        return LeftAlone(f"a side over {_MAX_SIDE} pixels")
    # A multi-picture JPEG (MPO) holds a stereo pair or more, and is shown as a still.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return LeftAlone("animated")
    return None


def _open(data: bytes) -> Image.Image:
    # Pillow warns above its own limit; ours is checked by the caller, from the same header. Of
    # damaged metadata it says nothing that an author could use.
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
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


@dataclass(frozen=True)
class _Said:
    """The statements of a file about its pixels."""

    profile: bytes
    """The ICC profile of their colours; b'' for sRGB."""

    direction: int
    """EXIF's orientation; 1 is upright."""

    depth: int
    """Bits of a sample."""


def _said(image: Image.Image, data: bytes, png: chunks.Png | None) -> _Said | LeftAlone:
    """The statements of a file that browsers follow, or the reason to leave it alone."""
    exif = b""  # that of a WebP moves no browser
    profile: bytes | None
    if png:
        profile, exif = chunks.profile(png), png.said.get(b"eXIf", b"")
        code = png.said.get(b"cICP", b"")
    else:
        profile, code = image.info.get("icc_profile") or b"", b""
        if image.format in ("JPEG", "MPO"):
            exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    if colours.is_hdr(data, profile, code):
        return LeftAlone("HDR")
    profile = colours.of_png(png) if png else colours.of_profile(profile, image)
    if profile is None:
        return LeftAlone("browsers differ about its colours")
    tags = chunks.tags(exif)
    if chunks.is_dense(tags, image.size):
        return LeftAlone("says how large it is")
    direction = int(tags.get(chunks.ORIENTATION, 1))
    if png and direction in _TURNS:  # Chromium turns it; of Firefox 140.0 and 153 do, 140.12 not
        return LeftAlone("browsers differ about its direction")
    return _Said(profile, direction, png.depth if png else 8)


def _loaded(image: Image.Image, data: bytes) -> Image.Image:
    """The picture with its pixels, also of a JPEG that lacks nothing but the marker of its end.

    Without its end Pillow refuses it. Whether pixels are missing, too, shows in what bytes before
    the end do: where all are there, nothing. Raises OSError if some are.
    """
    try:
        image.load()
        return image
    except OSError:
        if image.format not in ("JPEG", "MPO"):
            raise
    ended = [_open(data + filler + _END_OF_JPEG) for filler in (b"", b"\x55" * 64)]
    if ended[0].tobytes() != ended[1].tobytes():
        raise OSError("image file is truncated")
    return ended[0]


def _convert(image: Image.Image, said: _Said, alpha: bool) -> Source | LeftAlone:
    """Make a decoded Pillow image of any mode upright 8-bit sRGB."""
    keyed = _keyed(image, said.depth)
    turn = _TURNS.get(said.direction)
    if turn is not None:
        image = image.transpose(turn)
        keyed = keyed.transpose(turn) if keyed else None
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.mode in ("P", "LA"):
        image = image.convert("RGBA")
    plane = image.getchannel("A") if image.mode == "RGBA" else keyed
    if plane:
        least, most = plane.getextrema()
        if least == 255:
            plane = None
        elif not alpha:
            return LeftAlone("has transparency")
        elif most == 0:
            return LeftAlone("transparent all over")
    if image.mode in ("1", "RGBA"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if said.profile:
        image = colours.to_srgb(image, said.profile)
    if image.mode != "RGB":
        image = image.convert("RGB")
    if plane:
        image.putalpha(plane)
    return Source(np.ascontiguousarray(np.asarray(image)))


def _keyed(image: Image.Image, depth: int) -> Image.Image | None:
    """The alpha of a picture without palette of which one colour is transparent, if there is one.

    It has the file's depth, as greys of 16 bits have here; colours of 16 are compared by their
    upper bytes.
    """
    key = None if image.mode == "P" else image.info.pop("transparency", None)
    if key is None:
        return None
    if isinstance(key, tuple):
        equal = np.all(np.asarray(image) == np.array(key) >> (8 if depth == 16 else 0), axis=2)
    elif image.mode == "1":
        equal = np.asarray(image) == (key > 0)
    else:
        equal = np.asarray(image) == (key if depth == 16 else key * 255 // ((1 << depth) - 1))
    return Image.fromarray(np.where(equal, 0, 255).astype(np.uint8))


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion of 16-bit greyscale to 8 bits clips instead of scaling.
    # The upper byte is what it takes itself of 16-bit colour.
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))

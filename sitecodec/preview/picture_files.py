"""Decoded pictures as files: their formats, their names in the cache, who can make them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import sitecodec
from sitecodec.disk.store import key
from sitecodec.errors import PayloadError
from sitecodec.facts import formats
from sitecodec.payload import Header, read_header

if TYPE_CHECKING:
    from sitecodec.facts.formats import Format
    from sitecodec.facts.pixels import Pixels

DECODED = (formats.PNG, formats.WEBP, formats.JPEG)
"""The formats of decoded pictures. PNG is lossless: it shows exactly the payload's pixels.
"""


def key_of(digest: str, header: Header, known: Format, width: int | None) -> str:
    """The name of a picture in the cache, which decides all its bytes."""
    import PIL

    scaled = str(width) if width is not None and width < header.width else ""
    # The versions of all that decides the file's bytes.
    return key(
        "picture", "1", sitecodec.__version__, PIL.__version__, digest, known.suffix[1:], scaled
    )


def header_of(payload: bytes) -> Header | None:
    """The header of a payload; None if the bytes are no payload."""
    try:
        return read_header(payload)
    except PayloadError:
        return None


def compress(pixels: Pixels, known: Format, width: int | None) -> bytes:
    """A picture as a file, scaled down to `width` pixels if it is wider."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if width is not None and width < image.width:
        size = width, max(1, round(image.height * width / image.width))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    if known is formats.PNG:
        image.save(buffer, "PNG", compress_level=1)
    elif known is formats.WEBP:
        image.save(buffer, "WEBP", quality=90, method=2)
    else:
        if image.mode == "RGBA":  # JPEG has no alpha
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image.convert("RGB").save(buffer, "JPEG", quality=92, subsampling="4:4:4")
    return buffer.getvalue()

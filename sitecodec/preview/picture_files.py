"""Decoded pictures as files: their formats, their names in the cache, who can make them."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING

import sitecodec
from sitecodec.errors import PayloadError, SitecodecError
from sitecodec.payload import Header, read_header
from sitecodec.store import key

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels

FORMATS = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg"}
"""MIME types by extension. PNG is lossless: exactly the pixels that the payload stands for."""


def key_of(digest: str, header: Header, extension: str, width: int | None) -> str:
    """The name of a picture in the cache, which decides all its bytes."""
    import PIL

    scaled = str(width) if width is not None and width < header.width else ""
    # The versions of all that decides the file's bytes.
    return key("picture", "1", sitecodec.__version__, PIL.__version__, digest, extension, scaled)


def header_of(payload: bytes) -> Header | None:
    """What a payload says of itself; None if it is none."""
    try:
        return read_header(payload)
    except PayloadError:
        return None


def is_decodable(payload: bytes, header: Header) -> bool:
    """Whether what decodes the payload is installed."""
    if header.codec == "flat":
        return True
    try:
        if header.codec == "web":
            from sitecodec import models

            models.find(header.model)
            return True
        from sitecodec.models import registry
        from sitecodec.sd import container

        registry.find(header.model, container.unpack(payload).denoise)
    except SitecodecError:
        return False
    return all(importlib.util.find_spec(name) for name in ("torch", "diffusers"))


def is_format(data: bytes, extension: str) -> bool:
    """Whether a file is an AVIF or a WebP, as its extension says."""
    if extension == "avif":
        return data[4:8] == b"ftyp"
    return extension == "webp" and data[8:12] == b"WEBP"


def compress(pixels: Pixels, extension: str, width: int | None) -> bytes:
    """A picture as a file, scaled down to `width` pixels if it is wider."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if width is not None and width < image.width:
        size = width, max(1, round(image.height * width / image.width))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    if extension == "png":
        image.save(buffer, "PNG", compress_level=1)
    elif extension == "webp":
        image.save(buffer, "WEBP", quality=90, method=2)
    else:
        if image.mode == "RGBA":  # JPEG has no alpha
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image.convert("RGB").save(buffer, "JPEG", quality=92, subsampling="4:4:4")
    return buffer.getvalue()

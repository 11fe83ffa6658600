"""The .slat container: a header of 20 bytes and what a codec wrote (docs/format.md)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from sitecodec.errors import PayloadError
from sitecodec.facts import families, formats
from sitecodec.facts.families import Family

MAGIC = formats.SLAT.mark
VERSION = 1
ALPHA_VERSION = 2
"""The format version of payloads with an alpha section before the latents."""
CODECS = tuple(family.name for family in families.ALL)
"""Names by codec number."""

_HEADER = struct.Struct("<4sBBIHHHI")
HEADER_BYTES = _HEADER.size
MAX_QUALITY = 10_000
LOSSLESS = 100.0
"""The quality in the header of a payload without loss."""
ALPHA_SIZE = 4
"""Bytes that tell the size of the alpha section."""


@dataclass(frozen=True)
class Header:
    """The header of a payload."""

    codec: str
    model: int
    """Fingerprint of the model that decodes it; 0 where none is needed."""
    width: int
    """Pixels, 1 to 65,536."""
    height: int
    quality: float
    """0 to 100, in steps of 0.01."""
    alpha: int | None = None
    """Bytes of the alpha section; None for an opaque picture."""

    @property
    def family(self) -> Family:
        """What its codec can do."""
        return families.ALL[CODECS.index(self.codec)]


def pack(header: Header, body: bytes) -> bytes:
    """A payload: a header and what a codec wrote, which is of an opaque picture if it is latents.

    Raises PayloadError out of range.
    """
    if not (1 <= header.width <= 65536 and 1 <= header.height <= 65536):
        raise PayloadError(
            f"{header.width}x{header.height} pixels do not fit a payload:"
            " resize the picture to at most 65536 a side"
        )
    fields = (
        MAGIC,
        VERSION,
        CODECS.index(header.codec),
        header.model,
        header.width - 1,
        header.height - 1,
        round(header.quality * 100),
    )
    return _sealed(_HEADER.pack(*fields, 0), body)


def with_alpha(payload: bytes, section: bytes) -> bytes:
    """The payload of an opaque picture with an alpha section, as `engine.encode_alpha` makes it."""
    head = bytearray(payload[:HEADER_BYTES])
    head[4] = ALPHA_VERSION
    return _sealed(bytes(head), section + payload[HEADER_BYTES:])


def is_flat(payload: bytes) -> bool:
    """Whether a payload, or what it begins with, is of flat graphics, which need no model."""
    return payload[5:6] == bytes([families.ALL.index(families.FLAT)])


def _sealed(head: bytes, body: bytes) -> bytes:
    head = head[: HEADER_BYTES - 4]
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def read_header(payload: bytes) -> Header:
    """The header of a whole payload. Raises PayloadError when anything about it is wrong."""
    if len(payload) < HEADER_BYTES or payload[:4] != MAGIC:
        raise PayloadError("not a .slat payload: the file does not begin with SLAT")
    _, version, codec, model, width, height, quality, checksum = _HEADER.unpack_from(payload)
    if version not in (VERSION, ALPHA_VERSION):
        raise PayloadError(f"payload of format version {version}: update sitecodec")
    if zlib.crc32(payload[HEADER_BYTES:], zlib.crc32(payload[: HEADER_BYTES - 4])) != checksum:
        raise PayloadError("corrupt payload: checksum mismatch; encode the source again")
    if codec >= len(CODECS) or quality > MAX_QUALITY:
        raise PayloadError("payload of a codec or quality unknown here: update sitecodec")
    alpha = None
    if version == ALPHA_VERSION:
        body = payload[HEADER_BYTES:]
        alpha = int.from_bytes(body[:ALPHA_SIZE], "little")
        if len(body) < ALPHA_SIZE + alpha or families.ALL[codec] is not families.WEB:
            raise PayloadError("corrupt payload: alpha out of range; encode the source again")
    return Header(CODECS[codec], model, width + 1, height + 1, quality / 100, alpha)

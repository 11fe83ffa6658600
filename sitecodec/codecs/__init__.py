"""The codecs: each turns pixels into a payload and back, and says what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sitecodec.codecs.protocol import Codec
from sitecodec.errors import PayloadError
from sitecodec.facts import families
from sitecodec.payload import read_header

__all__ = ["Codec", "decode", "get", "of_payload"]

if TYPE_CHECKING:  # a warm build asks for identities only: it should not pay for numpy
    from sitecodec.facts.pixels import Pixels


def get(name: str, model: str = "", effort: int = 0, device: str = "auto") -> Codec:
    """The codec of that name ('web', 'sd' or 'flat') and a model of it, or the usual one.

    `effort` is how hard it shall work, 0 to 9, and `device` where it computes ('auto', 'cpu',
    'cuda' or 'mps'), where these make a difference. Raises PayloadError for an unknown codec.
    """
    if name == families.WEB.name:
        from sitecodec.codecs.web import WebCodec

        return WebCodec(model, effort)
    if name == families.SD.name:
        from sitecodec.sd.codec import SdCodec

        return SdCodec(model, device=device)
    if name == families.FLAT.name:
        from sitecodec.codecs.flat import FlatCodec

        return FlatCodec()
    known = ", ".join(family.name for family in families.ALL)
    raise PayloadError(f"unknown codec {name!r}; known: {known}")


def of_payload(data: bytes, device: str = "auto") -> Codec:
    """The codec that decodes a payload. Raises PayloadError if it is none or is damaged."""
    return get(read_header(data).codec, device=device)


def decode(data: bytes, device: str = "auto") -> Pixels:
    """The picture of a payload of any codec: (H, W, 3) uint8 sRGB, or 4 channels with alpha.

    Raises PayloadError if it is none or is damaged, ModelError if its model is not installed.
    """
    return of_payload(data, device).decode(data)

"""The codecs: each turns pixels into a payload and back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias

from sitecodec.errors import PayloadError

if TYPE_CHECKING:  # a warm build asks for identities only: it should not pay for numpy
    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8]
    """An sRGB picture, shape (height, width, 3), or with straight alpha (height, width, 4)."""


class Codec(Protocol):
    """What the rest of sitecodec knows of a codec."""

    @property
    def name(self) -> str:
        """The name used on the command line and in settings."""
        ...

    @property
    def identity(self) -> str:
        """Changes whenever the same input may give other bytes; part of store keys."""
        ...

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        """A complete .slat payload for an uint8 picture at quality 0-100."""
        ...

    def analysed(self, pixels: Pixels) -> AbstractContextManager[Callable[[float], bytes]]:
        """A context whose value makes a payload of the picture for each quality it is given."""
        ...

    def decode(self, data: bytes) -> Pixels:
        """The picture of a payload. Raises PayloadError."""
        ...


def get(name: str, model: str = "", effort: int = 0) -> Codec:
    """The codec of that name ('web', 'sd' or 'flat') and a model of it, or the usual one.

    `effort` is how hard it shall work, 0 to 9, where that makes a difference.
    Raises PayloadError for an unknown codec.
    """
    if name == "web":
        from sitecodec.codecs.web import WebCodec

        return WebCodec(model, effort)
    if name == "sd":
        from sitecodec.codecs.sd import SdCodec

        return SdCodec(model)
    if name == "flat":
        from sitecodec.codecs.flat import FlatCodec

        return FlatCodec()
    raise PayloadError(f"unknown codec {name!r}; known: web, sd, flat")

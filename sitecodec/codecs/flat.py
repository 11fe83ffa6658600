"""The codec for drawings and screenshots: few colours, no loss, no model, run by the engine."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitecodec import engine, payload
from sitecodec.errors import PayloadError
from sitecodec.facts import families
from sitecodec.facts.families import NONE_NEEDED, Family

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels


@dataclass(frozen=True)
class FlatCodec:
    """Every pixel as it is, of pictures of up to 4,096 colours; quality changes nothing."""

    @property
    def family(self) -> Family:
        """What it can do."""
        return families.FLAT

    @property
    def refiner(self) -> None:
        """Nothing: there are no latents."""
        return None

    @property
    def identity(self) -> str:
        """Format and engine that decide the bytes."""
        return f"flat{payload.VERSION}-{zlib.crc32(engine.WASM.read_bytes()):08x}"

    def encode(self, pixels: Pixels, quality: float = payload.LOSSLESS) -> bytes:
        """A payload of an (H, W, 3 or 4) uint8 sRGB picture.

        Raises ImageError for one of too many colours or pixels.
        """
        from sitecodec.engine import flat

        height, width = pixels.shape[:2]
        header = payload.Header(self.family.name, 0, width, height, payload.LOSSLESS)
        return payload.pack(header, flat.encode(pixels))

    @contextmanager
    def analysed(self, pixels: Pixels) -> Iterator[Callable[[float], bytes]]:
        """A context whose value makes a payload of the picture, the same for each quality."""
        data = self.encode(pixels)
        yield lambda quality: data

    def decode(self, data: bytes) -> Pixels:
        """The picture of a payload, with a fourth channel if it has alpha. Raises PayloadError."""
        from sitecodec.engine import flat

        header = payload.read_header(data)
        if header.family is not self.family:
            raise PayloadError(f"payload of the codec {header.codec!r}, not 'flat'")
        return flat.decode(data)

    def fault(self, source: Pixels, shown: Pixels, floor: float) -> str:
        """Nothing: it loses nothing."""
        return ""

    def can_decode(self, data: bytes) -> bool:
        """Whether the engine decodes it: always."""
        return True

    def describe(self, data: bytes) -> dict[str, str | int]:
        """That no model is needed."""
        return {"model": NONE_NEEDED}

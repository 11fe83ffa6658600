"""The body of an `sd` payload, after the header (docs/format.md, "Codec 1")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitecodec import payload
from sitecodec.engine import grid as coder
from sitecodec.errors import PayloadError
from sitecodec.facts import families
from sitecodec.payload import Header
from sitecodec.sd import grid, palette

if TYPE_CHECKING:
    from sitecodec.sd.grid import Latents

PALETTE, GRID = 0, 1
_GENERATIVE, _DENOISE, _DEFAULTS, _CODINGS = 0x80, 0x40, 0x10, 0x0F
_HEAD = 3
MIN_STRIDE_LOG2, MAX_STRIDE_LOG2 = 2, 5


@dataclass(frozen=True)
class Body:
    """An opened `sd` payload."""

    header: Header
    coding: int
    """PALETTE or GRID."""

    generative: bool
    """Whether the decoder was trained to look real, and so may invent detail."""

    denoise: bool
    """Whether decoding passes the latents through the U-Net."""

    channels: int
    stride: int
    """Pixels per latent, across and down."""

    data: bytes
    defaults: bool = False

    @property
    def rows(self) -> int:
        """Rows of latents."""
        return math.ceil(self.header.height / self.stride)

    @property
    def columns(self) -> int:
        """Columns of latents."""
        return math.ceil(self.header.width / self.stride)

    def latents(self) -> Latents:
        """The (rows, columns, channels) float32 latents in scaled units. Raises PayloadError."""
        if self.coding == PALETTE:
            return palette.decode(self.data, self.rows, self.columns)
        own = 0 if self.defaults else coder.parameters_size(self.channels)
        if len(self.data) < self.channels + own:
            raise PayloadError("corrupt payload: its parameters are cut short; encode again")
        steps, rest = self.data[: self.channels], self.data[self.channels :]
        coded = grid.Coded(steps, rest[:own], rest[own:])
        return grid.decode(coded, self.rows, self.columns)


def pack(header: Header, stride: int, data: bytes | grid.Coded, denoise: bool) -> bytes:
    """A payload of `data`: of the seed's coding if it is bytes, else of the grid coding."""
    flags = _GENERATIVE | (_DENOISE if denoise else 0)
    if isinstance(data, bytes):
        flags, channels = flags | PALETTE, palette.CHANNELS
    else:
        flags |= GRID | (0 if data.parameters else _DEFAULTS)
        channels = len(data.steps)
        data = data.steps + data.parameters + data.body
    return payload.pack(header, bytes([flags, channels, stride.bit_length() - 1]) + data)


def unpack(data: bytes) -> Body:
    """Open a whole payload, without decoding its latents. Raises PayloadError."""
    header = payload.read_header(data)
    if header.family is not families.SD:
        raise PayloadError(f"payload of the codec {header.codec!r}, not 'sd'")
    body = data[payload.HEADER_BYTES :]
    if len(body) < _HEAD:
        raise PayloadError("corrupt payload: it ends in its header; encode again")
    first, channels, stride_log2 = body[:_HEAD]
    coding = first & _CODINGS
    known = coding in (PALETTE, GRID) and not first & 0x20
    fits = 1 <= channels <= coder.MAX_CHANNELS and (coding == GRID or channels == palette.CHANNELS)
    plain = coding == GRID or not first & _DEFAULTS
    if not (known and fits and plain and MIN_STRIDE_LOG2 <= stride_log2 <= MAX_STRIDE_LOG2):
        raise PayloadError("payload of a coding unknown here: update sitecodec")
    return Body(
        header,
        coding,
        bool(first & _GENERATIVE),
        bool(first & _DENOISE),
        channels,
        1 << stride_log2,
        body[_HEAD:],
        bool(first & _DEFAULTS),
    )


def is_generative(data: bytes) -> bool:
    """Whether the decoder of this payload may invent detail. Raises PayloadError."""
    return payload.read_header(data).family.generative and unpack(data).generative

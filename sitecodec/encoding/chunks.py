"""A PNG file chunk by chunk, and the tags of EXIF: what browsers go by, and nothing else.

Pillow is given a file without what no pixel needs, because it refuses sound pictures for megabytes
of text or a wrong checksum in a chunk that browsers pass over.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"acTL", b"IDAT", b"IEND")
_SAID = (b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"eXIf")
_MOST_PROFILE = 1 << 24  # bytes of an ICC profile, unpacked

# The tags of Exif that are read: numbers of TIFF and, behind the pointer, of its second directory.
ORIENTATION, X_RESOLUTION, Y_RESOLUTION = 0x0112, 0x011A, 0x011B
_DIRECTORY, PIXEL_WIDTH, PIXEL_HEIGHT = 0x8769, 0xA002, 0xA003
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_MOST_TAGS = 1 << 10


@dataclass(frozen=True)
class Png:
    """The content of a PNG file."""

    needed: bytes
    """The file of the chunks that the pixels need."""

    depth: int
    """Bits of a sample."""

    grey: bool
    said: Mapping[bytes, bytes]
    """The chunks about colours and direction before the pixels: the first sound one of each."""

    late: frozenset[bytes]
    """The kinds among these that stand after the palette."""


def read(data: bytes) -> Png | None:
    """The chunks of a PNG file; None of what is none, or broken."""
    needed = [SIGNATURE]
    said: dict[bytes, bytes] = {}
    late: set[bytes] = set()
    palette = pixels = False
    last = b""
    start = len(SIGNATURE)
    while start + 8 <= len(data):
        length, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        body, end = data[start + 8 : start + 8 + length], start + 12 + length
        critical = not kind[:1].islower()
        sound = zlib.crc32(kind + body) == int.from_bytes(data[end - 4 : end], "big")
        # Of a critical chunk Pillow is to see whether it is sound.
        if (critical or sound) and (critical or kind in _NEEDED):
            needed.append(data[start:end])
        if sound and kind in _SAID and not pixels and kind not in said:
            said[kind] = body
            late |= {kind} if palette else set()
        if kind == b"IDAT" and pixels and last != b"IDAT":
            return None  # browsers show no more than what came before
        last, palette, pixels = kind, palette or kind == b"PLTE", pixels or kind == b"IDAT"
        start = end
        if kind == b"IEND":
            break
    if not pixels or data[12:16] != b"IHDR":
        return None
    return Png(b"".join(needed), data[24], data[25] in (0, 4), said, frozenset(late))


def profile(png: Png) -> bytes:
    """The ICC profile of its iCCP chunk, b'' without a sound one."""
    _, end, packed = png.said.get(b"iCCP", b"").partition(b"\0")
    if not end or packed[:1] != b"\0":
        return b""
    try:
        return zlib.decompressobj().decompress(packed[1:], _MOST_PROFILE)
    except zlib.error:
        return b""


def directions(head: bytes) -> bytes:
    """The eXIf chunk before the pixels in the first bytes of a PNG file; b'' for none."""
    start = len(SIGNATURE)
    while start + 8 <= len(head):
        length, kind = int.from_bytes(head[start : start + 4], "big"), head[start + 4 : start + 8]
        if kind == b"IDAT":
            break
        if kind == b"eXIf":
            return head[start + 8 : start + 8 + length]
        start += 12 + length
    return b""


def is_dense(found: Mapping[int, float], size: tuple[int, int]) -> bool:
    """Whether EXIF gives a natural size other than that of the pixels, as browsers read it."""
    sides = ((PIXEL_WIDTH, X_RESOLUTION), (PIXEL_HEIGHT, Y_RESOLUTION))
    for pixels, (wanted, resolution) in zip(size, sides, strict=True):
        says, dense = found.get(wanted, pixels), found.get(resolution, 72)
        if says != pixels and dense > 0 and abs(pixels * 72 / dense - says) <= 1:
            return True
    return False


def tags(exif: bytes) -> dict[int, float]:
    """The whole numbers and fractions in the directories of EXIF that begins with a TIFF header.

    Only values of the types that the standard has for these tags; none if it is broken.
    """
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(exif[:4])
    if order is None:
        return {}
    found: dict[int, float] = {}

    def number(start: int, size: int) -> int:
        return int.from_bytes(exif[start : start + size], order)  # type: ignore[arg-type]

    def directory(start: int) -> None:
        for entry in range(start + 2, start + 2 + 12 * min(number(start, 2), _MOST_TAGS), 12):
            tag, kind, place = number(entry, 2), number(entry + 2, 2), number(entry + 8, 4)
            if number(entry + 4, 4) != 1 or len(exif) < entry + 12 or tag in found:
                continue
            if kind == _SHORT:
                found[tag] = number(entry + 8, 2)
            elif kind == _LONG and tag != ORIENTATION:
                found[tag] = place
            elif kind == _RATIONAL:
                found[tag] = number(place, 4) / (number(place + 4, 4) or 1)

    directory(number(4, 4))
    if second := int(found.get(_DIRECTORY, 0)):
        directory(second)
    return found

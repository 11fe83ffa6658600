"""The natural size of image files, as browsers have it: what an image without any CSS is shown in.

None where that is not sure. Browsers turn and scale JPEGs by their Exif (HTML Living Standard,
"density-corrected natural width"), and read an SVG's size off its outermost element.
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, XMLPullParser

from sitecodec.encoding import chunks
from sitecodec.site import files

_HEAD = 1 << 20  # bytes
_KNOWN = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")
_UNITS = {"": 1, "px": 1, "in": 96, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16}
_LENGTH = re.compile(r"\s*\+?((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)([a-z]*)\s*")
_SVG = "{http://www.w3.org/2000/svg}svg"
_MOST = 10**6
_MOST_SEGMENTS = 1000


def size(place: Path) -> tuple[int, int] | None:
    """Width and height of an image file in CSS pixels; None if they are not known or not whole."""
    try:
        return _size(place)
    except Exception:  # of whatever a file may hold; the page can do without
        return None


def _size(place: Path) -> tuple[int, int] | None:
    with place.open("rb") as file:
        head = file.read(_HEAD)
    if place.suffix.lower() in (".svg", ".svgz"):
        return _vector(head)
    if not head.startswith(_KNOWN):
        return None
    if head.startswith(b"\xff\xd8\xff") and (exif := _exif(head)):
        return _of_jpeg(place, exif)
    if head.startswith(b"\x89PNG") and b"eXIf" in head:
        return _of_png(place, head)
    return _pixels(place)


def _of_png(place: Path, head: bytes) -> tuple[int, int] | None:
    """The size of a PNG with Exif, as screenshots of macOS have: None if it turns or scales it.

    Browsers differ about such files.
    """
    pixels, said = _pixels(place), chunks.tags(chunks.directions(head))
    turned = said.get(chunks.ORIENTATION, 1) != 1
    return None if pixels is None or turned or chunks.is_dense(said, pixels) else pixels


def _pixels(place: Path) -> tuple[int, int] | None:
    return files.pixels_as_stored(place)


def _of_jpeg(place: Path, exif: dict[int, float]) -> tuple[int, int] | None:
    pixels = _pixels(place)
    if pixels is None:
        return None
    width, height = pixels
    wide, high, across, down = (exif.get(tag, 0) for tag in (0xA002, 0xA003, 0x11A, 0x11B))
    if wide and high and across and down and exif.get(0x128, 2) == 2:
        if abs(width * 72 / across - wide) < 1 and abs(height * 72 / down - high) < 1:
            width, height = int(wide), int(high)
        elif (wide, high) != (width, height) and (across, down) != (72, 72):
            return None
    return (height, width) if exif.get(0x112, 1) >= 5 else (width, height)


def _exif(head: bytes) -> dict[int, float]:
    """The tags of a JPEG's Exif that matter, as numbers."""
    position = 2
    for _ in range(_MOST_SEGMENTS):
        if head[position : position + 1] != b"\xff" or position + 4 > len(head):
            break
        kind, length = head[position + 1], int.from_bytes(head[position + 2 : position + 4], "big")
        if kind == 0xE1 and head[position + 4 : position + 10] == b"Exif\0\0":
            try:
                return _tags(head[position + 10 : position + 2 + length])
            except (struct.error, ValueError, ZeroDivisionError):
                return {}
        if kind in (0xDA, 0xD9):
            break
        position += 2 + length
    return {}


def _tags(data: bytes) -> dict[int, float]:
    order = {b"II": "<", b"MM": ">"}[data[:2]] if data[:2] in (b"II", b"MM") else ""
    if not order:
        raise ValueError("no byte order")
    found: dict[int, float] = {}
    folders = [struct.unpack_from(order + "I", data, 4)[0]]
    for folder in folders:
        (count,) = struct.unpack_from(order + "H", data, folder)
        for entry in range(folder + 2, folder + 2 + 12 * min(count, 500), 12):
            tag, kind, _, value = struct.unpack_from(order + "HHII", data, entry)
            if kind == 3:
                value = struct.unpack_from(order + "H", data, entry + 8)[0]
            if tag == 0x8769 and len(folders) < 2:
                folders.append(value)
            elif kind in (3, 4):
                found.setdefault(tag, value)
            elif kind == 5:
                top, bottom = struct.unpack_from(order + "II", data, value)
                found.setdefault(tag, top / bottom if bottom else 0)
    return found


def _vector(head: bytes) -> tuple[int, int] | None:
    """The size that an SVG says itself, in whole pixels: by its root, never by what is in it."""
    if head.startswith(b"\x1f\x8b"):
        head = zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    if b"<!ENTITY" in head[: head.find(b"<svg")]:
        return None  # a few bytes may stand for as many as there is memory
    parser: XMLPullParser[Any] = XMLPullParser(["start"])
    parser.feed(head[: head.find(b"<svg") + 65_536])
    event: Any = next(iter(parser.read_events()), None)
    root = event[1] if event else None
    if not isinstance(root, Element) or root.tag != _SVG or root.get("style"):
        return None
    if (root.get("preserveAspectRatio") or "").strip().startswith("none"):
        return None
    width, height = (_length(root.get(name)) for name in ("width", "height"))
    if not width or not height or max(width, height) >= _MOST:
        return None
    whole = round(width), round(height)
    if abs(whole[0] - width) > 0.001 or abs(whole[1] - height) > 0.001 or max(whole) >= _MOST:
        return None
    return _as_drawn(root.get("viewBox"), whole)


def _as_drawn(box: str | None, whole: tuple[int, int]) -> tuple[int, int] | None:
    """The size, if the drawing's own shape is the same: where they differ, browsers may too."""
    numbers = re.findall(r"[-+.\deE]+", box or "")
    if not box:
        return whole
    try:
        _, _, width, height = map(float, numbers)
    except ValueError:
        return None
    same = width > 0 and height > 0 and abs(width * whole[1] / (height * whole[0]) - 1) < 0.002
    return whole if same else None


def _length(text: str | None) -> float | None:
    match = _LENGTH.fullmatch(text or "")
    unit = _UNITS.get(match[2]) if match else None
    return float(match[1]) * unit if match and unit else None

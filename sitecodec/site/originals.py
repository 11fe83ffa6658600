"""The originals that no file of a site names any more, which `originals: drop` removes.

A name counts as named wherever its letters stand, also behind the escapes of URLs, HTML, CSS and
scripts, in UTF-16, in gzip, and with line ends in it, which browsers take out of addresses.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote_to_bytes

from sitecodec.site import files, manifest

_MOST_UNPACKED = 1 << 24
"""Bytes that a compressed file may hold; one of more counts as naming everything."""

_BINARY = frozenset(
    f".{suffix}"
    for suffix in "png jpg jpeg jpe jfif webp avif gif bmp ico slat woff woff2 ttf otf eot"
    " wasm mp3 mp4 m4v mov mkv avi webm ogg pdf zip tar tgz 7z iso dmg exe".split()
)
_PACKED = (".gz", ".svgz")
_UNREADABLE = (".br", ".zst")
_OF_CSS = re.compile(rb"\\(?:([0-9a-f]{1,6})[ \t\r\n\f]?|([^\r\n]))")
_OF_SCRIPTS = re.compile(rb"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|u\{([0-9a-f]{1,6})\}|([^\r\n]))")


def unnamed(site: Path, paths: Iterable[str]) -> list[str]:
    """The files of the site whose names no file of the site contains any more.

    All but pictures, fonts and the like is searched for the bare name; a name that is not plain
    ASCII could be written in more ways, and counts as named. So does every name where a file is
    too large to be searched, or is compressed in a way that is not read here.
    """
    left: dict[bytes, list[str]] = {}
    for path in paths:
        if path.isascii() and (site / path).is_file():
            left.setdefault(PurePosixPath(path).name.lower().encode(), []).append(path)
    for place in sorted(Path(entry.path) for entry in files.below(site)):
        if not left:
            break
        name = place.name.lower()
        if (
            name.endswith(_UNREADABLE)
            and not place.with_name(place.name[: name.rindex(".")]).exists()
        ):
            return []
        plain_name = name.removesuffix(".gz")
        is_binary = os.path.splitext(plain_name)[1] in _BINARY  # noqa: PTH122 - of a string
        if is_binary or name == manifest.NAME or not place.is_file():
            continue
        try:
            data = _text(place).lower()
        except OSError:
            return []  # it may name any of them
        for form in _forms(data):
            for found in set(_named(form, left)):
                del left[found]
    return [path for some in left.values() for path in some]


def _named(data: bytes, names: Iterable[bytes]) -> Iterator[bytes]:
    """Which of some names stand in data, in a time that does not depend on how many there are."""
    by_end: dict[bytes, dict[bytes, None]] = {}
    for name in names:
        by_end.setdefault(name[-4:], {})[name] = None
    ends = [(end, sorted({len(name) for name in by_end[end]})) for end in by_end]
    for end, lengths in ends:
        at = data.find(end)
        while at >= 0:
            last = at + len(end)
            yield from (n for k in lengths if (n := data[max(0, last - k) : last]) in by_end[end])
            at = data.find(end, at + 1)


def _forms(data: bytes) -> Iterator[bytes]:
    """The data, and what it says without escapes, each with and without those before it."""
    if b"\0" in data:  # UTF-16, of which plain letters are every second byte
        data = data.translate(None, b"\0")
    forms = [data]
    if b"%" in data:
        forms.append(unquote_to_bytes(data))
    if b"&" in data:
        from sitecodec.page.tokens import resolved  # a warm build reads no tags

        forms += [resolved(form.decode("latin-1")).encode("utf-8") for form in forms]
    if b"\\" in data:
        forms += [e.sub(_character, form) for form in forms for e in (_OF_CSS, _OF_SCRIPTS)]
    for form in dict.fromkeys(forms):
        yield form.lower()
        if re.search(rb"[\t\r\n]", form):
            yield form.translate(None, b"\t\r\n").lower()


def _character(escape: re.Match[bytes]) -> bytes:
    digits = next(filter(None, escape.groups()[:-1]), None)
    if digits is None:
        return bytes(escape[escape.lastindex or 0])
    number = int(digits, 16)
    return bytes([number]) if number < 128 else b"?"


def _text(place: Path) -> bytes:
    """The content of a file, unpacked if it is gzip. Raises OSError, also if it is too large.

    Of gzip that is damaged there is nothing, as in browsers.
    """
    if place.suffix.lower() not in _PACKED:
        return files.read(f"{place}")[0]
    import gzip
    import zlib

    with gzip.open(place) as stream:
        try:
            data = stream.read(_MOST_UNPACKED + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return b""
    if len(data) > _MOST_UNPACKED:
        raise OSError(errno.EFBIG, "file too large")
    return data

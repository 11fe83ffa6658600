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

_MOST_MIXED = 1 << 18
"""Bytes of a file in which escapes behind escapes are looked behind, as no machine writes them."""

_BINARY = frozenset(
    f".{suffix}"
    for suffix in "png jpg jpeg jpe jfif webp avif gif bmp ico slat woff woff2 ttf otf eot"
    " wasm mp3 mp4 m4v mov mkv avi webm ogg pdf zip tar tgz 7z iso dmg exe".split()
)
_PACKED = (".gz", ".svgz")
_UNREADABLE = (".br", ".zst")
_OF_CSS = re.compile(rb"\\(?:([0-9a-fA-F]{1,6})[ \t\r\n\f]?|\r?\n|([^\r\n]))")
_OF_SCRIPTS = re.compile(
    rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{0*([0-9a-fA-F]{1,6})\}"
    rb"|([0-3]?[0-7]{1,2})|\r?\n|([^\r\n]))"
)


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
        real = place
        if place.is_symlink():
            real = Path(os.path.realpath(place))
            led_to = real.name.lower().encode("utf-8", "surrogateescape")
            if any(real == site / path for path in left.get(led_to, ())):
                del left[led_to]
        if not _is_text(place):
            continue
        try:
            data = _text(place, real, site)
        except OSError:
            return []  # it may name any of them
        for form in _forms(data):
            for found in set(_named(form, left)):
                del left[found]
    return [path for some in left.values() for path in some]


def _is_text(place: Path) -> bool:
    """Whether a file may name others: all but pictures, fonts and the like."""
    name = place.name.lower()
    suffix = os.path.splitext(name.removesuffix(".gz"))[1]  # noqa: PTH122 - of a string
    return suffix not in _BINARY and name != manifest.NAME and place.is_file()


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
    """The data in small letters, and what it says without escapes, also behind one another."""
    if b"\0" in data:  # UTF-16, of which plain letters are every second byte
        data = data.translate(None, b"\0")
    forms = latest = {data: None}
    for _ in range(3 if len(data) < _MOST_MIXED else 1):
        latest = {new: None for form in latest for new in _unescaped(form) if new not in forms}
        forms = forms | latest
    for form in forms:
        yield form.lower()
        if re.search(rb"[\t\r\n]", form):
            yield form.translate(None, b"\t\r\n").lower()


def _unescaped(form: bytes) -> Iterator[bytes]:
    """What the data says to each reader of escapes."""
    if b"%" in form:
        yield unquote_to_bytes(form)
    if b"&" in form:
        from sitecodec.page.tokens import resolved  # a warm build reads no tags

        yield resolved(form.decode("latin-1")).encode("utf-8")
    if b"\\" in form:
        yield _OF_CSS.sub(_of_css, form)
        yield _OF_SCRIPTS.sub(_of_script, form)


def _of_css(escape: re.Match[bytes]) -> bytes:
    digits, itself = escape.groups()
    return _letter(int(digits, 16)) if digits else itself or b""


def _of_script(escape: re.Match[bytes]) -> bytes:
    *digits, octal, itself = escape.groups()
    if octal:
        return _letter(int(octal, 8))
    number = next(filter(None, digits), None)
    return _letter(int(number, 16)) if number else itself or b""


def _letter(number: int) -> bytes:
    return bytes([number]) if number < 128 else b"?"


def _text(place: Path, real: Path, site: Path) -> bytes:
    """The content of a file, unpacked if it is gzip; `real` is where it lies.

    Raises OSError if it is too large, is not the site's own, or is compressed in a way that only
    hosts and browsers read. Of gzip that is damaged there is nothing, as in browsers.
    """
    if not real.is_relative_to(site):
        raise OSError(errno.EACCES, "not the site's own")
    end = place.suffix.lower()
    if end in _UNREADABLE:
        if place.with_suffix("").exists():
            return b""  # which says the same
        raise OSError(errno.EINVAL, "not readable")
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

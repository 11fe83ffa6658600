"""The formats of encoded files: one registry, which everything that names or lists formats reads.

To add one: a value here, its place in ALL, and its encoder in `encoding/encoders.py`, whose curve
may begin as AVIF's: it is a first guess, which searches correct. Nothing else lists formats, but
for `bench/`, whose peers are no formats of ours.
"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from enum import Flag, auto
from pathlib import PurePath


class Role(Flag):
    """The parts that files of a format may play in a page."""

    PAYLOAD = auto()
    """Decoded by the site's service worker, or by the author's preview; no browser knows it."""

    SOURCE = auto()
    """Stands in a `<source>`."""

    FALLBACK = auto()
    """Stands in the `<img>` itself: every browser shows it, however old."""


@dataclass(frozen=True)
class Format:
    """A format, and what the rest of sitecodec has to know of it."""

    name: str
    """The name in the store, manifests and reports: Pillow's own name, in lower case."""

    label: str
    """The name that readers know."""

    suffix: str
    mime: str

    mark: bytes
    """The bytes with which its files begin, from an offset on."""

    mark_at: int
    roles: Role

    everywhere: bool = True
    """Whether every current browser shows it. A format that only some show has a `<source>` of its
    own, before that of the others, and is made besides them where it is smaller."""

    alpha: bool = True
    """Whether it holds transparency."""

    lossless: bool = False
    """Whether flat graphics are stored in it, every pixel as it is."""

    taken: bool = False
    """Whether authors' files of this format are encoded."""

    other_suffixes: tuple[str, ...] = ()
    """Further suffixes that authors' files may have."""

    largest_side: int = 65_500
    """Pixels of a side that it can hold, and browsers show."""

    def is_of(self, data: bytes) -> bool:
        """Whether a file begins as those of this format do."""
        return data.startswith(self.mark, self.mark_at)


SLAT = Format(
    "slat", "payload", ".slat", "image/x-sitecodec", b"SLAT", 0, Role.PAYLOAD, everywhere=False
)
AVIF = Format("avif", "AVIF", ".avif", "image/avif", b"ftyp", 4, Role.SOURCE, largest_side=16_384)
WEBP = Format(
    *("webp", "WebP", ".webp", "image/webp", b"WEBP", 8, Role.SOURCE),
    lossless=True,
    taken=True,
    largest_side=16_383,
)
PNG = Format(
    *("png", "PNG", ".png", "image/png", b"\x89PNG\r\n\x1a\n", 0, Role.SOURCE | Role.FALLBACK),
    lossless=True,
    taken=True,
)
JPEG = Format(
    *("jpeg", "JPEG", ".jpg", "image/jpeg", b"\xff\xd8\xff", 0, Role.FALLBACK),
    alpha=False,
    taken=True,
    other_suffixes=(".jpeg", ".jpe", ".jfif"),
)

_OTHERS = (".gif", ".svg", ".svgz", ".bmp", ".ico", ".jxl")
"""The ends of the names of other pictures."""

ALL: tuple[Format, ...] = (SLAT, AVIF, WEBP, PNG, JPEG)
"""Best first: the order in which pages offer them."""


def named(name: str) -> Format:
    """The format of that name. Raises LookupError."""
    for known in ALL:
        if known.name == name:
            return known
    raise LookupError(f"no format {name!r}")


def of_suffix(suffix: str) -> Format | None:
    """The format whose files end so ('.jpg'); None for others."""
    return next((known for known in ALL if known.suffix == suffix), None)


def picture_suffixes() -> tuple[str, ...]:
    """The ends of the names of all pictures that pages show, ours and others."""
    known = (end for one in conventional() for end in (one.suffix, *one.other_suffixes))
    return (*known, *_OTHERS)


def content_type(name: str) -> str:
    """The MIME type of a file by its name, as servers send it, on any machine."""
    suffix = PurePath(name).suffix.lower()
    known = {".wasm": "application/wasm", ".js": "text/javascript", ".mjs": "text/javascript"}
    known |= {end: one.mime for one in ALL for end in (one.suffix, *one.other_suffixes)}
    return known.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def conventional() -> tuple[Format, ...]:
    """The formats that browsers show by themselves, or some of them."""
    return tuple(known for known in ALL if Role.PAYLOAD not in known.roles)


def modern() -> tuple[Format, ...]:
    """The formats that every current browser shows and older ones do not."""
    return tuple(known for known in ALL if known.everywhere and known.roles == Role.SOURCE)


def fallbacks() -> tuple[Format, ...]:
    """The formats that every browser shows."""
    return tuple(known for known in ALL if Role.FALLBACK in known.roles)


def apart() -> tuple[Format, ...]:
    """The formats that only some browsers show, if any do: each has a `<source>` of its own."""
    return tuple(known for known in ALL if not known.everywhere)


def together() -> tuple[Format, ...]:
    """The formats of the last `<source>`.

    A browser takes the first type that it knows, then a width: each width has the first of these
    that was made. Whoever shows AVIF shows the others, so one AVIF makes it the type of all.
    """
    return tuple(known for known in ALL if known.everywhere)


def photographs_first() -> tuple[Format, ...]:
    """The conventional formats in the order of how many of a site's files have them."""
    return tuple(sorted(conventional(), key=lambda known: known.lossless))

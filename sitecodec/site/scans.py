"""What there is to know of a page from its bytes alone, and how that is remembered.

Most pages are the same from one build to the next, and finding their images takes most of the time
of a build that has nothing to encode. What was found depends on a page's bytes and on our code, so
it is kept in the store under the hashes of both: one entry for a site, read whole.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sitecodec.errors import StoreError
from sitecodec.page import html, tokens
from sitecodec.page.html import Attribute, Document, Image, Style, Tag
from sitecodec.store import Store, key

# How wide themes show an image on a common screen, by a class that all their pages have: Material
# (and Zensical), readthedocs, mkdocs.
_THEMES = ((b"md-content", 760), (b"wy-nav-content", 750), (b'class="col-md-9" role="main"', 966))
# Material gives the content the room of a side bar that a page hides.
_HIDDEN_SIDE_BAR = re.compile(rb'class="md-sidebar md-sidebar--(?:prim|second)ary"[^>]*?\shidden')
_SIDE_BAR_WIDTH = 266

_PINNED = re.compile(rb"<(?i:link)\s[^>]*?\b(?i:integrity)\b[^>]*>")
_SHEET_NAME = re.compile(rb"([^/\"'=\s]+\.(?i:css))")


class Scan(NamedTuple):
    """What the bytes of a page say."""

    document: Document
    styles: tuple[Style, ...]

    pinned: tuple[str, ...]
    """Names of the style sheets whose content an `integrity` fixes."""

    content_width: int
    """How wide, in CSS pixels, the theme shows an image at most; 0 if it is not known."""

    page_width: int
    """The same on this very page."""


def scan(data: bytes) -> Scan:
    """Read a page. Never fails."""
    links = _PINNED.findall(data) if b"integrity" in data else ()
    pinned = (name.decode("latin-1") for link in links for name in _SHEET_NAME.findall(link))
    width = content_width(data)
    room = _SIDE_BAR_WIDTH * len(_HIDDEN_SIDE_BAR.findall(data)) if width else 0
    styles = tuple(html.styles(data))
    return Scan(html.scan(data), styles, tuple(pinned), width, width + room)


def content_width(page: bytes) -> int:
    """How wide, in CSS pixels, the theme of a page shows an image at most; 0 if not known."""
    return next((width for mark, width in _THEMES if mark in page), 0)


class Memory(NamedTuple):
    """The scans of the pages of a site, as plain values by the hashes of the pages."""

    store: Store
    key: str
    """The entry that holds them; '' for none."""

    earlier: dict[str, Any]
    """Those of the last build."""

    seen: dict[str, Any]
    """Those of this one."""

    def scan(self, data: bytes) -> Scan:
        """The same as `scan`, remembered."""
        digest = hashlib.sha256(data).hexdigest()
        with contextlib.suppress(KeyError, ValueError, TypeError):
            found = _unpack(self.earlier[digest])
            self.seen[digest] = self.earlier[digest]
            return found
        found = scan(data)
        self.seen[digest] = _pack(found)
        return found

    def keep(self) -> None:
        """Keep what was seen, if it is not what the store has. A store may refuse to."""
        if self.key and self.seen.keys() != self.earlier.keys():
            with contextlib.suppress(StoreError):  # the images' outcomes have told
                self.store.put(self.key, json.dumps(self.seen).encode())


def recall(store: Store, names: Iterable[str]) -> Memory:
    """What is remembered of the site whose pages have these names."""
    try:
        name = key("scans", sys.version, _code(), *map(_bytes, names))
    except OSError:  # an installation without our sources
        return Memory(store, "", {}, {})
    try:
        earlier = json.loads(store.get(name) or b"{}")
    except ValueError:
        earlier = {}
    return Memory(store, name, earlier if isinstance(earlier, dict) else {}, {})


@functools.cache
def _code() -> bytes:
    """A hash of all the code that `scan` runs."""
    sources = (Path(file).read_bytes() for file in (__file__, html.__file__, tokens.__file__))
    return b"".join(hashlib.sha256(source).digest() for source in sources)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _pack(found: Scan) -> list[Any]:
    document = found.document
    return [[document.images, document.base, document.head_end], *found[1:]]


def _unpack(values: list[Any]) -> Scan:
    (images, base, head_end), styles, pinned, content_width, page_width = values
    document = Document(tuple(_image(image) for image in images), base, head_end)
    styles = tuple(Style(*style) for style in styles)
    return Scan(document, styles, tuple(pinned), content_width, page_width)


def _image(values: list[Any]) -> Image:
    start, end, attributes, in_picture, in_content, sources = values
    if sources is not None:
        sources = tuple(Tag(first, last, _attributes(own)) for first, last, own in sources)
    return Image(start, end, _attributes(attributes), in_picture, in_content, sources)


def _attributes(values: list[Any]) -> tuple[Attribute, ...]:
    return tuple(Attribute(*value) for value in values)

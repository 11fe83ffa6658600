"""What there is to know of a page from its bytes alone."""

from __future__ import annotations

import re
from typing import NamedTuple

from sitecodec.page import html
from sitecodec.page.html import Document, Style

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

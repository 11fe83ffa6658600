"""The facts about a page that its bytes alone tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sitecodec.page import html, themes
from sitecodec.page.html import Document, Style
from sitecodec.page.tokens import plain_tags


class Scan(NamedTuple):
    """The facts about a page that its bytes tell."""

    document: Document
    styles: tuple[Style, ...]

    pinned: tuple[str, ...]
    """Names of the style sheets whose content an `integrity` fixes."""

    content_width: int
    """How wide, in CSS pixels, the theme shows an image at most; 0 if it is not known."""

    page_width: int
    """The content width of this very page."""

    content: tuple[str, int] | None
    """A class of the theme's element for content, and `page_width`; None if it is not known."""


def scan(data: bytes) -> Scan:
    """Read a page. Never fails."""
    pinned = _pinned(data) if b"integrity" in data else ()
    theme = themes.of_page(data)
    width, page_width = (theme.width, theme.page_width(data)) if theme else (0, 0)
    content = (theme.content, page_width) if theme else None
    styles = tuple(html.styles(data))
    return Scan(html.scan(data), styles, tuple(pinned), width, page_width, content)


def _pinned(data: bytes) -> Iterator[str]:
    for link in plain_tags(data, "link"):
        if link.get("integrity") is not None:
            name = (link.get("href") or "").partition("?")[0].partition("#")[0].rpartition("/")[2]
            if name.lower().endswith(".css"):
                yield name

"""The themes whose pages are known: how wide they show an image."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Material gives the content the room of a side bar that a page hides.
_SIDE_BAR = re.compile(rb'class="md-sidebar md-sidebar--(?:prim|second)ary"([^<>]*+)')
_HIDDEN = re.compile(rb"\shidden")
_SIDE_BAR_WIDTH = 266


@dataclass(frozen=True)
class Theme:
    """A theme of one host or several."""

    name: str

    mark: bytes
    """What all its pages hold."""

    content: str
    """A class of its element for content."""

    width: int
    """How wide it shows an image at most on a common screen, in CSS pixels."""

    def page_width(self, page: bytes) -> int:
        """The same of one page, which may hide what stands beside its content."""
        hidden = sum(_HIDDEN.search(rest) is not None for rest in _SIDE_BAR.findall(page))
        return self.width + _SIDE_BAR_WIDTH * hidden


THEMES = (
    Theme("Material, of MkDocs and Zensical", b"md-content", "md-content", 760),
    Theme("readthedocs, of MkDocs", b"wy-nav-content", "wy-nav-content", 750),
    Theme("mkdocs", b'class="col-md-9" role="main"', "col-md-9", 966),
)


def of_page(page: bytes) -> Theme | None:
    """The theme of a page, if it is known."""
    return next((theme for theme in THEMES if theme.mark in page), None)

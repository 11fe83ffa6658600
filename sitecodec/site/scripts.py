"""The effect of a page's scripts on images, as far as their text shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_ASKS = re.compile(
    r"(?:querySelector(?:All)?|getElement(?:s?By(?:Id|ClassName|TagName))|closest|matches|find"
    r"|\$|jQuery)\(\s*(\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|`[^`$\n]{1,200}`)"
)
_ALL = re.compile(r"\bdocument\.images\b")
_WALKS = re.compile(
    r"\.(?:parentNode|parentElement|(?:next|previous)(?:Element)?Sibling|children\b"
    r"|(?:first|last)(?:Element)?Child|childNodes)"
)
_MEASURES = re.compile(
    r"naturalWidth|naturalHeight|medium-?zoom|zoomable|lightgallery|photoswipe|magnific-?popup"
    r"|viewerjs|panzoom|zoomify",
    re.IGNORECASE,
)
# The library itself, as its header exports it: it opens the author's file, by a link.
_GLIGHTBOX = re.compile(r"\.GLightbox\s*=\s*\w+\(\)")

# Nothing is given back: white space between commas could else be shared out in endless ways.
_ANY_ELEMENT = re.compile(r"\s*+\*?+(?::[\w-]++)*+\s*+(?:,\s*+\*?+(?::[\w-]++)*+\s*+)*+")


class Script(NamedTuple):
    """The effects of one script. Selectors are the ones by which it looks up elements."""

    asks: tuple[str, ...] = ()
    walks: tuple[str, ...] = ()
    """Selectors of elements from which it may go to parents or siblings."""

    measures: bool = False
    """Whether it looks at how many pixels images have, or enlarges them."""


def read(text: str) -> Script:
    """Read a script, or an inline handler."""
    asks = tuple(dict.fromkeys(_selector(match) for match in _ASKS.finditer(text)))
    if _ALL.search(text):
        asks += ("img",)
    if _GLIGHTBOX.search(text):
        return Script(asks)
    walks = tuple(filter(_names, asks)) if _WALKS.search(text) else ()
    return Script(asks, walks, _MEASURES.search(text) is not None)


def _names(selector: str) -> bool:
    """Whether a selector says which elements it is about.

    Libraries look up `*` and `:hover` to find their own menus, or to try what a browser can.
    """
    return not _ANY_ELEMENT.fullmatch(selector)


def walks(handlers: Iterable[str]) -> bool:
    """Whether one of an element's own handlers goes to its parents or siblings."""
    return any(_WALKS.search(text) for text in handlers)


def _selector(match: re.Match[str]) -> str:
    name = match[1][1:-1]
    if "ById" in match[0]:
        return f"#{name}"
    return f".{name}" if "ByClassName" in match[0] else name

"""The loading order of images: the one that a visitor waits for is first, others load when near.

Nothing is laid out here. How far down an image stands is guessed from the text and the images
before it, at a common width, and what is guessed to be just below the first screen is not lazy.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sitecodec.page.html import Image
from sitecodec.page.tokens import attributes_of, tags

LARGE = 30_000
"""Square CSS pixels of an image that a visitor may wait for: 200 by 150."""

_SCREEN = 900  # CSS pixels that are seen first
_LINE = 24
_SIGNS = 90  # of a line
_WIDE = 200  # an image that stands beside nothing
_DEPTH = 30  # of elements that their authors forgot to close
_UNKNOWN = (600, 400)
_BLOCKS = frozenset(
    "/p /h1 /h2 /h3 /h4 /h5 /h6 /li /tr /pre /dt /dd /figure /blockquote br hr".split()
)
_TEXTLESS = frozenset("script style svg title textarea noscript iframe select option".split())
_PARTS = frozenset(("body", "main", "article"))
_SMALL = re.compile(r"avatar|badge|shield|emoji|twemoji|gravatar|favicon|\bicons?\b|\blogo", re.I)
_OF_A_SCHEME = re.compile(r"#(?:only|gh)-(?:light|dark)(?:-mode-only)?$", re.IGNORECASE)
_SCHEME_CLASS = re.compile(
    r"(?:^|[\s_-])(?:only-(?:light|dark)|(?:light|dark)(?:-mode)?-only|(?:light|dark):\w+"
    r"|(?:show|hide)-(?:on|in)-(?:light|dark)|d-(?:light|dark)(?:-mode)?)(?:$|[\s_-])",
    re.IGNORECASE,
)
_NOT_SHOWN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_PANEL = re.compile(r"(?:^|\s)(?:tab-pane|carousel-item|tabbed-block|tab-panel)(?:$|\s)")
_ACTIVE = re.compile(r"(?:^|\s)(?:active|show|is-active|selected)(?:$|\s)")
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


class Seen(NamedTuple):
    """An image, and how large it is shown, in CSS pixels; zeros where that is not known."""

    image: Image
    address: str
    width: float
    height: float

    preloaded: bool = False
    """Whether its author has it loaded early."""


class Position(NamedTuple):
    """How an image is to be loaded."""

    first: bool
    """Whether it is loaded at high priority."""

    lazy: bool
    """When it comes near."""


class Outline(NamedTuple):
    """The outline of a document, from its tags without a style sheet."""

    tops: dict[int, float]
    """How far down images begin, in CSS pixels, by where their tags stand."""

    hidden: tuple[tuple[int, int], ...]
    """The parts that are not shown at first: tabs, details, what is `hidden`."""


def positions(data: bytes, images: Sequence[Seen]) -> list[Position]:
    """How each of the images of a document is to be loaded; they are in its order."""
    tops, parts = outline(data, images)
    hidden = _inside((seen.image for seen in images), parts)
    best, most = None, float(LARGE)
    last = -1  # of those that are not to be lazy
    waiting = True
    for number, seen in enumerate(images):
        if not seen.image.in_content or seen.image.start in hidden:
            continue
        area, top = _area(seen), tops.get(seen.image.start, 0)
        if top < _SCREEN and (seen.preloaded or area > most):
            best, most = number, (float("inf") if seen.preloaded else area)
        if top < 1.5 * _SCREEN or (waiting and area >= LARGE):
            last = number
        waiting = waiting and area < LARGE
    named = any((seen.image.get("fetchpriority") or "").lower() == "high" for seen in images)
    if best is not None and (named or _is_of_a_scheme(images[best])):
        best = None
    begun = next((n for n, seen in enumerate(images) if seen.image.in_content), len(images))
    return [
        Position(number == best, number > max(last, begun - 1) or seen.image.start in hidden)
        for number, seen in enumerate(images)
    ]


def outline(data: bytes, images: Iterable[Seen]) -> Outline:
    """Go through a document's tags once."""
    wanted = {seen.image.start: seen for seen in images}
    tops: dict[int, float] = {}
    hidden: list[tuple[int, int]] = []
    opened: list[tuple[str, int, bool]] = []
    panels: list[int] = []
    top, position, textless, in_content = 0.0, 0, False, False
    for start, end, tag in tags(data, len(data), every=True):
        if not textless:
            signs = len(b" ".join(data[position:start].split()))
            top += _LINE * (signs / _SIGNS + (tag in _BLOCKS))
        position, textless = end, tag in _TEXTLESS
        name = tag.lstrip("/")
        if tag in _PARTS and not in_content:
            top = 0
        if start in wanted:
            seen = wanted[start]
            tops[start] = top
            in_content = in_content or seen.image.in_content
            if seen.width >= _WIDE and seen.image.in_content and not _is_of_a_scheme(seen):
                top += seen.height
        if tag[0] == "/":
            while any(name == other for other, _, _ in opened[-_DEPTH:]):
                other, begin, shut = opened.pop()
                hidden += [(begin, start)] if shut else []
                if other == name:
                    break
        elif name not in _VOID and data[end - 2] != 0x2F:
            shut = _is_shut(data, start, end, name, panels, len(opened))
            opened.append((name, start, shut))
    hidden += [(begin, len(data)) for _, begin, shut in opened if shut]
    return Outline(tops, tuple(hidden))


def _is_shut(data: bytes, start: int, end: int, name: str, panels: list[int], depth: int) -> bool:
    """Whether an element is not shown at first; of panels side by side, all but one."""
    values = {a.name: a.value for a in attributes_of(data, start, end)}
    if name in ("details", "dialog"):
        return "open" not in values
    if "hidden" in values or _NOT_SHOWN.search(values.get("style", "")):
        return True
    names = values.get("class", "")
    if not _PANEL.search(names):
        return False
    while panels and panels[-1] > depth:
        panels.pop()
    first = not panels or panels[-1] != depth
    if first:
        panels.append(depth)
    return not (first or _ACTIVE.search(names))


def _inside(images: Iterable[Image], parts: Iterable[tuple[int, int]]) -> set[int]:
    """Where those images begin that are in one of the parts, which may be in each other."""
    starts, ends = [], [0]
    for start, end in sorted(parts):
        starts.append(start)
        ends.append(max(end, ends[-1]))  # of all that begin there or before
    found = (image.start for image in images)
    return {at for at in found if at < ends[bisect_right(starts, at)]}


def _area(seen: Seen) -> float:
    """How much of a screen an image takes; nothing where its names say that it is small."""
    names = " ".join((seen.image.get("class") or "", seen.address.rpartition("/")[2]))
    if _SMALL.search(names):
        return 0
    if not seen.width and seen.address.lower().partition("#")[0].endswith(".svg"):
        return 0  # as large as anything, or an icon
    width, height = (seen.width, seen.height) if seen.width else _UNKNOWN
    return width * min(height, _SCREEN)


def _is_of_a_scheme(seen: Seen) -> bool:
    """Whether an image is shown in only one of a page's colour schemes."""
    scheme = _SCHEME_CLASS.search(seen.image.get("class") or "")
    return scheme is not None or _OF_A_SCHEME.search(seen.address) is not None

"""How wide a page may show an image, from its style sheets: never too little, at times too much."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from sitecodec.css.styles import Styles
from sitecodec.css.tree import Node

_LENGTH = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(px|%|vw|rem|em|)")
_RATIO = re.compile(r"(\d+\.?\d*|\.\d+)(?:\s*/\s*(\d+\.?\d*|\.\d+))?")
_AUTO = frozenset(("", "auto", "fit-content", "stretch", "-webkit-fill-available", "inherit"))
_FREE = frozenset(("", "auto", "none", "0", "revert", "min-content", "inherit"))
_NARROW = 320.0
"""CSS pixels that every window has."""

_EM = 24.0
"""Pixels that an em may have where large windows get larger letters."""


class Bound(NamedTuple):
    """The most that something is wide: both a share of the window and CSS pixels."""

    window: float = 1.0
    pixels: float = math.inf

    def share(self, part: float) -> Bound:
        """A part of it."""
        return Bound(self.window * part, self.pixels * part) if part else Bound(0, 0)

    def or_more(self, other: Bound) -> Bound:
        """The bound of what may be as wide as either."""
        return Bound(max(self.window, other.window), max(self.pixels, other.pixels))

    def at_most(self, other: Bound) -> Bound:
        """The bound of what is no wider than both."""
        return Bound(min(self.window, other.window), min(self.pixels, other.pixels))


UNBOUND = Bound(math.inf, math.inf)
NOTHING = Bound(0, 0)


def shown(
    styles: Styles,
    image: Node,
    natural: tuple[int, int],
    hints: dict[str, str],
    content: tuple[str, int] | None = None,
) -> Bound | None:
    """How wide an image is shown at most; None where it may show all of its pixels, or more.

    `natural` is its size in CSS pixels, `hints` what its attributes say of width and height.
    `content` is the class of the theme's element for content, and how wide that shows an image.
    """
    fits = styles.values(image, "object-fit")
    if not fits <= {"", "fill", "contain", "scale-down", "cover"} or _is_scaled(styles, image):
        return None
    if styles.values(image, "object-view-box") - {"", "none"}:
        return None
    room = container(styles, image, content)
    widths = styles.values(image, "width", hints.get("width", ""))
    bound = NOTHING
    for value in widths:
        if value in _AUTO or value in ("max-content", "min-content"):
            high = _by_height(styles, image, natural, hints)
            if high is None:
                return None
            bound = bound.or_more(Bound(math.inf, high))
        else:
            bound = bound.or_more(_width(value, room))
    bound = bound.at_most(_limit(styles, image, room))
    for value in styles.values(image, "min-width") - _FREE:
        bound = bound.or_more(_width(value, room))
    if styles.values(image, "min-height") - _FREE:
        return None
    if "cover" in fits:
        covering = _covering(styles, image, bound, natural[0] / natural[1], hints)
        if covering is None:
            return None
        bound = covering
    if math.isinf(bound.window) and bound.pixels >= natural[0]:
        return None
    return bound


def container(styles: Styles, image: Node, content: tuple[str, int] | None = None) -> Bound:
    """How wide the element around an image may be."""
    bound = Bound()
    for element in reversed(image.ancestors):
        bound = _inside(styles, element, bound)
        if content and content[0] in element.classes:
            bound = bound.at_most(Bound(1.0, content[1]))
    return bound


def vertical(styles: Styles, image: Node) -> bool:
    """Whether text may run from top to bottom around an image."""
    around = (image, *image.ancestors)
    return any(styles.values(e, "writing-mode") - {"", "horizontal-tb"} for e in around)


def _inside(styles: Styles, element: Node, bound: Bound) -> Bound:
    """How wide an element may be in another that may be as wide as `bound`."""
    outer = bound
    if styles.values(element, "position") & {"absolute", "fixed"} or _is_wider(styles, element):
        bound = Bound()
    widths = styles.values(element, "width", _hint(element))
    if widths.isdisjoint(_AUTO):
        bound = NOTHING
    for value in widths - _AUTO:
        bound = bound.or_more(_width(value, outer))
    for name in ("min-width", "flex-basis"):
        for value in styles.values(element, name) - _FREE:
            bound = bound.or_more(_width(value, outer))
    for value in styles.values(element, "flex"):
        bound = bound.or_more(_flex(value, outer))
    if "0" in styles.values(element, "flex-shrink"):
        bound = UNBOUND
    for name in ("grid-template-columns", "grid-auto-columns", "grid-template", "grid"):
        for value in styles.values(element, name):
            bound = bound.or_more(_tracks(value))
    if "column" in " ".join(styles.values(element, "grid-auto-flow")):
        bound = UNBOUND
    if _is_scaled(styles, element):
        bound = UNBOUND
    return bound.at_most(_limit(styles, element, outer))


def _limit(styles: Styles, element: Node, room: Bound) -> Bound:
    """The width that `max-width` allows an element."""
    limit = NOTHING
    for value in styles.values(element, "max-width"):
        limit = limit.or_more(UNBOUND if value in ("", "none") else _width(value, room))
    return limit


def _width(value: str, room: Bound) -> Bound:
    """How wide a value of `width` makes an element in a room."""
    if value.startswith(("min(", "clamp(")) and value.endswith(")"):
        parts = value.partition("(")[2][:-1].split(",")
        if value.startswith("clamp(") and len(parts) == 3:
            parts = parts[2:]
        bound = UNBOUND
        for part in parts:
            bound = bound.at_most(_width(part.strip(), room))
        return bound
    if match := re.fullmatch(r"calc\((100%|100vw) - [\d.]+(?:px|r?em)\)", value):
        return _width(match[1], room)
    match = _LENGTH.fullmatch(value)
    if not match:
        return room if value in _AUTO else UNBOUND
    number, unit = abs(float(match[1])), match[2]
    if unit == "%":
        return room.share(number / 100)
    if unit == "vw":
        return Bound(number / 100, math.inf)
    return _fixed(number * (_EM if unit in ("rem", "em") else 1))


def _fixed(pixels: float) -> Bound:
    """The bound of what is so wide whatever the window is."""
    return Bound(math.inf if pixels > _NARROW else 1.0, pixels) if pixels else NOTHING


def _by_height(
    styles: Styles, image: Node, natural: tuple[int, int], hints: dict[str, str]
) -> float | None:
    """How wide an image is, in CSS pixels, whose width follows from its height; None if unknown."""
    widest = 0.0
    ratio = natural[0] / natural[1]
    if styles.values(image, "aspect-ratio") - {"", "auto"}:
        return None
    for value in styles.values(image, "height", hints.get("height", "")):
        match = _LENGTH.fullmatch(value)
        if value in _FREE or (value.endswith("%") and match):
            # Of a height that is not known, a percentage counts for nothing, or for any height.
            if value.endswith("%"):
                return None
            widest = max(widest, natural[0])
        elif match and match[2] in ("px", "rem", "em", ""):
            pixels = abs(float(match[1])) * (_EM if match[2] in ("rem", "em") else 1)
            widest = max(widest, pixels * ratio)
        else:
            return None
    return widest


def _covering(
    styles: Styles, image: Node, bound: Bound, ratio: float, hints: dict[str, str]
) -> Bound | None:
    """How wide an image is that covers a box of the width `bound`; None if its height is unknown.

    `ratio` is the image's width by its height. Flex containers may stretch a box.
    """
    if any("flex" in value for value in styles.values(image.ancestors[0], "display")):
        return None
    for value in styles.values(image, "height", hints.get("height", "")) - {"", "auto"}:
        match = _LENGTH.fullmatch(value)
        if not match or match[2] not in ("px", "rem", "em", ""):
            return None
        pixels = abs(float(match[1])) * (_EM if match[2] in ("rem", "em") else 1)
        bound = bound.or_more(_fixed(pixels * ratio))
    part = 1.0
    for value in styles.values(image, "aspect-ratio") - {"", "auto"}:
        match = _RATIO.fullmatch(value)
        width, height = (float(match[1]), float(match[2] or 1)) if match else (0, 0)
        if not width or not height:
            return None
        part = max(part, ratio * height / width)
    return bound.share(part)


def _flex(value: str, room: Bound) -> Bound:
    """How wide `flex` may make an item."""
    if value in ("", "auto", "initial", "none", "1", "revert"):
        return UNBOUND if value == "none" else NOTHING
    parts = value.split()
    shrinks = not (len(parts) > 1 and parts[1] == "0")
    basis = next((p for p in parts if not re.fullmatch(r"[\d.]+", p)), "")
    if basis and basis not in ("auto", "content"):
        return _width(basis, room)
    return NOTHING if shrinks else UNBOUND


def _tracks(value: str) -> Bound:
    """How wide a track of a grid may be where its grid is not."""
    if "max-content" in value or "var(" in value:
        return UNBOUND
    widths = [
        float(m[1]) * (_EM if m[2] in ("rem", "em") else 1)
        for m in _LENGTH.finditer(value)
        if m[2] in ("px", "rem", "em")
    ]
    widest = max(widths, default=0)
    return _fixed(widest) if widest > _NARROW else NOTHING


def _is_wider(styles: Styles, element: Node) -> bool:
    """Whether margins may pull an element over the edges of its container."""
    names = ("margin", "margin-left", "margin-right", "margin-inline")
    values = " ".join(_all(styles, element, (*names, "margin-inline-start", "margin-inline-end")))
    return re.search(r"(?<![\w)])-|calc\(|var\(", values) is not None


def _is_scaled(styles: Styles, element: Node) -> bool:
    values = _all(styles, element, ("transform", "scale", "zoom"))
    return any(v not in ("", "none", "1", "100%", "normal") and _scales(v) for v in values)


def _scales(value: str) -> bool:
    return re.search(r"scale|matrix|perspective|var\(|^[\d.]+%?$", value) is not None


def _all(styles: Styles, element: Node, names: Iterable[str]) -> list[str]:
    return [value for name in names for value in styles.values(element, name)]


def _hint(element: Node) -> str:
    """The width in the attributes of a table, an iframe and similar elements."""
    value = element.etree_element.get("width", "").strip()
    return f"{value}px" if value.isdigit() else value.lower()

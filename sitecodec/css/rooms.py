"""How wide the room of an element may be: by all that is around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sitecodec.css.bounds import (
    AUTO,
    EM,
    FREE,
    LENGTH,
    NOTHING,
    UNBOUND,
    Bound,
    fixed,
    pixels_of,
    width_of,
)
from sitecodec.css.styles import Box, Styles
from sitecodec.css.tree import Node

# Columns that fill a grid: of a least width, and of equal parts of the rest.
_FILLED = re.compile(r"repeat\(\s*auto-fill\s*,\s*minmax\((.+),\s*1fr\s*\)\s*\)")
_FULL_BLEED = re.compile(r"calc\(\s*50% - 50vw\s*\)")
_OR_LESS = re.compile(r"min\((?:\s*100%\s*,)?([^,]+?)(?:,\s*100%\s*)?\)")


def container(styles: Styles, image: Node, content: tuple[str, int] | None = None) -> Bound:
    """How wide the box may be that an image's percentages count from.

    `content` is the class of the theme's element for content, and how wide that shows an image.
    All of a page's images are asked for with the same.
    """
    return _room(styles, image, _box(styles, image.parent, content))


def box_around(styles: Styles, image: Node) -> Node | None:
    """The nearest element around an image that has, or may have, a box."""
    around = (e for e in reversed(image.ancestors) if styles.values(e, "display") != {"contents"})
    return next(around, None)


def _box(styles: Styles, element: Node | None, content: tuple[str, int] | None) -> Box | None:
    """The box of an element, or of the nearest around it that may have one; None for the window.

    Each element is looked at once for all that is in it.
    """
    inner: list[Node] = []
    while element is not None and element.etree_element not in styles.boxes:
        inner.append(element)
        element = element.parent
    box = None if element is None else styles.boxes[element.etree_element]
    for each in reversed(inner):
        each.steps.take(1)
        if styles.values(each, "display") != {"contents"}:
            box = Box(each, _bound(styles, each, box, content), box)
        styles.boxes[each.etree_element] = box
    return box


def _bound(
    styles: Styles, element: Node, around: Box | None, content: tuple[str, int] | None
) -> Bound:
    """How wide an element may be among those around it."""
    room = _room(styles, element, around)
    bound = _inside(styles, element, room)
    if _is_from_margins(styles, element, around):
        bound = UNBOUND
    if "contents" in styles.values(element, "display"):
        bound = bound.or_more(room)
    if content and content[0] in element.classes:
        bound = bound.at_most(Bound(1.0, content[1]))
    return bound


def _outwards(box: Box | None) -> Iterator[Box]:
    """A box, and all boxes around it."""
    while box is not None:
        box.node.steps.take(1)
        yield box
        box = box.outer


def _room(styles: Styles, element: Node, around: Box | None) -> Bound:
    """How wide an element's containing block may be, in the box around it.

    That of an absolutely placed element is the nearest one around it that is placed, too.
    """
    if around is None:
        return Bound()
    positions = styles.values(element, "position")
    if positions & {"absolute", "fixed"}:
        room = Bound()
        for box in _outwards(around):
            room = room.or_more(box.bound)
        if "fixed" in positions or not _is_placed(styles, around.node):
            return room
        room = _padded(styles, around.node, around.bound)
        if positions <= {"absolute"}:
            return room
        return room.or_more(around.bound)
    return around.bound.at_most(_cell(styles, around.node, element))


def _is_placed(styles: Styles, element: Node) -> bool:
    """Whether an element surely holds what is absolutely placed in it."""
    return styles.values(element, "position") <= {"relative", "absolute", "fixed", "sticky"}


def _padded(styles: Styles, element: Node, bound: Bound) -> Bound:
    """The bound of an element with its padding, of which percentages in a placed one count."""
    values = _all(styles, element, ("padding", "padding-left", "padding-right", "padding-inline"))
    most = 0.0
    for value in " ".join(values).split():
        pixels = _pixels(value)
        if pixels is None:
            return UNBOUND
        most = max(most, pixels)
    return bound.plus(2 * most)


def _cell(styles: Styles, grid: Node, item: Node) -> Bound:
    """How wide the column is in which a grid may put one of its items.

    A grid as wide as W that is filled with columns of `minmax(a, 1fr)` has floor((W + gap) /
    (a + gap)) of them, so that none is wider than 2a + gap (CSS Grid Layout 2, 7.2.3.2). Other
    columns may grow with what else is in them.
    """
    if not styles.values(grid, "display") <= {"grid", "inline-grid"}:
        return UNBOUND
    placed = ("grid-column", "grid-column-start", "grid-column-end", "grid-area")
    if any(value not in ("", "auto") for value in _all(styles, item, placed)):
        return UNBOUND
    if any(_all(styles, grid, ("grid", "grid-template"))):
        return UNBOUND
    if "column" in " ".join(styles.values(grid, "grid-auto-flow")):
        return UNBOUND
    gap = _gap(styles, grid)
    bound = NOTHING
    for value in styles.values(grid, "grid-template-columns"):
        match = _FILLED.fullmatch(value)
        least = _pixels(_OR_LESS.sub(r"\1", match[1].strip()).strip()) if match else None
        if least is None or gap is None:
            return UNBOUND
        bound = bound.or_more(fixed(2 * least + gap))
    return bound


def _gap(styles: Styles, grid: Node) -> float | None:
    """The most pixels between columns; None if it is not known."""
    most = 0.0
    for value in _all(styles, grid, ("gap", "grid-gap", "column-gap", "grid-column-gap")):
        pixels = 0.0 if value in ("", "normal") else _pixels(value.split()[-1])
        if pixels is None:
            return None
        most = max(most, pixels)
    return most


def _pixels(value: str) -> float | None:
    """The most CSS pixels that a fixed length has; None for other values."""
    match = LENGTH.fullmatch(value)
    if not match or match[2] in ("%", "vw") or (not match[2] and float(match[1])):
        return None
    return pixels_of(match)


def _inside(styles: Styles, element: Node, outer: Bound) -> Bound:
    """How wide an element may be in another that may be as wide as `outer`."""
    bound = _between_margins(styles, element, outer)
    if styles.values(element, "position") & {"absolute", "fixed"}:
        bound = bound.or_more(Bound())
    widths = styles.values(element, "width", _hint(element))
    if widths.isdisjoint(AUTO):
        bound = NOTHING
    for value in widths - AUTO:
        bound = bound.or_more(width_of(value, outer))
    for value in styles.values(element, "flex-basis") - FREE:
        bound = bound.or_more(width_of(value, outer))
    for value in styles.values(element, "flex"):
        bound = bound.or_more(_flex(value, outer))
    if "0" in styles.values(element, "flex-shrink"):
        bound = UNBOUND
    for name in ("grid-template-columns", "grid-auto-columns", "grid-template", "grid"):
        for value in styles.values(element, name):
            bound = bound.or_more(_tracks(value))
    if "column" in " ".join(styles.values(element, "grid-auto-flow")):
        bound = UNBOUND
    bound = bound.at_most(limit(styles, element, outer))
    for value in styles.values(element, "min-width") - FREE:
        bound = bound.or_more(width_of(value, outer))
    if is_scaled(styles, element) or _is_pulled(styles, element):
        return UNBOUND
    return bound


def _is_from_margins(styles: Styles, element: Node, around: Box | None) -> bool:
    """Whether an absolutely placed element may begin outside of the window and reach to its end.

    It does where nothing says how far from the left it is, and what is around it is pulled there.
    """
    if not styles.values(element, "position") & {"absolute", "fixed"}:
        return False
    one = Bound(1, 1)
    return any(_between_margins(styles, box.node, one) != one for box in _outwards(around))


def _between_margins(styles: Styles, element: Node, outer: Bound) -> Bound:
    """How wide an element is by default: negative margins pull it over its container's edges."""
    names = ("margin", "margin-left", "margin-right", "margin-inline")
    values = _all(styles, element, (*names, "margin-inline-start", "margin-inline-end"))
    pixels = part = 0.0
    for value in values:
        if _FULL_BLEED.search(value):
            return outer.or_more(Bound())
        if "calc(" in value or "var(" in value:
            return UNBOUND
        for negative in (word for word in value.split() if word.startswith("-")):
            if negative.endswith("%"):
                part = max(part, abs(float(negative[:-1])) / 100)
            elif (pulled := _pixels(negative)) is not None:
                pixels = max(pixels, pulled)
            else:
                return UNBOUND
    return outer.share(1 + 2 * part).plus(2 * pixels)


def limit(styles: Styles, element: Node, room: Bound) -> Bound:
    """The width that `max-width` allows an element."""
    limit = NOTHING
    for value in styles.values(element, "max-width"):
        limit = limit.or_more(UNBOUND if value in ("", "none") else width_of(value, room))
    return limit


def _flex(value: str, room: Bound) -> Bound:
    """How wide `flex` may make an item."""
    if value in ("", "auto", "initial", "none", "1", "revert"):
        return UNBOUND if value == "none" else NOTHING
    parts = value.split()
    shrinks = not (len(parts) > 1 and parts[1] == "0")
    basis = next((p for p in parts if not re.fullmatch(r"[\d.]+", p)), "")
    if basis and basis not in ("auto", "content"):
        return width_of(basis, room)
    return NOTHING if shrinks else UNBOUND


def _tracks(value: str) -> Bound:
    """How wide a track of a grid may be where its grid is not."""
    if "max-content" in value or "var(" in value:
        return UNBOUND
    widths = [
        float(m[1]) * (EM if m[2] in ("rem", "em") else 1)
        for m in LENGTH.finditer(_OR_LESS.sub("", value))  # no wider than the grid is
        if m[2] in ("px", "rem", "em")
    ]
    return fixed(max(widths, default=0))


def _is_pulled(styles: Styles, element: Node) -> bool:
    """Whether an absolutely placed element may reach over the edges of its containing block."""
    if not styles.values(element, "position") & {"absolute", "fixed"}:
        return False
    values = _all(styles, element, ("left", "right", "inset", "inset-inline"))
    return re.search(r"(?<![\w)])-|calc\(|var\(", " ".join(values)) is not None


def is_scaled(styles: Styles, element: Node) -> bool:
    """Whether an element may be drawn in another size than that of its box."""
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

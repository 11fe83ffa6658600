"""The boxes of two documents' elements: which differ, and which of them are the cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

TOLERANCE = 1.0
"""CSS pixels by which a box may differ: sizes in whole pixels round what a ratio gives."""


_HAVING = (("is there", "is missing"), ("is missing", "is there"))


class Box(NamedTuple):
    """An element: its tag and id, the number of its parent (−1: none), its border box.

    The box is in CSS pixels, from the document's upper left corner.
    """

    tag: str
    id: str
    parent: int
    left: float
    top: float
    width: float
    height: float

    @property
    def size(self) -> str:
        """Width and height as people write them."""
        return f"{self.width:g}x{self.height:g}"


@dataclass(frozen=True)
class Moved:
    """An element whose box differs for a reason of its own, or that only one document has."""

    element: str
    """The element and what is around it, from the nearest id on: `#intro p img`."""

    plain: str
    built: str
    places: tuple[Box, Box] | None = None
    """The boxes, where both documents have one."""


@dataclass(frozen=True)
class Comparison:
    """How many boxes were compared and how many differ; `causes` are those that move the rest."""

    compared: int
    different: int
    causes: tuple[Moved, ...]


def parse(found: Iterable[Sequence[object]]) -> list[Box]:
    """Boxes as the page says them."""
    return [Box(*values) for values in found]  # type: ignore[arg-type]


def compare(plain: Sequence[Box], built: Sequence[Box], tolerance: float = TOLERANCE) -> Comparison:
    """Compare the boxes of two documents.

    Elements are matched in order by tag and id. An element whose size differs is a cause if that of
    no element in it does; one whose size is the same is a cause if it has moved in its parent, the
    first to do so there, and no element of another size explains that.
    """
    pairs, alone = _matched(plain, built)
    sized = {a for a, b in pairs if _far(_size(plain[a]), _size(built[b]), tolerance)}
    placed = {a for a, b in pairs if _far(_corner(plain[a]), _corner(built[b]), tolerance)} - sized
    containing = {parent for n in sized for parent in _ancestors(plain, n)}
    # Beside a column that has grown by a cause in it, others are stretched.
    grown = {a: _growth(plain[a], built[b]) for a, b in pairs if a in sized}
    beside = {plain[n].parent for n in sized & containing}
    stretched = {
        n
        for n in sized - containing
        if (parent := plain[n].parent) in beside and grown.get(parent) == grown[n]
    }
    explained = {plain[n].parent for n in sized} | sized
    causes = [Moved(name(boxes, n), *_HAVING[boxes is built]) for boxes, n in alone]
    for a, b in pairs:
        both = plain[a], built[b]
        if a in sized and a not in containing | stretched:
            causes.append(Moved(name(plain, a), both[0].size, both[1].size, both))
        elif a in placed and not alone and plain[a].parent not in explained:
            offsets = _offset(plain, a), _offset(built, b)
            if _far(*offsets, tolerance):
                places = ("at {:g}, {:g}".format(*offset) for offset in offsets)
                causes.append(Moved(name(plain, a), next(places), next(places), both))
                explained.add(plain[a].parent)
    return Comparison(len(pairs), len(sized | placed), tuple(causes))


def name(boxes: Sequence[Box], number: int) -> str:
    """An element and what it is in, from the nearest id on."""
    parts: list[str] = []
    while number >= 0:
        box = boxes[number]
        parts.append(box.tag + box.id if not parts else box.id or box.tag)
        if box.id:
            break
        number = box.parent
    return " ".join(reversed([part for part in parts if part not in ("html", "body")] or parts))


def _matched(
    plain: Sequence[Box], built: Sequence[Box]
) -> tuple[list[tuple[int, int]], list[tuple[Sequence[Box], int]]]:
    """Pairs of numbers, and the elements (as document and number) that have no partner."""
    ours, theirs = ([(box.tag, box.id) for box in boxes] for boxes in (plain, built))
    if ours == theirs:
        return [(n, n) for n in range(len(plain))], []
    pairs: list[tuple[int, int]] = []
    alone: list[tuple[Sequence[Box], int]] = []
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    for kind, a, a_end, b, b_end in matcher.get_opcodes():
        if kind == "equal":
            pairs += zip(range(a, a_end), range(b, b_end), strict=True)
        else:
            alone += [(plain, n) for n in range(a, a_end)] + [(built, n) for n in range(b, b_end)]
    return pairs, alone


def _ancestors(boxes: Sequence[Box], number: int) -> Iterable[int]:
    while (number := boxes[number].parent) >= 0:
        yield number


def _size(box: Box) -> tuple[float, float]:
    return box.width, box.height


def _growth(a: Box, b: Box) -> tuple[int, int]:
    """The growth from one box to another, in whole pixels."""
    return round(b.width - a.width), round(b.height - a.height)


def _corner(box: Box) -> tuple[float, float]:
    return box.left, box.top


def _offset(boxes: Sequence[Box], number: int) -> tuple[float, float]:
    """The offset of an element within its parent."""
    box = boxes[number]
    if box.parent < 0:
        return box.left, box.top
    around = boxes[box.parent]
    return round(box.left - around.left, 2), round(box.top - around.top, 2)


def _far(a: Sequence[float], b: Sequence[float], tolerance: float) -> bool:
    return any(abs(x - y) > tolerance for x, y in zip(a, b, strict=True))

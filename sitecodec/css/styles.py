"""All rules that hold for a page: which match an element, and which values a property may have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

from sitecodec.css import sheets
from sitecodec.css.bounds import Bound
from sitecodec.css.selectors import Selector
from sitecodec.css.sheets import Rule, Sheet
from sitecodec.css.tree import Node

# Flow is horizontal here, which `vertical` in widths.py looks after.
_LOGICAL = {
    "inline-size": "width",
    "block-size": "height",
    "min-inline-size": "min-width",
    "min-block-size": "min-height",
    "max-inline-size": "max-width",
    "max-block-size": "max-height",
    "word-wrap": "overflow-wrap",
}
PROPERTIES = frozenset(
    "width height min-width min-height max-width max-height aspect-ratio object-fit object-view-box"
    " display position flex flex-basis flex-shrink margin margin-left margin-right margin-inline"
    " margin-inline-start margin-inline-end zoom scale transform content-visibility writing-mode"
    " grid grid-template grid-template-columns grid-auto-columns grid-auto-flow font font-size"
    " line-height contain all content grid-column grid-column-start grid-column-end grid-area"
    " gap grid-gap column-gap grid-column-gap padding padding-left padding-right padding-inline"
    " left right inset inset-inline".split()
)
"""The properties that affect the size at which an image is shown."""

Key = tuple[object, ...]


class Placed(NamedTuple):
    """A rule and its place in the cascade, for normal and for important declarations."""

    rule: Rule
    normal: Key
    important: Key
    declared: tuple[sheets.Declaration, ...]
    """Those of its declarations that matter."""


class Styles:
    """The rules of a page's style sheets, in their order."""

    def __init__(self, given: Iterable[Sheet], asked: Iterable[Selector] = ()) -> None:
        """Take sheets in document order, and selectors that scripts look for."""
        ranks: dict[str, int] = {}
        rules: list[Rule] = []
        for sheet in given:
            for layer in sheet.layers:
                parts = layer.split(".")
                for end in range(1, len(parts) + 1):
                    ranks.setdefault(".".join(parts[:end]), len(ranks))
            rules += sheet.rules
        self._buckets: dict[str, list[Placed]] = {}
        seeing: dict[str, dict[str, Selector]] = {}
        for number, rule in enumerate(rules):
            for mark in rule.selector.sees:
                seeing.setdefault(mark, {}).setdefault(rule.selector.text, rule.selector)
            if rule.selector.pseudo_element or PROPERTIES.isdisjoint(_names(rule)):
                continue
            self._buckets.setdefault(_bucket(rule.selector), []).append(
                _placed(rule, number, ranks)
            )
        for selector in asked:
            for mark in selector.sees:
                seeing.setdefault(mark, {}).setdefault(selector.text, selector)
        self.seeing = {mark: tuple(found.values()) for mark, found in seeing.items()}
        """The selectors that would see an attribute, or a WRAPPER, of an image."""
        self._matched: dict[Element, list[Placed]] = {}
        self._declared: dict[Element, _Declarations] = {}
        self._alike: dict[tuple[int, ...], _Declarations] = {}
        self._set: dict[tuple[Element, str], bool] = {}
        self.boxes: dict[Element, Box | None] = {}
        """The nearest box around what is in an element, for rooms.py."""
        self.together: dict[Element, str] = {}
        """The selector that sees all images of an element being wrapped at once; '' for none."""

    def forget(self) -> None:
        """Forget what was found out of the elements of the page before."""
        self._matched.clear()
        self._declared.clear()
        self._alike.clear()
        self._set.clear()
        self.boxes.clear()
        self.together.clear()

    def matched(self, element: Node) -> list[Placed]:
        """The rules that may match an element, with a declaration that matters."""
        found = self._matched.get(element.etree_element)
        if found is None:
            names = ["*", element.local_name, *(f".{c}" for c in element.classes)]
            names += [f"#{element.id}"] if element.id else []
            buckets = [self._buckets.get(name, ()) for name in names]
            element.steps.take(sum(map(len, buckets)))
            found = [
                placed
                for bucket in buckets
                for placed in bucket
                if placed.rule.selector.may_match(element)
            ]
            self._matched[element.etree_element] = found
        return found

    def values(self, element: Node, name: str, base: str = "") -> frozenset[str]:
        """The values that a property may have on an element; `base` where nothing is declared.

        `base` is what the attributes of the element say, or ''. Values are as they are written.
        """
        assert name in PROPERTIES
        declared = self._declarations(element)
        known = declared.values.get((name, base))
        if known is not None:
            return known
        found = [*declared.given.get(name, ()), *declared.given.get("all", ())]
        element.steps.take(len(found))
        possible = {base}
        for _, certain, value in sorted(found, key=lambda item: item[0]):
            if value.split("(")[0] in ("unset", "initial", "revert", "revert-layer"):
                possible |= {"", base, "revert"} if value != "initial" else {""}
            else:
                possible = {value} if certain else possible | {value}
        declared.values[name, base] = frozenset(possible)
        return declared.values[name, base]

    def is_set(self, element: Node, name: str, usual: frozenset[str]) -> bool:
        """Whether a property may have an unusual value on an element, or on one around it."""
        inner: list[Node] = []
        around: Node | None = element
        while around is not None and (around.etree_element, name) not in self._set:
            inner.append(around)
            around = around.parent
        found = around is not None and self._set[around.etree_element, name]
        for each in reversed(inner):
            found = found or bool(self.values(each, name) - usual)
            self._set[each.etree_element, name] = found
        return found

    def _declarations(self, element: Node) -> _Declarations:
        """What is declared for an element; the same for all that the same rules match."""
        known = self._declared.get(element.etree_element)
        if known is not None:
            return known
        matched, style = self.matched(element), element.etree_element.get("style", "")
        alike = tuple(map(id, matched))
        if not style and alike in self._alike:
            self._declared[element.etree_element] = self._alike[alike]
            return self._alike[alike]
        found: dict[str, list[_Declared]] = {}
        for rule, normal, important, declared in matched:
            certain = rule.always and rule.selector.exact
            element.steps.take(len(declared))
            for place, own in enumerate(declared):
                key = (*(important if own.important else normal), place)
                found.setdefault(own.name, []).append((key, certain, own.value))
        for place, own in enumerate(_that_matter(sheets.declarations(style))):
            key = (2 + 2 * own.important, place)
            found.setdefault(own.name, []).append((key, True, own.value))
        made = self._declared[element.etree_element] = _Declarations(found, {})
        if not style:
            self._alike[alike] = made
        return made


class Box(NamedTuple):
    """An element that has, or may have, a box, how wide it may be, and the one around it."""

    node: Node
    bound: Bound
    outer: Box | None


_Declared = tuple[Key, bool, str]
"""The place of a declaration in the cascade, whether it holds for sure, and its value."""


class _Declarations(NamedTuple):
    """What is declared for an element, by property, and the values that follow from it."""

    given: dict[str, list[_Declared]]
    values: dict[tuple[str, str], frozenset[str]]


def _that_matter(given: Iterable[sheets.Declaration]) -> tuple[sheets.Declaration, ...]:
    """The declarations that matter, under the names of PROPERTIES."""
    named = (own._replace(name=_LOGICAL.get(own.name, own.name)) for own in given)
    return tuple(
        own._replace(value="revert") if own.name == "all" else own
        for own in named
        if own.name in PROPERTIES
    )


def _names(rule: Rule) -> Iterator[str]:
    return (_LOGICAL.get(own.name, own.name) for own in rule.declarations)


def _bucket(selector: Selector) -> str:
    if selector.id:
        return f"#{selector.id}"
    if selector.classes:
        return f".{selector.classes[0]}"
    return selector.name or "*"


def _placed(rule: Rule, number: int, ranks: dict[str, int]) -> Placed:
    """The rank of a rule: layers in order, then rules outside of layers; reversed if important."""
    parts = rule.layer.split(".") if rule.layer is not None else []
    path = [float(ranks.get(".".join(parts[:end]), 0)) for end in range(1, len(parts) + 1)]
    layer, turned = (*path, math.inf), (*(-rank for rank in path), -math.inf)
    rest = (rule.selector.specificity, number)
    declared = _that_matter(rule.declarations)
    return Placed(rule, (1, layer, *rest), (3, turned, *rest), declared)

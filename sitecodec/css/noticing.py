"""Which selectors would see that an image has other attributes, or stands in a `<picture>`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from sitecodec.css.selectors import WRAPPER, Selector
from sitecodec.css.styles import Styles
from sitecodec.css.tree import Node, Tree, node

_LATER = re.compile(r"~(?!=)")  # the combinator that one of several siblings can satisfy


def noticed(
    found: Tree, selectors: Iterable[Selector], element: Element, changed: dict[str, str]
) -> str:
    """The selector that would match otherwise if an image had these attributes; '' for none."""
    seeing = list(selectors)
    if not seeing:
        return ""
    attributes = dict(element.attrib)
    image = node(found, element)
    was = [selector.around(image) for selector in seeing]
    before: _Matches = {}
    after: _Matches = {}
    element.attrib.update(changed)
    try:
        image = node(found, element)
        alone = _alone(seeing, was, [selector.around(image) for selector in seeing])
        after = _matches(found, seeing, element, alone)
        element.attrib.clear()
        element.attrib.update(attributes)
        before = _matches(found, seeing, element, alone)
    finally:
        element.attrib.clear()
        element.attrib.update(attributes)
    return _difference(before, after)


def wrapper_noticed(found: Tree, styles: Styles, element: Element, sources: int) -> str:
    """The selector that would match otherwise if an image stood in a `<picture>`; '' for none."""
    seeing = list(styles.seeing.get(WRAPPER, ()))
    parent = found.parents[element]
    image = node(found, element)
    place = image.index
    picture = Element("picture")
    picture.extend(Element("source") for _ in range(sources))
    other = Node(picture, image.parent, place, None, in_html_document=True)
    was, becomes = ([selector.around(n) for selector in seeing] for n in (image, other))
    alone = _alone(seeing, was, becomes)
    before = _matches(found, seeing, element, alone)
    picture.append(element)
    parent[place] = picture
    found.parents[picture], found.parents[element] = parent, picture
    found.places[picture], found.places[element] = place, sources
    try:
        after = _matches(found, seeing, element, alone)
        why = _difference(before, after)
        if not why:
            wrapped = node(found, picture)
            shows = ("display", "font-size", "font", "line-height", "writing-mode", "zoom")
            for rule, *_ in styles.matched(wrapped):
                names = {own.name for own in rule.declarations}
                if not names.isdisjoint(shows) and rule.selector.text not in ("*", ":root *"):
                    return rule.selector.text
    finally:
        parent[place] = element
        found.parents[element], found.places[element] = parent, place
        del found.parents[picture], found.places[picture], found.nodes[picture]
    return why or _all_noticed(found, styles, parent)


def _all_noticed(found: Tree, styles: Styles, parent: Element) -> str:
    """The selector that would match otherwise if all images beside each other were wrapped.

    To `img ~ p` one image may go into a `<picture>` as long as another stays: but not the last.
    """
    if parent not in styles.together:
        seeing = [s for s in styles.seeing.get(WRAPPER, ()) if s.siblings and _LATER.search(s.text)]
        images = [place for place, child in enumerate(parent) if child.tag == "img"]
        several = bool(seeing) and len(images) > 1
        styles.together[parent] = _wrapping(found, seeing, parent, images) if several else ""
    return styles.together[parent]


def _wrapping(found: Tree, seeing: list[Selector], parent: Element, images: list[int]) -> str:
    """The selector among these that sees the images at some places of a parent being wrapped."""
    wrapped = frozenset(images)
    beside = [
        inner
        for place, child in enumerate(parent)
        if place > images[0] and place not in wrapped
        for inner in child.iter()
    ]

    def matching() -> _Matches:
        found.steps.take(len(seeing) * len(beside))
        nodes = [node(found, element, anew=True) for element in beside]
        return {(s.text, n.etree_element): True for s in seeing for n in nodes if s.may_match(n)}

    before, kept = matching(), [parent[place] for place in images]
    try:
        for place in images:
            parent[place] = Element("picture")
        return _difference(before, matching())
    finally:
        for place, image in zip(images, kept, strict=True):
            parent[place] = image


_Matches = dict[tuple[str, Element], bool]
_Around = list[list[bool] | None]


def _alone(seeing: list[Selector], was: _Around, becomes: _Around) -> frozenset[str]:
    """The selectors to which other elements are after a change what they were before it."""
    pairs = zip(seeing, was, becomes, strict=True)
    return frozenset(s.text for s, old, new in pairs if old is not None and old == new)


def _matches(
    found: Tree, seeing: Iterable[Selector], element: Element, alone: frozenset[str]
) -> _Matches:
    """The matches of selectors among the elements whose match an image can change.

    To the selectors in `alone`, that is the image.
    """
    image = node(found, element)
    outer = image.parent if image.parent.etree_element.tag == "picture" else image
    parent, place = outer.parent, outer.index
    after: list[Node] = []
    others: list[Node] = []
    matches: _Matches = {}
    for selector in seeing:
        targets = [image]
        if selector.siblings and selector.text not in alone:
            if not after:
                for child in parent.iter_children():
                    if child.index > place:
                        after += child.iter_subtree()
            targets += after
        if selector.alone:
            targets = [image, *image.ancestors]
        elif selector.has:
            others = others or list(node(found, found.root).iter_subtree())
            targets = others
        found.steps.take(len(targets))
        for target in targets:
            if target.local_name not in ("picture", "source") and selector.may_match(target):
                matches[selector.text, target.etree_element] = True
    return matches


def _difference(before: _Matches, after: _Matches) -> str:
    return next((text for text, _ in before.keys() ^ after.keys()), "")

"""A page's elements as a tree, for matching the selectors of its style sheets.

Built from the tags alone, as browsers build it where end tags are left out: `<p>` ends before a
block, `<li>` before the next one, `<tr>` gets a `<tbody>`. The content of
`<template>` is not in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement

from cssselect2 import ElementWrapper

from sitecodec.page.tokens import attributes_of, tags

_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr keygen frame".split()
)
_HEAD = frozenset("base link meta noscript script style template title".split())
_ENDS_P = frozenset(
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure"
    " footer form h1 h2 h3 h4 h5 h6 header hgroup hr main menu nav ol p pre search section table"
    " ul".split()
)
# The elements that a start tag closes, and the elements that it does not look beyond.
_CLOSES = {
    "li": (("li",), ("ul", "ol", "menu")),
    "dt": (("dt", "dd"), ("dl",)),
    "dd": (("dt", "dd"), ("dl",)),
    "tr": (("tr",), ("table",)),
    "td": (("td", "th"), ("tr", "table")),
    "th": (("td", "th"), ("tr", "table")),
    "tbody": (("tbody", "thead", "tfoot"), ("table",)),
    "tfoot": (("tbody", "thead", "tfoot"), ("table",)),
    "option": (("option",), ("select",)),
}
_BARRIERS = frozenset("table td th caption button object marquee svg math".split())
_FOREIGN = ("svg", "math")
_BREAK_OUT = ("li", "dt", "dd")  # of _CLOSES: they end svg and math, where others are part of them
# The elements of SVG and MathML in which everything is HTML again.
_HTML_AGAIN = frozenset("foreignobject desc title annotation-xml mi mn mo ms mtext".split())

_DEEPEST = 512  # elements in each other, as in Chromium: what is deeper stands beside them


_LEAST_STEPS = 1_000_000
_STEPS_PER_ELEMENT = 10
_STEPS_OF_NODE = 5  # to wrap an element takes as long as so many comparisons with a rule


class TooMuchError(Exception):
    """Matching a page's elements and rules would take far longer than reading them."""


class Steps:
    """Counts looks at elements and rules, so that many of both cannot cost their product."""

    def __init__(self) -> None:
        self.left = _LEAST_STEPS

    def take(self, count: int) -> None:
        """Take some of the steps that are left. Raises TooMuchError."""
        self.left -= count
        if self.left < 0:
            raise TooMuchError


class Tree(NamedTuple):
    """The elements of a page."""

    root: Element
    images: dict[int, Element]
    """The elements that are `<img>`, by the start of their tags."""

    parents: dict[Element, Element]

    places: dict[Element, int]
    """How many elements stand before each in its parent, as the page was read."""

    texts: dict[Element, str]
    """The content of `<style>` and `<script>`, and all `<link>`s (with ''), in document order."""

    steps: Steps
    """What may be spent on this page."""

    nodes: dict[Element, Node]
    """The elements around images, wrapped once for all that is in them."""


class Node(ElementWrapper):  # type: ignore[misc]
    """An element to match selectors against; the siblings before it are wrapped when asked for."""

    def __init__(self, *args: Any, **values: Any) -> None:  # noqa: ANN401 - of the library
        super().__init__(*args, **values)
        self._previous_siblings: tuple[Node, ...] | None = None
        self.steps: Steps = Steps() if self.parent is None else self.parent.steps
        self.steps.take(_STEPS_OF_NODE)

    @property
    def ancestors(self) -> tuple[Node, ...]:
        """The elements that it is in, from the root on; selectors go through them in every way."""
        found: list[Node] = []
        parent = self.parent
        while parent is not None:  # not by recursion, as the library does it: pages may be deep
            found.append(parent)
            parent = parent.parent
        self.steps.take(1 + len(found) // 8)
        return tuple(reversed(found))

    @property
    def previous_siblings(self) -> tuple[Node, ...]:
        """The siblings before it; made once, and not by recursion as the library does it."""
        self.steps.take(1 + self.index // 8)
        if self._previous_siblings is None:
            siblings, parent = self.etree_siblings, self.parent
            self._previous_siblings = tuple(
                Node(siblings[place], parent, place, None, in_html_document=True)
                for place in range(self.index)
            )
        return self._previous_siblings

    @property
    def etree_children(self) -> Element:
        """The elements in it: of our trees, no copy without comments has to be made."""
        return self.etree_element  # type: ignore[no-any-return]

    @property
    def previous(self) -> Node | None:
        """The sibling before it."""
        if self.index == 0:
            return None
        element, parent = self.etree_siblings[self.index - 1], self.parent
        return Node(element, parent, self.index - 1, None, in_html_document=True)

    @previous.setter
    def previous(self, _: object) -> None:
        pass


def tree(data: bytes) -> Tree:
    """The tree of a document. Never fails."""
    root = Element("html")
    head, body = SubElement(root, "head"), Element("body")
    root.append(body)
    found = Tree(root, {}, {head: root, body: root}, {head: 0, body: 1}, {}, Steps(), {})
    stack = [root, head]
    templates = 0
    content: tuple[Element, int] | None = None
    for start, end, tag in tags(data, len(data), every=True):
        name = tag.lstrip("/")
        if name == "template":
            templates = max(0, templates + (-1 if tag[0] == "/" else 1))
        if templates or name == "cdata":
            continue
        if name in ("html", "head", "body"):
            own = {"html": root, "head": head, "body": body}[name]
            own.attrib.update(_attributes(data, start, end) if tag[0] != "/" else {})
            if tag == "body" or (tag == "/head" and stack[1] is head):
                stack = [root, body]
            continue
        if tag[0] == "/":
            if content and name in ("style", "script"):
                text = data[content[1] : start].decode("utf-8", "replace")
                found.texts[content[0]] = text
                content = None
            _close(stack, name)
            continue
        if stack[1] is head and name not in _HEAD:
            stack = [root, body]
        _imply(stack, name, found)
        element = SubElement(stack[-1], name, _attributes(data, start, end))
        found.parents[element] = stack[-1]
        found.places[element] = len(stack[-1]) - 1
        if name == "img":
            found.images[start] = element
        elif name in ("link", "style", "script"):
            found.texts[element] = ""
            content = (element, end) if name != "link" else content
        if len(stack) < _DEEPEST and name not in _VOID and _stays_open(data, end, name, stack):
            stack.append(element)
    found.steps.left += _STEPS_PER_ELEMENT * len(found.parents)
    return found


def _stays_open(data: bytes, end: int, name: str, stack: list[Element]) -> bool:
    """Whether a start tag opens its element: "/>" closes it in SVG and MathML, not in HTML."""
    return data[end - 2] != 0x2F or not (name in _FOREIGN or any(e.tag in _FOREIGN for e in stack))


def is_foreign(found: Tree, element: Element) -> bool:
    """Whether an element was written inside SVG or MathML, perhaps one that has no end tag.

    Browsers end that before an `<img>`, but not before a `<picture>`.
    """
    parent: Element | None = found.parents[element]
    while parent is not None and parent.tag not in _HTML_AGAIN:
        if parent.tag in _FOREIGN:
            return True
        parent = found.parents.get(parent)
    return False


def node(found: Tree, element: Element, *, anew: bool = False) -> Node:
    """An element of the tree, wrapped with its ancestors.

    `anew`: these too, where elements before them have changed since they were wrapped.
    """
    path = [element]
    above = found.parents.get(element)
    while above is not None and (anew or above not in found.nodes):
        path.append(above)
        above = found.parents.get(above)
    wrapped = None if above is None else found.nodes[above]
    for inner in reversed(path):
        wrapped = _inside(found, inner, wrapped)
        if inner is not element and not anew:
            found.nodes[inner] = wrapped
    assert wrapped is not None
    return wrapped


def _inside(found: Tree, element: Element, parent: Node | None) -> Node:
    """An element, wrapped, in its wrapped parent; None for the root."""
    if parent is None:
        root = Node(element, None, 0, None, in_html_document=True)
        root.steps = found.steps
        return root
    around = parent.etree_element
    index = found.places.get(element, -1)
    if not (0 <= index < len(around) and around[index] is element):
        index = list(around).index(element)
    return Node(element, parent, index, None, in_html_document=True)


def _attributes(data: bytes, start: int, end: int) -> dict[str, str]:
    if b"=" not in data[start:end] and b" " not in data[start:end]:
        return {}
    values: dict[str, str] = {}
    for attribute in attributes_of(data, start, end):
        values.setdefault(attribute.name, attribute.value)
    return values


def _close(stack: list[Element], name: str) -> None:
    for position in range(len(stack) - 1, 1, -1):
        if stack[position].tag == name:
            del stack[position:]
            return


def _imply(stack: list[Element], name: str, found: Tree) -> None:
    """Close what the start tag of an element ends, and open what has to be around it."""
    if name in _ENDS_P:
        for position in range(len(stack) - 1, 1, -1):
            if stack[position].tag == "p":
                del stack[position:]
                break
            if stack[position].tag in _BARRIERS:
                break
    closes, barriers = _CLOSES.get(name, ((), ()))
    for position in range(len(stack) - 1, 1, -1):
        tag = stack[position].tag
        if tag in barriers or (tag in _FOREIGN and name not in _BREAK_OUT):
            break
        if tag in closes:
            del stack[position:]
            break
    if name == "tr" and stack[-1].tag == "table":
        body = SubElement(stack[-1], "tbody")
        found.parents[body] = stack[-1]
        found.places[body] = len(stack[-1]) - 1
        stack.append(body)

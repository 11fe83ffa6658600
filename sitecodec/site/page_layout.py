"""The changes to an image of a page that nobody can see.

The page must look as its author made it. If a style sheet or a script would see that an image is
in a `<picture>`, the image gets another form. If a reserved space could differ from the image's
own, none is reserved. If the CSS does not limit how wide an image is shown, it keeps all its
pixels. A style sheet or script that cannot be read is assumed to do all of this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from sitecodec.facts import formats
from sitecodec.page.layout import ADDED, Layout

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from sitecodec.css.styles import Styles
    from sitecodec.css.tree import Node, Tree
    from sitecodec.page.html import Image
    from sitecodec.site.scripts import Script

_WATCHED = ("usemap", "ismap", "data-zoomable", "data-zoom-src", "data-zoom")
_NOT_OVERWRITTEN = frozenset((*ADDED, "width", "height", "srcset", "sizes"))
_VALUE = "?"
_PIXELS = re.compile(r"\d{1,5}", re.ASCII)
_PLAIN_STYLE = re.compile(r"(?:[-\w\s:;,.%#!]|\((?:[-\w\s,.%+*/]*)\))*")
_NO_ZOOM = frozenset(("", "1", "normal", "100%"))
_FLEX = re.compile(r"flex|-box|\?")


class PageLayout(NamedTuple):
    """A page's elements and what style sheets and scripts do to them."""

    tree: Tree
    styles: Styles
    scripts: Script
    """What all its scripts do together."""

    unknown: str
    """The style sheet that could not be read; '' if there is none."""

    content: tuple[str, int] | None
    markup: str
    linked: dict[str, str]
    """The files that this depends on, with their hashes."""

    def of(self, image: Image, natural: tuple[int, int] | None) -> Layout:
        """The permitted changes to an image whose natural size is `natural`."""
        from sitecodec.css import tree

        element = self.tree.images.get(image.start)
        if element is None:
            return Layout("off", "its place in the page is unclear")
        try:
            return self._of(image, element, natural)
        except tree.TooMuchError:
            why = "the page has too many elements and rules to compare them all"
            return Layout("off", why, natural, why, unseen=frozenset())

    def _of(self, image: Image, element: Element, natural: tuple[int, int] | None) -> Layout:
        from sitecodec.css import tree

        node = tree.node(self.tree, element)
        unseen = frozenset(n for n, v in ADDED.items() if not self._notices(element, {n: v}))
        form, why = self._form(element, node)
        unheld = self._unheld(element, node) if natural else Layout().unheld
        names = {"width": _VALUE, "height": _VALUE, "data-sitecodec": _VALUE}
        sized = not self.unknown and not self._notices(element, names)
        layout = Layout(form, why, natural, unheld, sized, unseen=unseen)
        if natural is None or self.unknown or self.scripts.measures:
            return layout
        if any(element.get(name) is not None for name in _WATCHED):
            return layout
        from sitecodec.css import widths

        hints = {name: _hint(image.get(name)) for name in ("width", "height")}
        bound = widths.shown(self.styles, node, natural, hints, self.content)
        if bound is None or widths.vertical(self.styles, node):
            return layout
        if bound.pixels < 1:  # of `sizes="0px"` browsers make a picture of no size
            return layout
        return layout._replace(window=bound.window, pixels=bound.pixels)

    def _form(self, element: Element, node: Node) -> tuple[str, str]:
        """The form of an image's markup, and why it is not 'picture'."""
        from sitecodec.css import noticing, tree

        if tree.is_foreign(self.tree, element):
            return "img", "it is in an SVG or MathML that does not end"
        if self.markup != "auto":
            return self.markup, f"markup: {self.markup}" if self.markup != "picture" else ""
        parent = self.tree.parents[element]
        why = self.unknown
        if element.get("slot") is not None or "-" in parent.tag:
            why = why or "it belongs to a custom element"
        if not why and (seen := noticing.wrapper_noticed(self.tree, self.styles, element, 2)):
            why = f"a selector would miss it: {seen}"
        for address in _renamed(element.get("src") or ""):
            if not why and (seen := self._notices(element, {"src": address})):
                why = f"a selector reads its address: {seen}"
        if not why and self._walked(node):
            why = "a script looks around it"
        if not why:
            return "picture", ""
        if seen := self._notices(element, {"srcset": _VALUE, "sizes": _VALUE}):
            return "off", f"a selector asks for its attributes: {seen}"
        return "img", why

    def _walked(self, node: Node) -> bool:
        from sitecodec.css.selectors import read
        from sitecodec.site import scripts

        if scripts.walks(v for name, v in node.etree_element.attrib.items() if name[:2] == "on"):
            return True
        node.steps.take(len(self.scripts.walks))
        return any(s.may_match(node) for text in self.scripts.walks for s in read(text))

    def _unheld(self, element: Element, node: Node) -> str:
        """Why no space can be reserved for an image of known size; '' if it can.

        It is reserved by size containment, under which a browser takes the size that it is told for
        the image's own. Layouts that depend on the image's real own size are left alone.
        """
        if self.unknown:
            return self.unknown
        own = (element.get("style") or "").strip()
        if not _PLAIN_STYLE.fullmatch(own):
            return "its style attribute"
        if seen := self._notices(element, {"style": f"{own};x", "data-sitecodec": _VALUE}):
            return f"a selector asks for its attributes: {seen}"
        values = self.styles.values
        if any("auto" in value and value != "auto" for value in values(node, "aspect-ratio")):
            return "its aspect-ratio"
        if (values(node, "contain") - {"", "none"}) or (
            values(node, "content-visibility") - {"", "visible"}
        ):
            return "its containment"
        if self.styles.is_set(node, "zoom", _NO_ZOOM):
            return "zoom"
        for parent in reversed(node.ancestors):
            shown = values(parent, "display")
            if any(_FLEX.search(value) for value in shown):
                return "it is in a flex container"
            if "contents" not in shown:
                break
        return ""

    def _notices(self, element: Element, changed: dict[str, str]) -> str:
        """The selector that would see that an image had these attributes; '' for none."""
        from sitecodec.css import noticing

        for name, value in changed.items():
            if name in _NOT_OVERWRITTEN and element.get(name) is not None:
                continue
            seeing = self.styles.seeing.get(name, ())
            if seen := noticing.noticed(self.tree, seeing, element, {name: value}):
                return seen
        return ""


def _renamed(address: str) -> Iterator[str]:
    """Addresses like those that an image's fallback may have."""
    path, mark, fragment = address.partition("#")
    name = path.partition("?")[0].rpartition("/")[2].rpartition(".")[0]
    for known in formats.fallbacks()[::-1]:
        yield f"assets/sitecodec/{name}-000000000000-100w{known.suffix}{mark}{fragment}"


def _hint(value: str | None) -> str:
    """The value of an attribute, as CSS."""
    text = (value or "").strip()
    return f"{text}px" if _PIXELS.fullmatch(text) else text.lower()

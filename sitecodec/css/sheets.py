"""Style sheets as lists of rules, with what is known of when they hold and which of them win."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import tinycss2

from sitecodec.css.selectors import Selector, selectors

_PREFIXES = re.compile(r"-(?:webkit|moz|ms|o)-")
_ALWAYS = ("", "all", "screen", "only screen", "all and (min-width:0)")
_MOST_NESTED = 20
_LEAST_WRITTEN_OUT = 4000
_WRITTEN_OUT = 8
"""How much longer than the sheet all selectors of nested rules may be: `& &` doubles them."""


_MOST_WRITTEN_OUT = 500_000
"""And how long at most: a character costs about as much as a hundred of the sheet."""


class Declaration(NamedTuple):
    """A declaration; `value` is lower case, with single spaces."""

    name: str
    value: str
    important: bool


class Rule(NamedTuple):
    """A rule with one selector."""

    selector: Selector
    declarations: tuple[Declaration, ...]
    always: bool
    """Whether it holds for every visitor on a screen: it is not in @media and the like."""

    layer: str | None
    """The full name of the cascade layer that it is in; None outside of layers."""


class Sheet(NamedTuple):
    """A style sheet."""

    rules: tuple[Rule, ...]
    imports: tuple[tuple[str, str | None, bool], ...]
    """Addresses that it imports, with the layer that they go into, and whether always."""

    layers: tuple[str, ...]
    """The layers that it names, in the order of first mention."""

    odd: tuple[str, ...] = ()
    """Selectors that were not understood."""

    def within(self, layer: str) -> Sheet:
        """The sheet in a cascade layer."""
        layers = tuple(f"{layer}.{name}" for name in self.layers)
        rules = (r._replace(layer=f"{layer}.{r.layer}" if r.layer else layer) for r in self.rules)
        return self._replace(rules=tuple(rules), layers=(layer, *layers))


class _Place(NamedTuple):
    """The place of a rule in a style sheet."""

    always: bool
    layer: str | None
    parent: str
    """The selector that nested rules begin with; '' outside of rules."""

    depth: int


class _Found(NamedTuple):
    rules: list[Rule]
    imports: list[tuple[str, str | None, bool]]
    layers: dict[str, None]
    odd: list[str]
    spare: list[int]
    """How many characters may still be written out for nested rules."""


class _TooLongError(Exception):
    """Nested rules whose selectors multiply each other."""


def _written_out(length: int) -> int:
    """The characters that all selectors of nested rules may have in a sheet of that length."""
    return min(_LEAST_WRITTEN_OUT + _WRITTEN_OUT * length, _MOST_WRITTEN_OUT)


def _spend(found: _Found, characters: int) -> None:
    """Write out selectors of nested rules. Raises _TooLongError."""
    found.spare[0] -= characters
    if found.spare[0] < 0:
        raise _TooLongError


def parse(text: str, media: str = "") -> Sheet:
    """Read a style sheet that holds for `media`. Never fails."""
    found = _Found([], [], {}, [], [_written_out(len(text))])
    tokens = tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)
    _read(tokens, _Place(_is_always(media), None, "", 0), found)
    return Sheet(tuple(found.rules), tuple(found.imports), tuple(found.layers), tuple(found.odd))


def declarations(text: str) -> tuple[Declaration, ...]:
    """The declarations of a style attribute."""
    return tuple(_declarations(tinycss2.parse_blocks_contents(text)))


def _read(nodes: list[Any], place: _Place, found: _Found) -> None:
    for node in nodes:
        try:
            if node.type == "qualified-rule":
                _rule(node, place, found)
            elif node.type == "at-rule":
                _at_rule(node, place, found)
        except RecursionError:  # of a library that goes down into every bracket
            found.odd.append("too many brackets in each other")
        except _TooLongError:
            found.odd.append("nested rules that multiply each other")


def _rule(node: Any, place: _Place, found: _Found) -> None:  # noqa: ANN401 - untyped library
    prelude = list(node.prelude)
    if place.parent:
        prelude = _nested(prelude, place.parent, found)
    read = selectors(prelude)
    if read is None:
        text = tinycss2.serialize(prelude)
        if not _PREFIXES.search(text):  # what one browser knows does not hide the rest
            found.odd.append(" ".join(text.split()))
        return
    content = tinycss2.parse_blocks_contents(node.content)
    own = tuple(_declarations(content))
    if own:
        found.rules.extend(Rule(s, own, place.always, place.layer) for s in read)
    inner = [item for item in content if item.type in ("qualified-rule", "at-rule")]
    if inner and place.depth < _MOST_NESTED:
        parent = f":is({tinycss2.serialize(prelude)})"
        _read(inner, place._replace(parent=parent, depth=place.depth + 1), found)


def _at_rule(node: Any, place: _Place, found: _Found) -> None:  # noqa: ANN401 - untyped library
    name = node.lower_at_keyword
    prelude = " ".join(tinycss2.serialize(node.prelude).split())
    if name == "import":
        _import(node.prelude, place, found)
        return
    if name == "layer" and node.content is None:
        found.layers.update(dict.fromkeys(_full(place, n.strip()) for n in prelude.split(",")))
        return
    if node.content is None or place.depth >= _MOST_NESTED:
        return
    inside = place._replace(depth=place.depth + 1)
    if name == "layer":
        layer = _full(place, prelude or f"?{len(found.layers)}")
        found.layers.setdefault(layer)
        inside = inside._replace(layer=layer)
    elif name == "media":
        if prelude.lower() == "print":
            return
        inside = inside._replace(always=place.always and _is_always(prelude))
    elif name in ("supports", "container", "scope", "starting-style", "document"):
        inside = inside._replace(always=False)
    else:  # @font-face, @keyframes, @page: no rules for elements
        return
    content = tinycss2.parse_blocks_contents(node.content)
    own = tuple(_declarations(content))
    if own and place.parent:
        _spend(found, len(place.parent))
        read = selectors(tinycss2.parse_component_value_list(place.parent))
        found.rules.extend(Rule(s, own, inside.always, inside.layer) for s in read or ())
    _read([n for n in content if n.type in ("qualified-rule", "at-rule")], inside, found)


def _import(prelude: list[Any], place: _Place, found: _Found) -> None:
    address, layer, rest = "", None, []
    for token in prelude:
        if token.type in ("string", "url") and not address:
            address = token.value
        elif token.type == "function" and token.lower_name == "url" and not address:
            address = "".join(t.value for t in token.arguments if t.type == "string")
        elif token.type == "ident" and token.lower_value == "layer":
            layer = _full(place, f"?{len(found.layers)}")
        elif token.type == "function" and token.lower_name == "layer":
            layer = _full(place, tinycss2.serialize(token.arguments).strip())
        else:
            rest.append(token)
    if layer:
        found.layers.setdefault(layer)
    media = " ".join(tinycss2.serialize(rest).split())
    if address and media.lower() != "print":
        found.imports.append((address, layer or place.layer, place.always and _is_always(media)))


def _full(place: _Place, name: str) -> str:
    return f"{place.layer}.{name}" if place.layer else name


def _is_always(media: str) -> bool:
    return " ".join(media.lower().split()) in _ALWAYS


def _nested(prelude: list[Any], parent: str, found: _Found) -> list[Any]:
    """The selectors of a nested rule as they would read outside of it. Raises _TooLongError."""
    parts = []
    for part in tinycss2.serialize(prelude).split(","):
        _spend(found, len(part) + max(1, part.count("&")) * len(parent))
        if "&" in part:
            parts.append(part.replace("&", parent))
        elif part.strip():
            parts.append(f"{parent} {part.strip()}")
    return list(tinycss2.parse_component_value_list(",".join(parts)))


def _declarations(content: list[Any]) -> Iterator[Declaration]:
    for item in content:
        if item.type == "declaration":
            try:
                value = " ".join(tinycss2.serialize(item.value).split()).lower()
            except RecursionError:  # nor is it a value that anything here asks for
                continue
            yield Declaration(item.lower_name, value, item.important)

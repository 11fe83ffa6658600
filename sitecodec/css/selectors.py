"""Selectors as far as a build can judge them: what they match, and which changes they would see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any

import cssselect2
import tinycss2
from cssselect2 import parser

WRAPPER = "<picture>"
"""The value in `Selector.sees` of a selector that would see an element put around an image."""

# Pseudo-classes that the tree alone decides; other pseudo-classes hold at times.
_EXACT = frozenset(
    "root empty first-child last-child only-child first-of-type last-of-type only-of-type"
    " nth-child nth-last-child nth-of-type nth-last-of-type link any-link".split()
)
_PSEUDO_ELEMENT = re.compile(r"::[\w-]")
_OLD_PSEUDO_ELEMENT = re.compile(r":(?:before|after|first-line|first-letter)\b")
_LOGICAL = frozenset(("is", "where", "not", "has"))
_STRUCTURE = _EXACT - {"root", "link", "any-link"}


class Selector:
    """One selector, without its commas."""

    def __init__(self, tokens: list[Any]) -> None:
        """Parse component values of tinycss2. Raises cssselect2.SelectorError."""
        self.text = " ".join(tinycss2.serialize(tokens).split())
        kept, self.exact = _judged(tokens)
        """`exact` tells whether it matches for sure what `test` says it may match."""
        (self._parsed,) = parser.parse(kept)
        end = max(self.text.rfind("("), self.text.rfind(")")) + 1
        self.pseudo_element = (
            _PSEUDO_ELEMENT.search(self.text) is not None
            or _OLD_PSEUDO_ELEMENT.search(self.text, end) is not None
        )
        self.specificity: tuple[int, int, int] = self._parsed.specificity
        tree = self._parsed.parsed_tree
        subject = tree.right if isinstance(tree, parser.CombinedSelector) else tree
        self.name = self.id = ""
        self.classes: list[str] = []
        for simple in subject.simple_selectors:
            if isinstance(simple, parser.LocalNameSelector):
                self.name = simple.lower_local_name
            elif isinstance(simple, parser.IDSelector):
                self.id = simple.ident
            elif isinstance(simple, parser.ClassSelector):
                self.classes.append(simple.class_name)
        self.sees = frozenset(_seen(tree, subject=True))
        """Attributes that it asks for, and WRAPPER."""
        self.has = ":has(" in self.text.lower()
        self.siblings = "+" in self.text or "~" in self.text or "of-type" in self.text

    @cached_property
    def alone(self) -> bool:
        """Whether it asks for an ancestor of what it is about, and for nothing beside that."""
        return self.has and not self.siblings and _is_alone(self._parsed.parsed_tree)

    @cached_property
    def _around(self) -> list[Callable[[cssselect2.ElementWrapper], bool]] | None:
        """The tests of its parts besides the subject; None if one of them is not simple."""
        tree, found = self._parsed.parsed_tree, []
        if not _is_plain(getattr(tree, "right", tree)):
            return None
        while isinstance(tree, parser.CombinedSelector):
            tree = tree.left
            part = tree.right if isinstance(tree, parser.CombinedSelector) else tree
            if not _is_plain(part):
                return None
            try:
                found.append(cssselect2.compiler.CompiledSelector(parser.Selector(part)).test)
            except (cssselect2.SelectorError, NotImplementedError, SyntaxError, RecursionError):
                return None
        return found

    def around(self, node: cssselect2.ElementWrapper) -> list[bool] | None:
        """What an element is to the other elements that match; None if that is not known.

        An element that is the same to them can take its place without that they see it.
        """
        tests = self._around
        return None if tests is None else [bool(test(node)) for test in tests]

    @cached_property
    def test(self) -> Callable[[cssselect2.ElementWrapper], bool]:
        """Whether it may match an element."""
        try:
            compiled = cssselect2.compiler.CompiledSelector(self._parsed)
        except (cssselect2.SelectorError, NotImplementedError, SyntaxError, RecursionError):
            self.exact = False
            return lambda _: True
        return compiled.test  # type: ignore[no-any-return]

    def may_match(self, node: cssselect2.ElementWrapper) -> bool:
        """Whether it may match an element: a quick look before the test."""
        if self.name and self.name != node.local_name:
            return False
        if self.id and self.id != node.id:
            return False
        return all(name in node.classes for name in self.classes) and bool(self.test(node))


def _is_plain(compound: Any) -> bool:  # noqa: ANN401 - untyped library
    """Whether a compound asks an element for nothing that depends on the kind of others."""
    for simple in compound.simple_selectors:
        if isinstance(simple, parser.RelationalSelector):
            return False
        if "of-type" in str(getattr(simple, "name", "")) or getattr(simple, "name", "") == "empty":
            return False
        for inner in getattr(simple, "selector_list", ()):
            tree = inner.parsed_tree
            if isinstance(tree, parser.CombinedSelector) or not _is_plain(tree):
                return False
    return True


def _is_alone(tree: Any) -> bool:  # noqa: ANN401 - untyped library
    """Whether a selector is a compound, as are those in it."""
    if isinstance(tree, parser.CombinedSelector):
        return False
    return all(
        _is_alone(inner.parsed_tree)
        for simple in tree.simple_selectors
        if not isinstance(simple, parser.RelationalSelector)
        for inner in getattr(simple, "selector_list", ())
    )


def selectors(tokens: list[Any]) -> list[Selector] | None:
    """The selectors of a rule's prelude; None if one of them is not understood."""
    found = []
    for part in _parts(tokens):
        try:
            found.append(Selector(part))
        except (ValueError, NotImplementedError, RecursionError):  # as SelectorErrors are
            return None
    return found


@lru_cache(maxsize=4096)
def read(text: str) -> tuple[Selector, ...]:
    """The selectors that a script looks elements up by; none if they are not understood."""
    return tuple(selectors(tinycss2.parse_component_value_list(text)) or ())


def _parts(tokens: list[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    for token in tokens:
        if token == ",":
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _judged(tokens: list[Any]) -> tuple[list[Any], bool]:
    """A selector without what only a visit decides, which then matches more; whether it is whole.

    Pseudo-elements go too: what they belong to stays.
    """
    kept: list[Any] = []
    exact = True
    stream = iter(tokens)
    for token in stream:
        if token == "|" and kept and (kept[-1] == "*" or kept[-1].type == "ident"):
            kept.pop()  # a namespace
            exact = False
            continue
        if token != ":":
            kept.append(token)
            continue
        after = next(stream, None)
        if after == ":":
            after = next(stream, None)
            name = ""
        else:
            name = str(getattr(after, "lower_name", None) or getattr(after, "lower_value", ""))
        if name in _LOGICAL and after is not None and after.type == "function":
            parts = [_judged(list(part)) for part in _parts(after.arguments)]
            if all(whole for _, whole in parts):
                kept += (token, after)
                continue
            if name in ("is", "where"):
                kept += (token, _with_arguments(after, [part for part, _ in parts]))
                exact = False
                continue
        elif name in _EXACT:
            kept += (token, after)
            continue
        exact = False
        if not kept or kept[-1].type == "whitespace" or kept[-1] in (">", "+", "~"):
            kept += tinycss2.parse_component_value_list("*")
    return kept, exact


def _with_arguments(function: Any, parts: list[list[Any]]) -> Any:  # noqa: ANN401
    """A function of other arguments. Text that is parsed again would be read at each level."""
    line, column = function.source_line, function.source_column
    arguments = list(parts[0])
    for part in parts[1:]:
        arguments += (tinycss2.ast.LiteralToken(line, column, ","), *part)
    return tinycss2.ast.FunctionBlock(line, column, function.name, arguments)


def _seen(tree: Any, *, subject: bool) -> Iterator[str]:  # noqa: ANN401 - untyped library
    """The things that a selector, or a part of it, looks at."""
    if isinstance(tree, parser.CombinedSelector):
        if tree.combinator != " ":
            yield WRAPPER
        yield from _seen(tree.left, subject=False)
        yield from _seen(tree.right, subject=subject)
        return
    for simple in tree.simple_selectors:
        yield from _seen_by(simple, subject=subject)
    named = any(isinstance(simple, _NAMING) for simple in tree.simple_selectors)
    if not named and not subject:  # the wrapper could be what it means
        yield WRAPPER


_NAMING = (
    *(parser.LocalNameSelector, parser.IDSelector, parser.ClassSelector),
    parser.AttributeSelector,
)


def _seen_by(simple: Any, *, subject: bool) -> Iterator[str]:  # noqa: ANN401 - untyped library
    """What a simple selector looks at."""
    if isinstance(simple, parser.LocalNameSelector):
        if simple.lower_local_name in ("picture", "source"):
            yield WRAPPER
    elif isinstance(simple, parser.AttributeSelector):
        yield simple.lower_name
    elif isinstance(simple, parser.RelationalSelector):
        yield WRAPPER
        for relative in simple.selector_list:
            yield from _seen(relative.selector.parsed_tree, subject=False)
    elif hasattr(simple, "selector_list"):
        for inner in simple.selector_list:
            yield from _seen(inner.parsed_tree, subject=subject)
    elif getattr(simple, "name", "") in _STRUCTURE and not isinstance(simple, _NAMING):
        yield WRAPPER

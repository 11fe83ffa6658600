"""Find background images in CSS, and offer other files for them with `image-set()`.

Reads CSS as far as that takes (CSS Syntax Level 3): comments, strings, `url()`, brackets, blocks.
Reading ends at text that it does not understand; the findings before that are still right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

_STRING = r"\"(?:[^\"\\\n\r\f]|\\.)*+\"|'(?:[^'\\\n\r\f]|\\.)*+'"
_TOKEN = re.compile(
    rf"(/\*.*?\*/)|{_STRING}"
    rf"|(?<![-\w])url\(\s*+((?:{_STRING}|(?:[^\"'()\\\s]|\\.)*+))\s*+\)"
    r"|\\.|([{};()\[\]])|(/\*|[\"'\\]|(?<![-\w])url\()",
    re.DOTALL | re.IGNORECASE,
)
_PROPERTY = re.compile(r"(?:\s|/\*.*?\*/)*+(background(?:-image)?)\s*+:", re.DOTALL | re.IGNORECASE)
_SET = re.compile(r"image-set\(", re.IGNORECASE)
# A value with one of these counts as known to every browser until it is used, so no declaration
# before it would be a way out.
_LATE = re.compile(r"(?<![-\w])(?:var|env|attr|if)\(", re.IGNORECASE)


class Url(NamedTuple):
    """A `url()` at `start:end` of the text, and the address in it."""

    start: int
    end: int
    address: str


_DEEPER = {"(": 1, "[": 1, ")": -1, "]": -1}


class Background(NamedTuple):
    """A declaration at `start:end` of the text, without its semicolon."""

    start: int
    end: int
    urls: tuple[Url, ...]


def backgrounds(text: str) -> list[Background]:
    """The declarations of `background` and `background-image` that may get other files.

    Declarations with an `image-set()` or a `var()` are left out, and so are those that an
    `image-set()` in the same block follows. `text` is a style sheet or the value of a style
    attribute.
    """
    found: list[tuple[int, Background]] = []
    start = block = depth = 0
    urls: list[Url] = []

    def finish(end: int) -> None:
        declaration = text[start:end]
        name = _PROPERTY.match(declaration)
        if name and _SET.search(declaration):
            while found and found[-1][0] == block:
                found.pop()
        elif name and urls and not _LATE.search(declaration):
            begin = start + name.start(1)
            found.append((block, Background(begin, start + len(declaration.rstrip()), (*urls,))))

    for token in _TOKEN.finditer(text):
        if token[4]:
            return [background for _, background in found]
        if token[2] is not None and not depth:
            urls.append(Url(*token.span(), token[2]))
        mark = token[3]
        if mark in _DEEPER:
            depth = max(0, depth + _DEEPER[mark])
        elif mark and (not depth or mark in "{}"):
            if mark != "{":
                finish(token.start())
            if mark != ";":
                block += 1
            start, depth = token.end(), 0
            urls.clear()
    finish(len(text))
    return [background for _, background in found]


def address(url: Url) -> str | None:
    """The address as it reads without its quotes; None if escapes are in it."""
    text = url.address
    text = text[1:-1] if text[:1] in ("'", '"') else text
    return None if "\\" in text or not text.isprintable() else text


def offer(text: str, found: Iterable[Background], image_set: Callable[[str], str | None]) -> str:
    """The text with a second declaration after each of those found, that has the better files.

    `image_set` gives the function to put in an address's place, or None to keep it. A browser that
    does not know the function skips the second declaration.
    """
    parts: list[str] = []
    position = 0
    for background in found:
        better: list[str] = []
        place = background.start
        for url in background.urls:
            plain = address(url)
            function = image_set(plain) if plain is not None else None
            if function is not None:
                better += (text[place : url.start], function)
                place = url.end
        if better:
            better.append(text[place : background.end])
            parts += (text[position : background.end], ";", *better)
            position = background.end
    return "".join((*parts, text[position:]))

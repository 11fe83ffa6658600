"""Find image tags in the bytes of a document, and splice replacements; touch nothing else.

The scanner is our own reading of the WHATWG tokeniser (HTML Living Standard, 13.2.5), one regular
expression over *bytes*, not the standard library's html.parser, for three reasons. Offsets: bytes
in, byte offsets out, whatever the encoding, line ends or invalid sequences, where html.parser wants
text and answers in lines and columns. Raw text: html.parser on Python 3.11 reports tags inside
`<textarea>`, `<title>` and `<noscript>`. Speed: ten times that of html.parser, so that a warm build
of a large site stays quick. Every repetition in the patterns has exactly one way to match, so that
time is linear in the input whatever it holds.

Not built: a tree. Whether an image is inside `<picture>` or `<main>` is told from the tags
before it, which for unclosed tags errs on the side of leaving an image alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from html import unescape
from html.entities import html5
from typing import NamedTuple

# Elements whose content is text to a browser that runs scripts.
_RAW_TEXT = frozenset(
    ("textarea", "title", "noscript", "style", "iframe", "xmp", "noembed", "noframes")
)
_TEXT_ONLY = _RAW_TEXT | {"script", "plaintext"}
_CHROME = frozenset(("nav", "aside", "footer"))
_MAIN = frozenset(("main", "article"))
_WATCHED = frozenset(
    (
        *("img", "picture", "base", "head", "body", "template", "svg", "math", "header"),
        *(*_TEXT_ONLY, *_CHROME, *_MAIN),
    )
)


def _any_case(names: Iterable[str]) -> bytes:
    """A pattern for the names in any case (re.IGNORECASE would slow every other set down)."""
    tails: dict[str, set[str]] = {}
    for name in sorted(names):
        tails.setdefault(name[0], set()).add(name[1:])
    parts = []
    for first, rest in tails.items():
        longer = rest - {""}
        tail = b"(?:" + _any_case(longer) + (b")?" if "" in rest else b")") if longer else b""
        parts.append(f"[{first}{first.upper()}]".encode() + tail)
    return b"|".join(parts)


def _unwatched_start() -> bytes:
    """A pattern for the first letter of names that cannot be watched, as most tags' cannot."""
    seconds: dict[str, str] = {}
    for name in sorted(_WATCHED):
        seconds[name[0]] = seconds.get(name[0], "") + name[1]
    free = "".join(sorted(set("abcdefghijklmnopqrstuvwxyz") - set(seconds)))
    return "|".join(
        (
            f"[{free}{free.upper()}]",
            *(f"[{c}{c.upper()}](?![{nexts}{nexts.upper()}])" for c, nexts in seconds.items()),
        )
    ).encode()


_NAME = rb"[^\t\n\f\r />][^\t\n\f\r />=]*+"
_EQUALS = rb"[\t\n\f\r ]*+=[\t\n\f\r ]*+"
_VALUE = rb"\"[^\"]*+\"|'[^']*+'|[^\t\n\f\r >\"'][^\t\n\f\r >]*+|(?=>)"
_ATTRIBUTE = _NAME + rb"(?:" + _EQUALS + rb"(?:" + _VALUE + rb")|(?![\t\n\f\r ]*+=))"
# A tag of no interest whose attributes, if any, are plainly written, and the text after it.
_DULL = (
    rb"</?+(?:" + _unwatched_start() + rb")[^\t\n\f\r />]*+"
    rb"(?:>|[^>\"'=]*+(?:(?<![\t\n\f\r /])=\"[^\"]*+\"(?=[\t\n\f\r />])[^>\"'=]*+){0,9}>)[^<]*+"
)
# Group 1 is set for a watched tag, group 2 where more work is needed: comments and other markup
# declarations, a tag with very many attributes, or one that never ends. Repetitions are bounded
# because the matcher keeps a record of each.
_TAG = re.compile(
    rb"(?:" + _DULL + rb"){1,32}"
    rb"|<(?:(?:(/?(?:" + _any_case(_WATCHED) + rb"))(?=[\t\n\f\r />])|/?[a-zA-Z][^\t\n\f\r />]*+)"
    rb"(?:[\t\n\f\r /]*+" + _ATTRIBUTE + rb"){0,40}[\t\n\f\r /]*+>|([a-zA-Z!?/]))"
)
_TAG_NAME = re.compile(rb"</?([a-zA-Z][^\t\n\f\r />]*)")
_NEXT_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*+((" + _NAME + rb")(?:" + _EQUALS + rb"(" + _VALUE + rb")|(?![\t\n\f\r ]*+=)))"
)
_TAG_END = re.compile(rb"[\t\n\f\r /]*>")
_COMMENT_END = re.compile(rb"--!?>")
_SCRIPT_STEP = re.compile(rb"<!--|-->|<(/?)" + _any_case(["script"]) + rb"(?=[\t\n\f\r />])")
_HAS_IMAGE = re.compile(b"<" + _any_case(["img"]) + rb"[\t\n\f\r />]")
_REFERENCE = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);?=?")


class Attribute(NamedTuple):
    """One attribute of a tag: lower-case name, decoded value, and the bytes `start:end` it takes.

    `value` is "" for an attribute without one. Of duplicates only the first counts in HTML.
    """

    name: str
    value: str
    start: int
    end: int


class Image(NamedTuple):
    """One `<img>` tag at bytes `start:end` of its document.

    `in_content` is false in a page's frame: navigation, asides, footers, site headers, and all that
    is outside `<main>` or `<article>` where the document has one.
    """

    start: int
    end: int
    attributes: tuple[Attribute, ...]
    in_picture: bool
    in_content: bool

    def get(self, name: str) -> str | None:
        """The decoded value of an attribute, or None."""
        return next((a.value for a in self.attributes if a.name == name), None)


@dataclass(frozen=True)
class Document:
    """What `scan` found: the images in document order, and the first `<base href>`."""

    images: tuple[Image, ...] = ()
    base: str | None = None

    head_end: int | None = None
    """Where more elements of the head can be put in; None for a document without one."""


def scan(data: bytes) -> Document:
    """Find the images a browser would show in an HTML document.

    Tags inside comments, CDATA sections, scripts, `<template>`, `<noscript>` and other raw text are
    not reported. Never fails: a tag that is not closed by the end of the document is no tag.
    """
    last = max((match.start() for match in _HAS_IMAGE.finditer(data)), default=-1)
    if last < 0:
        return Document()
    images: list[Image] = []
    base: str | None = None
    head_end: int | None = None
    head_open = True
    depth = dict.fromkeys(("template", "main", "chrome"), 0)
    in_picture = has_main = False
    in_main: list[bool] = []
    cdata_end = 0
    for start, end, tag in _tags(data, last):
        closing, name = tag.startswith("/"), tag.lstrip("/")
        step = -1 if closing else 1
        if tag == "cdata":
            cdata_end = end
        elif name == "template":
            depth["template"] = max(0, depth["template"] + step)
        elif depth["template"]:
            continue
        elif tag in ("/head", "body"):
            head_end, head_open = (start if head_open else head_end), False
        elif tag == "/title":
            head_end = end if head_open else head_end
        elif tag == "img":
            head_open = False
            if start >= cdata_end:
                attributes = tuple(_attributes(data, start, end))
                images.append(Image(start, end, attributes, in_picture, not depth["chrome"]))
                in_main.append(depth["main"] > 0)
        elif name == "picture":
            in_picture = not closing
        elif name in _MAIN:
            has_main = True
            depth["main"] = max(0, depth["main"] + step)
        elif name in _CHROME or (name == "header" and not depth["main"]):
            depth["chrome"] = max(0, depth["chrome"] + step)
        elif tag == "base" and base is None:
            base = next((a.value for a in _attributes(data, start, end) if a.name == "href"), None)
    if has_main:
        images = [
            image._replace(in_content=image.in_content and main)
            for image, main in zip(images, in_main, strict=True)
        ]
    return Document(tuple(images), base, head_end)


def splice(data: bytes, replacements: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Replace spans `(start, end, new bytes)`, which must not overlap; the rest stays as it is."""
    parts: list[bytes] = []
    position = 0
    for start, end, new in sorted(replacements):
        if not position <= start <= end <= len(data):
            raise ValueError(f"span {start}:{end} overlaps another or leaves the document")
        parts += (data[position:start], new)
        position = end
    return b"".join((*parts, data[position:]))


def _tags(data: bytes, last: int) -> Iterator[tuple[int, int, str]]:
    """Spans of the watched tags, as (start, end, "name" or "/name"), and of "cdata" sections.

    Stops once it is past the offset `last`.
    """
    position: int | None = 0
    foreign = 0
    no_cdata_end = False
    while position is not None:
        for match in _TAG.finditer(data, position):
            if match.lastindex is None:
                continue
            start, end = match.span()
            if start > last:
                return
            resume: int | None = None  # where to go on, if not right after this match
            if match.lastindex == 1:
                name = match[1].lower().decode("ascii")
            elif data.startswith(b"<![CDATA[", start):
                # CDATA ends at "]]>" inside svg and math; elsewhere the standard has it end at the
                # first ">", but whoever wrote it meant "]]>", so images before that are left alone.
                close = -1 if no_cdata_end else data.find(b"]]>", start)
                no_cdata_end = close < 0
                if close >= 0:
                    yield start, close + 3, "cdata"
                position = _after(data, b"]]>" if foreign else b">", start)
                break
            else:
                position = _skip_odd(data, start)
                tag = _TAG_NAME.match(data, start)
                name = tag[0][1:].lower().decode("latin-1") if tag else ""
                if position is None or name.lstrip("/") not in _WATCHED:
                    break
                end = resume = position
            yield start, end, name
            self_closing = data[end - 2] == 0x2F
            if name.endswith(("svg", "math")):
                if not self_closing:
                    foreign = max(0, foreign + (-1 if name[0] == "/" else 1))
            elif name in _TEXT_ONLY and not (foreign and self_closing):
                position = _after_text(data, name, end)  # "/>" closes these inside svg and math
                break
            if resume is not None:
                break
        else:
            return


def _skip_odd(data: bytes, start: int) -> int | None:
    """The end of a comment, declaration or tag at `start`; None if the document ends first."""
    if data.startswith(b"<!--", start):
        if data.startswith((b">", b"->"), start + 4):
            return _after(data, b">", start)
        end = _COMMENT_END.search(data, start + 4)
        return end.end() if end else None
    tag = _TAG_NAME.match(data, start)
    if tag is None:
        return _after(data, b">", start)
    position = tag.end()
    while attribute := _NEXT_ATTRIBUTE.match(data, position):
        position = attribute.end()
    close = _TAG_END.match(data, position)
    return close.end() if close else None


def _after(data: bytes, mark: bytes, start: int) -> int | None:
    found = data.find(mark, start)
    return found + len(mark) if found >= 0 else None


@cache
def _end_tag(name: str) -> re.Pattern[bytes]:
    return re.compile(b"</(?:" + _any_case([name]) + rb")(?=[\t\n\f\r />])")


def _after_text(data: bytes, name: str, start: int) -> int | None:
    """Where the end tag of the text-only element opened before `start` begins; None if nowhere."""
    if name == "plaintext":
        return None
    if name != "script":
        end = _end_tag(name).search(data, start)
        return end.start() if end else None
    # Inside "<!--", a "<script" makes the next "</script>" part of the text: the "script data
    # double escaped state" of the standard.
    commented = nested = False
    while step := _SCRIPT_STEP.search(data, start):
        start = step.end()
        if step[0] == b"<!--":
            commented = True
            start -= 2  # "<!-->" opens and closes
        elif step[0] == b"-->":
            commented = nested = False
        elif step[1]:
            if not nested:
                return step.start()
            nested = False
        elif commented:
            nested = True
    return None


def _attributes(data: bytes, start: int, end: int) -> Iterator[Attribute]:
    tag = _TAG_NAME.match(data, start)
    position = tag.end() if tag else end
    while match := _NEXT_ATTRIBUTE.match(data, position, end):
        position = match.end()
        value = match[3] or b""
        if value[:1] in (b'"', b"'"):
            value = value[1:-1]
        name = match[2].lower().decode("utf-8", "surrogateescape")
        yield Attribute(name, _unescape(_decode(value)), match.start(1), position)


def _decode(raw: bytes) -> str:
    """Text of an attribute: UTF-8, or else the standard's fallback encoding, windows-1252."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _unescape(text: str) -> str:
    """Resolve character references as inside attributes, where `?a=1&copy=2` holds none."""

    def resolve(match: re.Match[str]) -> str:
        reference = match[0]
        if reference[1] == "#" or ";" in reference:
            return unescape(reference)
        return html5.get(reference[1:], reference)

    return _REFERENCE.sub(resolve, text) if "&" in text else text

"""Tags and attributes in the bytes of an HTML document.

Our own reading of the WHATWG tokeniser (HTML Living Standard, 13.2.5), one regular expression over
*bytes*, not the standard library's html.parser, for three reasons. Offsets: bytes in, byte offsets
out, whatever the encoding, line ends or invalid sequences, where html.parser wants text and answers
in lines and columns. Raw text: html.parser on Python 3.11 reports tags inside `<textarea>`,
`<title>` and `<noscript>`. Speed: ten times that of html.parser, so that a warm build of a large
site stays quick. Every repetition in the patterns has exactly one way to match, so that time is
linear in the input whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from html import unescape
from html.entities import html5
from typing import NamedTuple

CHROME = frozenset(("nav", "aside", "footer"))
"""Elements that hold a page's frame."""

MAIN = frozenset(("main", "article"))
"""Elements that hold its content."""

# Elements whose content is text to a browser that runs scripts.
_RAW_TEXT = frozenset(
    ("textarea", "title", "noscript", "style", "iframe", "xmp", "noembed", "noframes")
)
_TEXT_ONLY = _RAW_TEXT | {"script", "plaintext"}
_WATCHED = frozenset(
    (
        *("img", "picture", "source", "base", "head", "body", "template", "svg", "math"),
        "header",
        *(*_TEXT_ONLY, *CHROME, *MAIN),
    )
)


def any_case(names: Iterable[str]) -> bytes:
    """A pattern for the names in any case (re.IGNORECASE would slow every other set down)."""
    tails: dict[str, set[str]] = {}
    for name in sorted(names):
        tails.setdefault(name[0], set()).add(name[1:])
    parts = []
    for first, rest in tails.items():
        longer = rest - {""}
        tail = b"(?:" + any_case(longer) + (b")?" if "" in rest else b")") if longer else b""
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
# The two large patterns are compiled when they are needed first: a warm build often needs neither.


@cache
def _watched_tag() -> re.Pattern[bytes]:
    """The pattern for watched tags.

    Group 1 is set for a watched tag, group 2 where more work is needed: comments and other markup
    declarations, a tag with very many attributes, or one that never ends. Repetitions are bounded
    because the matcher keeps a record of each.
    """
    # A tag of no interest whose attributes, if any, are plainly written, and the text after it.
    dull = (
        rb"</?+(?:" + _unwatched_start() + rb")[^\t\n\f\r />]*+"
        rb"(?:>|[^>\"'=]*+(?:(?<![\t\n\f\r /])=\"[^\"]*+\"(?=[\t\n\f\r />])[^>\"'=]*+){0,9}>)[^<]*+"
    )
    return re.compile(
        rb"(?:" + dull + rb"){1,32}"
        rb"|<(?:(?:(/?(?:"
        + any_case(_WATCHED)
        + rb"))(?=[\t\n\f\r />])|/?[a-zA-Z][^\t\n\f\r />]*+)"
        rb"(?:[\t\n\f\r /]*+" + _ATTRIBUTE + rb"){0,40}[\t\n\f\r /]*+>|([a-zA-Z!?/]))"
    )


@cache
def _any_tag() -> re.Pattern[bytes]:
    """The same for all tags, not only the watched ones."""
    return re.compile(
        rb"<(?:(/?[a-zA-Z][^\t\n\f\r />]*+)"
        rb"(?:[\t\n\f\r /]*+" + _ATTRIBUTE + rb"){0,40}[\t\n\f\r /]*+>|([a-zA-Z!?/]))"
    )


_TAG_NAME = re.compile(rb"</?([a-zA-Z][^\t\n\f\r />]*)")
_NEXT_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*+((" + _NAME + rb")(?:" + _EQUALS + rb"(" + _VALUE + rb")|(?![\t\n\f\r ]*+=)))"
)
_TAG_END = re.compile(rb"[\t\n\f\r /]*>")
_COMMENT_END = re.compile(rb"--!?>")
_SCRIPT_STEP = re.compile(rb"<!--|-->|<(/?)" + any_case(["script"]) + rb"(?=[\t\n\f\r />])")
# Start tags that end svg and math, because whoever wrote them has forgotten to; and those within
# which everything is HTML again.
_BREAKOUT = re.compile(
    rb"<(?:"
    + any_case(
        "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img"
        " li listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul"
        " var annotation-xml desc foreignobject mi mn mo ms mtext title".split()
    )
    + rb")[\t\n\f\r />]"
)
_LONG_NUMBER = re.compile(r"&#(?:([xX])([0-9a-fA-F]{9,})|([0-9]{9,}))")
_REFERENCE = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);?=?")


class Attribute(NamedTuple):
    """One attribute of a tag: lower-case name, decoded value, and the bytes `start:end` it takes.

    `value` is "" for an attribute without one. Of duplicates only the first counts in HTML.
    """

    name: str
    value: str
    start: int
    end: int


class Tag(NamedTuple):
    """A start tag at bytes `start:end` of its document."""

    start: int
    end: int
    attributes: tuple[Attribute, ...]

    def get(self, name: str) -> str | None:
        """The decoded value of an attribute, or None."""
        return next((a.value for a in self.attributes if a.name == name), None)


def tags(data: bytes, last: int, *, every: bool = False) -> Iterator[tuple[int, int, str]]:
    """Spans of the watched tags, or of every tag, as (start, end, "name" or "/name").

    Spans of CDATA sections are among them, named "cdata".

    Stops once it is past the offset `last`.
    """
    pattern = _any_tag() if every else _watched_tag()
    position: int | None = 0
    foreign = inside = 0
    cdata_end = 0  # of the last section that was looked at; -1 when no more of them end
    while position is not None:
        for match in pattern.finditer(data, position):
            if match.lastindex is None:
                continue
            start, end = match.span()
            if start > last:
                return
            resume: int | None = None  # where to go on, if not right after this match
            if match.lastindex == 1:
                name = match[1].lower().decode("latin-1")
            elif data.startswith(b"<![CDATA[", start):
                # CDATA ends at "]]>" inside svg and math; elsewhere the standard has it end at the
                # first ">", but whoever wrote it meant "]]>", so images before that are left alone.
                cdata_end = data.find(b"]]>", start) if 0 <= cdata_end <= start else cdata_end
                yield from _cdata(start, cdata_end)
                position = _after(data, b"]]>" if foreign else b">", start)
                break
            else:
                position = _skip_odd(data, start)
                tag = _TAG_NAME.match(data, start)
                name = tag[0][1:].lower().decode("latin-1") if tag else ""
                if position is None or not (name if every else name.lstrip("/") in _WATCHED):
                    break
                end = resume = position
            yield start, end, name
            self_closing = data[end - 2] == 0x2F
            if name.lstrip("/") in ("svg", "math") and not self_closing:
                inside = inside if foreign else end
                foreign = max(0, foreign + (-1 if name[0] == "/" else 1))
            elif name in _TEXT_ONLY:
                # "/>" closes these inside svg and math, and only there.
                if foreign and self_closing and not _BREAKOUT.search(data, inside, start):
                    inside = end
                else:
                    foreign = foreign if not self_closing else 0
                    position = _after_text(data, name, end)
                    break
            if resume is not None:
                break
        else:
            return


def _cdata(start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """The span of a CDATA section, if it ends."""
    if end >= 0:
        yield start, end + 3, "cdata"


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
    return re.compile(b"</(?:" + any_case([name]) + rb")(?=[\t\n\f\r />])")


def _after_text(data: bytes, name: str, start: int) -> int | None:
    """The start of the end tag of a text-only element opened before `start`; None if none."""
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


def attributes_of(data: bytes, start: int, end: int) -> Iterator[Attribute]:
    """The attributes of the tag at `start:end`."""
    tag = _TAG_NAME.match(data, start)
    position = tag.end() if tag else end
    while match := _NEXT_ATTRIBUTE.match(data, position, end):
        position = match.end()
        value = match[3] or b""
        if value[:1] in (b'"', b"'"):
            value = value[1:-1]
        name = match[2].lower().decode("utf-8", "surrogateescape")
        yield Attribute(name, _unescape(_decode(value)), match.start(1), position)


def plain_tags(data: bytes, name: str) -> Iterator[Tag]:
    """Start tags of that name that hold no `<` or `>`, wherever they stand; comments too."""
    for match in _plain_tag(name).finditer(data):
        yield Tag(*match.span(), tuple(attributes_of(data, *match.span())))


@cache
def _plain_tag(name: str) -> re.Pattern[bytes]:
    return re.compile(b"<(?:" + any_case([name]) + rb")[\t\n\f\r /][^<>]*+>")


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
            return resolved(reference)
        return html5.get(reference[1:], reference)

    return _REFERENCE.sub(resolve, text) if "&" in text else text


def resolved(text: str) -> str:
    """The text with all its character references resolved, as outside of attributes.

    Python reads no number of thousands of digits; a character has seven at most.
    """
    return unescape(_LONG_NUMBER.sub(_short_number, text))


def _short_number(match: re.Match[str]) -> str:
    digits = (match[2] or match[3]).lstrip("0") or "0"
    # Past the last character, the standard has the replacement character.
    return f"&#{match[1] or ''}{digits if len(digits) <= 8 else '99999999'}"

"""The encoding by which browsers read a document, as far as our reading of its bytes depends on it.

Tags are found in bytes, which is right where every byte of ASCII stands for itself. It does not in
some encodings: in ISO-2022-JP and UTF-16 the bytes of Japanese text may read `<img`. In Shift_JIS,
GBK and Big5 the second byte of a character may be a backslash or a brace, which is nothing to HTML
but much to CSS. Encodings are told as browsers do (WHATWG Encoding; HTML Living Standard, 13.2.3):
by a byte order mark, else by the first `<meta>`, else by an XML declaration.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

from sitecodec.page.tokens import any_case, attributes_of, tags

_WINDOW = 1024
"""The bytes of a document within which browsers look for its encoding."""

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16"), (b"\xff\xfe", "utf-16"))
# Their labels. UTF-16 in a <meta> is read as UTF-8. UTF-7, UTF-32 and HZ are no encodings to
# browsers, but to whoever wrote such a page.
_SHIFTING = re.compile(
    r"iso-?2022-?\w\w.*|csiso2022\w\w|replacement|(?:unicode-1-1-)?utf-?7(?:-imap)?|hz(?:-gb-2312)?"
    r"|utf-?32.*|ucs-?4.*|scsu|bocu-1|(?:ebcdic|cp037|ibm037).*"
)
_DOUBLE = re.compile(
    r"(?:x-)?s(?:hift)?[-_]?jis|ms_kanji|ms932|csshiftjis|windows-31j|x-sjis|cp932"
    r"|gbk|x-gbk|gb18030|gb2312|gb_2312(?:-80)?|csgb2312|csiso58gb231280|chinese|iso-ir-58|cp936"
    r"|big5(?:-hkscs)?|cn-big5|csbig5|x-x-big5|cp950"
)
_META = re.compile(rb"<(?:" + any_case(["meta"]) + rb")[\t\n\f\r /][^<>]*+>")
_NAMED = re.compile(r"charset[\t\n\f\r ]*+=[\t\n\f\r \"']*+([^\t\n\f\r \"';]+)", re.I)
_XML = re.compile(rb"<\?xml[^<>]*?encoding[\t\n\r ]*=[\t\n\r ]*[\"']([A-Za-z0-9._:-]+)")
_ESCAPE = re.compile(rb"\x1b[$(]")
_COMMENT = re.compile(rb"/\*.*?(?:\*/|\Z)", re.DOTALL)
_SECOND_BYTE = re.compile(rb"[\x81-\xfe][\\{}]")


Span: TypeAlias = tuple[int, int, bytes]
"""A replacement of the bytes from one offset to another."""


# The beginnings of what we put in the place of an element, or between two.
_ELEMENTS = (b"<link", b"<style", b"<script", b"<picture", b"<img", b"<source")


class _Declared(NamedTuple):
    """The `<meta>` that names a document's encoding, at bytes `start:end`."""

    label: str
    start: int
    end: int


def _declared(data: bytes) -> _Declared | None:
    """The first `<meta>` in a document's head that names its encoding."""
    if b"charset" not in data.lower():
        return None
    for start, end, name in tags(data, len(data), every=True):
        if name == "body" or (name == "/head" and start > _WINDOW):
            return None
        if name == "meta" and (label := _label(data, start, end)):
            return _Declared(label, start, end)
    return None


def unreadable(data: bytes) -> str:
    """The encoding of a document in which text may look like tags or CSS; '' if it cannot."""
    mark = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if mark:
        return "" if mark == "utf-8" else "UTF-16"
    labels = [label for m in _META.finditer(data) if (label := _label(data, *m.span()))]
    if xml := _XML.match(data):
        labels.append(xml[1].decode().lower())
    # All of them, for text that looks like a tag may hide the one that counts.
    for label in labels:
        if _SHIFTING.fullmatch(label) or (_DOUBLE.fullmatch(label) and _in_css(data)):
            return label
    if not labels and _ESCAPE.search(data):
        return "iso-2022-jp"  # as browsers guess
    return ""


def is_doubtful_css(data: bytes) -> bool:
    """Whether a style sheet may hold characters whose second byte CSS would take for its own."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _SECOND_BYTE.search(_COMMENT.sub(b"", data)) is not None
    return False


def kept_early(data: bytes, spans: list[Span]) -> list[Span]:
    """The changes to a document, such that browsers still find what names its encoding.

    They look for it in the first bytes only, so it moves before what would push it out of these.
    """
    before = min(spans, default=None)
    if before is None or before[0] >= _WINDOW:
        return spans
    meta = _declared(data)
    if meta is None or meta.end > _WINDOW or meta.start < before[0]:
        return spans
    added = sum(len(new) - (end - start) for start, end, new in spans if end <= meta.start)
    if meta.end + added <= _WINDOW:
        return spans
    start, end, new = before
    if not new.startswith(_ELEMENTS):  # but in the middle of a tag, or of a style sheet
        return spans
    moved = data[meta.start : meta.end] + new
    left = [span for span in spans if span is not before]
    return [(start, end, moved), *left, (meta.start, meta.end, b"")]


def _in_css(data: bytes) -> bool:
    """Whether the CSS in a document has a character that ends in what is syntax to CSS."""
    content: int | None = None
    for start, end, name in tags(data, len(data), every=True):
        if name == "/style" and content is not None and is_doubtful_css(data[content:start]):
            return True
        content = end if name == "style" else None
        if name[0] == "/" or b"style" not in data[start:end].lower():
            continue
        own = (a for a in attributes_of(data, start, end) if a.name == "style")
        if any(_SECOND_BYTE.search(data, a.start, a.end) for a in own):
            return True
    return False


def _label(data: bytes, start: int, end: int) -> str:
    """The encoding that a `<meta>` names, in lower case; '' for none."""
    values = {a.name: a.value for a in reversed(list(attributes_of(data, start, end)))}
    label = values.get("charset", "")
    if not label and values.get("http-equiv", "").strip().lower() == "content-type":
        found = _NAMED.search(values.get("content", ""))
        label = found[1] if found else ""
    return label.strip("\t\n\f\r ").lower()

"""Take out of a page what an earlier run has put in, so that it reads as its author wrote it.

Only markup that the templates of this package have written is known for certain; whatever else a
site's own templates add stays. Whose files are whose is for the caller to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape
from itertools import pairwise
from typing import TypeAlias

from sitecodec.page import html, srcset
from sitecodec.page.html import Image, Style
from sitecodec.page.markup import ADDED
from sitecodec.page.tokens import Attribute

SourceOf: TypeAlias = Callable[[str], str | None]
"""The address of the source of the encoded file at an address; None for any other address.

Itself for that of a source that has changed: what was added to its tag may not be true any more.
"""

Span: TypeAlias = tuple[int, int, bytes]

_PICTURE = re.compile(rb"<picture\b[^<>]*\bdata-sitecodec\b[^<>]*>\s*\Z")
_LONGEST = 2000  # bytes of its start tag
_PICTURE_END = re.compile(rb"\s*</picture\s*>")
# What stands in for an image while it loads, and the size that its space is reserved by.
_OWN_STYLE = re.compile(
    r"(?:(?:^|;)background:(?:#[0-9a-f]{6}|url\(data:[^()]*\)0/100% 100% content-box))?"
    r"(?:(?:^|;)contain-intrinsic-size:\d+px \d+px(?:;--sitecodec-ratio:\d+/\d+)?)?$"
)
_BETTER = re.compile(r";background(?:-image)?\s*:[^;{}]*image-set\([^;{}]*", re.IGNORECASE)
_URL = re.compile(r"url\(([^()\"'\s]+)\)")


def spans(data: bytes, source_of: SourceOf) -> list[Span]:
    """The replacements in a page that restore its author's tags and styles."""
    found: list[Span] = []
    for image in html.scan(data).images:
        found += _image(data, image, source_of)
    for style in html.styles(data):
        found += _style(style, source_of)
    for tag in html.preloads(data):
        found += _preload(data, tag, source_of)
    return found


def css(text: str, source_of: SourceOf) -> str:
    """CSS without the declarations that offer encoded files of known sources."""

    def without(match: re.Match[str]) -> str:
        return "" if any(_names(url[1], source_of) for url in _URL.finditer(match[0])) else match[0]

    return _BETTER.sub(without, text)


def _preload(data: bytes, tag: html.Tag, source_of: SourceOf) -> Iterator[Span]:
    """A link to the source in place of one that loads encoded files early."""
    listed = srcset.parse(tag.get("imagesrcset") or "") or []
    addresses = [tag.get("href") or "", *(c.url for c in listed)]
    source = next((s for a in addresses if (s := source_of(a)) not in (None, a)), None)
    if source is None:
        return
    kept = [
        a for a in tag.attributes if a.name not in ("href", "type", "imagesrcset", "imagesizes")
    ]
    parts = [b"<link", *(b" " + data[a.start : a.end] for a in kept)]
    end = data[tag.attributes[-1].end : tag.end]
    yield tag.start, tag.end, b"".join((*parts, f' href="{escape(source)}"'.encode(), end))


def _style(style: Style, source_of: SourceOf) -> Iterator[Span]:
    new = css(style.text, source_of)
    if new == style.text:
        return
    if style.attribute:
        new = f'style="{escape(new)}"'
    yield style.start, style.end, new.encode("utf-8", "surrogateescape")


def _image(data: bytes, image: Image, source_of: SourceOf) -> Iterator[Span]:
    """The author's tag in place of one that shows encoded files, and of the `<picture>` around."""
    if image.in_picture and image.sources is None:
        return  # a template of the site's own has made it
    sources = [tag for tag in image.sources or () if _names(tag.get("srcset"), source_of)]
    shown = source_of(image.get("src") or "") is not None
    if not (sources or shown or _names(image.get("srcset"), source_of)):
        return
    new = _tag(data, image, source_of)
    if around := _around(data, image):
        yield *around, new
        return
    for tag in sources:
        yield tag.start, tag.end, b""
    yield image.start, image.end, new


def _around(data: bytes, image: Image) -> tuple[int, int] | None:
    """The place of the `<picture>` that we have put around an image, if there is one.

    Nothing else stands in it: what does, an author has written.
    """
    end = _PICTURE_END.match(data, image.end)
    if image.sources is None or end is None:
        return None
    places = [(tag.start, tag.end) for tag in image.sources] + [(image.start, image.end)]
    if any(data[one[1] : other[0]].strip() for one, other in pairwise(places)):
        return None
    first = places[0][0]
    begin = _PICTURE.search(data, max(0, first - _LONGEST), first)
    return (begin.start(), end.end()) if begin else None


def _tag(data: bytes, image: Image, source_of: SourceOf) -> bytes:
    """The `<img>` without the attributes that were added, and with its source's address."""
    raw = data[image.start : image.end]
    attributes = image.attributes
    last = attributes[-1].end if attributes else image.start + 4
    kept = attributes[: len(attributes) - _added(data, attributes, source_of)]
    parts = [data[image.start : image.start + 4]]
    position = image.start + 4
    for attribute in kept:
        new = _attribute(attribute, source_of)
        if new is not None:
            parts += (data[position : attribute.start], new)
            position = attribute.end
    end = kept[-1].end if kept else image.start + 4
    return b"".join((*parts, data[position:end], raw[last - image.start :]))


def _attribute(attribute: Attribute, source_of: SourceOf) -> bytes | None:
    """The author's attribute before it was changed; None if it was not."""
    name, value = attribute.name, attribute.value
    if name == "src" and (source := source_of(value)) is not None:
        value = source
    elif name == "style":
        value = _OWN_STYLE.sub("", value)
    if value == attribute.value:
        return None
    return f'{name}="{escape(value)}"'.encode("utf-8", "surrogateescape")


def _added(data: bytes, attributes: tuple[Attribute, ...], source_of: SourceOf) -> int:
    """How many of the last attributes are ours: as we write them, in our order."""
    number, place = 0, len(ADDED)
    marked = False
    for attribute in reversed(attributes):
        name, value = attribute.name, attribute.value
        if name not in ADDED[:place] or not _is_ours(name, value, source_of, marked=marked):
            break
        if data[attribute.start : attribute.end] != f'{name}="{escape(value)}"'.encode():
            break
        marked = marked or name == "data-sitecodec"
        place = ADDED.index(name)
        number += 1
    return number


def _is_ours(name: str, value: str, source_of: SourceOf, *, marked: bool) -> bool:
    """Whether it may be we who have written that attribute."""
    if name in ("width", "height"):
        return marked
    if name == "srcset":
        return _names(value, source_of)
    if name == "style":
        return bool(value) and not _OWN_STYLE.sub("", value)
    plain = {"decoding": "async", "fetchpriority": "high", "loading": "lazy"}
    return plain.get(name, value) == value


def _names(text: str | None, source_of: SourceOf) -> bool:
    """Whether an address or srcset names an encoded file of a known source."""
    candidates = srcset.parse(text or "") or [srcset.Candidate(text or "")]
    return any(source_of(c.url) not in (None, c.url) for c in candidates)

"""Find what pages show in the bytes of a document, and splice replacements; touch nothing else.

Not built: a tree. Whether an image is inside `<picture>` or `<main>` is told from the tags
before it, which for unclosed tags errs on the side of leaving an image alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sitecodec.page.splice import splice
from sitecodec.page.tokens import (
    CHROME,
    MAIN,
    Attribute,
    Tag,
    any_case,
    attributes_of,
    plain_tags,
    tags,
)

__all__ = [
    "Attribute",
    "Document",
    "Image",
    "Script",
    "Style",
    "Tag",
    "attributes_of",
    "handlers",
    "preloads",
    "scan",
    "scripts",
    "splice",
    "styles",
    "tags",
]

_PICTURE_END = re.compile(rb"[\t\n\f\r ]*</" + b"(?:" + any_case(["picture"]) + rb")[\t\n\f\r ]*>")
_HANDLER = re.compile(rb"[\t\n\f\r /\"'][oO][nN][a-zA-Z]+[\t\n\f\r ]*=")
_PRELOAD = re.compile(rb"\bpreload\b", re.IGNORECASE)
_HAS_RASTER_URL = re.compile(rb"(?i:url)\([^()]*?\.(?i:png|jpe?g|jpe|jfif|webp|bmp|gif)\b")


# Start tags before which browsers end a head that has no end tag.
_BODY = CHROME | MAIN | {"svg", "math", "picture", "header"}


class Image(NamedTuple):
    """One `<img>` tag at bytes `start:end` of its document.

    `in_content` is false in a page's frame: navigation, asides, footers, site headers, and all that
    is outside `<main>` or `<article>` where the document has one. `sources` are those of the
    `<picture>` that holds nothing else but them and this image; None where there is none such.
    """

    start: int
    end: int
    attributes: tuple[Attribute, ...]
    in_picture: bool
    in_content: bool
    sources: tuple[Tag, ...] | None = None

    def get(self, name: str) -> str | None:
        """The decoded value of an attribute, or None."""
        return next((a.value for a in self.attributes if a.name == name), None)


class Style(NamedTuple):
    """CSS in a document: the content of a `<style>` at bytes `start:end`, or a style attribute.

    Bytes that are not UTF-8 are surrogates in `text`. `start:end` is the whole attribute.
    """

    start: int
    end: int
    text: str
    attribute: bool


class Script(NamedTuple):
    """A script: its address, or what stands in the document."""

    src: str
    text: str


class Document(NamedTuple):
    """The result of `scan`: the images in document order, and the first `<base href>`."""

    images: tuple[Image, ...] = ()
    base: str | None = None

    head_end: int | None = None
    """The place for further elements of the head; None for a document without one."""


def scan(data: bytes) -> Document:
    """Find the images a browser would show in an HTML document.

    Tags inside `<template>` are not reported here. `tokens.tags` already leaves out those inside
    comments, CDATA sections, scripts, `<noscript>` and other raw text. Never fails: a tag that is
    not closed by the end of the document is no tag.
    """
    last = data.lower().rfind(b"<img")
    if last < 0:
        return Document()
    images: list[Image] = []
    head = _Head()
    depth = dict.fromkeys(("template", "main", "chrome"), 0)
    in_picture = has_main = False
    in_main: list[bool] = []
    cdata_end = 0
    picture = _Picture(0)
    for start, end, tag in tags(data, last):
        closing, name = tag.startswith("/"), tag.lstrip("/")
        step = -1 if closing else 1
        if tag == "cdata":
            cdata_end = end
            continue
        if name == "template":
            depth["template"] = max(0, depth["template"] + step)
        if depth["template"]:
            continue
        head.see(data, start, end, tag)
        if tag == "img" and start >= cdata_end:
            attributes = tuple(attributes_of(data, start, end))
            sources = picture.around(data, start, end) if in_picture else None
            images.append(Image(start, end, attributes, in_picture, not depth["chrome"], sources))
            in_main.append(depth["main"] > 0)
        elif name == "picture":
            in_picture = not closing
            picture = _Picture(end)
        elif tag == "source" and in_picture:
            picture.add(data, Tag(start, end, tuple(attributes_of(data, start, end))))
        elif name in MAIN:
            has_main = True
            depth["main"] = max(0, depth["main"] + step)
        elif name in CHROME or (name == "header" and not depth["main"]):
            depth["chrome"] = max(0, depth["chrome"] + step)
    if has_main:
        images = [
            image._replace(in_content=image.in_content and main)
            for image, main in zip(images, in_main, strict=True)
        ]
    return Document(tuple(images), head.base, head.end)


def styles(data: bytes) -> list[Style]:
    """The CSS of a document that may show pictures, but for that of images themselves.

    Attributes of elements with `data-sitecodec="off"`, in templates, or whose bytes are not UTF-8
    are left out. Never fails.
    """
    if not shows_raster(data):
        return []
    found: list[Style] = []
    templates = 0
    content: int | None = None
    for start, end, tag in tags(data, len(data), every=True):
        if tag.endswith("template"):
            templates = max(0, templates + (-1 if tag[0] == "/" else 1))
        if tag == "/style" and content is not None and not templates:
            text = data[content:start]
            if _HAS_RASTER_URL.search(text):
                found.append(Style(content, start, text.decode("utf-8", "surrogateescape"), False))
        content = end if tag == "style" else None
        if templates or tag[0] == "/" or tag in ("img", "source", "cdata", "style"):
            continue
        if not _HAS_RASTER_URL.search(data, start, end):
            continue
        attributes = list(attributes_of(data, start, end))
        if any(a.name == "data-sitecodec" and a.value.lower() == "off" for a in attributes):
            continue
        own = next((a for a in attributes if a.name == "style"), None)
        if own is not None and _is_utf8(data[own.start : own.end]):
            found.append(Style(own.start, own.end, own.value, True))
    return found


def scripts(data: bytes) -> list[Script]:
    """The scripts of a document, in its order; also files that modules are said to import."""
    found: list[Script] = []
    opened: tuple[int, tuple[Attribute, ...]] | None = None
    for start, end, tag in tags(data, data.rfind(b"<") if b"<" in data else 0):
        if tag == "script":
            opened = end, tuple(attributes_of(data, start, end))
        elif tag == "/script" and opened is not None:
            content, attributes = opened
            src = next((a.value for a in attributes if a.name == "src"), None)
            text = data[content:start].decode("utf-8", "replace") if src is None else ""
            found.append(Script(src or "", text))
            opened = None
    for link in plain_tags(data, "link") if b"modulepreload" in data.lower() else ():
        href = link.get("href")
        if (link.get("rel") or "").lower() == "modulepreload" and href:
            found.append(Script(href, ""))
    return found


def handlers(data: bytes) -> list[str]:
    """The inline handlers of a document's elements (`onclick` and its kin)."""
    if not _HANDLER.search(data):
        return []
    return [
        attribute.value
        for start, end, name in tags(data, len(data), every=True)
        if name[0] != "/" and _HANDLER.search(data, start, end)
        for attribute in attributes_of(data, start, end)
        if attribute.name.startswith("on")
    ]


def preloads(data: bytes) -> list[Tag]:
    """The `<link rel=preload as=image>` tags of a document."""
    if not _PRELOAD.search(data):
        return []
    found = []
    templates = 0
    for start, end, name in tags(data, len(data), every=True):
        if name.endswith("template"):
            templates = max(0, templates + (-1 if name[0] == "/" else 1))
        if name == "link" and not templates:
            tag = Tag(start, end, tuple(attributes_of(data, start, end)))
            rel = (tag.get("rel") or "").lower().split()
            if "preload" in rel and (tag.get("as") or "").strip().lower() == "image":
                found.append(tag)
    return found


def shows_raster(css: bytes) -> bool:
    """Whether CSS may show pictures of pixels: a quick look."""
    # Only scripts say "URL(", and a plain search is ten times as fast.
    return b"url(" in css and _HAS_RASTER_URL.search(css) is not None


class _Head:
    """What a document's head tells, from its tags one after the other."""

    def __init__(self) -> None:
        self.base: str | None = None
        self.end: int | None = None
        """Where elements can be added to the head; None if there is none."""

        self._open = True

    def see(self, data: bytes, start: int, end: int, tag: str) -> None:
        """Take the next tag, which is in no template."""
        if tag in _BODY or tag == "img":
            self._open = False
        elif tag in ("/head", "body"):
            self.end, self._open = (start if self._open else self.end), False
        elif tag == "/title":
            self.end = end if self._open else self.end
        elif tag == "base" and self.base is None:
            found = (a.value for a in attributes_of(data, start, end) if a.name == "href")
            self.base = next(found, None)


class _Picture:
    """A `<picture>` as it is read; `position` is where it was last seen to hold sources only."""

    def __init__(self, position: int) -> None:
        self.position: int | None = position
        self.sources: list[Tag] = []

    def add(self, data: bytes, source: Tag) -> None:
        if self._goes_on(data, source.start):
            self.position = source.end
            self.sources.append(source)

    def around(self, data: bytes, start: int, end: int) -> tuple[Tag, ...] | None:
        """Its sources, if it holds only them and the image at `start:end`."""
        alone = self._goes_on(data, start) and _PICTURE_END.match(data, end) is not None
        self.position = None
        return tuple(self.sources) if alone else None

    def _goes_on(self, data: bytes, start: int) -> bool:
        if self.position is not None and data[self.position : start].strip(b"\t\n\f\r "):
            self.position = None
        return self.position is not None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

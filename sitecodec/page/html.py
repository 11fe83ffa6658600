"""Find what pages show in the bytes of a document, and splice replacements; touch nothing else.

Not built: a tree. Whether an image is inside `<picture>` or `<main>` is told from the tags
before it, which for unclosed tags errs on the side of leaving an image alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sitecodec.page.splice import splice
from sitecodec.page.tokens import CHROME, MAIN, Attribute, Tag, any_case, attributes_of, tags

__all__ = ["Attribute", "Document", "Image", "Style", "Tag", "scan", "splice", "styles"]

_PICTURE_END = re.compile(rb"[\t\n\f\r ]*</" + b"(?:" + any_case(["picture"]) + rb")[\t\n\f\r ]*>")
_HAS_RASTER_URL = re.compile(rb"(?i:url)\([^()]*?\.(?i:png|jpe?g|jpe|jfif|webp|bmp|gif)\b")


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


class Document(NamedTuple):
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
    last = data.lower().rfind(b"<img")
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
    picture: list[Tag] = []
    for start, end, tag in tags(data, last):
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
                attributes = tuple(attributes_of(data, start, end))
                sources = _alone(data, picture, start, end) if in_picture else None
                image = Image(start, end, attributes, in_picture, not depth["chrome"], sources)
                images.append(image)
                in_main.append(depth["main"] > 0)
        elif name == "picture":
            in_picture = not closing
            picture = [Tag(start, end, ())]
        elif tag == "source" and in_picture:
            picture.append(Tag(start, end, tuple(attributes_of(data, start, end))))
        elif name in MAIN:
            has_main = True
            depth["main"] = max(0, depth["main"] + step)
        elif name in CHROME or (name == "header" and not depth["main"]):
            depth["chrome"] = max(0, depth["chrome"] + step)
        elif tag == "base" and base is None:
            base = next(
                (a.value for a in attributes_of(data, start, end) if a.name == "href"), None
            )
    if has_main:
        images = [
            image._replace(in_content=image.in_content and main)
            for image, main in zip(images, in_main, strict=True)
        ]
    return Document(tuple(images), base, head_end)


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


def shows_raster(css: bytes) -> bool:
    """Whether CSS may show pictures of pixels: a quick look."""
    # Only scripts say "URL(", and a plain search is ten times as fast.
    return b"url(" in css and _HAS_RASTER_URL.search(css) is not None


def _alone(data: bytes, picture: list[Tag], start: int, end: int) -> tuple[Tag, ...] | None:
    """The sources of a `<picture>`, if it holds only them and the image at `start:end`."""
    position = picture[0].end
    for tag in (*picture[1:], Tag(start, end, ())):
        if data[position : tag.start].strip(b"\t\n\f\r "):
            return None
        position = tag.end
    return tuple(picture[1:]) if _PICTURE_END.match(data, end) else None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

"""Images that a script of the page loads: their `src` is a stand-in, the picture comes later."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sitecodec.page import html

# Whatever a script keeps in an attribute and later puts into `src` looks like an address of a
# picture. But not what a lightbox opens beside the image.
_ADDRESS = re.compile(r"\.(?:png|jpe?g|jfif|webp|gif|avif|svg|bmp)(?:[?#]|\Z)", re.IGNORECASE)
_DESCRIPTOR = re.compile(r"[\d.]+[wx]", re.IGNORECASE)
_BESIDE = re.compile(
    r"zoom|full|large|big|lightbox|gallery|glightbox|fancybox|magnific|mfp|pswp|href|link"
    r"|caption|title|description|alt|download|poster|thumb|path|source-file|sitecodec"
)
_NAMES = frozenset(
    "data-src data-srcset data-original data-original-set data-lazy data-lazy-src data-lazy-srcset"
    " data-lazyload data-ll-src data-echo data-bg data-sizes-src".split()
)
_CLASS = re.compile(r"(?:^|[\s_-])(?:lazy|lazyload|lozad|unveil|b-lazy)(?:$|[\s_-])")
_BOUND = re.compile(
    r"(?:v-bind|x-bind)?:src(?:set)?$|\[(?:src|srcset)\]$|(?:data-)?ng-src(?:set)?$"
)


def loaded_by_script(image: html.Image) -> bool:
    """Whether a script gives an image its picture, as far as its tags show it."""
    tags: Iterable[html.Image | html.Tag] = (image, *(image.sources or ()))
    for tag in tags:
        waits = _CLASS.search(tag.get("class") or "") is not None
        for attribute in tag.attributes:
            name = attribute.name
            if name in _NAMES or _BOUND.match(name):
                return True
            if not name.startswith("data-") or _BESIDE.search(name):
                continue
            if waits or _holds_address(attribute.value):
                return True
    return False


def _holds_address(value: str) -> bool:
    """Whether an attribute ends in the address of a picture, or has one before a comma."""
    for part in value.split(","):
        words = part.split()
        if len(words) > 1 and _DESCRIPTOR.fullmatch(words[-1]):
            words.pop()
        if words and _ADDRESS.search(words[-1]):
            return True
    return False

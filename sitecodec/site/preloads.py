"""Links that load an image early (`<link rel=preload as=image>`) follow the image to its new files.

Otherwise a browser would load both: the file that the link names, and the one that it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import TypeAlias

from sitecodec import formats
from sitecodec.page import html, urls
from sitecodec.site.offers import Offers
from sitecodec.site.survey import Page, Preload
from sitecodec.site.uses import Own, Use

Span: TypeAlias = tuple[int, int, bytes]

_OURS = ("href", "type", "imagesrcset", "imagesizes")


def spans(offers: Offers, page: Page, data: bytes, shown: Iterable[Span]) -> Iterator[Span]:
    """The changes to the links of a page, whose images are replaced by the spans in `shown`."""
    if not page.preloads:
        return
    new = {start: text for start, _, text in shown}
    for preload in page.preloads:
        values = _of_tag(page, preload, new) or _of_background(offers, page, preload)
        if values:
            tag = preload.tag
            yield tag.start, tag.end, _link(data, tag, values)


def is_preloaded(page: Page, item: Use | Own) -> bool:
    """Whether a link loads an image early, so that its author takes it to be seen first."""
    paths = {path for preload in page.preloads for path in preload.paths}
    return bool(paths) and not paths.isdisjoint(_paths(item))


def _paths(item: Use | Own) -> Iterator[str]:
    if item.target:
        yield item.target.path
    offers = item.offers if isinstance(item, Own) else ((item.image, item.candidates),)
    for _, candidates in offers:
        yield from (candidate.target.path for candidate in candidates)


def _of_tag(page: Page, preload: Preload, new: Mapping[int, bytes]) -> dict[str, str]:
    """The attributes that load what the first tag loads which shows the image."""
    found: list[Use | Own] = [*page.uses, *page.pictures]
    for item in sorted(found, key=lambda item: item.image.start):
        if set(preload.paths).isdisjoint(_paths(item)):
            continue
        starts = [item.image.start]
        if isinstance(item, Own):
            starts = [
                tag.start
                for tag, candidates in item.offers
                if not {c.target.path for c in candidates}.isdisjoint(preload.paths)
            ]
        for start in starts:
            if start in new and (values := _best(new[start])):
                return values
    return {}


def _best(markup: bytes) -> dict[str, str]:
    """The attributes of the file that most browsers load of `<source>` tags and an `<img>`."""
    apart = [known.mime for known in formats.apart()]
    for start, end, name in html.tags(markup, len(markup), every=True):
        if name not in ("source", "img"):
            continue
        tag = html.Tag(start, end, tuple(html.attributes_of(markup, start, end)))
        kind, listed, sizes = (tag.get(n) or "" for n in ("type", "srcset", "sizes"))
        if kind in apart:
            continue
        values = {"type": kind} if kind else {}
        if " " in listed.strip():
            sizes = sizes.removeprefix("auto, ")  # a link has no width
            return values | {"imagesrcset": listed} | ({"imagesizes": sizes} if sizes else {})
        address = listed or tag.get("src") or ""
        return values | {"href": address.partition("#")[0]} if address else {}
    return {}


def _of_background(offers: Offers, page: Page, preload: Preload) -> dict[str, str]:
    """The attributes that load what style sheets show in place of the image."""
    path = preload.paths[0]
    image = offers.images.get(path)
    if image is None or path not in offers.backgrounds or len(preload.paths) > 1:
        return {}
    for known in formats.modern():
        if file := image.sizes[0].files.get(known.name):
            rooted = (preload.tag.get("href") or "").strip().startswith("/")
            return {
                "type": known.mime,
                "href": urls.to_url(file, page.base, offers.root, rooted=rooted),
            }
    return {}


def _link(data: bytes, tag: html.Tag, values: Mapping[str, str]) -> bytes:
    """The tag with these values in the place of the address that it had."""
    kept = [a for a in tag.attributes if a.name not in _OURS]
    end = b" />" if data[tag.end - 2 : tag.end] == b"/>" else b">"
    written = "".join(f' {name}="{escape(value)}"' for name, value in values.items())
    parts = [b"<link", *(b" " + data[a.start : a.end] for a in kept), written.encode(), end]
    return b"".join(parts)

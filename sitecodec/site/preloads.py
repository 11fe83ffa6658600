"""Links that load an image early (`<link rel=preload as=image>`) follow the image to its new files.

Otherwise a browser would load both: the file that the link names, and the one that it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import TypeAlias

from sitecodec.facts import formats
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
    shows = _first_tags(page, {start: text for start, _, text in shown})
    for preload in page.preloads:
        known = [shows[path] for path in preload.paths if path in shows]
        of_tag = min(known, key=lambda found: found[0])[1] if known else {}
        values = of_tag or _of_background(offers, page, preload)
        if values:
            tag = preload.tag
            yield tag.start, tag.end, _link(data, tag, values)


def paths(page: Page) -> frozenset[str]:
    """What links load early."""
    return frozenset(path for preload in page.preloads for path in preload.paths)


def is_preloaded(early: frozenset[str], item: Use | Own) -> bool:
    """Whether links load an image early, so that its author takes it to be seen first."""
    return bool(early) and not early.isdisjoint(_paths(item))


def _paths(item: Use | Own) -> Iterator[str]:
    if item.target:
        yield item.target.path
    offers = item.offers if isinstance(item, Own) else ((item.image, item.candidates),)
    for _, candidates in offers:
        yield from (candidate.target.path for candidate in candidates)


def _first_tags(page: Page, new: Mapping[int, bytes]) -> dict[str, tuple[int, dict[str, str]]]:
    """For each path that is loaded early: a number in the order of tags, and the attributes.

    They load what the first tag loads which shows the image.
    """
    wanted = paths(page)
    shows: dict[str, tuple[int, dict[str, str]]] = {}
    for number, (start, listed) in enumerate(_tags(page)):
        own = wanted.intersection(listed).difference(shows)
        if own and start in new and (values := _best(new[start])):
            shows |= dict.fromkeys(own, (number, values))
    return shows


def _tags(page: Page) -> Iterator[tuple[int, Iterable[str]]]:
    """Where tags that show images begin, in their order, and the paths of these."""
    found: list[Use | Own] = [*page.uses, *page.pictures]
    for item in sorted(found, key=lambda item: item.image.start):
        if isinstance(item, Own):
            for tag, candidates in item.offers:
                yield tag.start, (c.target.path for c in candidates)
        else:
            yield item.image.start, _paths(item)


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

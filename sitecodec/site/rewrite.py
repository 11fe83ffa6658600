"""The changes to a page or style sheet of a built site that make it offer the encoded files."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

from sitecodec.facts import formats
from sitecodec.facts.formats import Format, Role
from sitecodec.page import css, encodings, html, markup, priority, srcset, urls
from sitecodec.site import files, preloads
from sitecodec.site.assets import Asset
from sitecodec.site.offers import CONTENT_WIDTH, Offers, Size
from sitecodec.site.survey import Page
from sitecodec.site.uses import Candidate, Own, Use

_PIXELS = re.compile(r"([1-9]\d{0,4})(?:px)?", re.ASCII)

Span: TypeAlias = tuple[int, int, bytes]
"""A replacement of the bytes from one offset to another."""


def spans(offers: Offers, page: Page, data: bytes) -> list[Span]:
    """The changes to a page or style sheet whose content is `data`.

    Raises SettingsError if the template fails.
    """
    outside, inside = _images(offers, page, data)
    links = list(preloads.spans(offers, page, data, [*outside, *inside]))
    if any(b"data-sitecodec" in new for _, _, new in outside):
        rooted = next((use.target.rooted for use in page.uses), False)
        script = style = ""
        if offers.script and any(b"<source" in new for _, _, new in (*outside, *inside)):
            script = urls.to_url(offers.script, page.base, offers.root, rooted=rooted)
        if page.allowed.style_file and not page.allowed.style:
            style = urls.to_url(offers.style, page.base, offers.root, rooted=rooted)
        if page.allowed.style or style:
            script = script if page.allowed.script_file else ""
            allowed = page.allowed.script and page.allowed.data_images
            printing = allowed and any(b"srcset" in new for _, _, new in outside)
            outside = markup.with_head(
                data, page.head_end, outside, script, style, printing=printing
            )
    return encodings.kept_early(data, [*outside, *inside, *links, *_css(offers, page, data)])


def _images(offers: Offers, page: Page, data: bytes) -> tuple[list[Span], list[Span]]:
    """The replacements of images, and the changes inside the author's pictures."""
    found: list[Use | Own] = [*page.uses, *page.others, *page.pictures]
    found.sort(key=lambda item: item.image.start)
    sizes = [_size(offers, item) for item in found]
    order = _order(page, data, found, sizes)
    outside: list[Span] = []
    inside: list[Span] = []
    for item, size, (first, lazy) in zip(found, sizes, order, strict=True):
        image, position = item.image, {"first": first, "lazy": lazy}
        if isinstance(item, Own):
            inside += _own(offers, page, data, item, **position)
        elif picture := _picture(offers, page, item, size):
            template = offers.template()
            new = markup.render(
                template, data, image, picture, item.layout, priority.Position(**position)
            )
            outside.append((image.start, image.end, new))
        elif image.in_content and not page.again and item.target.path in offers.left:
            new = markup.sized(data, image, item.layout, **position)
            outside.append((image.start, image.end, new))
    return outside, inside


def _own(
    offers: Offers,
    page: Page,
    data: bytes,
    own: Own,
    *,
    first: bool,
    lazy: bool,
) -> Iterator[Span]:
    """Sources before those of the author's `<picture>`, and what its `<img>` lacks."""
    for tag, candidates in own.offers:
        sources = _sources(offers, page.base, candidates)
        if sources:
            yield tag.start, tag.start, markup.more_sources(data, tag, sources)
    image = own.image
    if image.in_content and not page.again:
        new = markup.sized(data, image, own.layout, first=first, lazy=lazy)
        yield image.start, image.end, new


def _sources(
    offers: Offers, base: str, candidates: tuple[Candidate, ...], sizes: str = ""
) -> list[markup.Source]:
    """The sources that offer the images of a srcset in the formats that all of them have.

    But a small one that was not worth it can be left out, if the next larger one is no larger file.
    """
    sources = []
    for offered in (*((known,) for known in formats.apart()), formats.modern()):
        made: list[srcset.Candidate] = []
        used: set[Format] = set()
        least: dict[str, float] = {}  # what a browser loads in place of smaller candidates
        for candidate in sorted(candidates, key=lambda c: -c.number):
            path, unit = candidate.target.path, candidate.unit
            image = offers.images.get(path)
            best = _first(image.sizes[0], offered) if image else None
            if image is None or best is None or offers.is_short(image):
                if files.size(offers.site, path) < least.get(unit, math.inf):
                    break
                continue
            used.add(best)
            widest = image.sizes[0]
            least[unit] = widest.bytes[best.name]
            url = _url(offers, base, candidate.target, widest.files[best.name])
            # The descriptor says how large an image is shown, which must not change.
            number = candidate.number * widest.width / image.width
            number = round(number) if unit == "w" else number
            made.append(srcset.Candidate(url, number, unit or ("x" if number != 1 else "")))
        else:
            sources.append(markup.Source(_type(used), srcset.join(made[::-1]), 0, 0, sizes))
    # A payload needs the other file of its stem: it is by that that a browser asks for it.
    return sources if any(s.type != formats.SLAT.mime for s in sources) else []


def _first(asset: Asset, offered: Iterable[Format]) -> Format | None:
    """The first of these formats that an image has in one width, None if it has none."""
    return next((known for known in offered if known.name in asset.files), None)


def _type(used: Collection[Format]) -> str:
    """The type of a `<source>` of such files."""
    return next(known.mime for known in formats.ALL if known in used)


def _picture(offers: Offers, page: Page, use: Use, size: Size | None) -> markup.Picture | None:
    """The picture in place of an `<img>`; None if there is nothing for it."""
    base, path = page.base, use.target.path
    if use.candidates:
        sources = _sources(offers, base, use.candidates, use.image.get("sizes") or "")
        width, height = size or (0, 0)
        return markup.Picture(tuple(sources), None, width, height) if sources else None
    image = offers.images.get(path)
    if image is None:
        return None
    layout = use.layout
    short = offers.is_short(image)
    several = not layout.whole and use.image.get("sizes") is None
    if short and not several:
        return None
    several = several and (short or len(image.sizes) > 1)
    made = image.sizes if several else image.sizes[:1]
    text = layout.sizes if several else ""
    # Without `sizes`, the density says how large an image is by itself, which must not change.
    density = made[0].width / (layout.natural or (image.width, 0))[0]

    own_file = srcset.Candidate(_url(offers, base, use.target, path), image.width, "w")

    def candidates(offered: Iterable[Format]) -> list[srcset.Candidate]:
        unit = "w" if several else "x" if density != 1 else ""
        return [
            srcset.Candidate(
                _url(offers, base, use.target, asset.files[best.name]),
                asset.width if several else density,
                unit,
            )
            for asset in made
            if (best := _first(asset, offered))
        ]

    widest = made[0]
    plain = None if short else _first(widest, formats.fallbacks())
    fallback = widest.files[plain.name] if plain else None
    fallbacks = candidates(formats.fallbacks())
    if fallback is None:  # the author's own file is the widest of them
        fallbacks.insert(0, own_file if several else own_file._replace(number=1, unit=""))
    sources = []
    for only in formats.apart():
        if found := candidates([only]):
            generative = offers.generative and Role.PAYLOAD in only.roles
            size = widest.width, widest.height
            sources.append(
                markup.Source(only.mime, srcset.join(found), *size, text, generative=generative)
            )
    together = formats.together()
    used = {known for asset in made if (known := _first(asset, together))}
    # Of a picture that no WebP can hold, the PNG is what browsers are to take first.
    if any(Role.SOURCE in known.roles for known in used) and (short or _first(widest, together)):
        found = [own_file] * short + candidates(together)
        size = (image.width, image.height) if short else (widest.width, widest.height)
        sources.append(markup.Source(_type(used), srcset.join(found), *size, text))
    return markup.Picture(
        sources=tuple(sources),
        src=_url(offers, base, use.target, fallback) + use.target.fragment if fallback else None,
        width=image.width,
        height=image.height,
        srcset=srcset.join(fallbacks) if len(fallbacks) > 1 or fallbacks[0].unit == "x" else "",
        sizes=text,
        placeholder=_placeholder(offers, page, path),
    )


def _placeholder(offers: Offers, page: Page, path: str) -> str:
    """The declarations that stand in for an image, if the page's policies let them through."""
    text = offers.placeholders.get(path, "")
    shown = page.allowed.data_images or "data:" not in text
    return text if page.allowed.style_attributes and shown else ""


def _size(offers: Offers, item: Use | Own) -> Size | None:
    """Width and height to give an image: what a browser without style sheets shows it in."""
    target = item.target
    if target is None or (isinstance(item, Own) and _depends(item)):
        return None
    path = target.path
    if image := offers.images.get(path):
        size: Size | None = (image.width, image.height)
    elif not item.image.in_content:
        return None
    else:
        size = offers.pixels(path)
    own = srcset.parse(item.image.get("srcset") or "") or []
    if size and any(candidate.unit == "w" for candidate in own):
        # Then `sizes` says how wide it is shown, which only a plain one tells us.
        plain = _PIXELS.fullmatch((item.image.get("sizes") or "").strip())
        width = int(plain[1]) if plain else 0
        return (width, max(1, round(width * size[1] / size[0]))) if width else None
    return size


def _depends(own: Own) -> bool:
    """Whether it depends on the window how large a picture is."""
    return any(source.get("media") for source in own.image.sources or ())


def _order(
    page: Page, data: bytes, found: list[Use | Own], sizes: list[Size | None]
) -> list[priority.Position]:
    """How each image is to be loaded: the one that visitors wait for first, others when near."""
    if page.again:  # or it was found then
        return [priority.Position(first=False, lazy=False)] * len(found)
    seen = []
    early = preloads.paths(page)
    for item, size in zip(found, sizes, strict=True):
        most = min(page.content_width or CONTENT_WIDTH, item.layout.pixels)
        width, height = _shown(item.image, size, most)
        address = item.image.get("src") or ""
        preloaded = preloads.is_preloaded(early, item)
        seen.append(priority.Seen(item.image, address, width, height, preloaded))
    return priority.positions(data, seen)


def _shown(image: html.Image, size: Size | None, most: float) -> tuple[float, float]:
    """How large an image is shown, in CSS pixels, as far as its tag says; zeros if that is open."""
    ratio = size[1] / size[0] if size else 0
    width, height = (_PIXELS.fullmatch(image.get(n) or "") for n in ("width", "height"))
    shown: tuple[float, float] = size or (0, 0)
    if width:
        shown = float(width[1]), float(height[1]) if height else float(width[1]) * ratio
    elif height and ratio:
        shown = float(height[1]) / ratio, float(height[1])
    return shown if shown[0] <= most else (most, shown[1] * most / shown[0])


def _css(offers: Offers, page: Page, data: bytes) -> Iterator[Span]:
    """The CSS of a page, or a style sheet, with the encoded files behind each background."""

    def image_set(address: str) -> str | None:
        target = urls.resolve(address, page.base, offers.root)
        image = offers.images.get(target.path) if isinstance(target, urls.Target) else None
        if image is None or isinstance(target, str) or offers.is_short(image):
            return None
        widest = image.sizes[0]
        made = [
            (_url(offers, page.base, target, widest.files[known.name]), f" type('{known.mime}')")
            for known in formats.conventional()
            if known.name in widest.files
        ]
        if not _first(widest, formats.fallbacks()):
            if widest.width != image.width:
                return None
            made.append((_url(offers, page.base, target, target.path), ""))
        # The size that the picture has by itself must not change.
        density = widest.width / image.width
        scale = "" if density == 1 else f" {density:.4f}x"
        return f"image-set({', '.join(f'url({url}){kind}{scale}' for url, kind in made)})"

    for part in page.css:
        style = part.style
        if style and not page.allowed.restyling:
            continue
        text = style.text if style else data.decode("utf-8", "surrogateescape")
        new = css.offer(text, part.backgrounds, image_set)
        if new == text:
            continue
        if style and style.attribute:
            value = new.replace("&", "&amp;").replace('"', "&quot;")
            yield style.start, style.end, f'style="{value}"'.encode()
        else:
            start, end = (style.start, style.end) if style else (0, len(data))
            yield start, end, new.encode("utf-8", "surrogateescape")


def _url(offers: Offers, base: str, target: urls.Target, path: str) -> str:
    return urls.to_url(path, base, offers.root, rooted=target.rooted)

"""What to change in a page or style sheet of a built site, so that it offers the encoded files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TypeAlias

from sitecodec.page import css, markup, srcset, urls
from sitecodec.site import files
from sitecodec.site.offers import CONTENT_WIDTH, Offers, Size
from sitecodec.site.survey import Page
from sitecodec.site.uses import Candidate, Own, Use

# Best first: the order of the <source> elements.
_MIME_TYPES = {"slat": "image/x-sitecodec", "avif": "image/avif", "webp": "image/webp"}
_FALLBACKS = {"jpeg": "image/jpeg", "png": "image/png"}
_LARGE = 5_000  # pixels: a badge before the first picture of a page is not what visitors wait for
_PIXELS = re.compile(r"([1-9]\d{0,4})(?:px)?", re.ASCII)

Span: TypeAlias = tuple[int, int, bytes]
"""What to put in place of the bytes from one offset to another."""


def spans(offers: Offers, page: Page, data: bytes) -> list[Span]:
    """What to change in a page or style sheet that reads `data`.

    Raises SettingsError if the template fails.
    """
    outside, inside = _images(offers, page, data)
    if any(b"data-sitecodec" in new for _, _, new in outside):
        script = ""
        if offers.script and any(b"<source" in new for _, _, new in (*outside, *inside)):
            rooted = next((use.target.rooted for use in page.uses), False)
            script = urls.to_url(offers.script, page.base, offers.root, rooted=rooted)
        outside = markup.with_head(data, page.head_end, outside, script)
    return [*outside, *inside, *_css(offers, page, data)]


def _images(offers: Offers, page: Page, data: bytes) -> tuple[list[Span], list[Span]]:
    """What to put in place of images, and what to change inside the author's pictures."""
    found: list[Use | Own] = [*page.uses, *page.others, *page.pictures]
    found.sort(key=lambda item: item.image.start)
    sizes = [_size(offers, item) for item in found]
    first = len(found)
    if not page.again:  # or it was found then
        large = (n for n, item in enumerate(found) if _is_large(item, sizes[n]))
        first = next(large, first)
    outside: list[Span] = []
    inside: list[Span] = []
    for number, (item, size) in enumerate(zip(found, sizes, strict=True)):
        image, position = item.image, {"first": number == first, "lazy": number > first}
        if isinstance(item, Own):
            inside += _own(offers, page, data, item, size, **position)
        elif picture := _picture(offers, page, item, size):
            new = markup.render(offers.template(), data, image, picture, **position)
            outside.append((image.start, image.end, new))
        elif image.in_content and not page.again and item.target.path in offers.left:
            new = markup.sized(data, image, size, **position)
            outside.append((image.start, image.end, new))
    return outside, inside


def _own(
    offers: Offers,
    page: Page,
    data: bytes,
    own: Own,
    size: Size | None,
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
        new = markup.sized(data, image, size, first=first, lazy=lazy)
        yield image.start, image.end, new


def _sources(
    offers: Offers, base: str, candidates: tuple[Candidate, ...], sizes: str = ""
) -> list[markup.Source]:
    """The sources that offer the images of a srcset in the formats that all of them have.

    But a small one that was not worth it can be left out, if the next larger one is no larger file.
    """
    sources = []
    for name, mime in _MIME_TYPES.items():
        made: list[srcset.Candidate] = []
        least: dict[str, float] = {}  # what a browser loads in place of smaller candidates
        for candidate in sorted(candidates, key=lambda c: -c.number):
            path, unit = candidate.target.path, candidate.unit
            image = offers.images.get(path)
            if image is None or name not in image.sizes[0].files:
                if files.size(offers.site, path) < least.get(unit, math.inf):
                    break
                continue
            widest = image.sizes[0]
            least[unit] = widest.bytes[name]
            url = _url(offers, base, candidate.target, widest.files[name])
            # The descriptor says how large an image is shown, which must not change.
            number = candidate.number * widest.width / image.width
            number = round(number) if unit == "w" else number
            made.append(srcset.Candidate(url, number, unit or ("x" if number != 1 else "")))
        else:
            sources.append(markup.Source(mime, srcset.join(made[::-1]), 0, 0, sizes))
    # A payload needs the other file of its stem: it is by that that a browser asks for it.
    return sources if any(s.type != _MIME_TYPES["slat"] for s in sources) else []


def _picture(offers: Offers, page: Page, use: Use, size: Size | None) -> markup.Picture | None:
    """What to show in place of an `<img>`; None if there is nothing for it."""
    base, path = page.base, use.target.path
    if use.candidates:
        sources = _sources(offers, base, use.candidates, use.image.get("sizes") or "")
        width, height = size or (0, 0)
        return markup.Picture(tuple(sources), None, width, height) if sources else None
    image = offers.images.get(path)
    if image is None:
        return None
    width = page.content_width or CONTENT_WIDTH
    display = markup.display_width(use.image, image.width, width)
    made = image.sizes if display else image.sizes[:1]
    several = len(made) > 1
    own = use.image.get("sizes")
    text = (own or markup.sizes(display)) if display and several else ""

    def candidates(*formats: str) -> list[srcset.Candidate]:
        return [
            srcset.Candidate(
                _url(offers, base, use.target, asset.files[name]),
                asset.width,
                "w" if several else "",
            )
            for asset in made
            for name in formats
            if name in asset.files
        ]

    widest = made[0]
    fallback = next((widest.files[name] for name in _FALLBACKS if name in widest.files), None)
    fallbacks = candidates(*_FALLBACKS)
    if fallback is None:  # the author's own file is the widest of them
        own_url = _url(offers, base, use.target, path)
        fallbacks.insert(0, srcset.Candidate(own_url, image.width, "w"))
    return markup.Picture(
        # A browser takes the first type that it knows, so each has to have the full width.
        sources=tuple(
            markup.Source(
                mime,
                srcset.join(found),
                widest.width,
                widest.height,
                text,
                generative=offers.generative and name == "slat",
            )
            for name, mime in _MIME_TYPES.items()
            if (found := candidates(name)) and (name in widest.files or name == "slat")
        ),
        src=_url(offers, base, use.target, fallback) + use.target.fragment if fallback else None,
        width=image.width,
        height=image.height,
        srcset=srcset.join(fallbacks) if several and len(fallbacks) > 1 else "",
        sizes=text,
        placeholder=offers.placeholders.get(path, ""),
    )


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


def _is_large(item: Use | Own, size: Size | None) -> bool:
    """Whether an image may be the largest that a visitor sees first."""
    if not item.image.in_content or (item.target and item.target.fragment == "#only-dark"):
        return False
    width, height = (_PIXELS.fullmatch(item.image.get(n) or "") for n in ("width", "height"))
    if width and height:
        return int(width[1]) * int(height[1]) >= _LARGE
    if width and size:
        return int(width[1]) ** 2 * size[1] // size[0] >= _LARGE
    if size:
        return size[0] * size[1] >= _LARGE
    return isinstance(item, Own) or bool(item.candidates)


def _css(offers: Offers, page: Page, data: bytes) -> Iterator[Span]:
    """The CSS of a page, or a style sheet, with the encoded files behind each background."""

    def image_set(address: str) -> str | None:
        target = urls.resolve(address, page.base, offers.root)
        image = offers.images.get(target.path) if isinstance(target, urls.Target) else None
        if image is None or isinstance(target, str):
            return None
        widest = image.sizes[0]
        made = [
            (_url(offers, page.base, target, widest.files[name]), f" type('{mime}')")
            for name, mime in (_MIME_TYPES | _FALLBACKS).items()
            if name in widest.files and name != "slat"
        ]
        if not any(name in widest.files for name in _FALLBACKS):
            if widest.width != image.width:
                return None
            made.append((_url(offers, page.base, target, target.path), ""))
        # The size that the picture has by itself must not change.
        density = widest.width / image.width
        scale = "" if density == 1 else f" {density:.4f}x"
        return f"image-set({', '.join(f'url({url}){kind}{scale}' for url, kind in made)})"

    for part in page.css:
        style = part.style
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

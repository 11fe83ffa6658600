"""The findings of Lighthouse 13 about a page's images, as far as built files show them.

Thresholds and formulas are those of its insights. Facts that need a browser (an image's place on
the screen) are estimated from attributes and `sizes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sitecodec.facts import formats
from sitecodec.page import srcset
from sitecodec.page.priority import LARGE
from sitecodec.site import files
from sitecodec.terminal.printing import size_text

# image-delivery-insight
_BYTES_PER_PIXEL = 2 / 12
_IGNORED_BYTES = 4096
_IGNORED_RESPONSIVE_BYTES = 12_288
_MOST_GIF_BYTES = 100 * 1024
# total-byte-weight: what scores 'good'.
_GOOD_PAGE_BYTES = 2667 * 1024
_RATIO_TOLERANCE = 2  # pixels, image-aspect-ratio
_DENSITY_SHARE = 0.75  # image-size-responsive

_SIZES = re.compile(r"(?:\(max-width:\s*+(\d{1,9})px\)\s*+100vw,\s*+)?(?<!\d)(\d{1,9})px", re.ASCII)


@dataclass(frozen=True)
class Device:
    """A window as Lighthouse emulates it, in CSS pixels."""

    name: str
    width: int
    density: float


DEVICES = {"mobile": Device("mobile", 412, 1.75), "desktop": Device("desktop", 1350, 1.0)}


@dataclass(frozen=True)
class Finding:
    """An audit that a page fails."""

    audit: str
    image: str
    """The image's path, or the page's where the finding is about the whole page."""

    detail: str


@dataclass(frozen=True)
class ImageTag:
    """An `<img>`: its attributes, and those of the sources of the `<picture>` around it."""

    attributes: dict[str, str]
    sources: list[dict[str, str]]
    in_content: bool
    """Whether it is outside navigation, asides, headers and footers."""

    @property
    def is_lazy(self) -> bool:
        """Whether it is loaded when it comes near."""
        return self.attributes.get("loading", "").lower() == "lazy"


def first_large(tags: list[ImageTag]) -> int | None:
    """The number of the image that is probably the largest contentful paint; None if none is."""
    for number, tag in enumerate(tags):
        width, height = (tag.attributes.get(name, "") for name in ("width", "height"))
        known = _is_size(width) and _is_size(height)
        if tag.in_content and not (known and int(width) * int(height) < LARGE):
            return number
    return None


def chosen(tag: ImageTag, device: Device) -> str:
    """The URL that Chromium loads."""
    known = ("", *(format.mime for format in formats.together()))
    for source in tag.sources:
        if source.get("type", "") in known and "media" not in source:
            return candidate(source.get("srcset", ""), source.get("sizes", ""), device)
    attributes = tag.attributes
    if attributes.get("srcset"):
        return candidate(attributes["srcset"], attributes.get("sizes", ""), device)
    return attributes.get("src", "")


def candidate(text: str, sizes: str, device: Device) -> str:
    """The URL of a srcset that Chromium loads; '' if there is none."""
    wanted = displayed_by(sizes, device) * device.density
    found = sorted(
        (c.number if c.unit == "w" else c.number * wanted, c.url)
        for c in srcset.parse(text) or [srcset.Candidate("")]
    )
    return next((url for width, url in found if width >= wanted), found[-1][1])


def displayed_by(sizes: str, device: Device) -> float:
    """The width, in CSS pixels, that `sizes` promises."""
    match = _SIZES.search(sizes)
    if not match:
        return device.width
    fluid = match[1] is not None and device.width <= int(match[1])
    return device.width if fluid else min(int(match[2]), device.width)


def of_image(
    tag: ImageTag, name: str, file: Path, size: int, device: Device, *, largest: bool
) -> Iterator[Finding]:
    """Lighthouse's findings about an image, for which `file` of `size` bytes is loaded.

    `name` is what to call it; `largest` that it is the page's largest contentful paint.
    """
    width, height = tag.attributes.get("width", ""), tag.attributes.get("height", "")
    yield from _of_tag(tag, name, largest=largest)
    if file.suffix.lower() in (".svg", ".svgz"):
        return
    natural = files.pixels(file)
    if natural is None:
        return
    allowed = natural[0] * natural[1] * _BYTES_PER_PIXEL
    if file.suffix.lower() == ".gif":
        if size > _MOST_GIF_BYTES:
            yield Finding("image-delivery", name, f"GIF of {size_text(size)}")
    elif size - allowed > _IGNORED_BYTES:
        saving = size_text(round(size - allowed))
        yield Finding("image-delivery", name, f"{saving} over 1/6 byte per pixel")
    if not _is_size(width) or int(width) == 0:
        return
    displayed = min(int(width), device.width)
    across = displayed * device.density
    saved = size * (1 - min(1.0, across / natural[0]) ** 2)
    responsive = bool(tag.sources or "srcset" in tag.attributes)
    if saved > (_IGNORED_RESPONSIVE_BYTES if responsive else _IGNORED_BYTES):
        yield Finding("image-delivery", name, f"{size_text(round(saved))} by its dimensions")
    promised = int(width) * device.density if int(width) <= device.width else across
    if natural[0] < _DENSITY_SHARE * promised and natural[0] < int(width):
        yield Finding("image-size-responsive", name, f"{natural[0]} pixels for {across:.0f}")
    if _is_size(height) and int(height):
        skew = abs(displayed * int(height) / int(width) - displayed * natural[1] / natural[0])
        if skew > _RATIO_TOLERANCE:
            shows = f"{width}x{height} shows {natural[0]}x{natural[1]}"
            yield Finding("image-aspect-ratio", name, shows)


def _of_tag(tag: ImageTag, name: str, *, largest: bool) -> Iterator[Finding]:
    """What Lighthouse would say of a tag alone, whatever it loads."""
    attributes = tag.attributes
    if largest and tag.is_lazy:
        yield Finding("lcp-discovery", name, "the first image is lazy")
    elif largest and attributes.get("fetchpriority", "").lower() != "high":
        yield Finding("lcp-discovery", name, "the first image has no fetchpriority=high")
    sized = _is_size(attributes.get("width", "")) and _is_size(attributes.get("height", ""))
    styled = re.search(r"(?<![-\w])width\s*:", attributes.get("style", "")) is not None
    if not sized and not styled:
        yield Finding("unsized-images", name, "no width and height")


def _is_size(text: str) -> bool:
    """Whether an attribute is a plain number of pixels."""
    return text.isascii() and text.isdigit() and len(text) < 10


def of_page(name: str, size: int) -> Iterator[Finding]:
    """The finding of Lighthouse about the page `name`, which loads so many bytes in all."""
    if size > _GOOD_PAGE_BYTES:
        yield Finding("total-byte-weight", name, f"{size_text(size)} in all")

"""What became of each image of a site, and what could not be taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from sitecodec.facts import formats
from sitecodec.visitors import break_even

if TYPE_CHECKING:
    from sitecodec.site.assets import Image

_NOT_SHIPPED = "payload not shipped"


class Problem(NamedTuple):
    """An image that could not be taken, or a page that could not be read (`image` is '' then)."""

    page: str
    """The page's path in the site; the first one where several show the image."""

    image: str
    """The image's path in the site, or its URL as the page writes it."""

    message: str

    def __str__(self) -> str:
        """One line: page, image, what is wrong and what to do."""
        return ": ".join(part for part in (self.page, self.image, self.message) if part)


class ImageRow(NamedTuple):
    """One image of the site. The sizes are in bytes; None where there is no such file.

    They are of the files that a page loads on a plain screen: see `break_even.shown`.
    """

    path: str
    """Path in the site, or the URL of an image that is not part of it."""

    before: int
    """Size of the source; 0 for one that is not part of the site."""

    fallback: int | None = None
    """The JPEG or PNG that every browser shows."""

    modern: int | None = None
    """The AVIF or WebP, which every current browser shows."""

    payload: int | None = None

    reason: str = ""
    """Why there is no payload, or why the image was left alone; '' if there is a payload."""

    @property
    def encoded(self) -> bool:
        """Whether pages now offer other files than the source."""
        return (self.fallback, self.modern, self.payload) != (None, None, None)

    @property
    def after(self) -> int:
        """The bytes that a visitor loads at best: the payload, else what comes without it."""
        return self.after_modern if self.payload is None else self.payload

    @property
    def after_modern(self) -> int:
        """The bytes that a browser without the service worker loads."""
        return self.after_fallback if self.modern is None else self.modern

    @property
    def after_fallback(self) -> int:
        """The bytes that a browser loads which knows neither payload nor AVIF nor WebP."""
        return self.before if self.fallback is None else self.fallback


def row(image: ImageRow, files: Image | None, content_width: int) -> ImageRow:
    """The row of an image with the sizes of its files, None if none are shipped."""
    if files is None:
        return image._replace(reason=image.reason or _NOT_SHIPPED)
    size = break_even.shown(files.sizes, content_width)
    made, reason = size.bytes, image.reason
    payload = formats.SLAT.name
    if others := [other.width for other in files.sizes if payload in other.bytes]:
        reason = f"a payload only where {max(others)} pixels wide"
    return image._replace(
        fallback=_first(made, formats.fallbacks()),
        modern=_first(made, formats.modern()),
        payload=made.get(payload),
        reason="" if payload in made else reason or _NOT_SHIPPED,
    )


def _first(made: Mapping[str, int], known: Iterable[formats.Format]) -> int | None:
    """The size of the first of these formats that was made."""
    return next((made[format.name] for format in known if format.name in made), None)

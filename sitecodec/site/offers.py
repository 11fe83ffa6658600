"""The offers of a site's pages, and the part of them that matters to one page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sitecodec.site import assets, files
from sitecodec.site.files import File

if TYPE_CHECKING:
    from jinja2 import Template

CONTENT_WIDTH = 960
"""How wide, in CSS pixels, a theme that is not known is taken to show images."""

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""


class Offers(NamedTuple):
    """The files that pages offer, all by site path."""

    site: Path
    root: str
    images: Mapping[str, assets.Image]
    template: Callable[[], Template]
    script: str
    """The script that pages with pictures load; '' for none."""

    style: str
    """The style sheet for pages whose policies forbid styles in them."""

    placeholders: Mapping[str, str]
    """CSS declarations that stand in for images while they load."""

    left: Collection[str]
    """The images that are whole, and stay as they are."""

    sizes: dict[str, Size | None]
    """Width and height of images that were looked at for them."""

    backgrounds: Collection[str] = ()
    """The images that style sheets show."""

    generative: bool = False
    """Whether the decoder of the payloads may invent detail, which their sources then say."""

    widest: int = 0
    """The greatest width that was asked for, 0 if it is not known."""

    def is_short(self, image: assets.Image) -> bool:
        """Whether the widest size that was asked for gained nothing: there are only smaller ones.

        Then the author's own file is the widest that pages offer.
        """
        return image.sizes[0].width < min(image.width, self.widest)

    def pixels(self, path: str) -> Size | None:
        """Width and height of an image that stays as it is; None if they are not known."""
        if path not in self.sizes:
            file = files.find(self.site, path)
            self.sizes[path] = files.pixels(file.real) if isinstance(file, File) else None
        return self.sizes[path]

    def digest(self, paths: Iterable[str], sized: Collection[str]) -> str:
        """A hash of all that matters to a page which names these images.

        Of those that stay, the sizes of `sized` matter. Not in it: settings, templates and code.
        """
        parts = [self.script]
        for path in paths:
            parts.append(path)
            if image := self.images.get(path):
                # The names of encoded files hold hashes of their contents.
                seen = path in self.backgrounds
                parts += (f"{image.width} {image.height} {seen}", self.placeholders.get(path, ""))
                parts += (file for size in image.sizes for file in size.files.values())
            elif path in sized:
                parts.append(f"{path in self.left} {self.pixels(path)}")
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()

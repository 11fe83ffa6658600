"""The findings from a site's pages: images, the pages that show them, and problems."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from sitecodec.errors import SettingsError
from sitecodec.page.layout import Layout
from sitecodec.settings import Settings, quality_of
from sitecodec.site.manifest import Form
from sitecodec.site.rows import ImageRow, Problem
from sitecodec.terminal.printing import printable

_log = logging.getLogger("sitecodec")

_NAMED_IN_PROBLEM = 3
_WIDEST = 1920
"""CSS pixels of the widest window that is thought of."""


@dataclass
class Findings:
    """The findings for the summary, by the site paths of images."""

    rows: dict[str, ImageRow] = field(default_factory=dict)
    problems: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    uses: dict[str, list[str]] = field(default_factory=dict)
    """The pages and style sheets that show each image which is to be encoded."""

    qualities: dict[str, float] = field(default_factory=dict)
    """The highest quality that a tag asks for, of the images whose tags ask for one."""

    backgrounds: set[str] = field(default_factory=set)
    """The images that CSS shows, perhaps as wide as a window."""

    pinned: set[str] = field(default_factory=set)
    """Names of the style sheets whose content a page's `integrity` fixes."""

    content_width: int = 0
    """How wide, in CSS pixels, the site's theme shows an image at most; 0 if it is not known."""

    looked: dict[str, int | str] = field(default_factory=dict)
    """The state of each path that a page names: the file's size, or its fault."""

    digests: dict[str, str] = field(default_factory=dict)
    """The SHA-256, in hexadecimal, of each image that may be encoded."""

    linked: dict[str, str] = field(default_factory=dict)
    """The style sheets and scripts that tell how images are shown, with hashes of them."""

    shown: dict[str, float] = field(default_factory=dict)
    """How wide images are shown at most, in CSS pixels; infinite where all pixels may be seen."""

    forms: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    """How tags are marked up and why (see `Layout`), by image with the number of its tags."""

    def add(self, of_page: Findings) -> None:
        """Add what was gathered from one page."""
        for path, row in of_page.rows.items():
            self.rows.setdefault(path, row)
        for about, pages in of_page.problems.items():
            self.problems.setdefault(about, []).extend(pages)
        for path, pages in of_page.uses.items():
            self.uses.setdefault(path, []).extend(pages)
        for path, quality in of_page.qualities.items():
            self.qualities[path] = max(quality, self.qualities.get(path, quality))
        for path, width in of_page.shown.items():
            self.shown[path] = max(width, self.shown.get(path, width))
        for form, images in of_page.forms.items():
            mine = self.forms.setdefault(form, {})
            for path, number in images.items():
                mine[path] = mine.get(path, 0) + number
        self.linked |= of_page.linked
        self.backgrounds |= of_page.backgrounds
        self.pinned |= of_page.pinned
        self.content_width = self.content_width or of_page.content_width

    def leave(self, path: str, size: int, reason: str) -> None:
        """Note an image that stays as it is."""
        self.rows.setdefault(path, ImageRow(printable(path), size, reason=reason))

    def use(self, path: str, page: str) -> None:
        """Note that a page shows an image that is to be encoded."""
        pages = self.uses.setdefault(path, [])
        if page not in pages[-1:]:
            pages.append(page)

    def show(self, path: str, layout: Layout) -> None:
        """Note how an image that is to be encoded is laid out."""
        width = min(layout.pixels, layout.window * _WIDEST) if not layout.whole else math.inf
        self.shown[path] = max(width, self.shown.get(path, width))
        for form in (
            (layout.form, layout.why),
            ("unheld" if layout.unheld else "held", layout.unheld),
        ):
            images = self.forms.setdefault(form, {})
            images[path] = images.get(path, 0) + 1

    def laid_out(self, form: str, encoded: Collection[str]) -> tuple[ImageRow, ...]:
        """The encoded images with a tag of this form ('img', 'held', ...), and why it has it."""
        return tuple(
            ImageRow(printable(path), 0, reason=why)
            for (name, why), images in sorted(self.forms.items())
            for path in sorted(images)
            if name == form and path in encoded
        )

    def forms_of(self, path: str) -> Iterator[Form]:
        """How an image's tags are marked up."""
        for (form, why), images in sorted(self.forms.items()):
            if path in images:
                yield Form(form, why, images[path])

    def wish(self, path: str, attribute: str) -> None:
        """Note what the tag's `data-sitecodec` asks for. Raises SettingsError."""
        name, _, value = attribute.strip().partition("=")
        if not name:
            return
        if name.lower() != "quality":
            raise SettingsError(f"must be 'off' or 'quality=…', not {attribute!r}")
        quality = Settings(quality=quality_of(value)).quality
        self.qualities[path] = max(quality, self.qualities.get(path, quality))

    def problem(self, page: str, image: str, message: str) -> None:
        """Note what is wrong with an image, or with a page (`image` is '' then)."""
        pages = self.problems.setdefault((image, message), [])
        if page not in pages[-1:]:
            pages.append(page)

    def unexpected(self, page: str, image: str, error: Exception) -> None:
        """Note what nobody has thought of, raised by a page or by one of its images."""
        _log.debug("unexpected error in %s", image or page, exc_info=error)
        what = printable(" ".join(f"{type(error).__name__} {error}".split())[:100])
        subject = "image" if image else "page"
        self.problem(
            page,
            image,
            f"cannot be processed ({what}), so it stays as it is; exclude the {subject} or"
            " report it",
        )


def problems(findings: Findings) -> Iterator[Problem]:
    """The problems found, one for each image and kind, however many pages show it."""
    for (image, message), pages in findings.problems.items():
        others = [printable(page) for page in pages[1:]]
        if others:
            more = len(others) - _NAMED_IN_PROBLEM
            also = ", ".join(others[:_NAMED_IN_PROBLEM]) + (f" and {more} more" if more > 0 else "")
            message = f"{message} (also on {also})"
        yield Problem(printable(pages[0]), printable(image), message)

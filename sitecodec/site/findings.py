"""What is gathered from a site's pages on the way: images, who shows them, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sitecodec.errors import SettingsError
from sitecodec.settings import Settings, quality_of
from sitecodec.site.files import printable
from sitecodec.site.summary import ImageRow, Problem

_NAMED_IN_PROBLEM = 3


@dataclass
class Findings:
    """What is gathered for the summary on the way, by the images' site paths."""

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
    """What there is at each path that a page names: the file's size, or what is wrong with it."""

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


def problems(findings: Findings) -> Iterator[Problem]:
    """The problems found, one for each image and kind, however many pages show it."""
    for (image, message), pages in findings.problems.items():
        others = [printable(page) for page in pages[1:]]
        if others:
            more = len(others) - _NAMED_IN_PROBLEM
            also = ", ".join(others[:_NAMED_IN_PROBLEM]) + (f" and {more} more" if more > 0 else "")
            message = f"{message} (also on {also})"
        yield Problem(printable(pages[0]), printable(image), message)

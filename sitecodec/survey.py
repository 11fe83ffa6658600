"""Read a built site's pages: which images they show, where those are, which are ours to encode."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from sitecodec import html, urls
from sitecodec.assets import TEMPORARY
from sitecodec.errors import SettingsError
from sitecodec.settings import Settings, quality_of
from sitecodec.summary import ImageRow, Problem

_NAMED_IN_PROBLEM = 3

# How wide themes show an image on a common screen, by a class that all their pages have: Material
# (and Zensical), readthedocs, mkdocs.
_THEMES = ((b"md-content", 760), (b"wy-nav-content", 750), (b'class="col-md-9" role="main"', 966))


@dataclass(frozen=True)
class Use:
    """An `<img>` that may be replaced: where its source is, and its tag."""

    image: html.Image
    target: urls.Target


@dataclass(frozen=True)
class Page:
    """A page that shows images of the site; `base` is the URL path its references start from."""

    path: str
    base: str
    checksum: int
    uses: tuple[Use, ...]
    head_end: int | None
    """Where elements can be added to the page's head, None if it has none."""


@dataclass(frozen=True)
class File:
    """An image file of the site. `real` has no links in it."""

    real: Path
    size: int


@dataclass
class Findings:
    """What is gathered for the summary on the way, by the images' site paths."""

    rows: dict[str, ImageRow] = field(default_factory=dict)
    problems: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    uses: dict[str, list[str]] = field(default_factory=dict)
    """The pages that show each image which is to be encoded."""

    qualities: dict[str, float] = field(default_factory=dict)
    """The highest quality that a tag asks for, of the images whose tags ask for one."""

    content_width: int = 0
    """How wide, in CSS pixels, the site's theme shows an image at most; 0 if it is not known."""

    def leave(self, path: str, size: int, reason: str) -> None:
        """Note an image that stays as it is."""
        self.rows.setdefault(path, ImageRow(printable(path), size, reason=reason))

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


def page_names(site: Path, findings: Findings) -> Iterator[str]:
    """Site paths of the pages, sorted. What a killed build left of a page is removed."""
    for folder, folders, files in os.walk(site):
        folders.sort()
        for name in sorted(files):
            path = Path(folder, name)
            if name.endswith(TEMPORARY):
                path.unlink(missing_ok=True)
            elif name.lower().endswith((".html", ".htm")):
                page = path.relative_to(site).as_posix()
                if not path.is_symlink():
                    yield page
                elif not Path(os.path.realpath(path)).is_relative_to(site):
                    message = "is a link that leaves the site; replace it by a copy"
                    findings.problem(page, "", message)


def survey(
    site: Path,
    name: str,
    root: str,
    settings: Settings,
    files: dict[str, File | str],
    findings: Findings,
) -> Page | None:
    """Read a page and sort its images; None if there is nothing to replace in it."""
    try:
        data = (site / name).read_bytes()
    except OSError as error:
        findings.problem(name, "", f"cannot be read ({error.strerror}); check its permissions")
        return None
    return survey_document(site, name, data, root, settings, files, findings)


def survey_document(
    site: Path,
    name: str,
    data: bytes,
    root: str,
    settings: Settings,
    files: dict[str, File | str],
    findings: Findings,
) -> Page | None:
    """Sort the images of the page `name`, which reads `data`; None if none is to be replaced."""
    document = html.scan(data)
    base = urls.base_of(name, document.base, root)
    page_excluded = any(_glob(glob).fullmatch(name) for glob in settings.exclude)
    uses: list[Use] = []
    for image in document.images:
        reference = image.get("src") or ""
        target = urls.resolve(reference, base or root, root)
        if base is None and isinstance(target, urls.Target) and not target.rooted:
            target = "remote"
        if isinstance(target, str):
            if target in ("remote", "outside the site"):
                findings.leave(reference.strip(), 0, target)
            continue
        path = target.path
        if path.startswith(f"{settings.asset_dir}/") or image.get("data-sitecodec") == "sized":
            continue  # ours, from an earlier run
        opted_out = (
            'data-sitecodec="off"'
            if (image.get("data-sitecodec") or "").lower() == "off"
            else "excluded"
            if page_excluded or any(_glob(glob).fullmatch(path) for glob in settings.exclude)
            else ""
        )
        if opted_out:
            findings.leave(path, _size(site, path), opted_out)
            continue
        if path not in files:
            files[path] = _find(site, path)
        file = files[path]
        if isinstance(file, str):
            findings.problem(name, path, file)
        elif reason := _reason_to_leave(image, path):
            findings.leave(path, file.size, reason)
        else:
            try:
                findings.wish(path, image.get("data-sitecodec") or "")
            except SettingsError as error:
                findings.problem(name, path, f"data-sitecodec: {error}")
                continue
            pages = findings.uses.setdefault(path, [])
            if name not in pages[-1:]:
                pages.append(name)
            uses.append(Use(image, target))
    if not uses:
        return None
    if not findings.content_width:
        findings.content_width = content_width(data)
    return Page(name, base or root, zlib.crc32(data), tuple(uses), document.head_end)


def content_width(page: bytes) -> int:
    """How wide, in CSS pixels, the theme of a page shows an image at most; 0 if not known."""
    return next((width for mark, width in _THEMES if mark in page), 0)


def problems(findings: Findings) -> Iterator[Problem]:
    """The problems found, one for each image and kind, however many pages show it."""
    for (image, message), pages in findings.problems.items():
        others = [printable(page) for page in pages[1:]]
        if others:
            more = len(others) - _NAMED_IN_PROBLEM
            also = ", ".join(others[:_NAMED_IN_PROBLEM]) + (f" and {more} more" if more > 0 else "")
            message = f"{message} (also on {also})"
        yield Problem(printable(pages[0]), printable(image), message)


def _reason_to_leave(image: html.Image, path: str) -> str:
    """Why an image of the site is not ours to replace, by its tag and name; '' if it is."""
    if path.lower().endswith((".svg", ".svgz")):
        return "vector (SVG)"
    if image.in_picture:
        return "inside a <picture>"
    if image.get("srcset") is not None:
        return "has its own srcset"
    if any(a.name in ("data-src", "data-srcset", "data-lazy-src") for a in image.attributes):
        return "loaded by a script"
    return ""


def _find(site: Path, path: str) -> File | str:
    """The file of an image, or what is wrong with it. Nothing outside the site is opened."""
    place = site / path
    try:
        real = Path(os.path.realpath(place, strict=True))
        if not real.is_relative_to(site):
            return "is a link that leaves the site; replace it by a copy"
        status = real.stat()
    except FileNotFoundError:
        if place.is_symlink():
            return "is a broken link; mend or remove it"
        return "not found in the site; correct the address or add the file"
    except (OSError, ValueError) as error:
        what = (error.strerror if isinstance(error, OSError) else None) or "no such file name"
        return f"cannot be read ({what.lower()}); correct the address or the file"
    if not stat.S_ISREG(status.st_mode):
        return "is not a file; correct the address"
    if status.st_size == 0:
        return "the file is empty; export the image again"
    return File(real, status.st_size)


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """A glob of site paths: `*` within a folder, `**` across them; no slash, any folder."""
    anywhere = "" if "/" in pattern else "(?:.*/)?"
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.lstrip("/"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(anywhere + "".join(meaning.get(p, re.escape(p)) for p in parts), re.DOTALL)


def _size(site: Path, path: str) -> int:
    """Size of a file for the summary; 0 where there is none or it is not in the site."""
    file = _find(site, path)
    return file.size if isinstance(file, File) else 0


def printable(text: str) -> str:
    """The text on one line, fit for any terminal: names may hold any bytes."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)

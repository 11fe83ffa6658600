"""The pages and style sheets of a built site: read, surveyed or remembered, and written anew."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sitecodec.disk import writing
from sitecodec.errors import SitecodecError, SiteError
from sitecodec.page.splice import splice
from sitecodec.page.style import RULES
from sitecodec.settings import Settings
from sitecodec.site import files, globs, memory
from sitecodec.site.files import File
from sitecodec.site.findings import Findings
from sitecodec.site.layout import Layouts
from sitecodec.site.memory import Memory, Record
from sitecodec.site.offers import Offers

if TYPE_CHECKING:
    from sitecodec.site.survey import Page
    from sitecodec.site.uses import Own, Use


_log = logging.getLogger("sitecodec")


class Visit(NamedTuple):
    """A page or style sheet in which something may be replaced."""

    path: str
    stamp: files.Stamp
    record: Record
    page: Page | None
    """The page as it was surveyed; None for a page that is remembered."""


class Visitor(NamedTuple):
    """Goes through the pages of a site."""

    site: Path
    root: str
    settings: Settings
    known: dict[str, File | str]
    findings: Findings
    memory: Memory
    layouts: Layouts

    def visit(self, name: str) -> Visit | None:
        """Read a page or style sheet; None if there is nothing to replace in it.

        Whatever is wrong with it is a problem of its own, and it stays as it is.
        """
        try:
            return self._visit(name)
        except Exception as error:  # of whatever a page may hold
            self._note(name, error)
            return None

    def _visit(self, name: str) -> Visit | None:
        try:
            data, stamp = files.read(f"{self.site}/{name}")
        except OSError as error:
            if not _is_sheet(name):  # nobody asked us for that
                message = f"cannot be read ({error.strerror}); check its permissions"
                self.findings.problem(name, "", message)
            return None
        digest = hashlib.sha256(data).hexdigest()
        page = None
        record = self._recall(name, digest)
        if record is None:
            own = Findings()
            page = self._survey(name, data, own)
            self.findings.add(own)
            record = Record(digest, memory.pack(own), None, [])
            if page:
                shown: list[Use | Own] = [*page.uses, *page.pictures]
                tags = [*shown, *page.others]
                record = record._replace(
                    shown=[item.target.path for item in shown if item.target],
                    sized=[t.target.path for t in tags if t.target and t.image.in_content],
                )
            self.memory.pages[name] = record
        return None if record.shown is None else Visit(name, stamp, record, page)

    def rewrite(self, visit: Visit, offers: Offers) -> bool:
        """Write a page or style sheet anew, if there is anything to change; returns whether it was.

        It is written whole or not at all. Raises SiteError if it cannot be read or written, or has
        changed since it was visited, and SettingsError if the template fails. Whatever else happens
        is a problem of the page's, which stays as it is.
        """
        try:
            return self._rewrite(visit, offers)
        except SitecodecError:
            raise
        except Exception as error:  # as above
            self._note(visit.path, error)
            return False

    def _rewrite(self, visit: Visit, offers: Offers) -> bool:
        record = visit.record
        offered = offers.digest(record.findings["looked"], record.sized)
        if offered == record.offered and not record.spans:
            return False
        place = f"{self.site}/{visit.path}"
        data = _unchanged(place, visit.stamp)
        new = None
        if offered == record.offered and record.spans:
            with contextlib.suppress(ValueError, TypeError):
                new = splice(data, [(a, b, _encoded(text)) for a, b, text in record.spans])
        if new is None:
            from sitecodec.site import rewrite

            page = visit.page or self._survey(visit.path, data, Findings())
            spans = rewrite.spans(offers, page, data) if page else []
            new = splice(data, spans)
            packed = [] if new == data else [(a, b, _decoded(text)) for a, b, text in spans]
            self.memory.pages[visit.path] = record._replace(offered=offered, spans=packed)
        if new == data:
            return False
        if offers.style.rpartition("/")[2].encode() in new:
            writing.write_new(f"{self.site}/{offers.style}", RULES.encode())
        writing.replace(place, new)
        if copies := files.compressed(place):
            message = (
                f"has compressed copies ({', '.join(copies)}) of what it was, which hosts may send"
                " in its place; compress pages after this, or remove the copies"
            )
            self.findings.problem(visit.path, "", message)
        return True

    def _note(self, name: str, error: Exception) -> None:
        self.memory.pages.pop(name, None)
        self.findings.unexpected(name, "", error)

    def _recall(self, name: str, digest: str) -> Record | None:
        return self.memory.recall(name, digest, self._find, self.layouts.state, self.findings)

    def _survey(self, name: str, data: bytes, findings: Findings) -> Page | None:
        from sitecodec.site import survey

        find = survey.survey_sheet if _is_sheet(name) else survey.survey_document
        where = (self.site, self.root, self.settings)
        return find(survey.Surroundings(*where, self.known, findings, self.layouts), name, data)

    def _find(self, path: str) -> File | str:
        if path not in self.known:
            self.known[path] = files.find(self.site, path)
        return self.known[path]


def style_file(folder: str) -> str:
    """Site path of the style sheet for pages whose policies forbid styles in them."""
    return f"{folder}/style-{hashlib.sha256(RULES.encode()).hexdigest()[:12]}.css"


def names_in(
    site: Path, findings: Findings, left: list[str] | None = None
) -> tuple[list[str], list[str]]:
    """Site paths of the pages and of the style sheets, each sorted.

    To `left` are added the places of files that a build was writing, perhaps a killed one.
    """
    pages: list[str] = []
    sheets: list[str] = []
    folders = [""]
    while folders:
        here = folders.pop()
        try:
            with os.scandir(f"{site}/{here}") as items:
                entries = sorted(items, key=lambda entry: entry.name)
        except OSError as error:
            what = (error.strerror or str(error)).lower()
            message = f"cannot be looked into ({what}), so its pages stay as they are"
            findings.problem(here or ".", "", message)
            continue
        inside = []
        for entry in entries:
            name, path = entry.name, here + entry.name
            if entry.is_dir(follow_symlinks=False):
                inside.append(f"{path}/")
                continue
            if name.endswith(writing.TEMPORARY):
                if left is not None:
                    left.append(entry.path)
                continue
            found = pages if name.lower().endswith((".html", ".htm")) else sheets
            if found is sheets and not _is_sheet(name):
                continue
            if entry.is_file(follow_symlinks=False):  # neither a pipe nor a device
                found.append(path)
            elif not entry.is_symlink():
                continue
            elif not Path(os.path.realpath(entry.path)).is_relative_to(site):
                message = "is a link that leaves the site; replace it by a copy"
                findings.problem(path, "", message)
        folders += reversed(inside)
    return pages, sheets


def changeable(sheets: Iterable[str], settings: Settings, findings: Findings) -> list[str]:
    """The style sheets that may be changed, after all pages have been surveyed."""
    return [
        name
        for name in sheets
        if name.rpartition("/")[2] not in findings.pinned
        and not globs.matches(settings.exclude, name)
    ]


def _is_sheet(name: str) -> bool:
    return name.lower().endswith(".css")


def _unchanged(place: str, stamp: files.Stamp) -> bytes:
    """The content of a page, which must be unchanged.

    To read it twice is faster than to hold it: memory that is new to a process takes longer.
    """
    try:
        data, now = files.read(place)
    except OSError as error:
        raise SiteError(f"cannot read {place}: {error.strerror}; build the site again") from error
    if now != stamp:
        raise SiteError(f"{place} changed while images were encoded; build the site again")
    return data


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")

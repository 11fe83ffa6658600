"""A site while its author works on it: encode in the background, show in pages what is ready."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.disk.store import Store
from sitecodec.encoding import jobs
from sitecodec.errors import SitecodecError
from sitecodec.page import markup, urls
from sitecodec.preview.decoded_cache import Pictures
from sitecodec.preview.dial import Trial, Trials
from sitecodec.preview.ledger import Ledger
from sitecodec.preview.pages import PREFIX, with_payloads, with_pictures
from sitecodec.preview.queue import Queue, Stage
from sitecodec.preview.results import (
    WAITING,
    Listed,
    Result,
    SourceStamp,
    first_look,
    stamp_of,
    verdict,
)
from sitecodec.preview.site_images import look_through
from sitecodec.settings import Settings
from sitecodec.site import survey
from sitecodec.site.build import with_widths
from sitecodec.site.files import find
from sitecodec.site.layout import Layouts
from sitecodec.site.rows import Problem

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["PREFIX", "Preview"]

_LOOK_UP_SECONDS = 0.3
_SURVEY_SECONDS = 5.0
_log = logging.getLogger("sitecodec")


class Preview:
    """The images of one site, what became of them, and the threads that encode them.

    `changed` is called, from another thread, when pages that were looked at would now show
    something else.
    """

    def __init__(
        self, settings: Settings, *, changed: Callable[[], None] | None = None, full: bool = True
    ) -> None:
        self.settings = settings
        self.store = Store(settings.store)
        cache = settings.store.with_name(settings.store.name + "-pictures")
        self.pictures = Pictures(self.store, cache)
        self.site: Path | None = None
        self.root = "/"
        self._layouts = Layouts(Path(), self.root)
        self._full = full
        self._template: Template | None = None
        self._sources: Mapping[str, Path] = {}
        self._refused: Mapping[str, str] = {}
        self._queue = Queue(self._work)
        self.ledger = Ledger(changed, self._queue.looks_at)
        self._content_width = 0
        self._trials = Trials(self.pictures)
        self._surveys = threading.Lock()
        self._surveyed = float("inf")

    # What the host tells us

    def update(
        self,
        site: Path,
        settings: Settings,
        *,
        base_path: str = "/",
        sources: Mapping[str, Path] | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        """The site was built: look through it again, in the background.

        `sources` maps site paths of images to the author's files, which are read in their place.
        """
        if settings != self.settings:
            self.ledger.forget()
            self.settings = settings
        self._template = markup.load_template(settings.templates)
        self.site = Path(os.path.realpath(site))
        self.root = urls.site_root(base_path)
        layouts = Layouts(self.site, self.root, settings.markup)
        if not layouts.is_like(self._layouts):  # else what was read of the site's CSS still holds
            self._layouts = layouts
        self._sources = sources or {}
        self._refused = refused or {}
        threading.Thread(target=self._survey, name="sitecodec survey", daemon=True).start()

    def watch_over(self, sources: dict[str, Path]) -> None:
        """There is no site, only these images, by the path that they are served at."""
        self._sources = sources
        self.ledger.only(sources)

    def touch(self, sources: Mapping[str, Path]) -> None:
        """A build begins: encode at once what pages show and the author has changed."""
        for real in self.ledger.displayed(sources.values()):
            self.want(real, urgent=True)

    def close(self) -> None:
        """Stop after the image in work."""
        self._queue.close()
        self.ledger.close()

    # What requests ask

    def page(self, name: str, data: bytes) -> bytes:
        """A page of the site with the pictures that are ready; the others are now urgent."""
        if self.site is None or self._template is None:
            return data
        findings = survey.Findings()
        files: dict[str, survey.File | str] = dict(self._refused)
        around = survey.Surroundings(
            *(self.site, self.root, self.settings, files, findings, self._layouts)
        )
        page = survey.survey_document(around, name, data)
        if page:
            self._content_width = findings.content_width or self._content_width
            results = []
            deadline = time.monotonic() + _LOOK_UP_SECONDS
            for use in page.uses:
                real = self._real(use.target.path, files)
                results.append(self._look_up(real, deadline) if real else WAITING)
                if real:
                    self.ledger.displays(real, results[-1].shown)
                    if results[-1].state == "waiting":
                        self.want(real, urgent=True)
            data = with_pictures(data, page, results, self._template)
            if not all(self.ledger.lists(use.target.path) for use in page.uses):
                self._survey_again()
        folder = self.settings.asset_dir
        return with_payloads(data, name, self.site, self.root, folder, self._kept)

    def _kept(self, payload: bytes) -> str:
        return self.pictures.keep(payload) if self.pictures.decodes(payload) else ""

    def listed(self) -> list[Listed]:
        """Every image that the survey has found, by path."""
        site = self.site
        return self.ledger.listed(
            lambda path: self._sources.get(path) or (site / path if site else None)
        )

    def trial(self, path: str, quality: float, *, score: bool) -> Trial | None:
        """Encode one of the listed images at a quality 0-100; None if there is no such image.

        Raises BusyError if others wait for the same, ImageError for what cannot be encoded.
        """
        if not self.ledger.lists(path) or not (real := self._real(path, {})):
            return None
        return self._trials.run(real, quality, self.settings, score=score)

    # Work

    def want(self, real: Path, *, urgent: bool) -> None:
        """Encode a file before long, unless that has been done."""
        self._push("quick", real, urgent=urgent)

    def _push(self, stage: Stage, real: Path, *, urgent: bool) -> None:
        workers = self.settings.workers or os.cpu_count() or 1
        self._queue.push(stage, real, urgent=urgent, workers=workers)

    def _work(self, stage: Stage, real: Path, urgent: bool) -> None:
        """One piece of work of the queue's; whatever comes of it is the image's result."""
        stamp = stamp_of(real)
        try:
            result = self._done(stage, real, stamp)
        except SitecodecError as error:
            result = Result("problem", reason=str(error).removeprefix(f"{real}: "))
        except Exception as error:
            _log.debug("unexpected error in %s", real, exc_info=True)
            result = Result("problem", reason=f"encoding stopped unexpectedly ({error})")
        if result.state == "problem" and self.site and result != self.ledger.known(real, stamp):
            self._warn(real, result.reason)
        self.ledger.note(real, stamp, result, reload=stage == "quick")
        if stage == "quick" and result.state == "quick" and self._full:
            self._push("full", real, urgent=urgent)

    def _warn(self, real: Path, reason: str) -> None:
        """Say what a build would say; before the site is looked through, with the file's name."""
        for item in self.listed():
            if item.source == real:
                _log.warning("sitecodec: %s", Problem(item.pages[0], item.path, reason))
                return
        _log.warning("sitecodec: %s: %s", real, reason)

    def _done(self, stage: Stage, real: Path, stamp: SourceStamp) -> Result:
        """Do one piece of work, or find that it is done already."""
        known = self.ledger.known(real, stamp)
        # A problem may have gone without a trace in the file: memory, permissions of a folder.
        wanted = ("waiting", "problem") if stage == "quick" else ("waiting", "quick")
        if known and known.state not in wanted:
            return known
        job = self._job(real)
        outcome = jobs.recall(job, self.store)
        if outcome is None and stage == "quick":
            return first_look(real, self._settings_of(real), self.pictures)
        if outcome is None:
            ((_, answer),) = jobs.encode_images([job], None, self.store)
            if isinstance(answer, Exception):
                raise answer
            outcome = answer
        return self._verdict(outcome)

    def _verdict(self, outcome: jobs.Outcome) -> Result:
        return verdict(outcome, self.pictures, self.settings, self._content_width)

    def _job(self, real: Path) -> jobs.Job:
        """The job that a build of the site would do, so that it finds the outcome in the store."""
        return jobs.Job(real, self._settings_of(real))

    def _settings_of(self, real: Path) -> Settings:
        settings = with_widths(self.settings, self._content_width)
        return replace(settings, quality=self.ledger.quality(real, settings.quality))

    def _look_up(self, real: Path, deadline: float) -> Result:
        """The known result for the current content of a file, without encoding it."""
        stamp = stamp_of(real)
        known = self.ledger.known(real, stamp)
        if known:
            return known
        if time.monotonic() < deadline:
            try:
                outcome = jobs.recall(self._job(real), self.store)
            except SitecodecError as error:
                result = Result("problem", reason=str(error).removeprefix(f"{real}: "))
                self.ledger.note(real, stamp, result)
                return result
            if outcome is not None:
                result = self._verdict(outcome)
                self.ledger.note(real, stamp, result)
                return result
        return WAITING

    def _real(self, path: str, files: Mapping[str, survey.File | str]) -> Path | None:
        """The file to read for an image of the site; None if there is none."""
        if path in self._refused or self.site is None:
            return self._sources.get(path) if self.site is None else None
        if path in self._sources:
            return self._sources[path]
        file = files.get(path) or find(self.site, path)  # which leads out of the site nowhere
        return file.real if isinstance(file, survey.File) else None

    def _survey_again(self) -> None:
        """A page shows what no survey has found: the site was built again, unheard by us."""
        if time.monotonic() - self._surveyed > _SURVEY_SECONDS:
            self._surveyed = float("inf")  # one at a time
            threading.Thread(target=self._survey, name="sitecodec survey", daemon=True).start()

    def _survey(self) -> None:
        """Look through all pages of the site for images, and have them encoded."""
        site = self.site
        if site is None:
            return

        with self._surveys:
            try:
                findings, files = look_through(site, self.root, self.settings, self._refused)
            except OSError as error:
                _log.warning("sitecodec: cannot read %s: %s", site, error.strerror)
                return
            finally:
                self._surveyed = time.monotonic()
            self._content_width = findings.content_width or self._content_width
            self.ledger.survey(findings)
        for path in findings.uses:
            real = self._real(path, files)
            if real:
                self.ledger.wish(real, findings.qualities.get(path))
                self.want(real, urgent=False)

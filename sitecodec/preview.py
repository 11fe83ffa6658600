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

from sitecodec import jobs, markup, survey, urls
from sitecodec.errors import SitecodecError
from sitecodec.pictures import Pictures
from sitecodec.preview_pages import PREFIX, with_payloads, with_pictures
from sitecodec.preview_queue import Queue, Stage
from sitecodec.preview_results import (
    WAITING,
    Listed,
    Result,
    Stamp,
    first_look,
    stamp_of,
    verdict,
)
from sitecodec.preview_sources import look_through
from sitecodec.preview_trials import Trial, Trials
from sitecodec.settings import Settings
from sitecodec.site import with_widths
from sitecodec.store import Store

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["PREFIX", "Preview"]

_LOOK_UP_SECONDS = 0.3
_GATHER_SECONDS = 2.0
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
        self.serial = {"pages": 0, "images": 0}
        self._changed = changed
        self._full = full
        self._template: Template | None = None
        self._sources: Mapping[str, Path] = {}
        self._refused: Mapping[str, str] = {}
        self._findings = survey.Findings()
        self._pages: dict[str, list[str]] = {}
        self._lock = threading.Condition()
        self._results: dict[Path, tuple[Stamp, Result]] = {}
        self._qualities: dict[Path, float] = {}
        self._displayed: dict[Path, str] = {}
        self._dirty_since: float | None = None
        self._queue = Queue(self._work)
        self._closed = False
        self._content_width = 0
        self._trials = Trials(self.pictures)
        self._surveys = threading.Lock()

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
            with self._lock:
                self._results.clear()
            self.settings = settings
        self._template = markup.load_template(settings.templates)
        self.site = Path(os.path.realpath(site))
        self.root = urls.site_root(base_path)
        self._sources = sources or {}
        self._refused = refused or {}
        threading.Thread(target=self._survey, name="sitecodec survey", daemon=True).start()

    def watch_over(self, sources: dict[str, Path]) -> None:
        """There is no site, only these images, by the path that they are served at."""
        self._sources = sources
        with self._lock:
            self._pages = {path: [] for path in sources}
            self._results = {p: r for p, r in self._results.items() if p in sources.values()}
            self.serial["images"] += 1
            self._lock.notify_all()

    def touch(self, sources: Mapping[str, Path]) -> None:
        """A build begins: encode at once what pages show and the author has changed."""
        with self._lock:
            displayed = set(self._displayed)
        for real in displayed & set(sources.values()):
            self.want(real, urgent=True)

    def close(self) -> None:
        """Stop after the image in work."""
        self._queue.close()
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    # What requests ask

    def page(self, name: str, data: bytes) -> bytes:
        """A page of the site with the pictures that are ready; the others are now urgent."""
        if self.site is None or self._template is None:
            return data
        findings = survey.Findings()
        files: dict[str, survey.File | str] = dict(self._refused)
        page = survey.survey_document(
            self.site, name, data, self.root, self.settings, files, findings
        )
        if page:
            self._content_width = findings.content_width or self._content_width
            results = []
            deadline = time.monotonic() + _LOOK_UP_SECONDS
            for use in page.uses:
                real = self._real(use.target.path, files)
                results.append(self._look_up(real, deadline) if real else WAITING)
                if real:
                    with self._lock:
                        self._displayed[real] = results[-1].shown
                    if results[-1].state == "waiting":
                        self.want(real, urgent=True)
            data = with_pictures(data, page, results, self._template)
        folder = self.settings.asset_dir
        return with_payloads(data, name, self.site, self.root, folder, self._kept)

    def _kept(self, payload: bytes) -> str:
        return self.pictures.keep(payload) if self.pictures.decodes(payload) else ""

    def listed(self) -> list[Listed]:
        """Every image that the survey has found, by path."""
        with self._lock:
            pages = dict(self._pages)
            results = dict(self._results)
            left = dict(self._findings.rows)
            faults = list(self._findings.problems.items())
        rows = {}
        for path, shown_on in pages.items():
            real = self._sources.get(path) or (self.site / path if self.site else None)
            _, result = results.get(real, ((0, 0), WAITING)) if real else ((0, 0), WAITING)
            rows[path] = Listed(path, real, tuple(shown_on), result)
        for path, row in left.items():
            if path not in rows:
                result = Result("left alone", source_bytes=row.before, reason=row.reason)
                rows[path] = Listed(path, None, (), result)
        for (path, message), shown_on in faults:
            if path and path not in rows:
                result = Result("problem", reason=message)
                rows[path] = Listed(path, None, tuple(shown_on), result)
        return [rows[path] for path in sorted(rows)]

    def progress(self) -> tuple[int, int]:
        """Numbers of images that are shown as they will be, and in all."""
        with self._lock:
            states = [result.state for _, result in self._results.values()]
            total = max(len(self._pages), len(states))
        return sum(state not in ("waiting", "quick") for state in states), total

    def wait(self, what: str, after: int, seconds: float) -> int:
        """The serial number of 'pages' or 'images', as soon as it differs from `after`."""
        with self._lock:
            self._lock.wait_for(lambda: self._closed or self.serial[what] != after, seconds)
            return self.serial[what]

    def trial(self, path: str, quality: float, *, score: bool) -> Trial | None:
        """Encode one of the listed images at a quality 0-100; None if there is no such image.

        Raises BusyError if others wait for the same, ImageError for what cannot be encoded.
        """
        with self._lock:
            known = path in self._pages
        if not known or not (real := self._real(path, {})):
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
        self._set(real, stamp, result, reload=stage == "quick")
        if stage == "quick" and result.state == "quick" and self._full:
            self._push("full", real, urgent=urgent)

    def _done(self, stage: Stage, real: Path, stamp: Stamp) -> Result:
        """Do one piece of work, or find that it is done already."""
        with self._lock:
            known = self._results.get(real)
        wanted = ("waiting",) if stage == "quick" else ("waiting", "quick")
        if known and known[0] == stamp and known[1].state not in wanted:
            return known[1]
        job = self._job(real)
        outcome = jobs.recall(job, self.store)
        if outcome is None and stage == "quick":
            return first_look(real, self._settings_of(real), self.pictures)
        if outcome is None:
            ((_, answer),) = jobs.run([job], None, self.store)
            if isinstance(answer, Exception):
                raise answer
            outcome = answer
        return verdict(outcome, self.pictures)

    def _job(self, real: Path) -> jobs.Job:
        """The job that a build of the site would do, so that it finds the outcome in the store."""
        return jobs.Job(real, self._settings_of(real))

    def _settings_of(self, real: Path) -> Settings:
        settings = with_widths(self.settings, self._content_width)
        with self._lock:
            return replace(settings, quality=self._qualities.get(real, settings.quality))

    def _look_up(self, real: Path, deadline: float) -> Result:
        """What is known of a file as it is now, without encoding it."""
        stamp = stamp_of(real)
        with self._lock:
            known = self._results.get(real)
        if known and known[0] == stamp:
            return known[1]
        if time.monotonic() < deadline:
            try:
                outcome = jobs.recall(self._job(real), self.store)
            except SitecodecError as error:
                result = Result("problem", reason=str(error).removeprefix(f"{real}: "))
                self._set(real, stamp, result)
                return result
            if outcome is not None:
                result = verdict(outcome, self.pictures)
                self._set(real, stamp, result)
                return result
        return WAITING

    def _set(self, real: Path, stamp: Stamp, result: Result, *, reload: bool = False) -> None:
        """Note a result; tell who waits for it.

        Pages are reloaded for a first look at a changed image only, not for the verdict that
        follows: on a page of many images these would go on for a minute.
        """
        tell = False
        with self._lock:
            previous = self._results.get(real)
            self._results[real] = (stamp, result)
            if previous != (stamp, result):
                self.serial["images"] += 1
            if reload and self._displayed.get(real, result.shown) != result.shown:
                self._dirty_since = self._dirty_since or time.monotonic()
            if self._dirty_since is not None:
                # One reload for many images: when no page in view waits for more, or in a while.
                others = self._displayed.keys() - {real}
                waiting = self._queue.looks_at(others)
                if not waiting or time.monotonic() - self._dirty_since > _GATHER_SECONDS:
                    self._dirty_since = None
                    self.serial["pages"] += 1
                    tell = True
            self._lock.notify_all()
        if tell and self._changed:
            self._changed()

    def _real(self, path: str, files: Mapping[str, survey.File | str]) -> Path | None:
        """The file to read for an image of the site; None if there is none."""
        if path in self._refused or self.site is None:
            return self._sources.get(path) if self.site is None else None
        if path in self._sources:
            return self._sources[path]
        file = files.get(path)
        return file.real if isinstance(file, survey.File) else self.site / path

    def _survey(self) -> None:
        """Look through all pages of the site for images, and have them encoded."""
        site = self.site
        if site is None:
            return

        def recall(real: Path, content_width: int) -> jobs.Outcome | None:
            self._content_width = self._content_width or content_width
            return jobs.recall(self._job(real), self.store)

        with self._surveys:
            try:
                findings, files = look_through(
                    site, self.root, self.settings, self._refused, recall
                )
            except OSError as error:
                _log.warning("sitecodec: cannot read %s: %s", site, error.strerror)
                return
            self._content_width = findings.content_width or self._content_width
            with self._lock:
                self._findings = findings
                self._pages = {path: list(pages) for path, pages in findings.uses.items()}
                self.serial["images"] += 1
                self._lock.notify_all()
        for path in findings.uses:
            real = self._real(path, files)
            if real:
                self._wish(real, findings.qualities.get(path))
                self.want(real, urgent=False)

    def _wish(self, real: Path, quality: float | None) -> None:
        """Note the quality that tags ask for; what was made at another is out of date."""
        with self._lock:
            if self._qualities.get(real) == quality:
                return
            self._results.pop(real, None)
            if quality is None:
                del self._qualities[real]
            else:
                self._qualities[real] = quality

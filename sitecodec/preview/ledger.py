"""The preview's knowledge of each image, and the listeners that hear of changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from sitecodec.preview.results import WAITING, Listed, Result, SourceStamp
from sitecodec.site.findings import Findings, problems

_GATHER_SECONDS = 2.0
_MOST_WARNINGS = 10
_log = logging.getLogger("sitecodec")


class Ledger:
    """Results by file, the pages that show them, and serial numbers that rise with each change.

    `changed` is called, from another thread, when pages that were looked at would now show
    something else; `looked_at` says whether one of some files is still to have a first look.
    """

    def __init__(
        self, changed: Callable[[], None] | None, looked_at: Callable[[Iterable[Path]], bool]
    ) -> None:
        self.serial = {"pages": 0, "images": 0}
        self._changed = changed
        self._looked_at = looked_at
        self._lock = threading.Condition()
        self._findings = Findings()
        self._pages: dict[str, list[str]] = {}
        self._results: dict[Path, tuple[SourceStamp, Result]] = {}
        self._qualities: dict[Path, float] = {}
        self._displayed: dict[Path, str] = {}
        self._dirty_since: float | None = None
        self._closed = False

    # What is there

    def survey(self, findings: Findings) -> None:
        """Take in the findings of a survey of the site, and warn of its problems."""
        with self._lock:
            self._findings = findings
            self._pages = {path: list(pages) for path, pages in findings.uses.items()}
            self._tell_of_images()
        found = list(problems(findings))
        for problem in found[:_MOST_WARNINGS]:
            _log.warning("sitecodec: %s", problem)
        if len(found) > _MOST_WARNINGS:
            more = len(found) - _MOST_WARNINGS
            _log.warning("sitecodec: %d more problems; the inspector lists them", more)

    def only(self, sources: Mapping[str, Path]) -> None:
        """There is no site, only these images."""
        kept = set(sources.values())
        with self._lock:
            self._pages = {path: [] for path in sources}
            self._results = {real: known for real, known in self._results.items() if real in kept}
            self._tell_of_images()

    def forget(self) -> None:
        """Other settings: all results are out of date."""
        with self._lock:
            self._results.clear()

    def lists(self, path: str) -> bool:
        """Whether an image of this path is to be encoded."""
        with self._lock:
            return path in self._pages

    def listed(self, real_of: Callable[[str], Path | None]) -> list[Listed]:
        """Every image that the survey has found, by path; `real_of` finds the file of a path."""
        with self._lock:
            pages = dict(self._pages)
            results = dict(self._results)
            left = dict(self._findings.rows)
            faults = list(self._findings.problems.items())
        rows = {}
        for path, shown_on in pages.items():
            real = real_of(path)
            _, result = results.get(real, ((), WAITING)) if real else ((), WAITING)
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

    # What pages show

    def displays(self, real: Path, shown: str) -> None:
        """A page that was looked at shows a file as the picture `shown`; '' for the author's."""
        with self._lock:
            self._displayed[real] = shown

    def displayed(self, among: Collection[Path]) -> set[Path]:
        """The files among `among` that the author has looked at in pages."""
        with self._lock:
            return self._displayed.keys() & set(among)

    # What becomes of an image

    def quality(self, real: Path, otherwise: float) -> float:
        """The quality that the tags of a file ask for."""
        with self._lock:
            return self._qualities.get(real, otherwise)

    def wish(self, real: Path, quality: float | None) -> None:
        """Note the quality that tags ask for; what was made at another is out of date."""
        with self._lock:
            if self._qualities.get(real) == quality:
                return
            self._results.pop(real, None)
            if quality is None:
                del self._qualities[real]
            else:
                self._qualities[real] = quality

    def known(self, real: Path, stamp: SourceStamp) -> Result | None:
        """The result of a file as it is now; None if there is none."""
        with self._lock:
            known = self._results.get(real)
        return known[1] if known and known[0] == stamp else None

    def note(self, real: Path, stamp: SourceStamp, result: Result, *, reload: bool = False) -> None:
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
                waiting = self._looked_at(others)
                if not waiting or time.monotonic() - self._dirty_since > _GATHER_SECONDS:
                    self._dirty_since = None
                    self.serial["pages"] += 1
                    tell = True
            self._lock.notify_all()
        if tell and self._changed:
            self._changed()

    # Who waits

    def wait(self, what: str, after: int, seconds: float) -> int:
        """The serial number of 'pages' or 'images', as soon as it differs from `after`."""
        with self._lock:
            self._lock.wait_for(lambda: self._closed or self.serial[what] != after, seconds)
            return self.serial[what]

    def close(self) -> None:
        """Let go of all who wait."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def _tell_of_images(self) -> None:
        self.serial["images"] += 1
        self._lock.notify_all()

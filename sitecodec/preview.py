"""A site while its author works on it: encode in the background, show in pages what is ready."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sitecodec import assets, html, jobs, markup, survey, urls
from sitecodec.errors import ImageError, SitecodecError
from sitecodec.pictures import BusyError, Pictures
from sitecodec.settings import Settings
from sitecodec.site import with_widths
from sitecodec.store import Store

if TYPE_CHECKING:
    from jinja2 import Template

PREFIX = "/_sitecodec/"
"""URL path of all that the preview adds to a site."""

_LOOK_UP_SECONDS = 0.3
_GATHER_SECONDS = 2.0
_TRIALS = 256
# A worst tile that lacks more than this, no higher quality will save: text, for one.
_TILE_MARGIN = 20.0
# As templates/picture.html.jinja writes it.
_PAYLOAD_SOURCE = re.compile(
    rb'<source (?=[^<>]*type="image/x-sitecodec")[^<>]*?srcset="([^"<>]+)"[^<>]*>'
)
_ENCODABLE = (".png", ".jpg", ".jpeg", ".webp", ".jfif", ".jpe")
_MIME_TYPES = {"png": "image/png", "avif": "image/avif", "webp": "image/webp"}
_log = logging.getLogger("sitecodec")

Stage = Literal["quick", "full"]
_Stamp = tuple[int, int]


@dataclass(frozen=True)
class Result:
    """What became of an image so far."""

    state: str
    """'waiting', 'quick' (decoded and shown, not yet judged), 'done', 'left alone', 'problem'."""

    source_bytes: int = 0
    width: int = 0
    height: int = 0
    payload: str = ""
    """SHA-256 of the payload that pages show; '' if there is none."""
    avif: str = ""
    """Name of the AVIF, or of the lossless WebP that is smaller; '' if there is neither."""
    payload_bytes: int | None = None
    avif_bytes: int | None = None
    jpeg_bytes: int | None = None
    score: float | None = None
    worst_tile: float | None = None
    quality: float | None = None
    reason: str = ""

    @property
    def shown(self) -> str:
        """Name of the picture that stands before the author's; '' if none does."""
        return f"{self.payload}.png" if self.payload else self.avif


WAITING = Result("waiting")


@dataclass(frozen=True)
class Listed:
    """An image of the site in the inspector's list."""

    path: str
    source: Path | None
    """Where its bytes come from; None if there is nothing to encode."""
    pages: tuple[str, ...]
    result: Result


@dataclass(frozen=True)
class Trial:
    """One encode at a quality of the author's choice."""

    payload: str
    payload_bytes: int
    score: float | None = None
    worst_tile: float | None = None


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
        self._results: dict[Path, tuple[_Stamp, Result]] = {}
        self._qualities: dict[Path, float] = {}
        self._displayed: dict[Path, str] = {}
        self._dirty_since: float | None = None
        self._queue: list[tuple[int, int, Stage, Path]] = []
        self._queued: dict[tuple[Stage, Path], int] = {}
        self._active: set[Path] = set()
        self._numbers = itertools.count()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._content_width = 0
        self._trials: OrderedDict[tuple[Path, _Stamp, float], Trial] = OrderedDict()
        self._trying = threading.Semaphore(1)
        self._tries = 0
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
        with self._lock:
            self._closed = True
            self._queue.clear()
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
        if page is None:
            return self._built_page(name, data)
        self._content_width = findings.content_width or self._content_width
        pictures: list[tuple[html.Image, markup.Picture | None]] = []
        deadline = time.monotonic() + _LOOK_UP_SECONDS
        for use in page.uses:
            real = self._real(use.target.path, files)
            result = self._look_up(real, deadline) if real else WAITING
            shown = result.shown
            if real:
                with self._lock:
                    self._displayed[real] = shown
                if result.state == "waiting":
                    self.want(real, urgent=True)
            pictures.append((use.image, _picture(shown, result) if shown else None))
        first = next((n for n, (image, _) in enumerate(pictures) if image.in_content), -1)
        replacements = [
            (
                image.start,
                image.end,
                markup.render(
                    self._template,
                    data,
                    image,
                    picture,
                    first=number == first,
                    lazy=number > first >= 0,
                ),
            )
            for number, (image, picture) in enumerate(pictures)
            if picture
        ]
        if replacements:
            replacements = markup.with_head(data, page.head_end, replacements)
        return self._built_page(name, html.splice(data, replacements))

    def _built_page(self, name: str, data: bytes) -> bytes:
        """Put the decoded picture before each payload that a build has written into a page."""
        assert self.site is not None
        insertions = []
        for match in _PAYLOAD_SOURCE.finditer(data):
            urls_of = match[1].decode("utf-8", "replace")
            decoded = [self._decoded(name, part) for part in unescape(urls_of).split(", ")]
            if all(decoded):
                tag = match[0].replace(b"image/x-sitecodec", b"image/png")
                tag = tag.replace(match[1], escape(", ".join(decoded)).encode())
                insertions.append((match.start(), match.start(), tag))
        return html.splice(data, insertions)

    def _decoded(self, page: str, candidate: str) -> str:
        """A candidate of a srcset, its payload's URL replaced by the picture's; '' if it is bad."""
        assert self.site is not None
        url, space, width = candidate.strip().partition(" ")
        target = urls.resolve(url, self.root + page, self.root)
        if isinstance(target, str) or not _is_payload(target.path, self.settings.asset_dir):
            return ""
        try:
            payload = (self.site / target.path).read_bytes()
        except OSError:
            return ""
        return f"{PREFIX}{self.pictures.keep(payload)}.png{space}{width}"

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
        with self._lock:
            if self._tries >= 4:
                raise BusyError("another encode is under way; ask again in a second")
            self._tries += 1
        try:
            with self._trying:
                return self._try(real, quality, score)
        finally:
            with self._lock:
                self._tries -= 1

    # Work

    def want(self, real: Path, *, urgent: bool) -> None:
        """Encode a file before long, unless that has been done."""
        self._push("quick", real, 0 if urgent else 1)

    def _push(self, stage: Stage, real: Path, priority: int) -> None:
        with self._lock:
            if self._closed or self._queued.get((stage, real), 99) <= priority:
                return
            self._queued[stage, real] = priority
            heapq.heappush(self._queue, (priority, next(self._numbers), stage, real))
            if len(self._threads) < (self.settings.workers or os.cpu_count() or 1):
                name = f"sitecodec encoder {len(self._threads)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._lock.notify_all()

    def _work(self) -> None:
        with suppress(AttributeError, OSError):  # where threads have priorities of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._queue)
                if self._closed:
                    return
                priority, _, stage, real = heapq.heappop(self._queue)
                if self._queued.get((stage, real)) != priority:
                    continue  # it was moved forward
                del self._queued[stage, real]
                if stage == "quick":
                    self._active.add(real)
            stamp = _stamp(real)
            try:
                result = self._done(stage, real, stamp)
            except SitecodecError as error:
                result = Result("problem", reason=str(error).removeprefix(f"{real}: "))
            except Exception as error:
                _log.debug("unexpected error in %s", real, exc_info=True)
                result = Result("problem", reason=f"encoding stopped unexpectedly ({error})")
            with self._lock:
                self._active.discard(real)
            self._set(real, stamp, result, reload=stage == "quick")
            if stage == "quick" and result.state == "quick" and self._full:
                self._push("full", real, priority + 2)

    def _done(self, stage: Stage, real: Path, stamp: _Stamp) -> Result:
        """Do one piece of work, or find that it is done already."""
        with self._lock:
            known = self._results.get(real)
        wanted = ("waiting",) if stage == "quick" else ("waiting", "quick")
        if known and known[0] == stamp and known[1].state not in wanted:
            return known[1]
        job = self._job(real)
        outcome = jobs.recall(job, self.store)
        if outcome is None and stage == "quick":
            return self._quick(real)
        if outcome is None:
            ((_, answer),) = jobs.run([job], None, self.store)
            if isinstance(answer, Exception):
                raise answer
            outcome = answer
        return self._result(outcome)

    def _job(self, real: Path) -> jobs.Job:
        """The job that a build of the site would do, so that it finds the outcome in the store."""
        return jobs.Job(real, self._settings_of(real))

    def _settings_of(self, real: Path) -> Settings:
        settings = with_widths(self.settings, self._content_width)
        with self._lock:
            return replace(settings, quality=self._qualities.get(real, settings.quality))

    def _result(self, outcome: jobs.Outcome) -> Result:
        widths = jobs.by_width(outcome)
        small = widths[0] if widths else {}
        payload = small.get("slat")
        avif = small.get("avif") or small.get("webp")
        jpeg = small.get("jpeg") or small.get("png")
        return Result(
            "done" if payload or avif else "left alone",
            outcome.source_bytes,
            outcome.width,
            outcome.height,
            self.pictures.keep(payload.data) if payload else "",
            f"{self.pictures.keep(avif.data)}.{avif.format}" if avif else "",
            len(payload.data) if payload else None,
            len(avif.data) if avif else None,
            len(jpeg.data) if jpeg and (payload or avif) else None,
            outcome.score,
            outcome.worst_tile,
            payload.quality if payload else None,
            outcome.reason or ("" if payload or avif else "nothing smaller"),
        )

    def _quick(self, real: Path) -> Result:
        """Encode and decode once and look for a bad part: what shows at a glance."""
        from sitecodec import codecs, images, metrics

        data = _read(real)
        source = images.load(data, str(real), self.settings.max_pixels)
        if isinstance(source, images.LeftAlone):
            return Result("left alone", len(data), reason=source.reason)
        codec = codecs.get("web")
        quality = quick_quality(self._settings_of(real).quality)
        payload = codec.encode(source.pixels, quality)
        decoded = codec.decode(payload)
        tile = metrics.worst_tile(source.pixels, decoded)
        size = source.width, source.height
        if tile < self.settings.min_tile_score - _TILE_MARGIN:
            reason = f"worst tile {tile:.1f} is under {self.settings.min_tile_score:g}"
        else:
            reason = "" if len(payload) < len(data) else "already small"
        digest = ""
        if not reason:
            digest = self.pictures.keep(payload)
            self.pictures.put(digest, decoded)
        return Result(
            "quick",
            len(data),
            *size,
            payload=digest,
            payload_bytes=len(payload) if digest else None,
            worst_tile=tile,
            quality=quality,
            reason=reason,
        )

    def _try(self, real: Path, quality: float, score: bool) -> Trial:
        from sitecodec import codecs, images, metrics

        name = (real, _stamp(real), quality)
        known = self._trials.get(name)
        if known and (known.score is not None or not score):
            return known
        source = images.load(_read(real), str(real), self.settings.max_pixels)
        if isinstance(source, images.LeftAlone):
            raise ImageError(f"it is left alone: {source.reason}")
        codec = codecs.get("web")
        payload = (known and self.pictures.file(known.payload)) or codec.encode(
            source.pixels, quality
        )
        trial = Trial(self.pictures.keep(payload), len(payload))
        if score:
            decoded = codec.decode(payload)
            trial = replace(
                trial,
                score=metrics.ssimulacra2(metrics.sample(source.pixels), metrics.sample(decoded)),
                worst_tile=metrics.worst_tile(source.pixels, decoded),
            )
        self._trials[name] = trial
        while len(self._trials) > _TRIALS:
            self._trials.popitem(last=False)
        return trial

    def _look_up(self, real: Path, deadline: float) -> Result:
        """What is known of a file as it is now, without encoding it."""
        stamp = _stamp(real)
        with self._lock:
            known = self._results.get(real)
        if known and known[0] == stamp:
            return known[1]
        if time.monotonic() < deadline:
            try:
                outcome = jobs.recall(self._job(real), self.store)
            except SitecodecError as error:
                return Result("problem", reason=str(error))
            if outcome is not None:
                result = self._result(outcome)
                self._set(real, stamp, result)
                return result
        return WAITING

    def _set(self, real: Path, stamp: _Stamp, result: Result, *, reload: bool = False) -> None:
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
                waiting = any(
                    r in self._active or self._queued.get(("quick", r)) == 0
                    for r in self._displayed
                )
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

    def _find_sources(self, site: Path, findings: survey.Findings) -> None:
        """Find the sources of a site that was built: their outcomes lead to the files' names."""
        named: dict[str, list[str]] = {}
        for page in survey.page_names(site, findings):
            with suppress(OSError):
                data = (site / page).read_bytes()
                self._content_width = self._content_width or survey.content_width(data)
                for stem in assets.named_in(data):
                    named.setdefault(stem, []).append(page)
        for path in _images_of(site, self.settings.asset_dir):
            with suppress(SitecodecError):
                outcome = jobs.recall(self._job(site / path), self.store)
                if outcome and outcome.variants:
                    pages: set[str] = set()
                    for files in jobs.by_width(outcome):
                        pages.update(named.pop(assets.fingerprint(files), ()))
                    if pages:
                        findings.uses[path] = sorted(pages)
        for stem, unknown in named.items():
            findings.problem(
                unknown[0], f"{self.settings.asset_dir}/…-{stem}", "source not found in the store"
            )

    def _survey(self) -> None:
        """Look through all pages of the site for images, and have them encoded."""
        site = self.site
        if site is None:
            return
        with self._surveys:
            findings = survey.Findings()
            files: dict[str, survey.File | str] = dict(self._refused)
            try:
                for name in list(survey.page_names(site, findings)):
                    survey.survey(site, name, self.root, self.settings, files, findings)
                if (site / self.settings.asset_dir).is_dir():
                    self._find_sources(site, findings)
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


def quick_quality(target: float) -> float:
    """The codec's quality that reaches a score on a typical photograph; a build seeks it."""
    return min(100.0, max(0.0, 1.3 * target - 10))


def _images_of(site: Path, without: str) -> Iterator[str]:
    """Site paths of the files that may be sources."""
    for folder, folders, names in os.walk(site):
        here = Path(folder).relative_to(site).as_posix()
        if here == without:
            folders.clear()
            continue
        for name in names:
            if name.lower().endswith(_ENCODABLE):
                yield name if here == "." else f"{here}/{name}"


def _is_payload(path: str, folder: str) -> bool:
    name = path.removeprefix(f"{folder}/")
    return name != path and "/" not in name and name.endswith(".slat")


def _picture(shown: str, result: Result) -> markup.Picture:
    kind = _MIME_TYPES[shown.rpartition(".")[2]]
    source = markup.Source(kind, PREFIX + shown, result.width, result.height)
    return markup.Picture((source,), None, result.width, result.height)


def _stamp(path: Path) -> _Stamp:
    """What changes when a file does; zeros where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise ImageError(f"{path}: cannot be read ({what}); mend the path") from error

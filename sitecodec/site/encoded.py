"""The images of a built site: each encoded once, its files written, what came of it noted."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.disk.folders import MOST_BYTES, plain
from sitecodec.encoding import jobs
from sitecodec.errors import ImageError, SitecodecError
from sitecodec.facts.reasons import Reason
from sitecodec.settings import Settings
from sitecodec.site import assets
from sitecodec.site.files import File, pixels
from sitecodec.site.findings import Findings
from sitecodec.site.memory import Kept, Memory
from sitecodec.site.offers import CONTENT_WIDTH
from sitecodec.site.rows import ImageRow
from sitecodec.site.surroundings import Surroundings
from sitecodec.terminal.printing import printable
from sitecodec.visitors.installed import Installed

if TYPE_CHECKING:
    from concurrent.futures import Executor

_log = logging.getLogger("sitecodec")

_MOST_WIDTH = 1920
_MOST_PIXELS = 65_500
_STEP = 160


def with_widths(settings: Settings, content_width: int) -> Settings:
    """The settings with widths, where they name none: those for a theme's width of content."""
    if settings.widths:
        return settings
    content_width = content_width or CONTENT_WIDTH
    # Half of it is for images of which two or three stand beside each other.
    widths = (content_width // 2, content_width, min(2 * content_width, _MOST_WIDTH))
    return replace(settings, widths=widths)


def encode(
    around: Surroundings,
    memory: Memory,
    codec: Callable[[], Installed],
    progress: Callable[[int, int], None] | None,
) -> dict[str, assets.Image]:
    """Encode every image that is in use and write its files; returns the assets by site path."""
    findings = around.findings
    background_width = 0 if around.settings.widths else _MOST_WIDTH
    settings = with_widths(around.settings, findings.content_width)
    files = ((path, around.known[path]) for path in sorted(findings.uses))
    wanted = {path: file for path, file in files if isinstance(file, File)}
    groups = {paths[0]: paths for paths in _same_content(wanted)}
    first_of = {wanted[first].real: first for first in groups}
    images = _Images(around.site, settings.asset_dir, findings, memory, wanted, groups, first_of)
    work = (
        jobs.Job(real, _wished(settings, findings, groups[first], background_width))
        for real, first in first_of.items()
    )
    encoded: dict[str, assets.Image] = {}
    if progress:
        progress(0, len(groups))
    with ExitStack() as stack:

        def executor() -> Executor:
            from concurrent.futures import ThreadPoolExecutor  # only where there is something to do

            pool = ThreadPoolExecutor(settings.workers or os.cpu_count() or 1)
            stack.callback(pool.shutdown, cancel_futures=True)
            return pool

        results = jobs.encode_images(
            work, executor, memory.store, images.remembered, lambda _: codec().identity
        )
        for done, (job, outcome) in enumerate(results, start=1):
            kept = images.settle(job, outcome)
            encoded |= dict.fromkeys(groups[first_of[job.source]], kept.image) if kept else {}
            if progress:
                progress(done, len(groups))
    return encoded


@dataclass(frozen=True)
class _Images:
    """The images of a site that are encoded, and where is noted what comes of them."""

    site: Path
    folder: str
    findings: Findings
    memory: Memory
    wanted: Mapping[str, File]
    """The image files by site path."""

    groups: Mapping[str, list[str]]
    """The paths of each content, by the first of them."""

    first_of: Mapping[Path, str]
    """That first path, by where the file is."""

    names: dict[Path, str] = field(default_factory=dict)
    """The store keys of the outcomes that were asked for."""

    def remembered(self, name: str, digest: bytes, job: jobs.Job) -> Kept | None:
        """What an earlier build knows of an image, its files written; notes what it is asked."""
        self.names[job.source] = name
        first = self.first_of[job.source]
        for path in self.groups[first]:
            self.findings.digests[path] = digest.hex()
        try:
            return self.memory.write(name, first, self.site, self.folder)
        except SitecodecError:
            raise
        except Exception:  # then it is not remembered
            _log.debug("unexpected error in %s", job.source, exc_info=True)
            return None

    def settle(self, job: jobs.Job, outcome: jobs.Outcome | SitecodecError | Kept) -> Kept | None:
        """Note what came of an image and write its files; None if it stays as it is.

        Raises SiteError if they cannot be written, and what the codec raises if it cannot work.
        """
        first = self.first_of[job.source]
        if isinstance(outcome, jobs.Outcome) and outcome.reason == Reason.TOO_SMALL:
            outcome = _check_small(job.source) or outcome
        if isinstance(outcome, SitecodecError):
            self._refuse(job, outcome)
            return None
        try:
            kept = outcome if isinstance(outcome, Kept) else self._take(job, outcome)
        except SitecodecError:
            raise
        except Exception as error:  # of whatever an entry of the store may hold
            for path, page in self._places(first):
                self.findings.unexpected(page, path, error)
            return None
        for path in self.groups[first]:
            if isinstance(kept, Kept):
                row = kept.row
                row = row if path == first else row._replace(path=printable(path))
                self.findings.rows[path] = row
            else:
                self.findings.leave(path, self.wanted[path].size, kept or Reason.NOTHING_SMALLER)
        return kept if isinstance(kept, Kept) else None

    def _refuse(self, job: jobs.Job, error: SitecodecError) -> None:
        """Note a problem of all pages that show an image. Raises any other error."""
        if not isinstance(error, ImageError):
            raise error
        # The message names the file by its place on this machine; the page's problem names it by
        # its place in the site.
        message = str(error).removeprefix(f"{job.source}: ")
        for path, page in self._places(self.first_of[job.source]):
            self.findings.problem(page, path, message)

    def _take(self, job: jobs.Job, outcome: jobs.Outcome) -> Kept | str:
        """Write the files of an image; why not, where there is nothing to write.

        Pages get the size that the outcome says, which a foreign cache may have put there.
        """
        size = pixels(job.source) if outcome.width else None
        if size and sorted(size) != sorted((outcome.width, outcome.height)):
            outcome = jobs.encode_image(job)
        widths = jobs.by_width(outcome)
        if not widths:
            return outcome.reason
        first = self.first_of[job.source]
        written = (assets.write(self.site, self.folder, first, variants) for variants in widths)
        image = assets.Image(outcome.width, outcome.height, tuple(written))
        row = ImageRow(printable(first), outcome.source_bytes, reason=outcome.reason)
        held = [variant.data for variants in widths for variant in variants.values()]
        return self.memory.note(self.names[job.source], first, image, row, held)

    def _places(self, first: str) -> Iterator[tuple[str, str]]:
        """Each path of an image with each page that shows it there."""
        for path in self.groups[first]:
            for page in self.findings.uses[path]:
                yield path, page


def _wished(
    settings: Settings, findings: Findings, paths: list[str], background_width: int
) -> Settings:
    """The settings with the highest quality that tags ask for one of these images.

    And, if CSS shows one of them, with the width for that (0 for none).
    """
    qualities = [findings.qualities[path] for path in paths if path in findings.qualities]
    if qualities:
        settings = replace(settings, quality=max(qualities))
    if background_width > max(settings.widths) and not findings.backgrounds.isdisjoint(paths):
        settings = replace(settings, widths=(*settings.widths, background_width))
    if background_width:
        shown = max((findings.shown[path] for path in paths if path in findings.shown), default=0)
        settings = replace(settings, widths=_with_shown(settings.widths, shown))
    return settings


def _with_shown(widths: tuple[int, ...], shown: float) -> tuple[int, ...]:
    """The widths, with those for an image that is shown wider than the theme's content is.

    An infinite one gets all that it has.
    """
    if math.isinf(shown):
        return (*widths, _MOST_PIXELS)
    wanted = math.ceil(shown / _STEP) * _STEP
    return (*widths, *(w for w in (wanted, 2 * wanted) if w > max(widths)))


def _same_content(files: Mapping[str, File]) -> list[list[str]]:
    """The paths, grouped by their files' content; only files of equal size are read for that."""
    by_size: dict[int, dict[Path, list[str]]] = {}
    for path, file in files.items():
        by_size.setdefault(file.size, {}).setdefault(file.real, []).append(path)
    groups: list[list[str]] = []
    for wanted, same_size in by_size.items():
        by_content: dict[bytes, list[str]] = {}
        for real, paths in same_size.items():
            digest = b""
            if len(same_size) > 1 and wanted <= MOST_BYTES:
                with contextlib.suppress(OSError), real.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").digest()
            digest = digest or os.fsencode(real)  # alone, or a problem of its own
            by_content.setdefault(digest, []).extend(paths)
        groups += by_content.values()
    return groups


def _check_small(source: Path) -> ImageError | None:
    """The fault of a file that is too small to be encoded, as far as both of its ends show it."""
    try:
        data = plain(source)
    except OSError as error:
        return ImageError(f"{source}: cannot be read ({error.strerror}); check its permissions")
    ends = {b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9", b"GIF8": b";"}
    for start, end in ends.items():
        if data.startswith(start):
            if end in data:
                return None
            return ImageError(f"{source}: damaged image (truncated); export it again or exclude it")
    known = (b"RIFF", b"BM", b"II*\0", b"MM\0*", b"\0\0\1\0", b"\0\0\2\0", b"\xff\x0a", b"<")
    if data.startswith(known) or data[4:8] in (b"ftyp", b"JXL ", b"jP  "):
        return None
    return ImageError(f"{source}: not an image; export it again or exclude it")

"""The images of a built site: each encoded once, its files written, what came of it noted."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.encoding import jobs
from sitecodec.errors import ImageError, SitecodecError
from sitecodec.settings import Settings
from sitecodec.site import assets
from sitecodec.site.files import File, printable
from sitecodec.site.findings import Findings
from sitecodec.site.installed import Installed
from sitecodec.site.memory import Kept, Memory
from sitecodec.site.offers import CONTENT_WIDTH
from sitecodec.site.summary import ImageRow

if TYPE_CHECKING:
    from concurrent.futures import Executor

_MOST_WIDTH = 1920


def with_widths(settings: Settings, content_width: int) -> Settings:
    """The settings with widths, where they name none: those for a theme's width of content."""
    if settings.widths:
        return settings
    content_width = content_width or CONTENT_WIDTH
    # Half of it is for images of which two or three stand beside each other.
    widths = (content_width // 2, content_width, min(2 * content_width, _MOST_WIDTH))
    return replace(settings, widths=widths)


def encode(
    site: Path,
    settings: Settings,
    files: Mapping[str, File | str],
    findings: Findings,
    memory: Memory,
    codec: Callable[[], Installed],
    progress: Callable[[int, int], None] | None,
) -> dict[str, assets.Image]:
    """Encode every image that is in use and write its files; returns the assets by site path."""
    background_width = 0 if settings.widths else _MOST_WIDTH
    settings = with_widths(settings, findings.content_width)
    wanted: dict[str, File] = {}
    for path in sorted(findings.uses):
        file = files[path]
        if isinstance(file, File):
            wanted[path] = file
    groups = {paths[0]: paths for paths in _same_content(wanted)}
    first_of = {wanted[first].real: first for first in groups}
    encoded: dict[str, assets.Image] = {}
    executors: list[Executor] = []
    names: dict[Path, str] = {}

    def remembered(name: str, job: jobs.Job) -> Kept | None:
        names[job.source] = name
        return memory.write(name, first_of[job.source], site)

    def executor() -> Executor:
        from concurrent.futures import ThreadPoolExecutor  # only where there is something to do

        executors.append(ThreadPoolExecutor(settings.workers or os.cpu_count() or 1))
        return executors[-1]

    def take(job: jobs.Job, outcome: jobs.Outcome) -> Kept | str:
        """Write the files of an image; why not, where there is nothing to write."""
        widths = jobs.by_width(outcome)
        if not widths:
            return outcome.reason
        first = first_of[job.source]
        written = (assets.write(site, settings.asset_dir, first, variants) for variants in widths)
        image = assets.Image(outcome.width, outcome.height, tuple(written))
        sizes = {name: len(variant.data) for name, variant in widths[0].items()}
        row = ImageRow(
            printable(first),
            outcome.source_bytes,
            jpeg=sizes.get("jpeg", sizes.get("png")),
            avif=sizes.get("avif", sizes.get("webp")),
            payload=sizes.get("slat"),
            reason=outcome.reason,
        )
        held = [variant.data for variants in widths for variant in variants.values()]
        return memory.note(names[job.source], first, image, row, held)

    if progress:
        progress(0, len(groups))
    try:
        work = (
            jobs.Job(real, _wished(settings, findings, groups[first], background_width))
            for real, first in first_of.items()
        )
        results = jobs.run(work, executor, memory.store, remembered, lambda _: codec().identity)
        for done, (job, outcome) in enumerate(results, start=1):
            first = first_of[job.source]
            if isinstance(outcome, jobs.Outcome) and outcome.reason == "too small":
                outcome = _check_small(job.source) or outcome
            if isinstance(outcome, SitecodecError):
                if not isinstance(outcome, ImageError):
                    raise outcome
                # The message names the file by its place on this machine; the page's problem names
                # it by its place in the site.
                message = str(outcome).removeprefix(f"{job.source}: ")
                for path in groups[first]:
                    for page in findings.uses[path]:
                        findings.problem(page, path, message)
            else:
                kept = outcome if isinstance(outcome, Kept) else take(job, outcome)
                for path in groups[first]:
                    if isinstance(kept, Kept):
                        encoded[path] = kept.image
                        row = kept.row
                        row = row if path == first else row._replace(path=printable(path))
                        findings.rows[path] = row
                    else:
                        findings.leave(path, wanted[path].size, kept or "nothing smaller")
            if progress:
                progress(done, len(groups))
    finally:
        for pool in executors:
            pool.shutdown(cancel_futures=True)
    return encoded


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
    return settings


def _same_content(files: Mapping[str, File]) -> list[list[str]]:
    """The paths, grouped by their files' content; only files of equal size are read for that."""
    by_size: dict[int, dict[Path, list[str]]] = {}
    for path, file in files.items():
        by_size.setdefault(file.size, {}).setdefault(file.real, []).append(path)
    groups: list[list[str]] = []
    for same_size in by_size.values():
        by_content: dict[bytes, list[str]] = {}
        for real, paths in same_size.items():
            digest = b""
            if len(same_size) > 1:
                with contextlib.suppress(OSError), real.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").digest()
                digest = digest or os.fsencode(real)  # unreadable: a problem of its own
            by_content.setdefault(digest, []).extend(paths)
        groups += by_content.values()
    return groups


def _check_small(source: Path) -> ImageError | None:
    """What is wrong with a file that is too small to be encoded, as far as its ends show it."""
    try:
        data = source.read_bytes()
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

"""A built site in, a rewritten site out: every page's images encoded, linked and accounted for."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.encoding import jobs
from sitecodec.errors import ImageError, SiteError
from sitecodec.page import markup, urls
from sitecodec.settings import Settings
from sitecodec.site import assets, manifest, scans, visits, worker
from sitecodec.site.files import File, printable
from sitecodec.site.findings import Findings, problems
from sitecodec.site.rewrite import CONTENT_WIDTH, Offers, rewrite
from sitecodec.site.summary import ImageRow, Problem, Summary
from sitecodec.site.survey import Page, changeable, names_in, survey, survey_sheet
from sitecodec.store import Store

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["ImageRow", "Problem", "Summary", "rewrite_site"]

_MOST_WIDTH = 1920
_HELD = 100_000_000  # bytes of pages that are kept in memory until they are rewritten


def rewrite_site(
    site_dir: Path,
    settings: Settings,
    *,
    base_path: str = "/",
    refused: Mapping[str, str] | None = None,
    fresh: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Encode the images that a built site's pages show, and rewrite the pages to offer them.

    `base_path` is the URL path that the site is served under, for references that begin with a
    slash. `refused` maps site paths of images that must not be read to why (a Problem).
    `fresh` says that the site has just been made and will be made anew if this is stopped: then
    pages are written where they stand, which is faster. `progress` is called with the numbers of
    images done and in all.

    An image that cannot be taken is a Problem in the summary, and its tag stays as it was. Files
    (and, if not `fresh`, pages) are written whole or not at all; a second run over the same site
    changes nothing.
    Raises SiteError if the site cannot be read or written, SettingsError for bad templates, and
    what the codec raises if it cannot work at all.
    """
    if not site_dir.is_dir():
        raise SiteError(f"{site_dir} is not a folder; build the site first")
    site = Path(os.path.realpath(site_dir))
    if not Path(os.path.realpath(site / settings.asset_dir)).is_relative_to(site):
        raise SiteError(f"{settings.asset_dir} is a link that leaves the site; remove it")
    template = markup.load_template(settings.templates)
    findings = Findings()
    root = urls.site_root(base_path)
    files: dict[str, File | str] = dict(refused or {})
    names, styles = names_in(site, findings)
    store = Store(settings.store)
    known = scans.recall(store, names)
    pages: list[Page] = []
    held = 0
    for name in names:
        page = survey(site, name, root, settings, files, findings, known.scan)
        if page is not None:
            held += len(page.data or b"")
            pages.append(page if held <= _HELD else page._replace(data=None))
    styles = changeable(styles, settings, findings)
    sheets = [
        sheet
        for name in styles
        if (sheet := survey_sheet(site, name, root, settings, files, findings)) is not None
    ]
    background_width = 0 if settings.widths else _MOST_WIDTH
    settings = with_widths(settings, findings.content_width)
    encoded = _encode(site, settings, files, findings, background_width, progress)
    if encoded:
        known.keep()
    by_visitors = encoded if settings.codec == "web" else {}  # others need the preview
    others = len(names) - len(pages)
    content_width = findings.content_width or CONTENT_WIDTH
    model = settings.model if settings.codec == "web" else ""
    account = _account(pages, by_visitors, content_width, others, store, model)
    script = _script(site, settings, account)
    placeholders = _placeholders(site, settings, encoded)
    offers = Offers(
        *(site, root, encoded, template, script, placeholders, findings.rows, {}),
        generative=settings.codec == "sd",
        fresh=fresh,
    )
    rewritten = sum(rewrite(offers, page) for page in pages)
    for sheet in sheets:
        rewrite(offers, sheet)
    written = {
        p for image in encoded.values() for asset in image.sizes for p in asset.files.values()
    }
    removed = assets.sweep(site, settings.asset_dir, [*names, *styles], written)
    if settings.originals == "drop":
        for path in assets.unnamed(site, encoded):
            (site / path).unlink(missing_ok=True)
    _write_manifest(site, settings.asset_dir, findings, encoded)
    notes: tuple[str, ...] = ()
    if script:
        from sitecodec.site import hosting  # most sites do without a worker

        worker.write(site, settings.asset_dir, store, model)
        notes = tuple(hosting.notes(site, settings.asset_dir, base_path))
    return Summary(
        images=tuple(findings.rows[path] for path in sorted(findings.rows)),
        problems=tuple(problems(findings)),
        pages=len(names),
        rewritten=rewritten,
        removed=removed,
        worker=visits.describe(account, settings.browser, included=bool(script)),
        hosting=notes,
    )


def with_widths(settings: Settings, content_width: int) -> Settings:
    """The settings with widths, where they name none: those for a theme's width of content."""
    if settings.widths:
        return settings
    content_width = content_width or CONTENT_WIDTH
    # Half of it is for images of which two or three stand beside each other.
    widths = (content_width // 2, content_width, min(2 * content_width, _MOST_WIDTH))
    return replace(settings, widths=widths)


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


def _write_manifest(
    site: Path, folder: str, findings: Findings, encoded: Mapping[str, assets.Image]
) -> None:
    """Write down which files were made of which image."""
    entries = []
    for path, row in findings.rows.items():
        sizes = encoded[path].sizes if path in encoded else ()
        files = (
            manifest.File(file, size.width, size.height, size.bytes[name], size.scores.get(name))
            for size in sizes
            for name, file in size.files.items()
        )
        if row.before:
            entries.append(manifest.Entry(row.path, row.before, row.reason, tuple(files)))
    old = manifest.read(site, folder)
    new = manifest.merged(site, old, entries)
    if new != old and any(entry.files for entry in new.entries):
        assets.write_file(site / folder / manifest.NAME, manifest.dump(new))


def _account(
    pages: list[Page],
    encoded: Mapping[str, assets.Image],
    content_width: int,
    others: int,
    store: Store,
    model: str,
) -> visits.Account:
    """What the service worker would save the visitors of this site, with `others` more pages."""
    saved = {}
    for path, image in encoded.items():
        sizes = [(size.width, size.bytes) for size in image.sizes]
        if (less := visits.saving(sizes, content_width)) is not None:
            saved[path] = less
    shown = ({use.target.path for use in page.uses} for page in pages)
    by_page = [{path: saved[path] for path in paths if path in saved} for paths in shown]
    return visits.account([*by_page, *({} for _ in range(others))], store if saved else None, model)


def _script(site: Path, settings: Settings, account: visits.Account) -> str:
    """Site path of the script that pages shall load, '' if there is to be no worker."""
    earlier = (site / worker.NAME).is_file()
    wanted = account.ahead or earlier if settings.browser == "auto" else bool(account.saved)
    if settings.browser == "never" or not (wanted or earlier):
        return ""
    return worker.registration(settings.asset_dir)[0]


def _placeholders(
    site: Path, settings: Settings, encoded: Mapping[str, assets.Image]
) -> dict[str, str]:
    if settings.placeholder == "off":
        return {}
    from sitecodec.site import placeholder

    store = Store(settings.store)
    kind = settings.placeholder
    return {path: placeholder.declarations(kind, site, i, store) for path, i in encoded.items()}


def _encode(
    site: Path,
    settings: Settings,
    files: Mapping[str, File | str],
    findings: Findings,
    background_width: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, assets.Image]:
    """Encode every image that is in use and write its files; returns the assets by site path."""
    wanted: dict[str, File] = {}
    for path in sorted(findings.uses):
        file = files[path]
        if isinstance(file, File):
            wanted[path] = file
    groups = {paths[0]: paths for paths in _same_content(wanted)}
    first_of = {wanted[first].real: first for first in groups}
    encoded: dict[str, assets.Image] = {}
    executors: list[Executor] = []

    def executor() -> Executor:
        from concurrent.futures import ThreadPoolExecutor  # only where there is something to do

        executors.append(ThreadPoolExecutor(settings.workers or os.cpu_count() or 1))
        return executors[-1]

    if progress:
        progress(0, len(groups))
    try:
        work = (
            jobs.Job(real, _wished(settings, findings, groups[first], background_width))
            for real, first in first_of.items()
        )
        results = jobs.run(work, executor, Store(settings.store))
        for done, (job, outcome) in enumerate(results, start=1):
            first = first_of[job.source]
            if isinstance(outcome, jobs.Outcome) and outcome.reason == "too small":
                outcome = _check_small(job.source) or outcome
            for path in groups[first]:
                if isinstance(outcome, ImageError):
                    # The message names the file by its place on this machine; the page's problem
                    # names it by its place in the site.
                    message = str(outcome).removeprefix(f"{job.source}: ")
                    for page in findings.uses[path]:
                        findings.problem(page, path, message)
                elif isinstance(outcome, Exception):
                    raise outcome
                elif widths := jobs.by_width(outcome):
                    written = (assets.write(site, settings.asset_dir, first, w) for w in widths)
                    encoded[path] = assets.Image(outcome.width, outcome.height, tuple(written))
                    sizes = {name: len(variant.data) for name, variant in widths[0].items()}
                    findings.rows[path] = ImageRow(
                        printable(path),
                        outcome.source_bytes,
                        jpeg=sizes.get("jpeg", sizes.get("png")),
                        avif=sizes.get("avif", sizes.get("webp")),
                        payload=sizes.get("slat"),
                        reason=outcome.reason,
                    )
                else:
                    findings.leave(path, wanted[path].size, outcome.reason or "nothing smaller")
            if progress:
                progress(done, len(groups))
    finally:
        for pool in executors:
            pool.shutdown(cancel_futures=True)
    return encoded


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

"""All pages of two sites, in all windows: which there are, which need a look, and the looking."""

from __future__ import annotations

import asyncio
import contextlib
import filecmp
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from sitecodec.check import browsers, compare
from sitecodec.check.compare import Errand, Evidence, Seen
from sitecodec.check.findings import KINDS, NOTES, Finding
from sitecodec.check.server import serving
from sitecodec.check.windows import WINDOWS, Browser, Tab, Window
from sitecodec.disk import folders
from sitecodec.errors import SiteError
from sitecodec.page import served

_WORKERS = 3
"""Pages looked at side by side: a page waits more than it works."""

_LONGEST_SECONDS = 240
"""For a page in a window, both sides."""

_REFRESH = re.compile(rb"""<meta[^>]+http-equiv=["']?refresh""", re.IGNORECASE)
_CHANGES_ALL = (".css", ".js", ".mjs")

_T = TypeVar("_T")
_Tabs = dict[tuple[int, bool], list[Tab]]


@dataclass(frozen=True)
class Difference:
    """A finding, and the windows that it shows in."""

    page: str
    finding: Finding
    windows: tuple[str, ...] = ()
    evidence: Evidence | None = None

    @property
    def is_fault(self) -> bool:
        """Whether the built site is worse for it."""
        return self.finding.kind not in NOTES


@dataclass(frozen=True)
class Result:
    """The result of a check."""

    browser: str
    windows: tuple[Window, ...]
    pages: int
    """Pages of the plain site."""

    skipped: int
    """Pages that are the same to the byte, and show only files that are."""

    looked_at: int
    boxes: int
    """Boxes compared, in all windows."""

    seconds: float
    differences: tuple[Difference, ...]

    @property
    def faults(self) -> list[Difference]:
        """The findings that make the built site worse."""
        return [one for one in self.differences if one.is_fault]


@dataclass
class _Pages:
    """Site paths of pages: to look at, of the plain site only, of both but the same, and others."""

    wanted: list[str]
    missing: list[str]
    same: list[str]
    redirects: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """The options of a check: the pages to compare, and the browser."""

    browser: str = "chromium"
    base_path: str | None = None
    """URL path that the sites are served under; None where pages say it themselves."""

    sample: int | None = None
    """How many pages to look at; None for all."""

    seed: int = 0
    evidence: bool = False
    windows: tuple[Window, ...] = WINDOWS


def check(
    plain: Path,
    built: Path,
    wanted: Wanted | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Compare two built sites page by page.

    `progress` is called with the numbers of looks taken and in all.
    Raises SiteError if one is no site, or the browser cannot be had.
    """
    return completed(_check(plain, built, wanted or Wanted(), progress))


def completed(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of a coroutine, also where the caller's thread runs a loop already.

    Notebooks do, and programs that have started playwright's synchronous interface.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as beside:
        return beside.submit(asyncio.run, work).result()


async def _check(
    plain: Path,
    built: Path,
    wanted: Wanted,
    progress: Callable[[int, int], None] | None,
) -> Result:
    loop = asyncio.get_running_loop()
    began = loop.time()
    pages = _pages(plain, built)
    names = pages.wanted
    if wanted.sample is not None and wanted.sample < len(names):
        names = sorted(random.Random(wanted.seed).sample(names, wanted.sample))
    root = served.root(plain, wanted.base_path)
    gone = Finding("page", "page", "is there", "is missing")
    closed = Finding("page", "page", "is there", "cannot be read")
    found = [Difference(name, gone) for name in pages.missing]
    found += [Difference(name, closed) for name in pages.unreadable]
    merged: dict[tuple[str, str, str], Difference] = {}
    compared = done = 0
    with serving(plain, built, root) as sides:
        async with browsers.running(wanted.browser) as browser:
            errand = Errand(sides, wanted.evidence)
            windows = tuple(w for w in wanted.windows if w.scripts or browser.scripts_can_be_off)
            async for seen in visits(browser, errand, names, windows):
                done += 1
                compared += seen.boxes
                _merge(merged, seen)
                if progress:
                    progress(done, len(names) * len(windows))
    found += merged.values()
    found.sort(key=lambda one: (one.page, list(KINDS).index(one.finding.kind), one.finding.what))
    total = sum(len(names) for names in vars(pages).values())
    return Result(
        *(wanted.browser, windows, total, len(pages.same), len(names), compared),
        seconds=loop.time() - began,
        differences=tuple(found),
    )


async def visits(
    browser: Browser, errand: Errand, names: Sequence[str], windows: Sequence[Window]
) -> AsyncIterator[Seen]:
    """Visit pages, by their site paths, in each window; gives what they show as it comes."""
    jobs = [(name, window) for window in windows for name in names]
    count = len(jobs)
    results: asyncio.Queue[Seen | Exception] = asyncio.Queue()

    async def work() -> None:
        open_tabs: _Tabs = {}
        try:
            while jobs:
                await results.put(await _visit(browser, open_tabs, errand, *jobs.pop(0)))
        except Exception as error:
            await results.put(error)

    workers = [asyncio.create_task(work()) for _ in range(min(_WORKERS, count))]
    try:
        for _ in range(count):
            result = await results.get()
            if isinstance(result, Exception):
                raise result
            yield result
    finally:
        for worker in workers:
            worker.cancel()


async def _visit(
    browser: Browser, open_tabs: _Tabs, errand: Errand, name: str, window: Window
) -> Seen:
    """Visit a page; one that breaks off, as pages do that lead elsewhere, is tried once more.

    That is done in new tabs: a page may be busy for good.
    """
    error: Exception
    kind = window.density, window.scripts
    for _ in range(2):
        try:
            if kind not in open_tabs:
                open_tabs[kind] = await compare.tabs(browser, window)
            async with asyncio.timeout(_LONGEST_SECONDS):
                return await _seen_again(open_tabs[kind], errand, _url(name), window)
        except Exception as caught:  # a browser's, of any kind
            error = caught
            for tab in open_tabs.pop(kind, []):
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(10):
                        await tab.close()
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return Seen(_url(name), window, 0, ((Finding("page", text, "", "not looked at"), None),))


async def _seen_again(pair: Sequence[Tab], errand: Errand, page: str, window: Window) -> Seen:
    """Visit a page, and twice more if something differs: chance does not bring the same each time.

    A busy machine runs scripts and loads fonts in another order in one tab than in the other.
    """
    seen = await compare.visit(pair, errand, page, window)
    for _ in range(2):
        if all(one.kind in NOTES for one, _ in seen.found):
            break
        again = await compare.visit(pair, errand, page, window)
        still = {_sight(one) for one, _ in again.found}
        kept = ((f, p) for f, p in seen.found if f.kind in NOTES or _sight(f) in still)
        seen = replace(seen, found=tuple(kept))
    return seen


def _sight(one: Finding) -> tuple[str, ...]:
    """What is the same each time; how far colours are off may differ by a little."""
    exact = (one.plain, one.built) if one.kind in ("box", "paper") else ()
    return one.kind, one.element, one.what, *exact


def _merge(merged: dict[tuple[str, str, str], Difference], seen: Seen) -> None:
    """Add what a window has shown: what differs in several of them is one difference."""
    for finding, proof in seen.found:
        key = seen.page, finding.kind, finding.element + finding.what
        one = merged.get(key) or Difference(seen.page or "/", finding)
        window = str(seen.window)
        windows = one.windows if window in one.windows else (*one.windows, window)
        merged[key] = replace(one, windows=windows, evidence=one.evidence or proof)


def _url(name: str) -> str:
    """A page's URL below the site's, as visitors open it."""
    if name == "index.html":
        return ""
    shown = name.removesuffix("index.html") if name.endswith("/index.html") else name
    return quote(os.fsencode(shown))


def _pages(plain: Path, built: Path) -> _Pages:
    """The pages of two sites. Raises SiteError if there are none."""
    ours, theirs = (
        {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        for folder in (plain, built)
    )
    names = sorted(name for name in ours if name.endswith((".html", ".htm")))
    if not names:
        raise SiteError(f"{plain} has no pages; build the site first")
    if not any(name in theirs for name in names):
        raise SiteError(f"{built} has none of the pages of {plain}; name two builds of one site")
    changed = {
        name
        for name, path in ours.items()
        if name not in names and not _same(path, theirs.get(name))
    }
    sheets = any(name.endswith(_CHANGES_ALL) for name in changed)
    pages = _Pages([], [], [])
    for name in names:
        if name not in theirs:
            pages.missing.append(name)
            continue
        try:
            data, other = (folders.plain(side[name]) for side in (ours, theirs))
        except OSError:
            pages.unreadable.append(name)
            continue
        if _REFRESH.search(data):
            pages.redirects.append(name)
        elif sheets or data != other or _names_any(data, changed):
            pages.wanted.append(name)
        else:
            pages.same.append(name)
    return pages


def _same(path: Path, other: Path | None) -> bool:
    with contextlib.suppress(OSError):  # one cannot be read
        return other is not None and filecmp.cmp(path, other, shallow=False)
    return False


def _names_any(data: bytes, names: set[str]) -> bool:
    text = unquote(data.decode("utf-8", "replace"))
    return any(name.rpartition("/")[2] in text for name in names)

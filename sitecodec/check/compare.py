"""A page of both sites in one window: two tabs beside each other, and what differs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sitecodec.check import boxes, findings, look, screens
from sitecodec.check.boxes import Box
from sitecodec.check.findings import Finding, Paired
from sitecodec.check.server import SIDES
from sitecodec.check.windows import Browser, Clip, Tab, Window

if TYPE_CHECKING:
    pass

_STILL = 0.05  # CSS pixels: text that moves by less is drawn as before
_MARGIN = 24
_LARGEST = 1200  # CSS pixels a side of what is shown as evidence
_MOST = 3  # findings of a kind, page and window of which pictures are kept


@dataclass(frozen=True)
class Evidence:
    """PNGs of what differs, of the plain page and of the built one."""

    plain: bytes
    built: bytes


@dataclass(frozen=True)
class Seen:
    """The result of looking at a page in one window."""

    page: str
    window: Window
    boxes: int
    """How many were compared."""

    found: tuple[tuple[Finding, Evidence | None], ...]
    looks: Paired | None = None


@dataclass(frozen=True)
class Errand:
    """The sites (URL by side), and whether pictures of the differences are wanted."""

    urls: Mapping[str, str]
    evidence: bool = False


async def tabs(browser: Browser, window: Window) -> list[Tab]:
    """A tab for each side."""
    return [await browser.tab(window, look.FREEZE) for _ in SIDES]


async def visit(pair: Sequence[Tab], errand: Errand, page: str, window: Window) -> Seen:
    """Look at a page in both tabs; `page` is its URL relative to the sites'."""
    looks = await asyncio.gather(
        *(
            look.look(tab, errand.urls[side] + page, window)
            for side, tab in zip(SIDES, pair, strict=True)
        )
    )
    plain, built = (
        replace(seen, errors=_own_errors(seen.errors, errand.urls[side]))
        for side, seen in zip(SIDES, looks, strict=True)
    )
    both = Paired(plain, built)
    found = list(findings.of_looks(both, window))
    if window.pixels:
        found += await _pixels(pair, both, window)
    proofs = [await _evidence(pair, one) for one in _first(found)] if errand.evidence else []
    if window.paper:
        papers = await asyncio.gather(*(look.printed(tab) for tab in pair))
        on_screen = {one.element for one in found if one.kind == "box"}
        on_paper = findings.of_papers(*papers)
        found += [one for one in on_paper if not one.element or one.element not in on_screen]
        found += findings.of_leaving(*(await asyncio.gather(*(look.leave(tab) for tab in pair))))
    kept = dict(proofs)
    compared = boxes.compare(plain.boxes, built.boxes).compared
    return Seen(page, window, compared, tuple((one, kept.get(id(one))) for one in found), both)


async def _pixels(pair: Sequence[Tab], both: Paired, window: Window) -> list[Finding]:
    """The visible differences: first of files drawn alone, then of the screen."""
    found = []
    placed = both.shown_in_place
    for one in placed:
        if one.is_other_file:
            width, height = one.painted(window.density, _LARGEST)
            files = [
                await look.paint(tab, url, width, height)
                for tab, url in zip(pair, one.urls, strict=True)
            ]
            if all(files) and (detail := await asyncio.to_thread(screens.file_change, *files)):
                found.append(Finding("shown", one.name, "", detail, one.places))
    shots = await asyncio.gather(
        *(look.shots(tab, seen) for tab, seen in zip(pair, (both.plain, both.built), strict=True))
    )
    if shots[0] == shots[1]:
        return found
    on_screen = await asyncio.to_thread(_compare_screens, shots, both, window)
    named = {one.what for one in found}
    return found + [one for one in on_screen if one.what not in named]


def _compare_screens(
    shots: Sequence[Sequence[bytes]], both: Paired, window: Window
) -> list[Finding]:
    plain, built = (screens.joined(side) for side in shots)
    found = []
    placed = both.shown_in_place
    for one in placed:
        crops = (
            screens.crop(side, box, window.density)
            for side, box in zip((plain, built), one.places, strict=True)
        )
        if detail := screens.place_change(*crops):
            found.append(Finding("shown", one.name, "", detail, one.places))
    if _is_still(both):
        places = [one.places for one in placed]
        if changed := screens.rest_change(plain, built, places, window.density):
            left, top, right, bottom = (edge / window.density for edge in changed.place)
            place = Box("", "", -1, left, top, right - left, bottom - top)
            found.append(Finding("shown", changed.detail, "", "differs", (place, place)))
    return found


def _is_still(both: Paired) -> bool:
    """Whether every element is where it was, so that text is drawn from the same pixels."""
    return not boxes.compare(both.plain.boxes, both.built.boxes, _STILL).different


def _first(found: Sequence[Finding]) -> Iterator[Finding]:
    """The first few findings of each kind that can be shown."""
    counts: dict[str, int] = {}
    for one in found:
        if one.places and one.kind not in findings.NOTES:
            counts[one.kind] = counts.get(one.kind, 0) + 1
            if counts[one.kind] <= _MOST:
                yield one


async def _evidence(pair: Sequence[Tab], one: Finding) -> tuple[int, Evidence]:
    assert one.places
    shots = [
        await tab.screenshot(
            Clip(
                max(0, box.left - _MARGIN),
                max(0, box.top - _MARGIN),
                min(_LARGEST, box.width + 2 * _MARGIN),
                min(_LARGEST, box.height + 2 * _MARGIN),
            )
        )
        for tab, box in zip(pair, one.places, strict=True)
    ]
    return id(one), Evidence(*shots)


def _own_errors(errors: Sequence[str], site: str) -> tuple[str, ...]:
    """Errors without the address of the site, and without those of other hosts' files."""
    own = [error.replace(site, "/") for error in errors]
    return tuple(error for error in own if "Failed to load resource" not in error or " /" in error)

"""The result of a check as text of 80 columns and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence

from sitecodec.check.findings import KINDS, NOTES
from sitecodec.check.site import Difference, Result

_WIDTH = 80
_ROWS = 20
"""Rows of each kind: the HTML page and JSON have all."""


def table(result: Result) -> str:
    """The result as text of at most 80 columns."""
    lines = textwrap.wrap(summary(result), _WIDTH)
    for kind, about in KINDS.items():
        found = [one for one in result.differences if one.finding.kind == kind]
        if not found:
            continue
        if kind in NOTES:
            lines += ["", f"{len(found)} {about} (no fault)"]
            continue
        lines += ["", f"{len(found)} {about}:", *_rows(found[:_ROWS])]
        if len(found) > _ROWS:
            lines.append(f"  ... and {len(found) - _ROWS} more; --html or --json has all")
    return "\n".join(lines)


def summary(result: Result) -> str:
    """The result in a sentence or two."""
    pages = {one.page for one in result.faults}
    verdict = (
        f"{_count(len(result.faults), 'difference')} on {_count(len(pages), 'page')}"
        if result.faults
        else "no difference"
    )
    skipped = f" {result.skipped} more are the same to the byte." if result.skipped else ""
    return (
        f"check: {verdict}. {result.looked_at} of {_count(result.pages, 'page')} looked at in"
        f" {result.browser}, {_count(len(result.windows), 'window')} each: {result.boxes:,} boxes"
        f" compared in {_duration(result.seconds)}.{skipped}"
    )


def as_json(result: Result) -> str:
    """The whole result as JSON."""
    values = {
        "browser": result.browser,
        "windows": [str(window) for window in result.windows],
        "pages": result.pages,
        "skipped": result.skipped,
        "looked_at": result.looked_at,
        "boxes": result.boxes,
        "seconds": round(result.seconds, 1),
        "faults": len(result.faults),
        "differences": [_values(one) for one in result.differences],
    }
    return json.dumps(values, indent=1, ensure_ascii=False)


def _values(one: Difference) -> dict[str, object]:
    finding = one.finding
    return {
        "kind": finding.kind,
        "page": one.page,
        "windows": list(one.windows),
        "what": finding.what,
        "element": finding.element,
        "plain": finding.plain,
        "built": finding.built,
        "places": [_edges(box) for box in finding.places] if finding.places else None,
        "fault": one.is_fault,
    }


def _edges(box: Sequence[object]) -> dict[str, object]:
    """A box's edges."""
    return dict(zip(("left", "top", "width", "height"), box[3:], strict=True))


def _rows(found: Iterable[Difference]) -> list[str]:
    """A line for each difference, under one for its page."""
    lines, page = [], None
    for one in found:
        if one.page != page:
            page = one.page
            lines.append(f"  {_clip_start(page, _WIDTH - 2)}")
        finding = one.finding
        windows = " ".join(one.windows)
        change = " -> ".join(text for text in (finding.plain, finding.built) if text)
        lines.append(
            f"    {_clip_start(finding.what, 30):<30} {change:<26} {windows}"[:_WIDTH].rstrip()
        )
    return lines


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} minutes"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _clip_start(text: str, width: int) -> str:
    """The end of a path says more than its beginning."""
    return text if len(text) <= width else "..." + text[3 - width :]

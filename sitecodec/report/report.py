"""The report on a built site as text, JSON and Markdown (see sitecodec.report.weight)."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import asdict

from sitecodec.report import tags
from sitecodec.report.audits import DEVICES, Finding
from sitecodec.report.weight import PageReport, Report, Shown, find_payload, measure, parse_budget
from sitecodec.terminal.printing import columns, heading, printable, size_text
from sitecodec.visitors import break_even

__all__ = [
    "DEVICES",
    "PageReport",
    "Report",
    "Shown",
    "as_json",
    "find_payload",
    "markdown",
    "measure",
    "parse_budget",
    "rows",
    "table",
]


def as_json(report: Report) -> str:
    """The whole report as JSON."""
    pages = [
        asdict(page)
        | {
            "before": page.before,
            "first": page.first,
            "worker_first": page.worker_first,
            "after": page.after,
        }
        for page in (*report.pages, report.total)
    ]
    total = pages.pop()
    values = {"device": report.device, "worker": report.worker, "total": total, "pages": pages}
    account = report.account
    values["visits"] = {
        "images": len(account.saved),
        "images_needed": account.images_needed,
        "saved_by_visit": round(account.saved_by_visit),
    }
    values["tags"] = asdict(tags.of(report.entries))
    text = json.dumps(values | {"over_budget": report.over_budget}, indent=1)
    return text.replace("##", "#\\u0023")  # of names, which CI runners take for commands


def rows(report: Report) -> list[tuple[str, list[int]]]:
    """Name and bytes (before, first visit, the same with worker, later) of each page and in all."""
    shown = [page for page in report.pages if page.images]
    return [
        (printable(page.path), [page.before, page.first, page.worker_first, page.after])
        for page in (*shown, report.total)
    ]


def table(report: Report, most: int = 20) -> str:
    """The report as text of at most 80 columns."""
    lines = [columns("image bytes of page", ("before", "first", "+worker", "later"))]
    listed = rows(report)
    lines += [columns(name, map(size_text, sizes)) for name, sizes in listed[:-1][:most]]
    if len(listed) - 1 > most:
        lines.append(f"... and {len(listed) - 1 - most} more pages")
    lines.append(columns(listed[-1][0], map(size_text, listed[-1][1])))
    if report.account.saved:
        lines += textwrap.wrap(f"the worker: {break_even.sentence(report.account)}", 80)
    for sentence in tags.sentences(tags.of(report.entries)):
        lines += textwrap.wrap(sentence, 80)
    groups: dict[str, list[Finding]] = {}
    for finding in dict.fromkeys(report.total.findings):
        groups.setdefault(finding.audit, []).append(finding)
    lines.append("")
    if not groups:
        lines.append(f"Lighthouse's image audits ({report.device}): all pass")
    for audit, found in sorted(groups.items()):
        lines.append(f"{audit}: {len(found)}")
        lines += [f"  {heading(f'{f.image}: {f.detail}')}"[:80] for f in found[:3]]
    lines += [f"over budget: {line}" for line in report.over_budget]
    return "\n".join(lines)


def markdown(report: Report, most: int = 20) -> str:
    """The report as a Markdown table, for GitHub's step summary."""
    lines = ["### sitecodec", "", "| page | before | first visit | with worker | later |"]
    lines.append("|---|--:|--:|--:|--:|")
    listed = rows(report)
    for name, sizes in [*listed[:-1][:most], listed[-1]]:
        cells = " | ".join(map(size_text, sizes))
        lines.append(f"| {_plain(name)} | {cells} |")
    lines += [
        "",
        f"{len(report.total.findings)} audits fail, {len(report.over_budget)} over budget",
    ]
    if report.account.saved:
        lines += ["", f"The service worker's {break_even.sentence(report.account)}.", ""]
    lines += [f"- over budget: {_plain(line)}" for line in report.over_budget]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """A line that Markdown takes for text and nothing else: no link, no name, no HTML."""
    safe = re.sub(r"[^\w ./-]|_", lambda match: f"&#{ord(match[0])};", printable(text))
    return safe.replace("www.", "www&#46;")

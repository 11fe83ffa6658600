"""The summary of a build: figures, problems, and the short table that is printed at its end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from sitecodec.facts import formats
from sitecodec.facts.reasons import Reason
from sitecodec.site.rows import ImageRow, Problem
from sitecodec.terminal.printing import clipped, columns, count, size_text

if TYPE_CHECKING:
    pass

_WIDTH = 80
_ROWS = 12
_REASONS = 16


class Summary(NamedTuple):
    """The result of rewriting a site."""

    images: tuple[ImageRow, ...]
    problems: tuple[Problem, ...]
    pages: int
    """Pages read."""

    rewritten: int
    """Pages changed."""

    removed: int = 0
    """Files of earlier builds that were removed because no page names them."""

    worker: str = ""
    """Whether the site got the service worker and why, in a line or two."""

    unwrapped: tuple[ImageRow, ...] = ()
    """The encoded images of tags that got a `srcset` and no `<picture>`, and why."""

    unheld: tuple[ImageRow, ...] = ()
    """The encoded images of tags that no space is reserved for, and why."""

    held: int = 0
    """How many tags of encoded images have their space reserved."""

    hosting: tuple[str, ...] = ()
    """The remaining needs of the host's set-up for it, a line each."""

    added: tuple[int, int] = (0, 0)
    """How many files sitecodec's folder in the site has, the worker counted, and their bytes."""

    @property
    def encoded(self) -> tuple[ImageRow, ...]:
        """The images that pages now offer in other formats."""
        return tuple(row for row in self.images if row.encoded)

    @property
    def left_alone(self) -> tuple[ImageRow, ...]:
        """The images that stay as they were."""
        return tuple(row for row in self.images if not row.encoded)

    @property
    def before(self) -> int:
        """Bytes of the sources of the encoded images, each counted once."""
        return sum(row.before for row in self.encoded)

    @property
    def after(self) -> int:
        """Bytes that come in their place, at best (see ImageRow.after)."""
        return sum(row.after for row in self.encoded)


def table(summary: Summary) -> str:
    """The summary as text of at most 80 columns: sizes, then what was left alone and why."""
    rows = sorted(summary.encoded, key=lambda row: (row.after - row.before, row.path))
    remote = sum(row.reason == Reason.REMOTE for row in summary.left_alone)
    lines = [
        f"sitecodec: {count(len(rows), 'image')} encoded, "
        f"{len(summary.left_alone) - remote} left alone, "
        f"{count(len(summary.problems), 'problem')}; "
        f"{summary.rewritten} of {count(summary.pages, 'page')} rewritten"
    ]
    # Without a worker there are no payloads, so there is nothing to say of each image's.
    titles = ("before", "fallback", "/".join(f.label for f in formats.modern()), "payload")
    number = len(titles) if any(row.payload for row in rows) else len(titles) - 1
    if rows:
        lines += ["", columns("image", titles[:number])]
        shown = rows if len(rows) <= _ROWS else rows[: _ROWS - 1]
        lines += [columns(row.path, map(size_text, _cells(row)[:number])) for row in shown]
        if len(shown) < len(rows):
            rest = rows[len(shown) :]
            lines.append(columns(f"... and {len(rest)} more", map(size_text, _sums(rest)[:number])))
        sums = _sums(rows)[:number]
        lines += [
            columns("total that a visitor loads", map(size_text, sums)),
            columns("", (f"{100 * n / max(1, sums[0]):.1f} %" for n in sums)),
        ]
    lines += _reasons("left alone", summary.left_alone)
    if number == len(titles):
        lines += _reasons("no payload", [r for r in rows if r.payload is None])
    lines += _reasons("with a srcset instead of <picture>", summary.unwrapped)
    if summary.unheld:
        title = f"space reserved for {count(summary.held, 'image tag')}, and not for these"
        lines += _reasons(title, summary.unheld)
    if summary.worker:
        lines += ["", *textwrap.wrap(summary.worker, _WIDTH)]
    for note in summary.hosting:
        lines += textwrap.wrap(f"host: {note}", _WIDTH, subsequent_indent="  ")
    if rows:
        lines += textwrap.wrap(_deploy(summary), _WIDTH, subsequent_indent="  ")
    return "\n".join(line.rstrip() for line in lines)


def _deploy(summary: Summary) -> str:
    """The weight that the build has added to the site's folder, in words."""
    number, size = summary.added
    return (
        f"deploy: {count(number, 'file')}, {size_text(size)}, beside the originals"
        f" ({size_text(summary.before)}); 'originals: drop' removes those that no page names"
    )


def _cells(row: ImageRow) -> tuple[int | None, ...]:
    return row.before, row.fallback, row.modern, row.payload


def _sums(rows: Iterable[ImageRow]) -> list[int]:
    columns = zip(
        *((r.before, r.after_fallback, r.after_modern, r.after) for r in rows), strict=True
    )
    return [sum(column) for column in columns]


def _reasons(title: str, rows: Iterable[ImageRow]) -> list[str]:
    """One line for each reason, with as many names as fit."""
    groups: dict[str, list[ImageRow]] = {}
    for row in rows:
        groups.setdefault(_kind(row.reason or "no gain"), []).append(row)
    if not groups:
        return []
    lines = ["", f"{title}:"]
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    for kind, group in ordered[:_REASONS]:
        details = {row.reason for row in group if row.reason}
        reason = details.pop() if len(details) == 1 else kind
        lead = f"  {len(group):>4}  {clipped(reason, 30):<30}  "
        listed = ", ".join(row.path for row in group)
        lines.append(lead + clipped(listed, _WIDTH - len(lead)))
    if len(ordered) > _REASONS:
        lines.append(f"        ... and {len(ordered) - _REASONS} more reasons")
    return lines


def _kind(reason: str) -> str:
    """A reason without its figures: 'AVIF is smaller' of 'AVIF is smaller: 1.2 kB < 1.3 kB'."""
    kind = reason.partition(":")[0]
    return kind.rpartition(" (")[0] if kind.count("(") > kind.count(")") else kind

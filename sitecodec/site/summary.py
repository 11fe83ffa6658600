"""What a build did: figures, problems, and the short table that is printed at its end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import NamedTuple

_WIDTH = 80
_NAME = 40
_ROWS = 12
_REASONS = 16


class Problem(NamedTuple):
    """An image that could not be taken, or a page that could not be read (`image` is '' then)."""

    page: str
    """The page's path in the site; the first one where several show the image."""

    image: str
    """The image's path in the site, or its URL as the page writes it."""

    message: str

    def __str__(self) -> str:
        """One line: page, image, what is wrong and what to do."""
        return ": ".join(part for part in (self.page, self.image, self.message) if part)


class ImageRow(NamedTuple):
    """One image of the site. The sizes are in bytes; None where there is no such file."""

    path: str
    """Path in the site, or the URL of an image that is not part of it."""

    before: int
    """Size of the source; 0 for one that is not part of the site."""

    jpeg: int | None = None
    avif: int | None = None
    payload: int | None = None

    reason: str = ""
    """Why there is no payload, or why the image was left alone; '' if there is a payload."""

    @property
    def encoded(self) -> bool:
        """Whether pages now offer other files than the source."""
        return self.avif is not None or self.payload is not None

    @property
    def after(self) -> int:
        """What a visitor's browser fetches at best: the payload, else the AVIF, else the source."""
        best = self.avif if self.payload is None else self.payload
        return self.before if best is None else best

    @property
    def after_avif(self) -> int:
        """What a browser without the service worker fetches."""
        best = self.jpeg if self.avif is None else self.avif
        return self.before if best is None else best

    @property
    def after_jpeg(self) -> int:
        """What a browser that knows neither payload nor AVIF fetches."""
        return self.before if self.jpeg is None else self.jpeg


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

    hosting: tuple[str, ...] = ()
    """What the host's set-up still needs for it, a line each."""

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
    lines = [
        f"sitecodec: {_count(len(rows), 'image')} encoded, {len(summary.left_alone)} left alone, "
        f"{_count(len(summary.problems), 'problem')}; "
        f"{summary.rewritten} of {_count(summary.pages, 'page')} rewritten"
    ]
    if rows:
        lines += ["", columns("image", ("before", "jpeg", "avif", "payload"))]
        shown = rows if len(rows) <= _ROWS else rows[: _ROWS - 1]
        lines += [
            columns(row.path, map(size_text, (row.before, row.jpeg, row.avif, row.payload)))
            for row in shown
        ]
        if len(shown) < len(rows):
            rest = rows[len(shown) :]
            lines.append(columns(f"... and {len(rest)} more", map(size_text, _sums(rest))))
        sums = _sums(rows)
        lines += [
            columns("total that a visitor loads", map(size_text, sums)),
            columns("", (f"{100 * n / max(1, sums[0]):.1f} %" for n in sums)),
        ]
    lines += _reasons("left alone", summary.left_alone)
    lines += _reasons("no payload, only AVIF", [r for r in rows if r.payload is None])
    if summary.worker:
        lines += ["", *textwrap.wrap(summary.worker, _WIDTH)]
    for note in summary.hosting:
        lines += textwrap.wrap(f"host: {note}", _WIDTH, subsequent_indent="  ")
    return "\n".join(line.rstrip() for line in lines)


def _sums(rows: Iterable[ImageRow]) -> list[int]:
    columns = zip(*((r.before, r.after_jpeg, r.after_avif, r.after) for r in rows), strict=True)
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
        lead = f"  {len(group):>4}  {_clip(reason, 30):<30}  "
        listed = ", ".join(row.path for row in group)
        lines.append(lead + _clip(listed, _WIDTH - len(lead)))
    if len(ordered) > _REASONS:
        lines.append(f"        ... and {len(ordered) - _REASONS} more reasons")
    return lines


def _kind(reason: str) -> str:
    """A reason without its figures: 'AVIF is smaller' of 'AVIF is smaller: 1.2 kB < 1.3 kB'."""
    kind = reason.partition(":")[0]
    return kind.rpartition(" (")[0] if kind.count("(") > kind.count(")") else kind


def columns(name: str, cells: Iterable[str]) -> str:
    """A line of a table: a name, shortened from its start, and right-aligned cells."""
    return f"{_clip_start(name, _NAME):<{_NAME}}" + "".join(f"{cell:>10}" for cell in cells)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _clip_start(text: str, width: int) -> str:
    """The end of a path says more than its beginning."""
    return text if len(text) <= width else "..." + text[3 - width :]


def size_text(number: int | None) -> str:
    """A size in B, kB or MB; '-' for none."""
    if number is None:
        return "-"
    if number < 1000:
        return f"{number} B"
    scaled, unit = number / 1e3, "kB"
    if scaled >= 999.95:
        scaled, unit = scaled / 1e3, "MB"
    return f"{scaled:.1f} {unit}"

"""The report as one HTML page: tables, and each image's original against what is shown for it."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from sitecodec import codecs
from sitecodec.disk.folders import plain
from sitecodec.encoding import jpeg_scans
from sitecodec.facts import formats
from sitecodec.page import markup
from sitecodec.report import tags
from sitecodec.report.report import Report, rows
from sitecodec.settings import Settings
from sitecodec.site import files
from sitecodec.site.manifest import Entry
from sitecodec.terminal.printing import printable, size_text
from sitecodec.visitors import break_even

TEMPLATE = "report.html.jinja"
_MOST_IMAGES = 60  # the page holds two thumbnails of each
_SHOWN = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP")
_THUMBNAIL = 640


@dataclass(frozen=True)
class Compared:
    """An image for the template; thumbnails are data URLs, '' where there is none."""

    path: str
    reason: str
    original: str
    shown: str
    shown_format: str
    sizes: tuple[tuple[str, str, str, str], ...]
    """Format and width, size, score of each file, and what the second judge says of it."""

    judged: bool
    """Whether it was asked of any."""


def render(report: Report, site: Path, settings: Settings) -> bytes:
    """The page, which needs no other file. Raises SettingsError for a bad template."""
    entries = sorted(
        report.entries,
        key=lambda entry: (not entry.files, -entry.bytes),
    )
    images = [_compared(site, entry) for entry in entries[:_MOST_IMAGES]]
    template = markup.load_template(settings.templates, TEMPLATE)
    listed = [(name, [size_text(n) for n in sizes]) for name, sizes in rows(report)]
    marked = tags.of(report.entries)
    text = template.render(
        report=report,
        rows=listed[:-1],
        total=listed[-1][1],
        worker=break_even.sentence(report.account),
        tags=marked,
        tag_sentences=tags.sentences(marked),
        images=images,
        more=max(0, len(entries) - _MOST_IMAGES),
    )
    return text.encode("utf-8", "replace")


def _compared(site: Path, entry: Entry) -> Compared:
    sizes = [("original", size_text(entry.bytes), "", "")]
    for file in entry.files:
        label = f"{Path(file.path).suffix[1:]} {file.width}"
        score = "" if file.score is None else f"{file.score:.0f}"
        judge = "" if file.judge is None else f"{file.judge:.2f}"
        sizes.append((label, size_text(file.bytes), score, judge))
    best = entry.files[0].path if entry.files else ""
    return Compared(
        printable(entry.path),
        printable(entry.reason),
        _thumbnail(site, entry.path),
        _thumbnail(site, best) if best else "",
        Path(best).suffix[1:],
        tuple(sizes),
        any(file.judge is not None for file in entry.files),
    )


def _thumbnail(site: Path, path: str) -> str:
    """A small picture of a file of the site or a payload; '' if it cannot be read."""
    from PIL import Image

    file = files.find(site.resolve(), path)
    if isinstance(file, str):
        return ""
    try:
        data = plain(file.real)
        if jpeg_scans.excess(data, Settings.max_pixels):
            return ""
        if path.endswith(formats.SLAT.suffix):
            picture = Image.fromarray(codecs.decode(data))
        else:
            with warnings.catch_warnings():  # of damaged metadata
                warnings.simplefilter("ignore")
                # No others: Pillow starts programs to read some of them.
                picture = Image.open(io.BytesIO(data), formats=_SHOWN)
        if picture.width * picture.height > Settings.max_pixels:
            return ""
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        buffer = io.BytesIO()
        mode = "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
        picture.convert(mode).save(buffer, "WEBP", quality=88)
    except Exception:  # the report is about sites as they are
        return ""
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()

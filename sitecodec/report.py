"""How heavy a built site's pages are, and what Google's image audits would say of them.

Reads the built site only: its pages, and the manifest that `sitecodec build` leaves beside the
encoded files. The audits follow Lighthouse 13; what needs a browser (where an image ends up on the
screen) is estimated from attributes and `sizes`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

from sitecodec import manifest, urls, worker
from sitecodec.errors import SettingsError, SiteError
from sitecodec.summary import columns, size_text

# Lighthouse's image-delivery-insight.
_BYTES_PER_PIXEL = 2 / 12
_IGNORED_BYTES = 4096
_IGNORED_RESPONSIVE_BYTES = 12_288
_MOST_GIF_BYTES = 100 * 1024
# total-byte-weight: what scores 'good'.
_GOOD_PAGE_BYTES = 2667 * 1024
_RATIO_TOLERANCE = 2  # pixels, image-aspect-ratio
_DENSITY_SHARE = 0.75  # image-size-responsive

_SIZES = re.compile(r"(?:\(max-width:\s*(\d+)px\)\s*100vw,\s*)?(\d+)px")
_BUDGET = re.compile(r"(page|image)=(\d+(?:\.\d+)?)\s*([kM]?)B?", re.IGNORECASE)


@dataclass(frozen=True)
class Device:
    """A window as Lighthouse emulates it, in CSS pixels."""

    name: str
    width: int
    density: float


DEVICES = {"mobile": Device("mobile", 412, 1.75), "desktop": Device("desktop", 1350, 1.0)}


@dataclass(frozen=True)
class Shown:
    """An image on a page. Sizes are in bytes."""

    path: str
    """Site path of the author's file (or of what the page names, if it was not encoded)."""

    file: str
    """Site path of what a browser without the worker loads."""

    before: int
    now: int
    """Size of `file`."""

    payload: int | None
    lazy: bool

    @property
    def worker_first(self) -> int:
        """What a first visit with the worker loads: it sees the lazy images only."""
        return self.payload if self.lazy and self.payload is not None else self.now


@dataclass(frozen=True)
class Finding:
    """An audit that a page fails."""

    audit: str
    image: str
    detail: str


@dataclass(frozen=True)
class PageReport:
    """A page: its images, and what its other files (HTML, style sheets, scripts) weigh."""

    path: str
    images: tuple[Shown, ...]
    other: int
    findings: tuple[Finding, ...]

    @property
    def before(self) -> int:
        """Bytes of the author's images."""
        return sum(image.before for image in self.images)

    @property
    def first(self) -> int:
        """Bytes of images on a first visit without the worker."""
        return sum(image.now for image in self.images)

    @property
    def worker_first(self) -> int:
        """Bytes of images on a first visit that the worker joins; without engine and model."""
        return sum(image.worker_first for image in self.images)

    @property
    def after(self) -> int:
        """Bytes of images once the worker is there."""
        return sum(i.now if i.payload is None else i.payload for i in self.images)


@dataclass(frozen=True)
class Report:
    """A whole site. `worker` is what the worker costs a visitor once, 0 if there is none."""

    device: str
    pages: tuple[PageReport, ...]
    worker: int
    over_budget: tuple[str, ...]

    @cached_property
    def total(self) -> PageReport:
        """All different images of the site, as if on one page."""
        images: dict[str, Shown] = {}
        for page in self.pages:
            for image in page.images:
                if image.path not in images or not image.lazy:
                    images[image.path] = image
        other = sum(page.other for page in self.pages)
        found = tuple(finding for page in self.pages for finding in page.findings)
        return PageReport("total, each image once", tuple(images.values()), other, found)


def measure(
    site: Path,
    *,
    asset_dir: str,
    base_path: str = "/",
    device: str = "mobile",
    budgets: Iterable[str] = (),
) -> Report:
    """Weigh and audit every page of a built site.

    `budgets` are written as page=500kB or image=150kB: the first is for all that a first visit to
    a page loads from the site, the second for each image file. Raises SiteError, SettingsError.
    """
    limits = dict(parse_budget(text) for text in budgets)
    if not site.is_dir():
        raise SiteError(f"{site} is not a folder; build the site first")
    root = urls.site_root(base_path)
    sources = manifest.read(site, asset_dir).by_file()
    has_worker = (site / worker.NAME).is_file()
    pages = []
    for place in sorted(site.rglob("*.htm*")):
        if place.is_file() and place.resolve().is_relative_to(site.resolve()):
            name = place.relative_to(site).as_posix()
            pages.append(_page(site, name, root, sources, DEVICES[device], has_worker=has_worker))
    return Report(
        device,
        tuple(pages),
        worker.account([0], [], 1).cost if has_worker else 0,
        tuple(_over(pages, limits)),
    )


def parse_budget(text: str) -> tuple[str, int]:
    """What a budget is for, and its bytes. Raises SettingsError."""
    match = _BUDGET.fullmatch(text.strip())
    if not match:
        raise SettingsError(f"not a budget: {text!r}; write page=500kB or image=150kB")
    scale = {"": 1, "k": 1e3, "m": 1e6}[match[3].lower()]
    return match[1].lower(), round(float(match[2]) * scale)


def _over(pages: list[PageReport], limits: Mapping[str, int]) -> Iterable[str]:
    heavy: dict[str, int] = {}
    for page in pages:
        weight = page.first + page.other
        if weight > limits.get("page", weight):
            yield f"{page.path}: {size_text(weight)} is over page={size_text(limits['page'])}"
        heavy.update({i.file: i.now for i in page.images if i.now > limits.get("image", i.now)})
    for path, weight in sorted(heavy.items()):
        yield f"{path}: {size_text(weight)} is over image={size_text(limits['image'])}"


@dataclass
class _Tag:
    """An `<img>`, with the sources of the `<picture>` around it."""

    attributes: dict[str, str]
    sources: list[dict[str, str]]


class _Reader(HTMLParser):
    """Collects images and the files that a page loads besides."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[_Tag] = []
        self.files: list[str] = []
        self.base: str | None = None
        self._sources: list[dict[str, str]] | None = None
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in reversed(attrs)}
        if tag in ("template", "noscript"):
            self._hidden += 1
        elif self._hidden:
            return
        elif tag == "picture":
            self._sources = []
        elif tag == "source" and self._sources is not None:
            self._sources.append(values)
        elif tag == "img":
            self.tags.append(_Tag(values, self._sources or []))
        elif tag == "base" and self.base is None:
            self.base = values.get("href")
        elif tag == "script" and "src" in values:
            self.files.append(values["src"])
        elif tag == "link" and "stylesheet" in values.get("rel", "").lower():
            self.files.append(values.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("template", "noscript"):
            self._hidden = max(0, self._hidden - 1)
        elif tag == "picture":
            self._sources = None


def _page(
    site: Path,
    name: str,
    root: str,
    sources: Mapping[str, manifest.Entry],
    device: Device,
    *,
    has_worker: bool,
) -> PageReport:
    data = (site / name).read_bytes()
    reader = _Reader()
    reader.feed(data.decode("utf-8", "replace"))
    reader.close()
    base = urls.base_of(name, reader.base, root) or root

    def find(reference: str) -> str | None:
        target = urls.resolve(reference, base, root)
        path = target.path if isinstance(target, urls.Target) else ""
        return path if path and _bytes(site, path) is not None else None

    other = {path for reference in reader.files if (path := find(reference))}
    images: dict[str, Shown] = {}
    findings: list[Finding] = []
    for number, tag in enumerate(reader.tags):
        file = find(_chosen(tag, device))
        if file is None:
            continue
        entry = sources.get(file)
        payload = None
        if has_worker and (twin := find_payload(site, file)):
            payload = _bytes(site, twin)
        now = _bytes(site, file) or 0
        lazy = tag.attributes.get("loading", "").lower() == "lazy"
        path = entry.path if entry else file
        shown = Shown(path, file, entry.bytes if entry else now, now, payload, lazy)
        if path not in images or (images[path].lazy and not lazy):
            images[path] = shown
        findings += _audit(site, tag, shown, device, largest=number == 0)
    weight = len(data) + sum(_bytes(site, path) or 0 for path in other)
    total = weight + sum(image.now for image in images.values())
    if total > _GOOD_PAGE_BYTES:
        findings.append(Finding("total-byte-weight", "", f"{size_text(total)} in all"))
    return PageReport(name, tuple(images.values()), weight, tuple(dict.fromkeys(findings)))


def find_payload(site: Path, file: str) -> str | None:
    """The site path of the payload that the worker would fetch for an encoded file."""
    twin = re.sub(r"\.\w+$", ".slat", file)
    return twin if twin != file and (site / twin).is_file() else None


def _chosen(tag: _Tag, device: Device) -> str:
    """The URL that Chromium loads."""
    for source in tag.sources:
        known = source.get("type", "") in (
            "",
            "image/avif",
            "image/webp",
            "image/png",
            "image/jpeg",
        )
        if known and "media" not in source:
            return _candidate(source.get("srcset", ""), source.get("sizes", ""), device)
    attributes = tag.attributes
    if attributes.get("srcset"):
        return _candidate(attributes["srcset"], attributes.get("sizes", ""), device)
    return attributes.get("src", "")


def _candidate(srcset: str, sizes: str, device: Device) -> str:
    wanted = displayed_by(sizes, device) * device.density
    candidates = []
    for part in re.split(r",\s+", srcset.strip()):
        url, _, descriptor = part.strip().partition(" ")
        number = float(descriptor[:-1] or 1) if re.fullmatch(r"[\d.]+[wx]", descriptor) else 1.0
        candidates.append((number if descriptor.endswith("w") else number * wanted, url))
    candidates.sort()
    return next((url for width, url in candidates if width >= wanted), candidates[-1][1])


def displayed_by(sizes: str, device: Device) -> float:
    """The width, in CSS pixels, that `sizes` promises."""
    match = _SIZES.search(sizes)
    if not match:
        return device.width
    fluid = match[1] is not None and device.width <= int(match[1])
    return device.width if fluid else min(int(match[2]), device.width)


def _audit(
    site: Path, tag: _Tag, shown: Shown, device: Device, *, largest: bool
) -> Iterable[Finding]:
    """What Lighthouse would say of an image."""
    name, attributes = shown.path, tag.attributes
    if largest and shown.lazy:
        yield Finding("lcp-discovery", name, "the first image is lazy")
    width, height = attributes.get("width", ""), attributes.get("height", "")
    styled = re.search(r"width\s*:", attributes.get("style", "")) is not None
    if not (width.isdigit() and height.isdigit()) and not styled:
        yield Finding("unsized-images", name, "no width and height")
    if shown.file.lower().endswith((".svg", ".svgz")):
        return
    size = _pixels(site / shown.file)
    if size is None:
        return
    pixels = size[0] * size[1]
    if shown.file.lower().endswith(".gif"):
        if shown.now > _MOST_GIF_BYTES:
            yield Finding("image-delivery", name, f"GIF of {size_text(shown.now)}")
    elif shown.now - pixels * _BYTES_PER_PIXEL > _IGNORED_BYTES:
        saving = size_text(round(shown.now - pixels * _BYTES_PER_PIXEL))
        yield Finding("image-delivery", name, f"{saving} over 1/6 byte per pixel")
    if not width.isdigit() or int(width) == 0:
        return
    displayed = min(int(width), device.width)
    across = displayed * device.density
    saved = shown.now * (1 - min(1.0, across / size[0]) ** 2)
    responsive = bool(tag.sources or "srcset" in attributes)
    if saved > (_IGNORED_RESPONSIVE_BYTES if responsive else _IGNORED_BYTES):
        yield Finding("image-delivery", name, f"{size_text(round(saved))} by its dimensions")
    promised = int(width) * device.density if int(width) <= device.width else across
    if size[0] < _DENSITY_SHARE * promised and size[0] < int(width):
        yield Finding("image-size-responsive", name, f"{size[0]} pixels for {across:.0f}")
    if height.isdigit() and int(height):
        skew = abs(displayed * int(height) / int(width) - displayed * size[1] / size[0])
        if skew > _RATIO_TOLERANCE:
            yield Finding("image-aspect-ratio", name, f"{width}x{height} shows {size[0]}x{size[1]}")


def _bytes(site: Path, path: str) -> int | None:
    try:
        place = site / path
        return place.stat().st_size if place.is_file() else None
    except (OSError, ValueError):
        return None


def _pixels(path: Path) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # not a picture: other tools say so
        return None


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
    return json.dumps(values | {"over_budget": report.over_budget}, indent=1)


def rows(report: Report) -> list[tuple[str, list[int]]]:
    """Name and bytes (before, first visit, the same with worker, later) of each page and in all."""
    shown = [page for page in report.pages if page.images]
    return [
        (page.path, [page.before, page.first, page.worker_first, page.after])
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
    if report.worker:
        lines.append(f"the worker, engine and model: {size_text(report.worker)} once")
    groups: dict[str, list[Finding]] = {}
    for finding in dict.fromkeys(report.total.findings):
        groups.setdefault(finding.audit, []).append(finding)
    lines.append("")
    if not groups:
        lines.append(f"Lighthouse's image audits ({report.device}): all pass")
    for audit, found in sorted(groups.items()):
        lines.append(f"{audit}: {len(found)}")
        lines += [f"  {f.image}: {f.detail}"[:80] for f in found[:3]]
    lines += [f"over budget: {line}" for line in report.over_budget]
    return "\n".join(lines)


def markdown(report: Report, most: int = 20) -> str:
    """The report as a Markdown table, for GitHub's step summary."""
    lines = ["### sitecodec", "", "| page | before | first visit | with worker | later |"]
    lines.append("|---|--:|--:|--:|--:|")
    listed = rows(report)
    for name, sizes in [*listed[:-1][:most], listed[-1]]:
        cells = " | ".join(map(size_text, sizes))
        lines.append(f"| {name.replace('|', chr(92) + '|')} | {cells} |")
    lines += [
        "",
        f"{len(report.total.findings)} audits fail, {len(report.over_budget)} over budget",
    ]
    lines += [f"- over budget: {line}" for line in report.over_budget]
    return "\n".join(lines) + "\n"

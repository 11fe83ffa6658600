"""How heavy a built site's pages are, before and after: what `sitecodec report` measures.

Reads the built site only: its pages, and the manifest that `sitecodec build` leaves beside the
encoded files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sitecodec.disk.folders import plain
from sitecodec.errors import SettingsError, SiteError
from sitecodec.facts import formats
from sitecodec.page import served, urls
from sitecodec.page.tokens import attributes_of, tags
from sitecodec.report import audits
from sitecodec.report.audits import DEVICES, Device, Finding, ImageTag
from sitecodec.site import files, manifest
from sitecodec.terminal.printing import printable, size_text
from sitecodec.visitors import break_even, worker

_BUDGET = re.compile(r"(page|image)=(\d+(?:\.\d+)?)\s*([kM]?)B?", re.IGNORECASE)
_READ = frozenset("template header nav aside footer picture source img base script link".split())
_FRAME = ("header", "nav", "aside", "footer")


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
        """The bytes of a first visit with the worker, which sees only the lazy images."""
        return self.payload if self.lazy and self.payload is not None else self.now


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
    """A whole site. `worker` is what the worker costs a visitor once, 0 if there is none.

    `has_model`: whether it decodes more than flat graphics.
    """

    device: str
    pages: tuple[PageReport, ...]
    worker: int
    has_model: bool
    over_budget: tuple[str, ...]
    entries: tuple[manifest.Entry, ...] = ()
    """The images of the site, by the manifest of its build."""

    @cached_property
    def account(self) -> break_even.Account:
        """The cost and the savings of the worker; zero if there is none."""
        return break_even.account(
            [
                {i.path: i.now - i.payload for i in page.images if i.payload is not None}
                for page in self.pages
            ],
            worker.cost(0, model="" if self.has_model else None),
            model=self.has_model,
        )

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
    base_path: str | None = None,
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
    site = site.resolve()
    root = served.root(site, base_path)
    made = manifest.read(site, asset_dir)
    sources = made.by_file()
    has_worker, has_model = (site / worker.NAME).is_file(), break_even.has_model(site, asset_dir)

    def payload_of(file: str) -> int | None:
        """Bytes of the payload that the worker fetches instead of a file."""
        twin = find_payload(site, file) if has_worker else None
        decodes = twin and (has_model or not worker.needs_model(site / twin))
        return _bytes(site, twin) if twin and decodes else None

    pages = []
    found = (entry.path for entry in files.below(site) if ".htm" in entry.name)
    for place in sorted(map(Path, found)):
        inside = os.path.realpath(place).startswith(f"{site}/")
        if inside and os.path.isfile(place):  # noqa: PTH113 - which never raises
            name = place.relative_to(site).as_posix()
            try:
                page = _page(site, name, root, sources, DEVICES[device], payload_of)
            except Exception as error:  # of whatever a page may hold
                what = " ".join(f"{type(error).__name__} {error}".split())[:100]
                page = PageReport(name, (), 0, (Finding("unreadable-page", name, what),))
            pages.append(page)
    if not pages:
        raise SiteError(f"{site} has no pages; build the site first, or name its folder")
    return Report(
        device,
        tuple(pages),
        worker.shipped(site, asset_dir),
        has_model,
        tuple(_over(pages, limits)),
        made.entries,
    )


def parse_budget(text: str) -> tuple[str, int]:
    """The subject of a budget ('page' or 'image'), and its bytes. Raises SettingsError."""
    match = _BUDGET.fullmatch(text.strip())
    if not match:
        raise SettingsError(f"not a budget: {text!r}; write page=500kB or image=150kB")
    scale = {"": 1, "k": 1e3, "m": 1e6}[match[3].lower()]
    return match[1].lower(), round(min(float(match[2]) * scale, 1e18))  # which may be infinite


def _over(pages: list[PageReport], limits: Mapping[str, int]) -> Iterable[str]:
    heavy: dict[str, int] = {}
    for page in pages:
        weight = page.first + page.other
        if weight > limits.get("page", weight):
            name, limit = printable(page.path), size_text(limits["page"])
            yield f"{name}: {size_text(weight)} is over page={limit}"
        heavy.update({i.file: i.now for i in page.images if i.now > limits.get("image", i.now)})
    for path, weight in sorted(heavy.items()):
        yield f"{printable(path)}: {size_text(weight)} is over image={size_text(limits['image'])}"


class _Reader:
    """Collects images and the files that a page loads besides."""

    def __init__(self) -> None:
        self.tags: list[ImageTag] = []
        self.files: list[str] = []
        self.base: str | None = None
        self._sources: list[dict[str, str]] | None = None
        self._hidden = self._frame = 0

    def read(self, data: bytes) -> None:
        """Read a page as builds do."""
        for start, end, name in tags(data, len(data), every=True):
            if name[0] == "/":
                self._end(name[1:])
            elif name in _READ:
                values = {a.name: a.value for a in reversed([*attributes_of(data, start, end)])}
                self._start(name, values)

    def _start(self, tag: str, values: dict[str, str]) -> None:
        if tag == "template":
            self._hidden += 1
        elif self._hidden:
            return
        elif tag in _FRAME:
            self._frame += 1
        elif tag == "picture":
            self._sources = []
        elif tag == "source" and self._sources is not None:
            self._sources.append(values)
        elif tag == "img":
            self.tags.append(ImageTag(values, self._sources or [], not self._frame))
            self._sources = None  # a picture has one image
        elif tag == "base" and self.base is None:
            self.base = values.get("href")
        elif tag == "script" and "src" in values:
            self.files.append(values["src"])
        elif tag == "link" and "stylesheet" in values.get("rel", "").lower():
            self.files.append(values.get("href", ""))

    def _end(self, tag: str) -> None:
        if tag == "template":
            self._hidden = max(0, self._hidden - 1)
        elif tag in _FRAME:
            self._frame = max(0, self._frame - 1)
        elif tag == "picture":
            self._sources = None


def _page(
    site: Path,
    name: str,
    root: str,
    sources: Mapping[str, manifest.Entry],
    device: Device,
    payload_of: Callable[[str], int | None],
) -> PageReport:
    data = plain(site / name)
    reader = _Reader()
    reader.read(data)
    base = urls.base_of(name, reader.base, root) or root

    def find(reference: str) -> str | None:
        target = urls.resolve(reference, base, root)
        path = target.path if isinstance(target, urls.Target) else ""
        return path if path and _bytes(site, path) is not None else None

    other = {path for reference in reader.files if (path := find(reference))}
    images: dict[str, Shown] = {}
    findings: list[Finding] = []
    largest = audits.first_large(reader.tags)
    for number, tag in enumerate(reader.tags):
        file = find(audits.chosen(tag, device))
        if file is None:
            continue
        entry = sources.get(file)
        now = _bytes(site, file) or 0
        path = entry.path if entry else file
        shown = Shown(path, file, entry.bytes if entry else now, now, payload_of(file), tag.is_lazy)
        if path not in images or (images[path].lazy and not tag.is_lazy):
            images[path] = shown
        findings += audits.of_image(tag, path, site / file, now, device, largest=number == largest)
    weight = len(data) + sum(_bytes(site, path) or 0 for path in other)
    total = weight + sum(image.now for image in images.values())
    findings += audits.of_page(name, total)
    return PageReport(name, tuple(images.values()), weight, tuple(dict.fromkeys(findings)))


def find_payload(site: Path, file: str) -> str | None:
    """The site path of the payload that the worker would fetch for an encoded file."""
    twin = re.sub(r"\.\w+$", formats.SLAT.suffix, file)
    return twin if twin != file and files.is_there(site, twin) else None


def _bytes(site: Path, path: str) -> int | None:
    """The size of a file of the site; None for what is none, or is outside."""
    file = files.find(site, path)
    return file.size if isinstance(file, files.File) else None

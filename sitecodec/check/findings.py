"""The differences between a page of the plain site and the same page of the built one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from sitecodec.check import boxes, weight
from sitecodec.check.boxes import Box
from sitecodec.check.look import Look, Paper
from sitecodec.check.pictures import Picture
from sitecodec.check.weight import Loaded
from sitecodec.check.windows import Window
from sitecodec.terminal.printing import size_text

KINDS = {
    "page": "pages that only one of the sites has, or that cannot be opened",
    "box": "elements of another size or in another place",
    "broken": "images that show nothing",
    "shown": "what is shown looks different",
    "blur": "files with fewer pixels than are shown",
    "heavier": "pages that load more bytes",
    "unshown": "files that are loaded and not shown",
    "twice": "files that are asked for more than once",
    "leaving": "files that are loaded when the page is left",
    "console": "errors in the console",
    "paper": "printed pages",
    "pdf": "printed pages that take over 1.5 times the bytes",
    "waste": "files with more than twice the pixels that are shown, each way",
}
"""A description of each kind of finding."""

NOTES = frozenset({"pdf", "waste"})
"""Kinds that are worth knowing and no fault: a PDF of pictures that have no JPEG to print holds
their pixels; and the plain page mostly has more pixels than it shows, too."""

_PAPER_RATIO, _PAPER_BYTES = 1.5, 20_000
_DRAWN = 1.5, 0.015  # CSS pixels or share: a box's tolerance, and what a file's whole pixels round


@dataclass(frozen=True)
class Finding:
    """Something that differs."""

    kind: str
    what: str
    """The element, image or file."""

    plain: str
    built: str
    places: tuple[Box, Box] | None = None
    """The places to compare, on the plain page and on the built one."""

    element: str = ""
    """For an image, the elements that contain it, from the nearest id on."""


@dataclass(frozen=True)
class Placed:
    """A file of each side, where it is on the page, and how large it is drawn in CSS pixels."""

    name: str
    urls: tuple[str, str]
    places: tuple[Box, Box]
    drawn: tuple[float, float]
    file: tuple[int, int] = (0, 0)
    """Pixels of the plain page's file, where that is known."""

    def painted(self, density: int, most: int) -> tuple[int, int]:
        """The size to compare both files at, in pixels: as it is shown, but not enlarged."""
        drawn = [side * density for side in self.drawn]
        enlarged = max((d / f for d, f in zip(drawn, self.file, strict=True) if f), default=1.0)
        scale = min(1.0, most / max(drawn), 1 / enlarged)
        width, height = (max(1, round(side * scale)) for side in drawn)
        return width, height

    @property
    def is_other_file(self) -> bool:
        """Whether the built page shows a file of another name."""
        return urlsplit(self.urls[0]).path != urlsplit(self.urls[1]).path


@dataclass(frozen=True)
class Paired:
    """Two looks at a page, and the images that are on both."""

    plain: Look
    built: Look

    @property
    def pictures(self) -> list[tuple[Picture, Picture]]:
        """Images in order; none where the pages have not the same number of them."""
        if len(self.plain.pictures) != len(self.built.pictures):
            return []
        return list(zip(self.plain.pictures, self.built.pictures, strict=True))

    def places(self, a: Picture, b: Picture) -> tuple[Box, Box]:
        """The boxes of an image."""
        return self.plain.boxes[a.box], self.built.boxes[b.box]

    @property
    def shown_in_place(self) -> list[Placed]:
        """Everything that shows a file (image or background) in a box of the same size."""
        found = [
            Placed(_file(a.url), (a.url, b.url), self.places(a, b), a.drawn, a.file)
            for a, b in self.pictures
            if a.shown and b.shown
        ]
        if len(self.plain.boxes) == len(self.built.boxes):
            backgrounds = zip(self.plain.backgrounds, self.built.backgrounds, strict=False)
            for (box, url), (other, built_url) in backgrounds:
                if box == other and urlsplit(url).path != urlsplit(built_url).path:
                    places = self.plain.boxes[box], self.built.boxes[box]
                    size = places[0].width, places[0].height
                    found.append(Placed(_file(url), (url, built_url), places, size))
        return [one for one in found if _same_size(*one.places) and all(one.drawn)]


def of_looks(both: Paired, window: Window) -> Iterator[Finding]:
    """The differences between two looks at a page, except those that only pixels show."""
    yield from _moved(both.plain.boxes, both.built.boxes, "box")
    for a, b in both.pictures:
        yield from _of_picture(both, a, b, window)
    if window.scripts:
        yield from _of_loads(both.plain, both.built)
        for message in sorted(set(both.built.errors) - set(both.plain.errors)):
            yield Finding("console", message, "", "")


def of_papers(plain: Paper, built: Paper) -> Iterator[Finding]:
    """The differences when a page is printed."""
    yield from _moved(plain.boxes, built.boxes, "paper")
    if plain.pages != built.pages:
        yield Finding("paper", "pages", str(plain.pages), str(built.pages))
    if built.pictures < plain.pictures:
        yield Finding("paper", "pictures in the PDF", str(plain.pictures), str(built.pictures))
    if built.size > max(_PAPER_RATIO * plain.size, plain.size + _PAPER_BYTES):
        yield Finding("pdf", "bytes of the PDF", size_text(plain.size), size_text(built.size))


def of_leaving(plain: Sequence[Loaded], built: Sequence[Loaded]) -> Iterator[Finding]:
    """The files that the built page loads when it is left, and the plain page does not."""
    before = {one.path for one in plain}
    for one in built:
        if one.path not in before:
            yield Finding("leaving", _file(one.url), "", size_text(one.bytes))


def _moved(plain: Sequence[Box], built: Sequence[Box], kind: str) -> Iterator[Finding]:
    for cause in boxes.compare(plain, built).causes:
        element = cause.element
        yield Finding(kind, element, cause.plain, cause.built, cause.places, element)


def _of_picture(both: Paired, a: Picture, b: Picture, window: Window) -> Iterator[Finding]:
    name, places = _file(a.url or b.url), both.places(a, b)
    element = boxes.name(both.plain.boxes, a.box)
    had, has = ("{}x{}".format(*picture.file) for picture in (a, b))
    shown = "{:.0f}x{:.0f}".format(*b.drawn)
    if b.shown and not all(b.file) and all(a.file):
        built = "broken" if b.complete else "not loaded"
        yield Finding("broken", name, had, built, places, element)
    elif window.scripts and b.is_blurred(a, window):
        yield Finding("blur", name, had, f"{has} for {shown}", places, element)
    elif window.scripts and b.is_wasteful(window):
        yield Finding("waste", name, had, f"{has} for {shown}", places, element)
    pixels, share = _DRAWN
    apart = any(abs(x - y) > max(pixels, share * x) for x, y in zip(a.drawn, b.drawn, strict=True))
    if apart and a.shown and b.shown and all(b.file) and _same_size(*places):
        drawn = "{:.0f}x{:.0f}".format(*a.drawn)
        yield Finding("box", f"{name} in its box", drawn, shown, places, element)


def _same_size(a: Box, b: Box) -> bool:
    return max(abs(a.width - b.width), abs(a.height - b.height)) <= boxes.TOLERANCE


def _of_loads(plain: Look, built: Look) -> Iterator[Finding]:
    before, after = weight.total(plain.loaded), weight.total(built.loaded)
    if after > before + weight.ALLOWED:
        yield Finding("heavier", "page", size_text(before), size_text(after))
    extra, extra_before = (weight.unshown(look.loaded, _urls(look)) for look in (built, plain))
    for path, size in extra.items():
        if path not in extra_before:
            yield Finding("unshown", _file(path), "", size_text(size))
    repeated, repeated_before = weight.repeated(built.loaded), weight.repeated(plain.loaded)
    for path, count in repeated.items():
        if count > repeated_before.get(path, 1):
            yield Finding("twice", _file(path), "", f"{count} times")


def _urls(look: Look) -> list[str]:
    """The URLs of all files that a page shows."""
    return [picture.url for picture in look.pictures] + [url for _, url in look.backgrounds]


def _file(url: str) -> str:
    """A file's name and the folder that it is in; pages tell the rest."""
    if url.startswith("data:"):
        return url[:20]
    return "/".join(PurePosixPath(unquote(urlsplit(url).path)).parts[-2:]).removeprefix("//")

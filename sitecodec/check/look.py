"""A page in a tab: opened, at rest, and what there is to see of it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sitecodec.check import boxes
from sitecodec.check.boxes import Box
from sitecodec.check.pictures import Picture
from sitecodec.check.weight import Loaded
from sitecodec.check.windows import Clip, Tab, Window

_LOOK = Path(__file__).with_name("look.js").read_text("utf-8")
FREEZE = f"({_LOOK}).freeze()"
"""Runs before a page's own scripts."""

_SETTLE_SECONDS = 20
_SLICE = 3000  # CSS pixels: browsers draw larger pictures badly
_HIGHEST = 9_000  # CSS pixels of a page; below, boxes and files are compared
_PDF_PICTURE = re.compile(rb"/Subtype\s*/Image\b")
_PDF_PAGE = re.compile(rb"/Type\s*/Page\b(?!s)")


@dataclass(frozen=True)
class Look:
    """A page as a window shows it."""

    boxes: Sequence[Box]
    pictures: Sequence[Picture]
    backgrounds: Sequence[tuple[int, str]] = ()
    """Pictures that style sheets show: number of the box and URL."""

    loaded: Sequence[Loaded] = ()
    errors: Sequence[str] = ()
    """The errors in the console."""


@dataclass(frozen=True)
class Paper:
    """A page as it is printed: boxes under print media; pages, pictures and bytes of the PDF."""

    boxes: Sequence[Box]
    pages: int
    pictures: int
    size: int


async def _ask(tab: Tab, call: str) -> Any:  # noqa: ANN401 - any JSON
    return await tab.evaluate(f"({_LOOK}).{call}")


async def look(tab: Tab, url: str, window: Window) -> Look:
    """Open a page and look at it once it has come to rest."""
    await tab.open(url, window.width, window.height)
    if window.scripts:  # without, nothing waits: no image is lazy then
        await _ask(tab, f"settle({_SETTLE_SECONDS})")
    backgrounds = await _ask(tab, "backgrounds()")
    loaded = await _ask(tab, "loaded()")
    pictures = await _ask(tab, f"pictures({str(window.scripts).lower()})")
    return Look(
        boxes.parse(await _ask(tab, "boxes()")),
        tuple(Picture.parse(values) for values in pictures),
        tuple((box, address) for box, address in backgrounds),
        tuple(Loaded(*values) for values in loaded),
        tuple(tab.errors),
    )


async def shots(tab: Tab, seen: Look) -> list[bytes]:
    """The page from top to bottom, as PNGs of equal height but the last."""
    page = seen.boxes[0]
    width = max(1.0, page.width)
    height = min(_HIGHEST, max(box.top + box.height for box in seen.boxes[:2]))
    return [
        await tab.screenshot(Clip(0, top, width, min(_SLICE, height - top)))
        for top in range(0, max(1, int(height)), _SLICE)
    ]


async def paint(tab: Tab, url: str, width: int, height: int) -> bytes:
    """A file as the browser draws it at this size, alone, as a PNG; empty if it cannot."""
    data = await _ask(tab, f"paint({json.dumps(url)}, {width}, {height})")
    return base64.b64decode(data.partition(",")[2])


async def leave(tab: Tab) -> list[Loaded]:
    """Leave the page, and return the files that it loads meanwhile. The page is gone afterwards."""
    return [Loaded(*values) for values in await _ask(tab, "leave()")]


async def printed(tab: Tab) -> Paper:
    """The page as it is printed."""
    await tab.media("print")
    found = boxes.parse(await _ask(tab, "boxes()"))
    await tab.media("screen")  # from where readers print
    data = await tab.pdf()
    pages, pictures = (len(one.findall(data)) for one in (_PDF_PAGE, _PDF_PICTURE))
    return Paper(found, pages, pictures, len(data))

"""The windows that pages are looked at in, and what a browser has to offer for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True)
class Window:
    """A browser window: width in CSS pixels, device pixels per CSS pixel, scripts on or off."""

    width: int
    density: int = 1
    scripts: bool = True
    pixels: bool = False
    """Whether what it shows is compared, not only where it is."""

    paper: bool = False
    """Whether the page is printed from it, too, and left."""

    @property
    def height(self) -> int:
        """The usual height of screens of this width, in CSS pixels."""
        return 800 if self.width >= 700 else 844

    def __str__(self) -> str:
        return f"{self.width}@{self.density}" + ("" if self.scripts else " no scripts")


WINDOWS = (
    Window(1280, pixels=True, paper=True),
    Window(390, 2, pixels=True),
    Window(768),
    Window(1280, 2),
    Window(1920),
    Window(1280, scripts=False),
)
"""A phone, a tablet and desktops. Boxes do not depend on the density, files do: a phone's screen is
dense, and the width that most desktops have is looked at in both densities."""


class Clip(NamedTuple):
    """A part of a document, in CSS pixels."""

    left: float
    top: float
    width: float
    height: float


class Tab(Protocol):
    """A tab in a browser. `errors` are what the console said of the page that is open."""

    errors: list[str]

    async def open(self, url: str, width: int, height: int) -> None:
        """Load a page in a window of this size."""

    async def evaluate(self, source: str) -> Any:  # noqa: ANN401 - any JSON
        """The value of a JavaScript expression, a promise's once it is there."""

    async def screenshot(self, clip: Clip) -> bytes:
        """A part of the document, as a PNG."""

    async def media(self, kind: str) -> None:
        """Apply the style sheets for `screen` or for `print`."""

    async def pdf(self) -> bytes:
        """The page as it is printed."""

    async def close(self) -> None:
        """Close the tab."""


class Browser(Protocol):
    """A browser that runs."""

    scripts_can_be_off: bool

    async def tab(self, window: Window, before: str) -> Tab:
        """A tab; `before` is the source of a script that runs before each page's own."""

"""The files that images show: broken ones, and ones with too few or far too many pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sitecodec.check.windows import Window

_ENOUGH = 0.95
"""A file has the pixels that are shown from this share on: widths are offered in steps."""

_MUCH = 2.1
_SMALL = 200 * 200  # pixels: nothing is to be gained below


@dataclass(frozen=True)
class Picture:
    """An image as it is laid out; sizes are (width, height)."""

    box: int
    """Its number among the document's boxes."""

    url: str
    """The URL of the file that the browser has chosen."""

    shown: bool
    """Whether it has a box."""

    complete: bool
    """Whether the browser has done with it, loaded or not; lazy ones may wait."""

    file: tuple[int, int]
    """Pixels of the file; (0, 0) if it is not loaded, or broken."""

    drawn: tuple[float, float]
    """How large it is drawn, in CSS pixels: more than its box where object-fit cuts."""

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Picture:
        """A picture as the page says it."""
        values = {name: found[name] for name in ("box", "url", "shown", "complete")}
        return cls(**values, file=tuple(found["file"]), drawn=tuple(found["drawn"]))

    @property
    def is_vector(self) -> bool:
        """Whether it is drawn at any size."""
        path = self.url.partition("#")[0].partition("?")[0].lower()
        return path.endswith((".svg", ".svgz")) or path.startswith("data:image/svg")

    @property
    def is_broken(self) -> bool:
        """Whether nothing can be shown."""
        return self.shown and self.complete and bool(self.url) and not all(self.file)

    def scale(self, window: Window) -> float:
        """Pixels of the file for each that is shown, in the direction that has fewer."""
        drawn = [side * window.density for side in self.drawn]
        if not all(drawn):
            return 1.0
        return min(pixels / side for pixels, side in zip(self.file, drawn, strict=True))

    def is_blurred(self, plain: Picture, window: Window) -> bool:
        """Whether it has fewer pixels than are shown, and fewer than the plain page's has."""
        if self.is_vector or not all(self.file) or not all(plain.file):
            return False
        has, had = self.scale(window), plain.scale(window)
        return has < _ENOUGH * min(1.0, had)

    def is_wasteful(self, window: Window) -> bool:
        """Whether it has more than twice the pixels that are shown, each way."""
        large = self.file[0] * self.file[1] > _SMALL
        return large and not self.is_vector and all(self.drawn) and self.scale(window) > _MUCH

"""The changes to an image's tag that nobody can see."""

from __future__ import annotations

import math
from typing import NamedTuple

ADDED = {"decoding": "async", "fetchpriority": "high", "loading": "lazy"}
"""Attributes that any image may get, with their values."""


class Layout(NamedTuple):
    """How an image can be marked up, and how wide it may be shown."""

    form: str = "picture"
    """'picture', 'img' (other files in the srcset of its own tag) or 'off' (nothing)."""

    why: str = ""
    """Why it is not 'picture'."""

    natural: tuple[int, int] | None = None
    """The width and height that it has by itself, in CSS pixels; None if they are not known."""

    unheld: str = "its size is not known"
    """Why no space can be reserved for it; '' if it can."""

    sized: bool = False
    """Whether width and height can be added."""

    window: float = math.inf
    """How wide it is shown at most: as a part of the window's width..."""

    pixels: float = math.inf
    """...and in CSS pixels. Both infinite where all its pixels may be seen."""

    unseen: frozenset[str] = frozenset(ADDED)
    """The attributes among ADDED that no style sheet asks for."""

    @property
    def held(self) -> bool:
        """Whether space can be reserved for it."""
        return self.natural is not None and not self.unheld

    @property
    def whole(self) -> bool:
        """Whether all its pixels may be seen."""
        return not self.held or (math.isinf(self.window) and math.isinf(self.pixels))

    @property
    def sizes(self) -> str:
        """The value of `sizes` for an image that is not shown whole."""
        pixels, share = f"{math.ceil(self.pixels)}px" if self.pixels < math.inf else "", ""
        if self.window < math.inf:
            share = f"{math.ceil(10_000 * self.window - 1e-6) / 100:g}vw"
        if pixels and share:
            if self.pixels <= 320 * self.window:  # in every window
                return pixels
            return f"(max-width: {math.ceil(self.pixels / self.window)}px) {share}, {pixels}"
        return pixels or share

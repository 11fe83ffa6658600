"""The most that something is wide, and how lengths in style sheets bound it."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

LENGTH = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(px|%|vw|rem|em|)")
AUTO = frozenset(("", "auto", "fit-content", "stretch", "-webkit-fill-available", "inherit"))
FREE = frozenset(("", "auto", "none", "0", "revert", "min-content", "inherit"))
NARROW = 320.0
"""CSS pixels that every window has."""

EM = 24.0
"""Pixels that an em may have where large windows get larger letters."""


class Bound(NamedTuple):
    """The most that something is wide: both a share of the window and CSS pixels."""

    window: float = 1.0
    pixels: float = math.inf

    def share(self, part: float) -> Bound:
        """A part of it."""
        return Bound(self.window * part, self.pixels * part) if part else Bound(0, 0)

    def plus(self, pixels: float) -> Bound:
        """So many pixels more."""
        return Bound(self.window + pixels / NARROW, self.pixels + pixels)

    def or_more(self, other: Bound) -> Bound:
        """The bound of what may be as wide as either."""
        return Bound(max(self.window, other.window), max(self.pixels, other.pixels))

    def at_most(self, other: Bound) -> Bound:
        """The bound of what is no wider than both."""
        return Bound(min(self.window, other.window), min(self.pixels, other.pixels))


UNBOUND = Bound(math.inf, math.inf)
NOTHING = Bound(0, 0)


@lru_cache(maxsize=4096)  # images beside each other have the same values, in the same rooms
def width_of(value: str, room: Bound) -> Bound:
    """How wide a value of `width` makes an element in a room."""
    if value.startswith(("min(", "clamp(")) and value.endswith(")"):
        parts = value.partition("(")[2][:-1].split(",")
        if value.startswith("clamp(") and len(parts) == 3:
            parts = parts[2:]
        bound = UNBOUND
        for part in parts:
            bound = bound.at_most(width_of(part.strip(), room))
        return bound
    if match := re.fullmatch(r"calc\((100%|100vw) - [\d.]+(?:px|r?em)\)", value):
        return width_of(match[1], room)
    match = LENGTH.fullmatch(value)
    if not match:
        return room if value in AUTO else UNBOUND
    number, unit = abs(float(match[1])), match[2]
    if unit == "%":
        return room.share(number / 100)
    if unit == "vw":
        return Bound(number / 100, math.inf)
    return fixed(pixels_of(match))


def pixels_of(length: re.Match[str]) -> float:
    """The most CSS pixels of a match of LENGTH whose unit is a fixed one."""
    return abs(float(length[1])) * (EM if length[2] in ("rem", "em") else 1)


def fixed(pixels: float) -> Bound:
    """The bound of what is so wide whatever the window is."""
    return NOTHING.plus(pixels)

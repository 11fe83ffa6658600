"""How wide a page may show an image, from its style sheets: never too little, at times too much."""

from __future__ import annotations

import math
import re

from sitecodec.css.bounds import (
    AUTO,
    FREE,
    LENGTH,
    NARROW,
    NOTHING,
    Bound,
    fixed,
    pixels_of,
    width_of,
)
from sitecodec.css.rooms import box_around, container, is_scaled, limit
from sitecodec.css.styles import Styles
from sitecodec.css.tree import Node

_HORIZONTAL = frozenset(("", "horizontal-tb"))
_RATIO = re.compile(r"(\d+\.?\d*|\.\d+)(?:\s*/\s*(\d+\.?\d*|\.\d+))?")


def shown(
    styles: Styles,
    image: Node,
    natural: tuple[int, int],
    hints: dict[str, str],
    content: tuple[str, int] | None = None,
) -> Bound | None:
    """How wide an image is shown at most; None where it may show all of its pixels, or more.

    `natural` is its size in CSS pixels, `hints` what its attributes say of width and height.
    `content` is the class of the theme's element for content, and how wide that shows an image.
    """
    fits = styles.values(image, "object-fit")
    if not fits <= {"", "fill", "contain", "scale-down", "cover"} or is_scaled(styles, image):
        return None
    if styles.values(image, "object-view-box") - {"", "none"}:
        return None
    room = container(styles, image, content)
    widths = styles.values(image, "width", hints.get("width", ""))
    bound = NOTHING
    image.steps.take(len(widths))
    for value in widths:
        if value in AUTO or value in ("max-content", "min-content"):
            high = _by_height(styles, image, natural, hints)
            if high is None:
                return None
            bound = bound.or_more(Bound(math.inf, high))
        else:
            bound = bound.or_more(width_of(value, room))
    bound = bound.at_most(limit(styles, image, room))
    for value in styles.values(image, "min-width") - FREE:
        bound = bound.or_more(width_of(value, room))
    if styles.values(image, "min-height") - FREE:
        return None
    if "cover" in fits:
        covering = _covering(styles, image, bound, natural[0] / natural[1], hints)
        if covering is None:
            return None
        bound = covering
    if bound.window > 1 and min(bound.window * NARROW, bound.pixels) >= natural[0]:
        return None
    return bound


def vertical(styles: Styles, image: Node) -> bool:
    """Whether text may run from top to bottom around an image."""
    return styles.is_set(image, "writing-mode", _HORIZONTAL)


def _by_height(
    styles: Styles, image: Node, natural: tuple[int, int], hints: dict[str, str]
) -> float | None:
    """How wide an image is, in CSS pixels, whose width follows from its height; None if unknown."""
    widest = 0.0
    ratio = natural[0] / natural[1]
    if styles.values(image, "aspect-ratio") - {"", "auto"}:
        return None
    for value in styles.values(image, "height", hints.get("height", "")):
        match = LENGTH.fullmatch(value)
        if value in FREE or (value.endswith("%") and match):
            # Of a height that is not known, a percentage counts for nothing, or for any height.
            if value.endswith("%"):
                return None
            widest = max(widest, natural[0])
        elif match and match[2] in ("px", "rem", "em", ""):
            pixels = pixels_of(match)
            widest = max(widest, pixels * ratio)
        else:
            return None
    return widest


def _covering(
    styles: Styles, image: Node, bound: Bound, ratio: float, hints: dict[str, str]
) -> Bound | None:
    """How wide an image is that covers a box of the width `bound`; None if its height is unknown.

    `ratio` is the image's width by its height. Flex containers may stretch a box.
    """
    around = box_around(styles, image)
    if around and any("flex" in value for value in styles.values(around, "display")):
        return None
    for value in styles.values(image, "height", hints.get("height", "")) - {"", "auto"}:
        match = LENGTH.fullmatch(value)
        if not match or match[2] not in ("px", "rem", "em", ""):
            return None
        pixels = pixels_of(match)
        bound = bound.or_more(fixed(pixels * ratio))
    part = 1.0
    for value in styles.values(image, "aspect-ratio") - {"", "auto"}:
        match = _RATIO.fullmatch(value)
        width, height = (float(match[1]), float(match[2] or 1)) if match else (0, 0)
        if not width or not height:
            return None
        part = max(part, ratio * height / width)
    return bound.share(part)

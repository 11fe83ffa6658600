"""Globs of site paths: `*` within a folder, `**` across them; without a slash, in any folder."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

_PARTS = re.compile(r"(\*\*/|\*\*|\*|\?)")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_STARS = (("*",), ("**",), ("**/",))
_FEW, _SHORT = 3, 250
"""Up to so many stars, on paths of up to so many letters, a pattern is the fastest."""


class _Glob(NamedTuple):
    parts: tuple[str, ...]
    stars: int


def matches(globs: tuple[str, ...], path: str) -> bool:
    """Whether a path in the site is one that the globs mean."""
    return any(_match(glob, path) for glob in globs)


def _match(pattern: str, path: str) -> bool:
    glob = _read(pattern)
    if glob.stars <= _FEW and len(path) <= _SHORT:
        return _compiled(glob).fullmatch(path) is not None
    return _walked(glob.parts, path)


@cache
def _read(pattern: str) -> _Glob:
    parts: list[str] = [] if "/" in pattern else ["**/"]
    for part in _PARTS.split(pattern.lstrip("/")):
        if (part,) in _STARS:
            _add_star(parts, part)
        else:
            parts += [part] if part in _MEANING else part
    return _Glob(tuple(parts), sum("*" in part for part in parts))


def _add_star(parts: list[str], star: str) -> None:
    """Add a star to those that stand there; of a row of stars, two can say all that it says."""
    if parts[-1:] == [star] or parts[-1:] == ["**"]:
        return
    if parts[-1:] == ["**/"] and star == "*":
        star = "**"
    if star == "**":
        while parts and (parts[-1],) in _STARS:
            parts.pop()
    parts.append(star)


@cache
def _compiled(glob: _Glob) -> re.Pattern[str]:
    return re.compile("".join(_MEANING.get(p, re.escape(p)) for p in glob.parts), re.DOTALL)


def _walked(parts: tuple[str, ...], path: str) -> bool:
    """The same in a time that grows with both lengths only: by all places in the glob at once.

    An odd place is within a `**/` that has begun.
    """
    places = _entered(parts, {0})
    for letter in path:
        reached: set[int] = set()
        for place in places:
            if place // 2 < len(parts):
                reached |= _after(parts[place // 2], place, letter)
        places = _entered(parts, reached)
    return 2 * len(parts) in places


def _after(part: str, place: int, letter: str) -> set[int]:
    """The places after a letter at an even place, or within a `**/`."""
    if part == "**/":
        return {place | 1, (place | 1) + 1} if letter == "/" else {place | 1}
    if part == "**" or (part == "*" and letter != "/"):
        return {place}
    if part == letter or (part == "?" and letter != "/"):
        return {place + 2}
    return set()


def _entered(parts: tuple[str, ...], places: set[int]) -> set[int]:
    """With the places that are reached without a letter."""
    for place in sorted(places):
        following = place + 2
        while place % 2 == 0 and parts[following // 2 - 1 : following // 2] in _STARS:
            places.add(following)
            following += 2
    return places

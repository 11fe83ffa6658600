"""Read and write the attribute `srcset` (HTML Living Standard, 4.8.4.2.1 and its parser)."""

from __future__ import annotations

import re
from typing import NamedTuple

_SPACE = "\t\n\f\r "
_NUMBER = re.compile(r"(\d{1,9}(?=w)|\d{1,9}(?:\.\d{1,30})?(?:[eE][-+]?\d)?(?=x))([wx])", re.ASCII)


class Candidate(NamedTuple):
    """An address and what its descriptor says: `unit` is 'w' or 'x', or '' where there is none."""

    url: str
    number: float = 1.0
    unit: str = ""


def parse(text: str) -> list[Candidate] | None:
    """The candidates of a srcset; None if one of them is not what a browser would take.

    Addresses may hold commas (`data:` URLs do), which only count as separators at their ends.
    """
    found: list[Candidate] = []
    position = 0
    while True:
        while position < len(text) and text[position] in _SPACE + ",":
            position += 1
        if position == len(text):
            return found
        start = position
        while position < len(text) and text[position] not in _SPACE:
            position += 1
        url = text[start:position]
        if url.endswith(","):
            found.append(Candidate(url.rstrip(",")))
            continue
        end = text.find(",", position)
        end = len(text) if end < 0 else end
        descriptors = text[position:end].split()
        position = end
        if not descriptors:
            found.append(Candidate(url))
            continue
        match = _NUMBER.fullmatch(descriptors[0])
        if len(descriptors) > 1 or match is None or not float(match[1]):
            return None  # widths with heights, parentheses of the future, or a slip of the pen
        found.append(Candidate(url, float(match[1]), match[2]))


def join(candidates: list[Candidate]) -> str:
    """The candidates as a srcset. The addresses must be encoded."""
    return ", ".join(c.url + (f" {_plain(c.number)}{c.unit}" if c.unit else "") for c in candidates)


def _plain(number: float) -> str:
    """The number without an exponent and without zeros that say nothing."""
    return f"{number:.4f}".rstrip("0").rstrip(".")

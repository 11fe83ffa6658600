"""Lines of text for terminals and logs: columns, sizes, numbers of things, names made safe."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = 40  # columns of a name


def columns(name: str, cells: Iterable[str]) -> str:
    """A line of a table: a name, shortened from its start, and right-aligned cells."""
    right = "".join(f"{cell:>10}" for cell in cells)
    return f"{heading(clipped_start(name, _NAME)):<{_NAME}}{right}"


def count(number: int, noun: str) -> str:
    """A number of things: '1 image', '2 images'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clipped(text: str, width: int) -> str:
    """The text, its end left out where it is wider than that."""
    return text if len(text) <= width else text[: width - 3] + "..."


def clipped_start(text: str, width: int) -> str:
    """The end of a path says more than its beginning."""
    return text if len(text) <= width else "..." + text[3 - width :]


def size_text(number: int | None) -> str:
    """A size in B, kB or MB; '-' for none."""
    if number is None:
        return "-"
    if number < 1000:
        return f"{number} B"
    scaled, unit = number / 1e3, "kB"
    if scaled >= 999.95:
        scaled, unit = scaled / 1e3, "MB"
    return f"{scaled:.1f} {unit}"


def printable(text: str) -> str:
    """The text on one line, fit for any terminal and log: names may hold any bytes."""
    if "##" in text:  # CI runners take what follows for commands
        text = re.sub(r"##(?=\w*\[)", "#\ufffd", text)
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def heading(name: str) -> str:
    """A name fit to begin a line of a log, where `::` would be a command to CI runners."""
    name = printable(name)
    return f"./{name}" if name.lstrip().startswith("::") else name

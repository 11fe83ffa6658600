"""Files of a built site, by their path in it: where they are, what is wrong with them."""

from __future__ import annotations

import os
import re
import stat
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias


class File(NamedTuple):
    """An image file of the site. `real` has no links in it."""

    real: Path
    size: int


Stamp: TypeAlias = tuple[int, int, int]
"""What changes with a file: its time of change in nanoseconds, size and number."""


def read(place: str) -> tuple[bytes, Stamp]:
    """What a file holds, and its stamp. Raises OSError."""
    with open(place, "rb", buffering=0) as file:  # noqa: PTH123 - of a string, for each page
        status = os.fstat(file.fileno())
        return file.read(), (status.st_mtime_ns, status.st_size, status.st_ino)


def stamp(place: str) -> Stamp:
    """The stamp of a file. Raises OSError."""
    status = os.stat(place)  # noqa: PTH116
    return status.st_mtime_ns, status.st_size, status.st_ino


def find(site: Path, path: str) -> File | str:
    """The file of an image, or what is wrong with it. Nothing outside the site is opened.

    `site` has no links in it.
    """
    place = f"{site}/{path}"
    try:
        real, status = _without_links(f"{site}", path) or _behind_links(place)
        if not real.startswith(f"{site}/"):
            return "is a link that leaves the site; replace it by a copy"
    except FileNotFoundError:
        if Path(place).is_symlink():
            return "is a broken link; mend or remove it"
        return "not found in the site; correct the address or add the file"
    except (OSError, ValueError) as error:
        what = (error.strerror if isinstance(error, OSError) else None) or "no such file name"
        return f"cannot be read ({what.lower()}); correct the address or the file"
    if not stat.S_ISREG(status.st_mode):
        return "is not a file; correct the address"
    if status.st_size == 0:
        return "the file is empty; export the image again"
    return File(Path(real), status.st_size)


def _without_links(site: str, path: str) -> tuple[str, os.stat_result] | None:
    """Path and status of a file, if no part of its path is a link. Raises OSError, ValueError.

    It is for this that the system is asked about most images of most sites, a few times less than
    by realpath, which begins at the root.
    """
    place = site
    status = None
    for part in path.split("/"):
        place = f"{place}/{part}"
        if part in ("", ".", ".."):
            return None
        status = os.lstat(place)
        if stat.S_ISLNK(status.st_mode):
            return None
    return (place, status) if status else None


def _behind_links(place: str) -> tuple[str, os.stat_result]:
    real = os.path.realpath(place, strict=True)
    return real, os.stat(real)  # noqa: PTH116 - of a string, as above


def size(site: Path, path: str) -> int:
    """Size of a file for the summary; 0 where there is none or it is not in the site."""
    file = find(site, path)
    return file.size if isinstance(file, File) else 0


def pixels(place: Path) -> tuple[int, int] | None:
    """Width and height that browsers give an image file, from its head; None if not known."""
    import imagesize

    try:
        width, height = imagesize.get(place)
    except Exception:  # of files that are not what they seem
        return None
    width, height = round(width), round(height)
    return (width, height) if 0 < width < 10**6 and 0 < height < 10**6 else None


def matches(globs: tuple[str, ...], path: str) -> bool:
    """Whether a path in the site is one that the globs mean."""
    return any(_glob(glob).fullmatch(path) for glob in globs)


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """A glob of site paths: `*` within a folder, `**` across them; no slash, any folder."""
    anywhere = "" if "/" in pattern else "(?:.*/)?"
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.lstrip("/"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(anywhere + "".join(meaning.get(p, re.escape(p)) for p in parts), re.DOTALL)


def printable(text: str) -> str:
    """The text on one line, fit for any terminal: names may hold any bytes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)

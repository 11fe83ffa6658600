"""Files of a built site, by their path in it: where they are, what is wrong with them."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class File:
    """An image file of the site. `real` has no links in it."""

    real: Path
    size: int


def find(site: Path, path: str) -> File | str:
    """The file of an image, or what is wrong with it. Nothing outside the site is opened."""
    place = f"{site}/{path}"
    try:
        real = os.path.realpath(place, strict=True)
        if not real.startswith(f"{site}/"):
            return "is a link that leaves the site; replace it by a copy"
        status = os.stat(real)  # noqa: PTH116 - of a string, in a loop over all images
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
    return "".join(c if c.isprintable() else "\ufffd" for c in text)

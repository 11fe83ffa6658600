"""Files of a built site, by their path in it: where they are, what is wrong with them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from sitecodec.disk.folders import MOST_BYTES


class File(NamedTuple):
    """An image file of the site. `real` has no links in it."""

    real: Path
    size: int


_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"\xff\x0a")
_MOST_STEPS = 10_000
_MOST_HEAD = 1 << 24  # bytes
_COMPRESSED = (".gz", ".br", ".zst")
_CONTROL = (".git", ".hg", ".svn", ".jj")

Stamp: TypeAlias = tuple[int, int, int]
"""A value that changes with a file: its time of change in nanoseconds, size and number."""


def read(place: str) -> tuple[bytes, Stamp]:
    """The content of a file, and its stamp. Raises OSError, also for one that is too large."""
    with open(place, "rb", buffering=0) as file:  # noqa: PTH123 - of a string, for each page
        status = os.fstat(file.fileno())
        if status.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, "file too large")
        return file.read(), (status.st_mtime_ns, status.st_size, status.st_ino)


def compressed(place: str) -> list[str]:
    """The ends of the names of a file's compressed copies, which hosts may send in its place."""
    return [end for end in _COMPRESSED if os.path.lexists(place + end)]


def stamp(place: str) -> Stamp:
    """The stamp of a file. Raises OSError."""
    status = os.stat(place)  # noqa: PTH116
    return status.st_mtime_ns, status.st_size, status.st_ino


def below(
    folder: str | os.PathLike[str], enters: Callable[[str], bool] = lambda _: True
) -> Iterator[os.DirEntry[str]]:
    """Everything in a folder, however deep, in order of names; a folder comes before its content.

    Links are not followed, and `enters` is asked for each folder by its place. What cannot be read
    is left out.
    """
    folders = [os.fspath(folder)]
    while folders:  # not by recursion: folders may be thousands deep
        try:
            with os.scandir(folders.pop()) as items:
                entries = sorted(items, key=lambda entry: entry.name)
        except OSError:
            continue
        yield from entries
        inside = (entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        folders += reversed([path for path in inside if enters(path)])


def find(site: Path, path: str) -> File | str:
    """The file of an image, or what is wrong with it.

    Nothing outside the site, or the repository that the site is in, is opened. `site` has no links
    in it.
    """
    place = f"{site}/{path}"
    try:
        real, status = _without_links(f"{site}", path) or _behind_links(place)
        if not real.startswith(f"{site}/"):
            root = repository(f"{site}")
            if not root or ".." in path.split("/"):
                return "is a link that leaves the site; replace it by a copy"
            if not is_inside(real, root):
                return "is a link that leaves the repository; replace it by a copy"
    except FileNotFoundError:
        if os.path.islink(place):  # noqa: PTH114 - which never raises
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


@cache
def repository(folder: str) -> str:
    """The repository that a folder without links in it belongs to; '' for none.

    Whoever may write there may change the site as well, so links may lead to all that is in it, but
    for what the version control keeps for itself.
    """
    while folder != (folder := os.path.dirname(folder)):  # noqa: PTH120 - of strings
        if any(os.path.exists(f"{folder}/{name}") for name in _CONTROL):  # noqa: PTH110
            return folder
    return ""


def is_inside(place: str, root: str) -> bool:
    """Whether a path without links leads into a repository's files, or those of any folder."""
    inner = place.removeprefix(f"{root}/")
    return inner != place and inner.partition("/")[0] not in _CONTROL


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


def is_there(site: Path, path: str) -> bool:
    """Whether a site path is that of a file; False for what no file could be called."""
    return os.path.isfile(f"{site}/{path}")  # noqa: PTH113 - which never raises


def size(site: Path, path: str) -> int:
    """Size of a file for the summary; 0 where there is none or it is not in the site."""
    file = find(site, path)
    return file.size if isinstance(file, File) else 0


def pixels(place: Path) -> tuple[int, int] | None:
    """Width and height that browsers give an image file, from its head; None if not known."""
    try:
        return _pixels(f"{place}", stamp(f"{place}"), True)
    except OSError:
        return None


def pixels_as_stored(place: Path) -> tuple[int, int] | None:
    """The same, of an image that its Exif does not turn. Raises OSError."""
    return _pixels(f"{place}", stamp(f"{place}"), False)


@lru_cache(maxsize=4096)
def _pixels(place: str, _: Stamp, turned: bool) -> tuple[int, int] | None:
    """Width and height, looked for once while a file does not change. Raises OSError."""
    import imagesize

    with open(place, "rb") as file:  # noqa: PTH123
        # No others: it would look for the digits of a PNM for ever.
        if not _is_picture(file.read(64)) and not place.lower().endswith((".svg", ".svgz")):
            return None
        file.seek(0)
        try:
            width, height = imagesize.get(_Head(file), exif_rotation=turned)
            width, height = round(width), round(height)
        except Exception:  # of files that are not what they seem
            return None
    return (width, height) if 0 < width < 10**6 and 0 < height < 10**6 else None


def _is_picture(head: bytes) -> bool:
    return head.startswith(_PICTURES) or head[4:8] in (b"ftyp", b"JXL ", b"jP  ")


class _Head:
    """A file of which no more is read than the size of a picture can take.

    A JPEG may have a million segments before it says its size.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._steps = _MOST_STEPS
        self._bytes = _MOST_HEAD

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises ValueError when there have been too many."""
        data = self._file.read(self._bytes + 1 if size < 0 else min(size, self._bytes + 1))
        self._steps -= 1
        self._bytes -= len(data)
        if self._steps < 0 or self._bytes < 0:
            raise ValueError("its head does not end")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere."""
        return self._file.seek(offset, whence)

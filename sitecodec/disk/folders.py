"""Plain files in plain folders: no link is followed, no pipe or device is read.

The store's folder comes from caches that others may write to. So a folder is held open, and its
files are named relative to it: whatever takes its place meanwhile is not reached. Where the system
cannot do that (Windows), links are looked for first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_HELD = {os.open, os.rename, os.stat, os.unlink, os.utime} <= os.supports_dir_fd
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | _NO_LINK
_NOT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
MOST_BYTES = 1 << 28
"""The bytes of the largest file that is read whole: no page and no image comes near."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | _NO_LINK


def plain(place: str | os.PathLike[str]) -> bytes:
    """The content of a plain file of at most MOST_BYTES.

    Raises OSError for anything else: pipes and devices never end.

    A link is followed, and `ValueError` comes of a name that no file could have.
    """
    descriptor = os.open(place, os.O_RDONLY | _NOT_WAITING)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a file")
        if status.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, "file too large")
        return file.read()


class Folder(NamedTuple):
    """A folder that is none behind a link."""

    path: str
    held: int | None
    """Its descriptor; None where the system has none for folders."""

    def read(self, name: str, most: int) -> tuple[bytes, os.stat_result]:
        """The content of a plain file of at most `most` bytes, and its status. Raises OSError."""
        descriptor = os.open(self._place(name), _READ, dir_fd=self.held)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a file")
            if status.st_size > most:
                raise OSError(errno.EFBIG, "too large")
            return file.read(status.st_size + 1), status

    def write(self, name: str, data: bytes) -> None:
        """Make a file that is not there yet, on the disk when this returns. Raises OSError."""
        descriptor = os.open(self._place(name), _NEW, 0o666, dir_fd=self.held)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)

    def move(self, name: str, to: Folder, new: str) -> None:
        """Move a file into a folder, in place of what is there. Raises OSError."""
        places = self._place(name), to._place(new)
        os.replace(*places, src_dir_fd=self.held, dst_dir_fd=to.held)

    def remove(self, name: str) -> bool:
        """Remove a file or a link itself; returns whether it went."""
        try:
            os.unlink(self._name(name), dir_fd=self.held)
        except OSError:
            return False
        return True

    def remove_any(self, name: str) -> bool:
        """Remove what has this name, a folder with all that is in it; returns whether it went.

        No link is followed.
        """
        if self.remove(name):
            return True
        with contextlib.suppress(OSError):
            if self.held is None:
                shutil.rmtree(self._place(name))
            else:
                shutil.rmtree(name, dir_fd=self.held)
            return True
        return False

    def remove_folder(self, name: str) -> bool:
        """Remove an empty folder; returns whether it went."""
        try:
            os.rmdir(self._place(name), dir_fd=self.held)
        except OSError:
            return False
        return True

    def touch(self, name: str) -> None:
        """Set the time of a file's last use to now, if that is allowed."""
        with contextlib.suppress(OSError):
            if self.held is None:
                os.utime(self._place(name))
            else:
                os.utime(name, dir_fd=self.held, follow_symlinks=False)

    def scan(self) -> list[os.DirEntry[str]]:
        """The entries of the folder."""
        with os.scandir(self.path if self.held is None else self.held) as items:
            return list(items)

    def status(self, name: str) -> os.stat_result:
        """The status of what has this name, of a link its own. Raises OSError."""
        return os.stat(self._place(name), dir_fd=self.held, follow_symlinks=False)

    def is_folder(self, name: str) -> bool:
        """Whether a folder has this name: no file can be moved there."""
        try:
            return stat.S_ISDIR(self.status(name).st_mode)
        except OSError:
            return False

    def _name(self, name: str) -> str:
        return f"{self.path}/{name}" if self.held is None else name

    def _place(self, name: str) -> str:
        place = self._name(name)
        if self.held is None and os.path.islink(place):  # noqa: PTH114
            raise OSError(errno.ELOOP, "is a link")
        return place


@contextmanager
def opened(path: str, *, make: bool = False) -> Iterator[Folder]:
    """The folder at `path`. Raises OSError, also for a link to one.

    To `make` it is to have it there afterwards, in the place of what is not a folder.
    """
    if make:
        _make(path)
    if not _HELD:
        if os.path.islink(path) or not os.path.isdir(path):  # noqa: PTH112, PTH114
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
        yield Folder(path, None)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK)
    try:
        yield Folder(path, descriptor)
    finally:
        os.close(descriptor)


def real(path: os.PathLike[str]) -> str:
    """The real place of a folder that the user has named, perhaps by a link."""
    return os.path.realpath(path)


def _make(path: str) -> None:
    try:
        os.mkdir(path)  # noqa: PTH102
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)  # noqa: PTH108
            os.mkdir(path)  # noqa: PTH102

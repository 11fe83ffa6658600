"""Write files of a built site whole or not at all, whatever else runs or stops."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from sitecodec.errors import SiteError

TEMPORARY = ".sitecodec-tmp"
"""How the names of files that are being written end."""

_LEFT_SECONDS = 3_600.0
_RUN = f"{time.time_ns():x}"
_numbers = itertools.count()
_BINARY_MODE: int = getattr(os, "O_BINARY", 0)


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, unless it has that content already. Raises SiteError."""
    place = str(path)
    try:
        try:
            status = os.stat(place)  # noqa: PTH116
            if status.st_size == len(data) and path.is_file() and path.read_bytes() == data:
                return
        except FileNotFoundError:
            status = None
            path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(place, data, status)
    except OSError as error:
        raise _not_written(path, error) from error


def replace(place: str, data: bytes) -> None:
    """Put a file whole in place of the one that is there. Raises SiteError."""
    try:
        _write_whole(place, data, os.stat(place))  # noqa: PTH116 - of a string, for each page
    except OSError as error:
        raise _not_written(place, error) from error


def _write_whole(place: str, data: bytes, old: os.stat_result | None) -> None:
    """Write a file under another name, then rename it; it has the mode of the old one, if any."""
    # Of strings, since every page passes here, and paths take longer than the system.
    # Of a name that no other build has, and as long as any name may be.
    folder = os.path.dirname(place)  # noqa: PTH120
    temporary = f"{folder}/.{os.getpid()}-{next(_numbers)}-{_RUN}{TEMPORARY}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY_MODE, 0o666)
    try:
        _fill(descriptor, data)
        if old:
            os.chmod(temporary, stat.S_IMODE(old.st_mode))  # noqa: PTH101
        os.replace(temporary, place)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def _fill(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of the data to a file that has just been opened, and close it."""
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)


def clear(left: Iterable[str], *, alone: bool) -> None:
    """Remove files that killed builds have left half written.

    Unless this build is known to be `alone` in the site, only those that nobody writes any more.
    """
    now = time.time()
    for place in left:
        with contextlib.suppress(OSError):
            if alone or now - os.lstat(place).st_mtime > _LEFT_SECONDS:
                os.unlink(place)  # noqa: PTH108


def write_new(place: str, data: bytes | memoryview) -> None:
    """Write a file whose name tells its content, most often for the first time. Raises SiteError.

    No page names it yet, and the next build would see it if it were cut short: so it needs no
    other name while it is written, which is most of the time that this takes.
    """
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY_MODE, 0o666)
    except OSError:  # it is there, or its folder is not
        write_file(Path(place), bytes(data))
        return
    try:
        _fill(descriptor, data)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(place)  # noqa: PTH108 - of a string
        raise _not_written(place, error) from error


def _not_written(place: object, error: OSError) -> SiteError:
    advice = "free some space or check the permissions"
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ELOOP):
        advice = "rename what stands there, or set 'asset_dir'"
    return SiteError(f"cannot write {place}: {error.strerror}; {advice}")

"""One build of a site at a time: whoever comes second waits until the first is done.

Two that rewrite the same pages would take each other's half for the author's, and sweep away what
the other is about to name. The lock is on the site's own folder, so nothing is left in it, and it
ends with the process that holds it. Where folders cannot be locked (Windows), a file in the
folder for temporary files stands for the site.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_SECONDS = 0.05
_log = logging.getLogger("sitecodec")


@contextmanager
def held(site: Path) -> Iterator[bool]:
    """Hold the lock of a site; gives False where the file system has no locks.

    Waits for the build that holds it, and says so in the log.
    """
    try:
        descriptor = _opened(site)
    except OSError:
        yield False
        return
    try:
        yield _locked(descriptor, site)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, site: Path) -> bool:
    told = False
    while True:
        try:
            _try(descriptor)
            return True
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
                return False
        if not told:
            _log.warning("%s is at work on %s; waiting for it", _holder(descriptor), site)
            told = True
        time.sleep(_LOOK_SECONDS)


if sys.platform == "win32":
    import msvcrt

    def _opened(site: Path) -> int:
        name = hashlib.sha256(os.fsencode(site)).hexdigest()[:16]
        place = Path(tempfile.gettempdir(), f"sitecodec-{name}.lock")
        return os.open(place, os.O_RDWR | os.O_CREAT, 0o666)

    def _try(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _opened(site: Path) -> int:
        return os.open(site, os.O_RDONLY | os.O_DIRECTORY)

    def _try(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(descriptor: int) -> str:
    """The holder of the lock, as far as the system tells (Linux)."""
    status = os.fstat(descriptor)
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        parts = line.split()  # 1: FLOCK ADVISORY WRITE 1234 fd:01:5678 0 EOF
        if len(parts) == 8 and parts[1] == "FLOCK" and parts[5].endswith(f":{status.st_ino}"):
            return f"another build (process {parts[4]})"
    return "another build"

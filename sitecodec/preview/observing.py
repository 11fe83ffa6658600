"""Notice which images of a folder change: by the system, or by looking at them every second."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sitecodec.facts import formats
from sitecodec.site.files import below

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

_TAKEN = tuple(known for known in formats.ALL if known.taken)
SUFFIXES = tuple(end for known in _TAKEN for end in (known.suffix, *known.other_suffixes))
QUIET_SECONDS = 0.4
"""A file is encoded when it has not changed for so long: editors save in several steps."""

_POLL_SECONDS = 1.0
_EVENTS = ("created", "modified", "moved", "deleted", "closed")


class Observer(Protocol):
    """Sees changes until it is stopped."""

    def stop(self) -> None:
        """Stop soon."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has stopped."""


class Changes:
    """Files that changed and have not been taken yet. Filled by the observer's thread."""

    def __init__(self, quiet: float = QUIET_SECONDS) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()
        self._changed: dict[Path, float] = {}
        self.lost = threading.Event()
        """Set when the observer can see no further changes."""

    def add(self, path: Path) -> None:
        """Note that a file or folder changed just now."""
        with self._lock:
            self._changed[path] = time.monotonic()

    def take(self) -> list[Path]:
        """The files that changed and have been quiet since."""
        with self._lock:
            due = time.monotonic() - self._quiet
            ready = [path for path, last in self._changed.items() if last <= due]
            for path in ready:
                del self._changed[path]
        return ready


def observer(
    folder: Path,
    changes: Changes,
    echo: Callable[[str], None],
    before: Observer | None = None,
) -> Observer:
    """A running observer of the folder: the system's own, or one that looks for itself.

    It takes the place of the one before.
    """
    from watchdog.observers import Observer as SystemObserver

    if before:
        before.stop()
        before.join(5)
    changes.lost.clear()
    try:
        system = SystemObserver()
        _start(system, folder, changes)
    except OSError as error:  # inotify's limits, mostly
        what = (error.strerror or str(error)).lower()
    except RecursionError:  # of the library, which goes down into each
        what = "they are too deep in one another"
    else:
        if sees_all(folder) and not changes.lost.is_set():
            return system
        system.stop()
        system.join(5)
        what = "inotify watch limit reached"
    return looking(folder, changes, echo, what)


def looking(
    folder: Path,
    changes: Changes,
    echo: Callable[[str], None],
    what: str,
    before: Observer | None = None,
) -> Observer:
    """An observer that looks for itself, because the system cannot (`what`)."""
    if before:
        before.stop()
        before.join(5)
    changes.lost.clear()
    echo(f"note: the system cannot watch so many files ({what}); looking every second instead")
    return _Looking(folder, changes)


class _Looking(threading.Thread):
    """Looks at all images every second. watchdog's own does so by recursion."""

    def __init__(self, folder: Path, changes: Changes) -> None:
        super().__init__(name="sitecodec looks", daemon=True)
        self._folder = folder
        self._changes = changes
        self._ended = threading.Event()
        self._before = self._state()
        self.start()

    def run(self) -> None:
        """Note what is new, other or gone, until `stop`."""
        while not self._ended.wait(_POLL_SECONDS):
            now = self._state()
            for place in self._before.keys() | now.keys():
                if self._before.get(place) != now.get(place):
                    self._changes.add(Path(place))
            self._before = now

    def stop(self) -> None:
        """Stop before the next look."""
        self._ended.set()

    def _state(self) -> dict[str, tuple[int, int, int]]:
        state = {}
        for entry in below(self._folder, _is_shown):
            if entry.name.lower().endswith(SUFFIXES):
                with suppress(OSError):
                    status = entry.stat()
                    state[entry.path] = status.st_mtime_ns, status.st_size, status.st_ino
        return state


def _is_shown(place: str) -> bool:
    return not os.path.basename(place).startswith(".")  # noqa: PTH119


@contextmanager
def losses_noted(changes: Changes) -> Iterator[None]:
    """Notes where a thread of watchdog's ends, as in folders a thousand deep."""
    others = threading.excepthook

    def noted(args: threading.ExceptHookArgs) -> None:
        if type(args.thread).__module__.startswith("watchdog."):
            changes.lost.set()
        else:
            others(args)

    threading.excepthook = noted
    try:
        yield
    finally:
        threading.excepthook = others


def sees_all(folder: Path) -> bool:
    """Whether this process watches at least as many folders as there are; True if that is unknown.

    watchdog says nothing where the limit is reached below the folder. Linux tells what is watched.
    """
    seen = watched()
    if seen is None:
        return True
    inner = (entry.path for entry in below(folder) if entry.is_dir(follow_symlinks=False))
    folders = [str(folder), *inner]
    return seen >= sum(os.access(place, os.R_OK) for place in folders)


def watched() -> int | None:
    """How many folders this process watches, as Linux says; None on other systems."""
    found = 0
    try:
        for entry in Path("/proc/self/fdinfo").iterdir():
            with suppress(OSError):  # closed meanwhile
                found += entry.read_text().count("inotify wd:")
    except OSError:
        return None
    return found


def _start(observer: BaseObserver, folder: Path, changes: Changes) -> None:
    from watchdog.events import FileSystemEventHandler

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.event_type not in _EVENTS:
                return
            # A folder changes with each file in it; only one that is new brings files unseen.
            if event.is_directory and event.event_type not in ("created", "moved"):
                return
            for path in (event.src_path, event.dest_path):
                if path:
                    changes.add(Path(os.fsdecode(path)))

    # It warns where a folder is made while it looks at the one above, which does no harm.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
    # And logs an error where it is stopped before it has begun, as at the system's limits.
    logging.getLogger("watchdog.observers").setLevel(logging.CRITICAL)
    observer.daemon = True
    observer.schedule(Handler(), str(folder), recursive=True)
    observer.start()

"""Encode images as they change: a folder is watched, and the store is kept warm."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sitecodec import formats
from sitecodec.encoding import jobs
from sitecodec.errors import SiteError
from sitecodec.printing import count, heading
from sitecodec.settings import Settings
from sitecodec.site.build import with_widths
from sitecodec.site.files import below
from sitecodec.store import Store

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

_TAKEN = tuple(known for known in formats.ALL if known.taken)
SUFFIXES = tuple(end for known in _TAKEN for end in (known.suffix, *known.other_suffixes))
QUIET_SECONDS = 0.4
"""A file is encoded when it has not changed for so long: editors save in several steps."""

_POLL_SECONDS = 1.0
_LISTED = 10
_EVENTS = ("created", "modified", "moved", "deleted", "closed")

Progress = Callable[[int, int], None]


class Watched(Protocol):
    """A listener for images and their outcomes, such as the preview."""

    def watch_over(self, sources: dict[str, Path]) -> None:
        """These are the images now, by path in the folder."""

    def want(self, real: Path, *, urgent: bool) -> None:
        """The store has the outcome of this one."""


class Changes:
    """Files that changed and have not been taken yet. Filled by the observer's thread."""

    def __init__(self, quiet: float = QUIET_SECONDS) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()
        self._changed: dict[Path, float] = {}

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


def images_in(folder: Path, settings: Settings) -> Iterator[Path]:
    """The images below a folder that are ours to encode: not hidden, not made by us."""
    store = os.path.realpath(settings.store)

    def enters(place: str) -> bool:
        hidden = os.path.basename(place).startswith(".")  # noqa: PTH119
        ours = os.path.realpath(place).startswith(store) or _is_assets(Path(place), settings)
        return not hidden and not ours

    for entry in below(folder, enters):
        name = entry.name
        place = Path(entry.path)
        if name.lower().endswith(SUFFIXES) and not name.startswith(".") and not place.is_dir():
            yield place


def is_image(path: Path, folder: Path, settings: Settings) -> bool:
    """Whether a changed path is an image that `images_in` would list."""
    try:
        parts = path.relative_to(folder).parts
    except ValueError:
        return False
    if not path.name.lower().endswith(SUFFIXES) or any(part.startswith(".") for part in parts):
        return False
    if os.path.realpath(path).startswith(os.path.realpath(settings.store)):
        return False
    return not any(_is_assets(parent, settings) for parent in path.parents)


def _is_assets(folder: Path, settings: Settings) -> bool:
    return f"{folder.as_posix()}/".endswith(f"/{settings.asset_dir}/")


def watch(
    folder: Path,
    settings: Settings,
    *,
    echo: Callable[[str], None],
    progress: Callable[[], AbstractContextManager[Progress | None]] = nullcontext,
    listener: Watched | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Encode the images below `folder`, then whatever changes, until `stop` or Ctrl-C.

    Raises SiteError if there is no such folder.
    """
    folder = Path(os.path.realpath(folder))
    if not folder.is_dir():
        raise SiteError(f"{folder} is not a folder; name the one with your images")
    stop = stop or threading.Event()
    settings = with_widths(settings, 0)
    changes = Changes()
    observer = _observer(folder, changes, echo)
    sees_all = _sees_all(folder)
    executor = ThreadPoolExecutor(settings.workers or os.cpu_count() or 1)
    try:
        sources = list(images_in(folder, settings))
        _tell(listener, folder, sources)
        telling = _Telling(echo, progress, listener)
        _encode(sources, folder, settings, executor, telling)
        echo(f"watching {folder}; stop with Ctrl-C")
        gone = False
        while not stop.wait(0.1):
            if not folder.is_dir():
                if not gone:
                    echo(f"warning: {folder} is gone; waiting for it to come back")
                gone = True
                continue
            if gone:  # what was watched is not this folder
                observer = _observer(folder, changes, echo, observer)
                sees_all = _sees_all(folder)
                changes.add(folder)
                gone = False
            taken = changes.take()
            if sees_all and any(map(Path.is_dir, taken)) and not _sees_all(folder):
                observer = _observer(folder, changes, echo, observer)
                sees_all = _sees_all(folder)
            changed = _expanded(taken, folder, settings)
            if not changed:
                continue
            now = set(images_in(folder, settings))
            _tell(listener, folder, now)
            _encode([path for path in changed if path in now], folder, settings, executor, telling)
    finally:
        observer.stop()
        executor.shutdown(wait=False, cancel_futures=True)


def _expanded(paths: Iterable[Path], folder: Path, settings: Settings) -> list[Path]:
    """The images among what changed, and those in folders that came whole."""
    images: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            images.update(dict.fromkeys(images_in(path, settings)))
        elif is_image(path, folder, settings):
            images[path] = None
    return [path for path in images if is_image(path, folder, settings)]


def _tell(listener: Watched | None, folder: Path, sources: Iterable[Path]) -> None:
    if listener:
        listener.watch_over({path.relative_to(folder).as_posix(): path for path in sources})


@dataclass(frozen=True)
class _Telling:
    """Whoever is told how the work goes."""

    echo: Callable[[str], None]
    progress: Callable[[], AbstractContextManager[Progress | None]]
    listener: Watched | None


def _encode(
    paths: list[Path],
    folder: Path,
    settings: Settings,
    executor: ThreadPoolExecutor,
    telling: _Telling,
) -> None:
    """Encode a batch; a line for each image, or one for all if they are many."""
    todo = [jobs.Job(path, settings) for path in paths]
    problems, lines, kept = [], [], 0
    with telling.progress() as show:
        if show:
            show(0, len(todo))
        results = jobs.encode_images(todo, executor, Store(settings.store))
        for done, (job, outcome) in enumerate(results, start=1):
            name = job.source.relative_to(folder).as_posix()
            if isinstance(outcome, jobs.Outcome):
                lines.append(f"{name}: {_described(outcome)}")
                kept += any(variant.format == formats.SLAT.name for variant in outcome.variants)
            else:
                problems.append(f"warning: {str(outcome).replace(str(job.source), name)}")
            if telling.listener:
                telling.listener.want(job.source, urgent=False)
            if show:
                show(done, len(todo))
    if len(lines) > _LISTED:
        lines = [f"{count(len(lines), 'image')}, {kept} with a payload"]
    for line in [*lines, *problems]:
        telling.echo(heading(line))


def _described(outcome: jobs.Outcome) -> str:
    widths = jobs.by_width(outcome)
    sizes = [
        f"{formats.named(name).label} {len(variant.data) / 1000:.1f} kB"
        for name, variant in (widths[0] if widths else {}).items()
    ]
    text = ", ".join([f"{outcome.source_bytes / 1000:.1f} kB", *sizes])
    return f"{text} ({outcome.reason})" if outcome.reason else text


def _observer(
    folder: Path,
    changes: Changes,
    echo: Callable[[str], None],
    before: BaseObserver | None = None,
) -> BaseObserver:
    """A running observer of the folder: the system's own, or one that looks for itself.

    It takes the place of the one before.
    """
    from watchdog.observers import Observer
    from watchdog.observers.polling import PollingObserver

    if before:
        before.stop()
        before.join(5)
    try:
        observer = _started(Observer(), folder, changes)
    except RecursionError as error:  # of the library, which goes down into each
        raise SiteError(
            f"the folders in {folder} are too deep in one another to be watched; name one of them"
        ) from error
    except OSError as error:  # inotify's limits, mostly
        what = (error.strerror or str(error)).lower()
    else:
        if _sees_all(folder):
            return observer
        observer.stop()
        observer.join(5)
        what = "inotify watch limit reached"
    echo(f"note: the system cannot watch so many files ({what}); looking every second instead")
    return _started(PollingObserver(timeout=_POLL_SECONDS), folder, changes)


def _sees_all(folder: Path) -> bool:
    """Whether this process watches at least as many folders as there are; True if that is unknown.

    watchdog says nothing where the limit is reached below the folder. Linux tells what is watched.
    """
    watched = 0
    try:
        for entry in Path("/proc/self/fdinfo").iterdir():
            with suppress(OSError):  # closed meanwhile
                watched += entry.read_text().count("inotify wd:")
    except OSError:
        return True
    inner = (entry.path for entry in below(folder) if entry.is_dir(follow_symlinks=False))
    folders = [str(folder), *inner]
    return watched >= sum(os.access(place, os.R_OK) for place in folders)


def _started(observer: BaseObserver, folder: Path, changes: Changes) -> BaseObserver:
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
    return observer

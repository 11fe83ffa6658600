"""Encode images as they change: a folder is watched, and the store is kept warm."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sitecodec.disk.store import Store
from sitecodec.encoding import jobs
from sitecodec.errors import SiteError
from sitecodec.facts import formats
from sitecodec.preview import observing
from sitecodec.preview.observing import SUFFIXES, Changes
from sitecodec.settings import Settings
from sitecodec.site.build import with_widths
from sitecodec.site.files import below
from sitecodec.terminal.printing import count, heading

_LISTED = 10
_LOOK_SECONDS = 2.0
_log = logging.getLogger("sitecodec")

Progress = Callable[[int, int], None]


class Watched(Protocol):
    """A listener for images and their outcomes, such as the preview."""

    def watch_over(self, sources: dict[str, Path]) -> None:
        """These are the images now, by path in the folder."""

    def want(self, real: Path, *, urgent: bool) -> None:
        """The store has the outcome of this one."""


def images_in(folder: Path, settings: Settings) -> Iterator[Path]:
    """The images below a folder that are ours to encode: not hidden, not made by us."""
    store = os.path.realpath(settings.store)
    # No folder below is a link, and to look into each path again would take long in deep ones.
    given, real = os.fspath(folder), os.path.realpath(folder)

    def enters(place: str) -> bool:
        hidden = os.path.basename(place).startswith(".")  # noqa: PTH119
        ours = (real + place[len(given) :]).startswith(store) or _is_assets(place, settings)
        return not hidden and not ours

    for entry in below(folder, enters):
        name = entry.name
        if not name.lower().endswith(SUFFIXES) or name.startswith("."):
            continue
        if not os.path.isdir(entry.path):  # noqa: PTH112 - which never raises
            yield Path(entry.path)


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


def _is_assets(folder: str | Path, settings: Settings) -> bool:
    place = folder.as_posix() if isinstance(folder, Path) else folder.replace(os.sep, "/")
    return f"{place}/".endswith(f"/{settings.asset_dir}/")


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
    with ExitStack() as stack:
        stack.enter_context(observing.losses_noted(changes))
        eyes = _Eyes(folder, changes, echo)
        stack.callback(lambda: eyes.close())
        executor = ThreadPoolExecutor(settings.workers or os.cpu_count() or 1)
        stack.callback(executor.shutdown, wait=False, cancel_futures=True)
        sources = list(images_in(folder, settings))
        _tell(listener, folder, sources)
        telling = _Telling(echo, progress, listener)
        _encode(sources, folder, settings, executor, telling)
        echo(f"watching {folder}; stop with Ctrl-C")
        while not stop.wait(0.1):
            try:
                changed = _expanded(eyes.changed(), folder, settings)
                if not changed:
                    continue
                now = set(images_in(folder, settings))
                _tell(listener, folder, now)
                todo = [path for path in changed if path in now]
                _encode(todo, folder, settings, executor, telling)
            except Exception as error:  # of whatever a folder may hold; the next change may do
                _log.debug("unexpected error", exc_info=True)
                what = " ".join(f"{type(error).__name__} {error}".split())[:200]
                echo(heading(f"warning: {what}; waiting for the next change"))


class _Eyes:
    """The observer of a folder, and what takes its place when it can see no longer."""

    def __init__(self, folder: Path, changes: Changes, echo: Callable[[str], None]) -> None:
        self._folder, self._changes, self._echo = folder, changes, echo
        self._gone = False
        self._observer = observing.observer(folder, changes, echo)
        self._sees_all = observing.sees_all(folder)
        self._identity = _identity(folder)
        self._looked = time.monotonic()

    def changed(self) -> list[Path]:
        """What has changed; nothing while the folder is gone."""
        if not os.path.isdir(self._folder):  # noqa: PTH112 - which never raises
            if not self._gone:
                self._echo(f"warning: {self._folder} is gone; waiting for it to come back")
            self._gone = True
            return []
        if self._gone or self._is_another():  # what was watched is not this folder
            self._renew()
            self._changes.add(self._folder)
            self._gone = False
        if self._changes.lost.is_set():
            where = (self._folder, self._changes, self._echo)
            what = "they are too deep in one another"
            self._observer = observing.looking(*where, what, self._observer)
            self._sees_all = False
            self._changes.add(self._folder)
        taken = self._changes.take()
        new = any(os.path.isdir(path) for path in taken)  # noqa: PTH112
        if self._sees_all and new and not observing.sees_all(self._folder):
            self._renew()
        return taken

    def _is_another(self) -> bool:
        """Whether another folder has taken the place of the one that is watched."""
        if self._identity != _identity(self._folder):
            return True
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return False
        self._looked = time.monotonic()  # it may have the number of the one before
        return self._sees_all and observing.watched() == 0

    def close(self) -> None:
        """Stop seeing."""
        self._observer.stop()

    def _renew(self) -> None:
        where = (self._folder, self._changes, self._echo)
        self._observer = observing.observer(*where, self._observer)
        self._sees_all = observing.sees_all(self._folder)
        self._identity = _identity(self._folder)


def _identity(folder: Path) -> tuple[int, int]:
    """The numbers that tell a folder from another of its name; zeros for none."""
    try:
        status = folder.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def _expanded(paths: Iterable[Path], folder: Path, settings: Settings) -> list[Path]:
    """The images among what changed, and those in folders that came whole."""
    images: dict[Path, None] = {}
    whole = ""  # a folder that has been looked into; what lies in it follows it in this order
    for place in sorted(f"{path}/" for path in paths):
        if whole and place.startswith(whole):
            continue
        path = Path(place)
        if os.path.isdir(path):  # noqa: PTH112 - which never raises
            whole = place
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

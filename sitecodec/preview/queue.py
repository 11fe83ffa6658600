"""The order in which the preview encodes images, and the threads that do it."""

from __future__ import annotations

import heapq
import itertools
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["quick", "full"]
"""A first look, or the work of a build."""

Work: TypeAlias = Callable[[Stage, Path, bool], None]
"""A function that does one piece of work. It never raises."""

_NICENESS = {"quick": 5, "full": 10}


class Queue:
    """Images by urgency: first looks before verdicts, those of pages in view before others.

    `workers` threads take what comes next. One more does first looks only, so that none waits for a
    verdict to be done; it may use the processors before the others.
    """

    def __init__(self, work: Work) -> None:
        self._do = work
        self._lock = threading.Condition()
        self._heap: list[tuple[int, int, Stage, Path]] = []
        self._queued: dict[tuple[Stage, Path], int] = {}
        self._active: set[Path] = set()
        self._numbers = itertools.count()
        self._threads = 0
        self._closed = False

    def push(self, stage: Stage, real: Path, *, urgent: bool, workers: int) -> None:
        """Add a file, or move it forward."""
        priority = (0 if urgent else 1) + (2 if stage == "full" else 0)
        with self._lock:
            if self._closed or self._queued.get((stage, real), 99) <= priority:
                return
            self._queued[stage, real] = priority
            heapq.heappush(self._heap, (priority, next(self._numbers), stage, real))
            if self._threads <= workers:
                only: Stage = "full" if self._threads else "quick"
                name = f"sitecodec encoder {self._threads}"
                threading.Thread(target=self._run, args=(only,), name=name, daemon=True).start()
                self._threads += 1
            self._lock.notify_all()

    def looks_at(self, files: Iterable[Path]) -> bool:
        """Whether an urgent first look of one of these is under way or to come."""
        with self._lock:
            return any(
                real in self._active or self._queued.get(("quick", real)) == 0 for real in files
            )

    def close(self) -> None:
        """Take nothing more; what is under way is done to its end."""
        with self._lock:
            self._closed = True
            self._heap.clear()
            self._lock.notify_all()

    def _run(self, most: Stage) -> None:
        with suppress(AttributeError, OSError):  # where threads have priorities of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS[most])
        while (item := self._next(most)) is not None:
            stage, real, urgent = item
            try:
                self._do(stage, real, urgent)
            finally:
                if stage == "quick":
                    with self._lock:
                        self._active.discard(real)

    def _next(self, most: Stage) -> tuple[Stage, Path, bool] | None:
        """The most urgent work, of no later stage than `most`, as soon as there is any."""
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._ready(most))
                if self._closed:
                    return None
                priority, _, stage, real = heapq.heappop(self._heap)
                if self._queued.get((stage, real)) != priority:
                    continue  # it was moved forward
                del self._queued[stage, real]
                if stage == "quick":
                    self._active.add(real)
                return stage, real, priority % 2 == 0

    def _ready(self, most: Stage) -> bool:
        # First looks come before all verdicts, so the first item tells.
        return bool(self._heap) and (most == "full" or self._heap[0][2] == "quick")

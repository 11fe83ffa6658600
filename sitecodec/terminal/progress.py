"""A bar on the terminal while something lasts, with counts and the time left."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_RECENT = 32
_FEWEST = 3
_SOONEST_SECONDS = 2.0


class Pace:
    """How fast steps are done lately.

    The first step is no measure: before it comes what is done once, imports and models.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, int]] = deque(maxlen=_RECENT)

    def left(self, done: int, total: int, now: float) -> str:
        """The time left in words, '' while it cannot be told; `now` is in seconds."""
        if not done:
            return ""
        self._recent.append((now, done))
        began, before = self._recent[0]
        if done - before < _FEWEST or now - began < _SOONEST_SECONDS or done >= total:
            return ""
        seconds = (now - began) / (done - before) * (total - done)
        for size, unit in ((3600, "h"), (60, "min")):
            if seconds >= 1.5 * size:
                return f"about {seconds / size:.0f} {unit} left"
        return f"about {max(1.0, seconds):.0f} s left"


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error; none if that is not a terminal.

    The function that it yields takes the number done and the number in all.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    import click

    pace = Pace()
    bar: Any = None
    with ExitStack() as stack:

        def show(done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                bar = stack.enter_context(
                    click.progressbar(
                        length=total,
                        label=label,
                        file=sys.stderr,
                        show_pos=True,
                        show_eta=False,  # click's own counts the start as if it were work
                        item_show_func=lambda left: left,
                    )
                )
            bar.update(done - bar.pos, pace.left(done, total, time.monotonic()))

        yield show

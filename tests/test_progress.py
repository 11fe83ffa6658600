"""sitecodec.terminal.progress: the time left, and a bar only where someone watches."""

from __future__ import annotations

import io
import sys

import pytest

from sitecodec.terminal.progress import Pace, progress_bar


def test_the_start_is_no_measure() -> None:
    pace = Pace()
    # Half a minute of imports, and then four images a second.
    said = [pace.left(done, 100, 30 + done / 4) for done in range(41)]
    assert said[:9] == [""] * 9
    assert said[9] == "about 23 s left"
    assert said[40] == "about 15 s left"
    assert pace.left(100, 100, 60) == ""


def test_what_was_done_before_is_soon_forgotten() -> None:
    pace = Pace()
    for done in range(1, 1001):  # a thousand that the store has
        pace.left(done, 1100, done / 1000)
    said = [pace.left(1000 + done, 1100, 1 + 10 * done) for done in range(1, 60)]
    assert said[40] == "about 10 min left"
    assert Pace().left(3, 10, 0) == ""


def test_hours() -> None:
    pace = Pace()
    for done in range(10):
        said = pace.left(done, 10_000, 4.0 * done)
    assert said == "about 11 h left"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_with_counts_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("Encoding") as show:
        assert show
        assert terminal.getvalue() == ""
        show(0, 24)
        assert "0/24" in terminal.getvalue()
        show(24, 24)
    assert "24/24" in terminal.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar("Encoding") as show:
        assert show is None

"""Four times the page takes about four times as long to read, whatever it holds.

The shapes are those of benchmarks/linear.py, which reads up to 4 MB of each. Here they are small,
and what is compared are CPU times of this process: a quadratic one would grow sixteen times.
"""

from __future__ import annotations

import pytest

from benchmarks import linear

SMALL, LARGE = 1 << 14, 1 << 16
MOST = 9.0
TRIES = 4
CASES = dict(linear.cases())


@pytest.mark.parametrize("name", CASES)
def test_time_grows_with_the_size(name):
    small, large = CASES[name](SMALL), CASES[name](LARGE)
    before = after = float("inf")
    for _ in range(TRIES):
        before = min(before, linear.seconds(small))
        after = min(after, linear.seconds(large))
        if after < linear.MEASURABLE or after < MOST * before:
            return
    pytest.fail(f"{before:.3f} s for {SMALL} bytes, {after:.3f} s for {LARGE}")


def test_a_quadratic_reader_is_noticed():
    def times(size: int) -> float:
        data = b"<link " * (size // 6)
        return linear.seconds(lambda: [data.find(b">", at) for at in range(0, len(data), 2)])

    assert times(LARGE * 8) > MOST * times(SMALL * 8)


def test_there_are_forty_shapes_at_least():
    assert len(CASES) >= 40

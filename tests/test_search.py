import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec.encoding import search

TYPICAL = search.curve((-28.8, -9.1, 12.0, 30.2, 47.8, 62.2, 72.5, 79.2, 84.0, 88.0, 92.8))
RISING = st.lists(st.floats(0, 8), min_size=101, max_size=101).map(np.cumsum)


@given(
    st.floats(-60, 110),
    st.floats(-40, 40),
    st.floats(0.3, 2.5),
    st.lists(st.floats(0, 8), min_size=101, max_size=101),
)
def test_search_finds_the_lowest_quality_in_few_trials(target, offset, slope, steps):
    # Rising curves of every steepness, with jumps: what is found reaches the target if any does.
    scores = np.cumsum(steps) * slope / 4 + offset
    tried = []

    def trial(quality):
        tried.append(quality)
        return float(scores[quality])

    found = search.lowest_quality(trial, target, TYPICAL)
    assert found in tried
    assert len(set(tried)) == len(tried) <= 101
    assert scores[found] >= target or found == 100
    if len(tried) < 4 and found and scores[found] - target > 8:
        assert scores[found - 1] < target


@pytest.mark.parametrize("target", [20.0, 50.0, 70.0, 85.0])
@pytest.mark.parametrize("offset", [-20.0, 0.0, 15.0])
def test_search_is_exact_and_quick_on_typical_curves(target, offset):
    scores = np.minimum(TYPICAL + offset, 99 + np.arange(101) / 100)
    tried = []

    def trial(quality):
        tried.append(quality)
        return float(scores[quality])

    wanted = np.flatnonzero(scores >= target)
    found = search.lowest_quality(trial, target, TYPICAL)
    assert found == (int(wanted[0]) if wanted.size else 100)
    assert len(tried) <= 4


def test_known_scores_are_not_measured_again():
    tried = []

    def trial(quality):
        tried.append(quality)
        return float(quality)

    known = {60: 60.0, 40: 40.0}
    assert search.lowest_quality(trial, 50, np.arange(101.0), known) == 50
    assert tried == [50]


@given(st.floats(-60, 110), st.floats(-40, 40), RISING, st.integers(1, 12))
def test_the_bracket_holds_the_target(target, offset, scores, grid):
    scores = scores / 4 + offset
    found = search.bracket(lambda q: float(scores[q]), target, TYPICAL, grid)
    grid_points = sorted({*range(0, 100, grid), 100})
    assert set(found) <= set(grid_points)
    assert all(found[q] == scores[q] for q in found)
    reached = [q for q in grid_points if scores[q] >= target]
    if reached:
        assert reached[0] in found
        assert reached[0] == 0 or grid_points[grid_points.index(reached[0]) - 1] in found
    else:
        assert 100 in found


def test_the_bracket_is_found_in_two_trials_where_the_curve_is_typical():
    for target in range(0, 90, 7):
        assert len(search.bracket(lambda q: float(TYPICAL[q]), target, TYPICAL, 10)) == 2


@given(RISING, st.floats(10, 1e5), st.integers(0, 100))
def test_the_largest_under_a_limit(steps, limit, highest):
    sizes = np.exp(steps / 80 + 4).astype(int) + np.arange(101)
    asked = []

    def size(quality):
        asked.append(quality)
        return int(sizes[quality])

    found = search.largest_under(size, limit, highest, np.linspace(0, 2, 101))
    best = max((q for q in range(highest + 1) if sizes[q] < limit), default=-1)
    assert found == best or sizes[best] > sizes[found] >= 0.99 * limit
    assert max(asked) <= highest


def test_few_sizes_are_asked_for():
    asked = set()

    def size(quality):
        asked.add(quality)
        return round(3000 * 1.03**quality)

    typical = np.arange(101) * 0.02  # a little wrong
    assert abs(search.largest_under(size, 20_000, 100, typical) - 64) <= 1
    assert len(asked) <= 4

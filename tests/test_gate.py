import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec import codecs, gate, images, metrics
from sitecodec.settings import Settings

HUGE = 10**9


@pytest.fixture(scope="module")
def decoded(photo):
    """The photograph as the codec that ships shows it."""
    codec = codecs.get("web")
    return codec.decode(codec.encode(photo, 60))


def test_a_good_and_small_payload_is_kept(photo, decoded):
    verdict = gate.judge(photo, decoded, 1, HUGE, Settings())
    assert verdict.kept
    assert verdict.reason == ""
    assert verdict.score == metrics.ssimulacra2(photo, decoded)
    assert verdict.worst_tile == metrics.worst_tile(photo, decoded)
    assert verdict.avif.score >= verdict.score


def test_the_avif_is_measured_and_reaches_the_score(photo, decoded):
    verdict = gate.judge(photo, decoded, 1, HUGE, Settings())
    assert verdict.avif.data == images.avif(photo, verdict.avif.quality)
    shown = images.decode(verdict.avif.data)
    assert verdict.avif.score == metrics.ssimulacra2(photo, shown)


def test_a_payload_as_large_as_the_avif_is_not_kept(photo, decoded):
    size = len(gate.judge(photo, decoded, 1, HUGE, Settings()).avif.data)
    assert gate.judge(photo, decoded, size - 1, HUGE, Settings()).kept
    equal = gate.judge(photo, decoded, size, HUGE, Settings())
    assert equal.reason == f"AVIF is smaller: {size} B against {size} B"
    larger = gate.judge(photo, decoded, size + 1000, HUGE, Settings())
    kilobytes = f"{size / 1000:.1f} kB < {(size + 1000) / 1000:.1f} kB"
    assert larger.reason == f"AVIF is smaller: {kilobytes}"
    assert larger.avif is not None


def test_a_payload_as_large_as_the_source_is_not_kept(photo, decoded):
    verdict = gate.judge(photo, decoded, 900, 900, Settings())
    assert verdict.reason == "already small"
    assert verdict.avif is None


def test_an_avif_with_a_bad_part_is_not_shipped_either(make, photo):
    # A lossless payload against a limit that no AVIF of any quality passes.
    verdict = gate.judge(photo, photo, HUGE, 2 * HUGE, Settings(min_tile_score=100))
    assert verdict.kept
    assert verdict.avif is None
    verdict = gate.judge(photo, photo ^ 1, 1, HUGE, Settings(min_tile_score=100))
    assert verdict.reason.startswith("worst tile 9")
    assert verdict.avif is None


def test_a_bad_tile_loses_to_a_decent_avif(make, photo, decoded):
    page = np.concatenate([photo, make.text(256, 384)])
    garbled = np.concatenate([decoded, make.text(256, 384, seed=1)])
    verdict = gate.judge(page, garbled, 1, HUGE, Settings())
    assert verdict.reason.startswith("worst tile -")
    assert verdict.reason.endswith(" is under 10")
    assert verdict.score < gate.CONVENTIONAL_SCORE <= verdict.avif.score


def test_the_limit_for_tiles_is_a_setting(make, photo, decoded):
    tile = metrics.worst_tile(photo, decoded)
    assert gate.judge(photo, decoded, 1, HUGE, Settings(min_tile_score=tile)).kept
    verdict = gate.judge(photo, decoded, 1, HUGE, Settings(min_tile_score=tile + 0.5))
    assert verdict.reason == f"worst tile {tile:.1f} is under {tile + 0.5:g}"


def test_an_avif_that_is_not_smaller_than_the_source_is_not_shipped(photo, decoded):
    size = len(gate.judge(photo, decoded, 1, HUGE, Settings()).avif.data)
    assert gate.judge(photo, decoded, 1, size, Settings()).avif is None
    assert gate.judge(photo, decoded, 1, size + 1, Settings()).avif is not None


@pytest.mark.parametrize("target", [-1000.0, 35.0, 75.0])
def test_matching_avif_is_the_smallest_of_its_score(photo, target):
    found = gate.matching_avif(photo, target)
    assert found.score >= target
    if found.quality:
        less = images.decode(images.avif(photo, found.quality - 2))
        assert metrics.ssimulacra2(photo, less) < target


def test_matching_avif_of_an_impossible_score_is_the_best_there_is(photo):
    assert gate.matching_avif(photo, 100.5).quality == 100


def test_a_large_picture_is_sampled_but_shipped_whole(make):
    grain = np.random.default_rng(8).normal(0, 10, (900, 1300, 1))
    picture = np.clip(make.photo(900, 1300, 8) + grain, 0, 255).astype(np.uint8)
    found = gate.matching_avif(picture, 60)
    shown = images.decode(found.data)
    assert shown.shape == picture.shape
    assert found.score == pytest.approx(60, abs=5)
    assert metrics.ssimulacra2(picture, shown) == pytest.approx(found.score, abs=4)


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

    found = gate._lowest_quality(trial, target)
    assert found in tried
    assert len(set(tried)) == len(tried) <= 101
    assert scores[found] >= target or found == 100
    if len(tried) < 4 and found and scores[found] - target > 8:
        assert scores[found - 1] < target


@pytest.mark.parametrize("target", [20.0, 50.0, 70.0, 85.0])
@pytest.mark.parametrize("offset", [-20.0, 0.0, 15.0])
def test_search_is_exact_and_quick_on_typical_curves(target, offset):
    scores = np.minimum(gate._TYPICAL + offset, 99 + np.arange(101) / 100)
    tried = []

    def trial(quality):
        tried.append(quality)
        return float(scores[quality])

    wanted = np.flatnonzero(scores >= target)
    found = gate._lowest_quality(trial, target)
    assert found == (int(wanted[0]) if wanted.size else 100)
    assert len(tried) <= 4

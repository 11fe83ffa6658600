import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec import gate, images, metrics
from sitecodec.codecs.web import WebCodec
from sitecodec.settings import Settings

HUGE = 10**9
CODEC = WebCodec()


def choose(picture, source_bytes=HUGE, **settings):
    return gate.choose(picture, source_bytes, Settings(**settings), CODEC)


@pytest.fixture(scope="module")
def small(make):
    """A photograph so small that the codec's short header tells: its payload is kept."""
    return make.photo(96, 128)


@pytest.fixture(scope="module")
def verdict(small):
    return choose(small)


def test_the_payload_reaches_the_target_and_hardly_more(small, verdict):
    payload = verdict.payload
    assert verdict.reason == ""
    assert payload.data == CODEC.encode(small, payload.quality)
    shown = CODEC.decode(payload.data)
    assert payload.score == metrics.ssimulacra2(small, shown) >= 50
    assert payload.worst_tile == metrics.worst_tile(small, shown) >= 30
    less = CODEC.decode(CODEC.encode(small, payload.quality - 3))
    assert metrics.ssimulacra2(small, less) < 50


def test_the_avif_reaches_the_target_too_and_is_clearly_larger(small, verdict):
    avif = verdict.avif
    assert avif.data == images.avif(small, avif.quality)
    assert avif.score == metrics.ssimulacra2(small, images.decode(avif.data)) >= 50
    assert len(verdict.payload.data) <= 0.95 * len(avif.data)


@pytest.mark.parametrize("quality", [30, 70])
def test_the_target_is_a_setting(small, quality):
    verdict = choose(small, quality=quality)
    assert verdict.avif.score >= quality
    if verdict.payload:
        assert quality <= verdict.payload.score < quality + 4


def test_a_payload_that_is_not_clearly_smaller_is_not_kept(make):
    verdict = choose(make.photo(300, 900))
    assert verdict.payload is None
    assert verdict.reason.startswith("AVIF is ")
    small, large = verdict.reason.partition(": ")[2].split(" < ")
    assert float(small.split()[0]) < float(large.split()[0])
    assert verdict.avif.score >= 50


def test_every_tile_has_to_reach_the_floor(make, small):
    verdict = choose(small, min_tile_score=60)
    for file in (verdict.payload, verdict.avif):
        assert file is None or file.worst_tile >= 60


def test_text_is_no_payload_and_the_reason_says_so(make):
    page = np.concatenate([make.photo(256, 384), make.text(256, 384)])
    verdict = choose(page)
    assert verdict.payload is None
    assert verdict.reason.startswith(("text: worst tile ", "AVIF is smaller"))
    data = CODEC.encode(page, 40)
    failed = gate._scored(page, data, CODEC.decode(data), 40, 10)
    reason = gate._bad_part(page, CODEC, failed, failed.worst_tile + 1)
    assert reason == f"text: worst tile {failed.worst_tile:.0f}"
    assert gate._bad_part(page, CODEC, failed, failed.worst_tile) == ""
    shown = verdict.lossless or verdict.avif
    assert metrics.worst_tile(page, images.decode(shown.data)) >= 30


def test_graphics_are_tried_lossless_and_held_to_a_higher_score(make):
    page = make.text(300, 400)
    verdict = choose(page, quality=30)
    assert verdict.graphics
    if verdict.lossless:
        assert verdict.avif is None
        assert (images.decode(verdict.lossless.data) == page).all()
    else:
        assert verdict.avif.score >= gate.GRAPHICS_SCORE
    assert not choose(make.photo(96, 128)).graphics


def test_nothing_that_is_not_smaller_than_the_source(small, verdict):
    size = len(verdict.avif.data)
    assert choose(small, size + 1).avif is not None
    assert choose(small, size).avif is None
    nothing = choose(small, 50)
    assert (nothing.payload, nothing.avif, nothing.lossless) == (None, None, None)
    assert nothing.reason == "already small"


def test_hints_spare_trials_and_change_nothing_else(small, verdict):
    half = images.resized(small, 96)
    with_hints = gate.choose(half, HUGE, Settings(), CODEC, verdict.hints)
    without = gate.choose(half, HUGE, Settings(), CODEC)
    assert abs(with_hints.avif.quality - without.avif.quality) <= 2
    assert abs(with_hints.payload.quality - without.payload.quality) <= 4


def test_few_full_encodes(make, monkeypatch):
    """At most four AVIF files and four decoded payloads on average."""
    counts = {"avif": 0, "decode": 0}
    real_avif, real_decode = images.avif, WebCodec.decode

    def avif(*args):
        counts["avif"] += 1
        return real_avif(*args)

    def decode(*args):
        counts["decode"] += 1
        return real_decode(*args)

    monkeypatch.setattr(images, "avif", avif)
    monkeypatch.setattr(WebCodec, "decode", decode)
    pictures = [make.photo(96, 128, 0), make.photo(200, 200, 2), make.photo(256, 384, 1)]
    for picture in pictures:
        choose(picture)
    assert counts["avif"] <= 4 * len(pictures)
    assert counts["decode"] <= 4 * len(pictures)


@pytest.mark.parametrize("target", [-1000.0, 35.0, 75.0])
def test_matching_avif_is_the_smallest_of_its_score(photo, target):
    found = gate.matching_avif(photo, target).encoded
    assert found.score >= target
    if found.quality:
        less = images.decode(images.avif(photo, found.quality - 2))
        assert metrics.ssimulacra2(photo, less) < target


def test_matching_avif_of_an_impossible_score_is_the_best_there_is(photo):
    assert gate.matching_avif(photo, 100.5).encoded.quality == 100


def test_the_size_at_a_score_is_between_those_of_the_qualities_around(photo):
    found = gate.matching_avif(photo, 50)
    assert found.size_at(found.level) == len(found.encoded.data)
    below = images.avif(photo, found.encoded.quality - 3)
    assert len(below) < found.size_at(50) <= len(found.encoded.data)


def test_a_large_picture_is_sampled_but_shipped_whole(make):
    grain = np.random.default_rng(8).normal(0, 10, (900, 1300, 1))
    picture = np.clip(make.photo(900, 1300, 8) + grain, 0, 255).astype(np.uint8)
    found = gate.matching_avif(picture, 60).encoded
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

    found = gate._lowest_quality(trial, target, gate._AVIF_CURVE)
    assert found in tried
    assert len(set(tried)) == len(tried) <= 101
    assert scores[found] >= target or found == 100
    if len(tried) < 4 and found and scores[found] - target > 8:
        assert scores[found - 1] < target


@pytest.mark.parametrize("target", [20.0, 50.0, 70.0, 85.0])
@pytest.mark.parametrize("offset", [-20.0, 0.0, 15.0])
def test_search_is_exact_and_quick_on_typical_curves(target, offset):
    scores = np.minimum(gate._AVIF_CURVE + offset, 99 + np.arange(101) / 100)
    tried = []

    def trial(quality):
        tried.append(quality)
        return float(scores[quality])

    wanted = np.flatnonzero(scores >= target)
    found = gate._lowest_quality(trial, target, gate._AVIF_CURVE)
    assert found == (int(wanted[0]) if wanted.size else 100)
    assert len(tried) <= 4


def test_known_scores_are_not_measured_again():
    tried = []

    def trial(quality):
        tried.append(quality)
        return float(quality)

    known = {60: 60.0, 40: 40.0}
    assert gate._lowest_quality(trial, 50, np.arange(101.0), known) == 50
    assert tried == [50]


@pytest.mark.parametrize(
    ("conventional", "payload", "reason"),
    [
        (8100, 9000, "AVIF is smaller: 8.1 kB < 9.0 kB"),
        (9000, 8800, "AVIF is hardly larger: 8.8 kB < 9.0 kB"),
        (9010, 9020, "AVIF is smaller: 9010 B < 9020 B"),
    ],
)
def test_reasons(conventional, payload, reason):
    assert gate._compare("AVIF", conventional, payload) == reason


def test_levels():
    assert gate.Encoded(b"", 1, 55, math.inf).level(30, 50) == 55
    assert gate.Encoded(b"", 1, 55, 20).level(30, 50) == 40
    assert gate.Encoded(b"", 1, 45, 40).level(30, 50) == 45

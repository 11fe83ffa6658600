from contextlib import contextmanager

import numpy as np
import pytest

from sitecodec import codecs, metrics
from sitecodec.codecs.web import WebCodec
from sitecodec.encoding import gate, images, payloads
from sitecodec.encoding.task import Task, is_graphics, of_settings
from sitecodec.encoding.trials import Trial
from sitecodec.facts import calibration, families
from sitecodec.facts.calibration import GRAPHICS_SCORE, GRAPHICS_TILE
from sitecodec.payload import read_header
from sitecodec.settings import Settings

HUGE = 10**9
CODEC = WebCodec()


def choose(picture, source_bytes=HUGE, hints=None, memo=None, codec=CODEC, **settings):
    with metrics.against(picture) as score:
        wanted = Settings(**({"quality": 50, "min_tile_score": 30} | settings))
        memo = {} if memo is None else memo
        task = of_settings(picture, score, wanted, is_graphics(picture), source_bytes, memo)
        return gate.choose(task, codec, hints)


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
    avif = verdict.lossy
    assert avif.data == images.avif(small, avif.quality)
    assert avif.score == metrics.ssimulacra2(small, images.decode(avif.data)) >= 50
    assert len(verdict.payload.data) <= 0.95 * len(avif.data)


@pytest.mark.parametrize("quality", [30, 70])
def test_the_target_is_a_setting(small, quality):
    verdict = choose(small, quality=quality)
    assert verdict.lossy.score >= quality
    if verdict.payload:
        assert quality <= verdict.payload.score < quality + 4


def test_a_payload_that_is_not_clearly_smaller_is_not_kept(make):
    verdict = choose(make.photo(300, 900))
    assert verdict.payload is None
    assert verdict.reason.startswith("AVIF is ")
    small, large = verdict.reason.partition(": ")[2].split(" < ")
    assert float(small.split()[0]) < float(large.split()[0])
    assert verdict.lossy.score >= 50


def test_every_tile_has_to_reach_the_floor(make, small):
    verdict = choose(small, min_tile_score=60)
    for file in (verdict.payload, verdict.lossy):
        assert file is None or file.worst_tile >= 60


def test_text_is_no_payload_and_the_reason_says_so(make):
    page = np.concatenate([make.photo(256, 384), make.text(256, 384)])
    verdict = choose(page)
    assert verdict.payload is None
    assert verdict.reason.startswith(("text: ", "fine detail", "AVIF is smaller"))
    task = Task(page, None, False, 50, 21)
    assert payloads.bad_part(task, Trial(9, 55, 20, 0.914)) == "text: 91% alike"
    assert payloads.bad_part(task, Trial(9, 55, 20, 1.0)) == "fine detail: worst tile 20"
    assert payloads.bad_part(task, Trial(9, 55, 21, 0.93)) == ""
    shown = verdict.lossless or verdict.lossy
    assert metrics.worst_tile(page, images.decode(shown.data)) >= 30


def test_graphics_are_tried_lossless_and_held_to_a_higher_score(make):
    page = make.text(300, 400)
    verdict = choose(page, quality=30)
    assert verdict.flat
    if verdict.lossless:
        assert verdict.lossy is None
        assert (images.decode(verdict.lossless.data) == page).all()
    else:
        assert verdict.lossy.score >= GRAPHICS_SCORE
    assert choose(make.photo(96, 128)).flat is None


def test_graphics_get_few_colours_where_those_score_enough(make):
    page = make.page(300, 400)
    verdict = choose(page, quality=30)
    assert verdict.lossless == verdict.flat.file
    assert verdict.lossy is None
    shown = images.decode(verdict.lossless.data)
    assert metrics.ssimulacra2(page, shown) == verdict.flat.trial.score >= GRAPHICS_SCORE
    assert metrics.worst_tile(page, shown) >= GRAPHICS_TILE


def test_whoever_asks_for_all_of_a_drawing_gets_it(make):
    page = make.page(300, 400)
    verdict = choose(page, quality=100)
    assert (images.decode(verdict.lossless.data) == page).all()
    assert (codecs.get("flat").decode(verdict.payload.data) == page).all()
    assert (verdict.flat.trial.score, verdict.payload.score) == (100, 100)
    assert verdict.flat.name == "lossless WebP"


def test_the_payload_of_graphics_shows_what_the_conventional_file_shows(make):
    page = make.page(300, 400)
    verdict = choose(page)
    assert read_header(verdict.payload.data).codec == "flat"
    shown = codecs.get("flat").decode(verdict.payload.data)
    np.testing.assert_array_equal(shown, images.decode(verdict.lossless.data))
    assert verdict.payload.size <= 0.95 * len(verdict.lossless.data)
    assert (verdict.payload.score, verdict.reason) == (verdict.flat.trial.score, "")


def test_other_codecs_make_no_payload_of_graphics(make):
    class Other:
        family, identity, refiner = families.SD, "sd", None

        @contextmanager
        def analysed(self, pixels):
            yield lambda quality: bytes(10**6)

    page = make.page(120, 160)
    verdict = choose(page, codec=Other())
    assert verdict.payload is None
    assert "colours is smaller" in verdict.reason


def test_nothing_that_is_not_smaller_than_the_source(small, verdict):
    size = len(verdict.lossy.data)
    assert choose(small, size + 1).lossy is not None
    assert choose(small, size).lossy is None
    nothing = choose(small, 50)
    assert (nothing.payload, nothing.lossy, nothing.lossless) == (None, None, None)
    assert nothing.reason == "already small"


def test_no_payload_is_worse_to_the_second_judge(make):
    raised = 0
    for seed in (0, 1, 3):
        pixels = make.photo(80, 120, seed)
        found = choose(pixels, quality=65)
        with metrics.judged_against(pixels) as judged:
            ours = judged(codecs.get("web").decode(found.payload.data))
            theirs = judged(images.decode(found.lossy.data))
        assert found.judged == gate.Judged(ours, theirs)
        assert ours >= theirs - calibration.JUDGE_SLACK
        assert found.payload.size <= 0.95 * found.lossy.size
        raised += found.payload.score > found.lossy.score + 1
    assert raised  # with more quality than the score alone asks for


def test_a_payload_that_cannot_please_the_second_judge_is_not_kept(small, monkeypatch):
    monkeypatch.setattr(calibration, "JUDGE_SLACK", -1.0)
    found = choose(small)
    assert (found.payload, found.judged) == (None, None)
    assert found.reason.startswith("AVIF looks better to a second judge: ")


def test_hints_spare_trials_and_change_nothing_else(small, verdict):
    half = images.resized(small, 96)
    with_hints = choose(half, hints=verdict.hints)
    without = choose(half)
    assert abs(with_hints.lossy.quality - without.lossy.quality) <= 4
    assert bool(with_hints.payload) == bool(without.payload)
    if without.payload:
        assert abs(with_hints.payload.quality - without.payload.quality) <= 8


@pytest.mark.parametrize(
    ("conventional", "payload", "reason"),
    [
        (8100, 9000, "AVIF is smaller: 8.1 kB < 9.0 kB"),
        (9000, 8800, "AVIF is hardly larger: 8.8 kB < 9.0 kB"),
        (9010, 9020, "AVIF is smaller: 9010 B < 9020 B"),
    ],
)
def test_reasons(conventional, payload, reason):
    assert gate.compared("AVIF", conventional, payload) == reason


def test_what_was_measured_is_not_measured_again_and_changes_nothing(small, verdict, monkeypatch):
    memo = {}
    assert choose(small, memo=memo) == verdict
    assert len(memo) >= 3
    other = choose(small, quality=52)
    speeds = []
    real = images.avif
    monkeypatch.setattr(images, "avif", lambda p, q, s, c: (speeds.append(s), real(p, q, s, c))[1])
    assert choose(small, memo=memo) == verdict
    assert set(speeds) == {6}
    speeds.clear()
    assert choose(small, memo=memo, quality=52) == other
    assert len(speeds) <= 4


def test_few_full_encodes(make, monkeypatch):
    """At most four of a format on average: AVIF files to ship, payloads decoded for a score."""
    counts = {"avif": 0, "payload": 0}
    real_avif, real_decode = images.avif, WebCodec.decode

    def avif(pixels, quality, speed, chroma):
        counts["avif"] += speed <= 6
        return real_avif(pixels, quality, speed, chroma)

    def decode(*args):
        counts["payload"] += 1
        return real_decode(*args)

    monkeypatch.setattr(images, "avif", avif)
    monkeypatch.setattr(WebCodec, "decode", decode)
    pictures = [make.photo(96, 128, 0), make.photo(200, 200, 2), make.photo(256, 384, 1)]
    for picture in pictures:
        choose(picture)
    assert max(counts.values()) <= 4 * len(pictures)


def cutout(pixels):
    """The picture within an ellipse of soft edges."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width]
    inside = 1 - np.hypot((x - width / 2) / width, (y - height / 2) / height) / 0.45
    return images.filled(np.dstack([pixels, np.clip(inside * 900, 0, 255).astype(np.uint8)]))


def test_a_cutout_is_judged_over_black_and_white(make):
    picture = cutout(make.photo(96, 128))
    verdict = choose(picture, min_tile_score=0)
    assert verdict.flat is None
    with metrics.against(picture) as score:
        assert verdict.lossy.score == score(images.decode(verdict.lossy.data)).score >= 50
        assert images.decode(verdict.lossy.data).shape[2] == 4
        if verdict.payload:
            assert verdict.payload.score == score(CODEC.decode(verdict.payload.data)).score >= 50
            assert len(verdict.payload.data) <= 0.95 * len(verdict.lossy.data)
        else:
            assert verdict.reason


def test_a_flat_drawing_with_transparency_becomes_lossless():
    picture = np.zeros((200, 300, 4), np.uint8)
    picture[40:160, 50:250] = (200, 30, 30, 255)
    picture[60:140, 70:230, 3] = 128
    verdict = choose(images.filled(picture))
    shown = images.decode(verdict.lossless.data)
    visible = picture[..., 3] > 0
    np.testing.assert_array_equal(shown[visible], picture[visible])
    assert (shown[~visible, 3] == 0).all()


def test_stable_diffusion_has_no_transparency(make):
    class Other:
        family, identity, refiner = families.SD, "sd", None

    picture = cutout(make.photo(64, 64))
    verdict = choose(picture, codec=Other())
    assert (verdict.payload, verdict.reason) == (None, "has transparency")
    assert verdict.lossy

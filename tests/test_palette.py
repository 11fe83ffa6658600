import io

import numpy as np
import pytest
from PIL import Image

from sitecodec import metrics
from sitecodec.encoding import images, palette
from sitecodec.encoding.palette import REACHES, fewer
from sitecodec.encoding.task import Task
from sitecodec.facts.calibration import GRAPHICS_TILE


@pytest.fixture(scope="module")
def page(make):
    return make.page(300, 400)


def flat(source, target=85.0, memo=None):
    with metrics.against(source) as score:
        return palette.flat(task_of(source, score, target, memo=memo))


def task_of(source, score, target=85.0, floor=GRAPHICS_TILE, memo=None):
    return Task(source, score, True, target, floor, memo={} if memo is None else memo)


def used(pixels):
    return {tuple(colour) for colour in pixels.reshape(-1, pixels.shape[2]).tolist()}


@pytest.mark.parametrize("reach", REACHES)
def test_colours_become_common_ones_that_are_near(page, reach):
    pixels, count = fewer(page, reach)
    assert len(used(pixels)) == count < len(used(page))
    assert used(pixels) < used(page)
    moved = np.abs(pixels.astype(int) - page)
    assert 0 < moved.max() <= 2 * reach  # one primary alone: it is a part of luma
    greys = (np.ptp(page, axis=2) == 0) & (np.ptp(pixels, axis=2) == 0)
    assert moved[greys].max() <= reach


def test_the_farther_the_fewer(page):
    counts = [fewer(page, reach)[1] for reach in REACHES]
    assert counts == sorted(counts)
    sizes = [len(images.lossless(fewer(page, reach)[0])[0].data) for reach in REACHES]
    assert sizes == sorted(sizes)
    assert sizes[-1] < len(images.lossless(page)[0].data)


def test_areas_stay_as_they_are_however_near_their_colours():
    pixels = np.full((64, 64, 3), 255, np.uint8)
    pixels[8:16, 8:16] = 250  # a card that is hardly told from its page
    pixels[40, 40] = 250  # part of no area, but there is one of its colour
    pixels[50, 50] = 246
    moved, count = fewer(pixels, 18)
    assert count == 2
    assert moved[50, 50, 0] != 246
    expected = pixels.copy()
    expected[50, 50] = moved[50, 50]
    np.testing.assert_array_equal(moved, expected)


def test_a_photograph_on_white_is_left_to_other_formats(make):
    photo = make.photo(200, 300, 6)
    pixels = np.concatenate([np.full((200, 400, 3), 255, np.uint8), photo], axis=1)
    assert images.flatness(pixels) > 0.5
    assert len(used(pixels)) > 200 * 700 / 16
    assert flat(pixels) is None
    few = np.where(pixels > 127, np.uint8(255), np.uint8(0))
    assert flat(few).file.data == images.lossless(few)[0].data


def test_a_gradient_gets_no_bands():
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 2)
    pixels = np.repeat(np.stack([ramp, ramp // 2, 255 - ramp], 1)[None], 64, 0)
    assert fewer(pixels, 18)[1] == 0


def test_hue_weighs_more_than_lightness():
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[5:20, 5:20] = 80
    pixels[30, ::4] = (80, 80, 100)
    pixels[34, ::4] = (92, 92, 92)
    moved, _ = fewer(pixels, 14)
    assert moved[30, 0].tolist() == [80, 80, 100]
    assert moved[34, 0].tolist() == [80, 80, 80]


def test_pictures_of_many_or_few_colours_are_left(make, photo):
    assert fewer(photo, 18)[1] == 0
    ramps = np.mgrid[0:160, 0:160].astype(np.uint8).transpose(1, 2, 0)
    many = np.ascontiguousarray(np.dstack([ramps, np.zeros((160, 160), np.uint8)]))
    assert fewer(many, 18)[0] is many
    two = make.text(100, 100)
    pixels, count = fewer(two, 18)
    assert count == 0
    np.testing.assert_array_equal(pixels, two)


def test_transparency_moves_like_a_colour_and_what_is_invisible_counts_for_nothing():
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[5:20, 5:30] = (200, 30, 30, 255)
    pixels[20, 5:30] = (200, 30, 30, 246)
    pixels[21, 5:30] = (200, 30, 30, 128)
    pixels[30:, :, :3] = 7  # invisible
    moved, count = fewer(pixels, 14)
    assert count == 3
    assert (moved[20, 5:30, 3] == 255).all()
    assert (moved[21, 5:30, 3] == 128).all()
    assert moved[30:].max() == 0


def test_the_fewest_colours_that_score_enough(page):
    memo = {}
    found = flat(page, memo=memo)
    assert found.colours == fewer(page, REACHES[len(memo) - 1])[1]
    assert metrics.ssimulacra2(page, found.pixels) == found.trial.score >= 85
    np.testing.assert_array_equal(images.decode(found.file.data), found.pixels)
    assert found.name == f"WebP of {found.colours} colours"
    better = flat(page, found.trial.score + 0.5)
    assert better.trial.score > found.trial.score
    assert better.colours > found.colours or better.colours == 0


def test_every_part_has_to_be_clean(page):
    worst = metrics.worst_tile(page, flat(page).pixels)
    with metrics.against(page) as score:
        better = palette.flat(task_of(page, score, floor=worst + 0.1))
    assert metrics.worst_tile(page, better.pixels) > worst


def test_a_target_that_no_fewer_colours_reach(page):
    found = flat(page, 100)
    assert (found.colours, found.trial.score, found.name) == (0, 100, "lossless WebP")
    np.testing.assert_array_equal(found.pixels, page)


def test_what_was_scored_is_not_scored_again(page):
    memo = {}
    once = flat(page, memo=memo)
    assert sorted(memo) == sorted(f"colours/{r}" for r in REACHES[: len(memo)])

    def score(_):
        raise AssertionError("scored again")

    assert repr(palette.flat(task_of(page, score, memo=memo))) == repr(once)


def test_a_palette_that_png_has_room_for(page):
    found = flat(images.resized(page, 250))
    with_palette = images.png(found.pixels)
    assert Image.open(io.BytesIO(with_palette.data)).mode == "P"

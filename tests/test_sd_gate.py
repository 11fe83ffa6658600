import numpy as np
import pytest

from sitecodec.sd import gate


@pytest.fixture
def page(make):
    """A photograph with letters in a corner."""
    picture = make.photo(256, 384, seed=5).copy()
    picture[:128, :128] = make.text(128, 128)
    return picture


def test_the_same_picture_is_kept(page, photo):
    for picture in (page, photo):
        assert gate.judge(picture, picture).kept


def test_letters_are_found_and_photographs_are_not(page, photo):
    assert gate.text_like(gate._blocks(gate._luma(page))).sum() >= 8
    assert not gate.text_like(gate._blocks(gate._luma(photo))).any()


def test_invented_letters_are_not_kept_though_the_rest_is_perfect(page, make):
    invented = page.copy()
    invented[:128, :128] = make.text(128, 128, seed=1)
    verdict = gate.judge(page, invented)
    assert verdict.reason.startswith("text: agreement")
    assert verdict.text_agreement < 0.6


def test_a_bad_part_is_not_kept(photo):
    broken = photo.copy()
    broken[100:180, 100:180] = photo[20:100, 200:280]
    verdict = gate.judge(photo, broken)
    assert verdict.reason.startswith("worst tile")
    assert verdict.worst_tile < gate.WORST_TILE


def test_the_floor_is_never_laxer_than_asked(photo):
    noisy = (photo + np.random.default_rng(0).normal(0, 6, photo.shape)).clip(0, 255)
    noisy = noisy.astype(np.uint8)
    assert not gate.judge(photo, noisy, min_tile_score=95).kept

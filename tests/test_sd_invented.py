import numpy as np
import pytest

from sitecodec.facts import calibration
from sitecodec.sd import invented


@pytest.fixture
def page(make):
    """A photograph with letters in a corner."""
    picture = make.photo(256, 384, seed=5).copy()
    picture[:128, :128] = make.text(128, 128)
    return picture


def test_the_same_picture_is_kept(page, photo):
    for picture in (page, photo):
        assert invented.judge(picture, picture).kept


def test_letters_are_found_and_photographs_are_not(page, photo):
    assert invented.text_like(invented._blocks(invented._luma(page))).sum() >= 8
    assert not invented.text_like(invented._blocks(invented._luma(photo))).any()


def test_invented_letters_are_not_kept_though_the_rest_is_perfect(page, make):
    other = page.copy()
    other[:128, :128] = make.text(128, 128, seed=1)
    verdict = invented.judge(page, other)
    assert verdict.reason.startswith("text: agreement")
    assert verdict.text_agreement < 0.6


def test_a_bad_part_is_not_kept(photo):
    blue = np.ascontiguousarray(photo[..., ::-1] // (3, 2, 1)).astype(np.uint8)  # no skin
    assert not invented.skin_like(blue).any()
    broken = blue.copy()
    broken[100:180, 100:180] = blue[20:100, 200:280]
    verdict = invented.judge(blue, broken)
    assert verdict.reason.startswith("worst tile")
    assert verdict.worst_tile < calibration.GENERATIVE_TILE


def test_the_floor_is_never_laxer_than_asked(photo):
    noisy = (photo + np.random.default_rng(0).normal(0, 6, photo.shape)).clip(0, 255)
    noisy = noisy.astype(np.uint8)
    assert not invented.judge(photo, noisy, min_tile_score=95).kept


TONES = [(255, 219, 172), (241, 194, 125), (198, 134, 66), (141, 85, 36), (96, 62, 42)]


def portrait(make, tone, eyes):
    """A face of a tone, 60 pixels wide, whose eyes look to one side, before a blue background."""
    picture = make.photo(256, 384, seed=5) // (4, 3, 1)
    y, x = np.mgrid[:256, :384]
    grain = np.random.default_rng(1).normal(0, 4, (256, 384, 1))
    face = ((x - 160) / 30) ** 2 + ((y - 120) / 40) ** 2 < 1
    picture[face] = (np.array(tone) + grain)[face].clip(0, 255)
    for left in (148, 172):
        picture[(x - left) ** 2 + (y - 110) ** 2 < 36] = 235
        picture[(x - left - eyes) ** 2 + (y - 110) ** 2 < 9] = 20
    picture[(abs(y - 140 - eyes // 2) < 2) & (abs(x - 160) < 12)] = (120, 30, 40)
    return picture.astype(np.uint8)


@pytest.mark.parametrize("tone", TONES)
def test_a_face_that_looks_another_way_is_not_kept(make, tone):
    source = portrait(make, tone, -3)
    assert invented.skin_like(source)[90:160, 135:185].mean() > 0.6
    assert invented.judge(source, source).kept
    verdict = invented.judge(source, portrait(make, tone, 3))
    assert verdict.reason.startswith("skin, perhaps a face: a part scores ")
    assert verdict.skin_score < calibration.SKIN_SCORE


def test_without_colours_every_part_may_be_a_face(make):
    source, other = (
        np.repeat(portrait(make, TONES[0], eyes)[..., :1], 3, axis=2) for eyes in (-3, 3)
    )
    assert invented.judge(source, source).kept
    assert invented.judge(source, other).skin_score < calibration.SKIN_SCORE


def test_what_has_not_the_colour_of_skin_is_none():
    colours = [(40, 90, 200), (30, 120, 40), (250, 250, 250), (10, 8, 6), (128, 128, 128)]
    board = np.kron(np.array([colours], np.uint8), np.ones((50, 50, 1), np.uint8))
    assert not invented.skin_like(board).any()
    assert invented.skin_score(board, board // 2) == 100

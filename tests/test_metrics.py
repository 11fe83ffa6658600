import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitecodec import metrics
from sitecodec.encoding import images


def distort(pixels, quality=40):
    return images.decode(images.avif(pixels, quality, speed=9)).copy()


def test_identical_pictures_score_best(photo):
    assert metrics.ssimulacra2(photo, photo) == 100
    assert metrics.worst_tile(photo, photo) == 100
    assert metrics.ms_ssim(photo, photo) == pytest.approx(1)
    assert metrics.psnr(photo, photo) == math.inf


@pytest.mark.parametrize("metric", [metrics.ssimulacra2, metrics.ms_ssim, metrics.psnr])
def test_scores_fall_with_quality(photo, metric):
    scores = [metric(photo, distort(photo, quality)) for quality in (80, 50, 20)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2]


@pytest.mark.parametrize("metric", [metrics.ssimulacra2, metrics.ms_ssim, metrics.psnr])
def test_sizes_must_agree(photo, metric):
    with pytest.raises(ValueError, match="differ in size"):
        metric(photo, photo[:-1])


def test_small_pictures_score_like_the_large_one_they_are_cut_from(photo):
    other = distort(photo)
    whole = metrics.ssimulacra2(photo, other)
    for side in (128, 64):
        parts = [
            metrics.ssimulacra2(
                photo[y : y + side, x : x + side], other[y : y + side, x : x + side]
            )
            for y in range(0, 256, 128)
            for x in range(0, 384, 128)
        ]
        assert np.mean(parts) == pytest.approx(whole, abs=8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (5, 9), (12, 17)])
def test_every_metric_takes_tiny_pictures(make, shape):
    a = make.photo(*shape)
    b = a ^ 64
    for metric in (metrics.ssimulacra2, metrics.worst_tile, metrics.ms_ssim, metrics.psnr):
        assert math.isfinite(metric(a, b))
        assert metric(a, b) < metric(a, a)


def test_psnr_by_hand():
    a = np.zeros((2, 2, 3), np.uint8)
    b = a.copy()
    b[0, 0, 0] = 255  # one of twelve values is wrong by the whole range
    assert metrics.psnr(a, b) == pytest.approx(10 * math.log10(12))
    assert metrics.psnr(b, a) == pytest.approx(10 * math.log10(12))


def test_psnr_counts_rows_beyond_the_first_block():
    a = np.zeros((600, 1, 3), np.uint8)
    b = a.copy()
    b[599] = 51
    assert metrics.psnr(a, b) == pytest.approx(10 * math.log10(600 * 25))


def integer_pictures(height, width):
    """Two pictures that need no random generator, for the goldens below."""
    y, x, c = np.mgrid[:height, :width, :3]
    a = (x * x // 7 + y * 3 + (x // 16 * 31 + y // 16 * 17) * 5 + c * 40) % 256
    b = np.clip(a + (x * y * 13 + c * 7) % 41 - 20, 0, 255)
    return a.astype(np.uint8), b.astype(np.uint8)


# Made with pytorch-msssim 1.0.0: ms_ssim(a, b, data_range=255) of the pictures above.
MS_SSIM = {(176, 176): 0.993559, (161, 200): 0.992979, (333, 257): 0.992607}


@pytest.mark.parametrize("shape", MS_SSIM)
def test_ms_ssim_agrees_with_pytorch_msssim(shape):
    assert metrics.ms_ssim(*integer_pictures(*shape)) == pytest.approx(MS_SSIM[shape], abs=1e-4)


def test_ms_ssim_agrees_with_pytorch_msssim_if_it_is_here(photo):
    reference = pytest.importorskip("pytorch_msssim")
    import torch

    def tensor(pixels):
        return torch.tensor(pixels).permute(2, 0, 1)[None].double()

    other = distort(photo)
    expected = float(reference.ms_ssim(tensor(photo), tensor(other), data_range=255))
    assert metrics.ms_ssim(photo, other) == pytest.approx(expected, abs=1e-4)


def test_worst_tile_finds_corrupted_text(make):
    page = make.photo(1024, 1280, 5)
    page[512:768, 768:1024] = make.text(256, 256)
    shown = distort(page, 70)
    ok = metrics.worst_tile(page, shown)
    # The letters are exchanged for others: the same amount of ink, unreadable.
    shown[540:740, 800:1000] = make.text(200, 200, seed=9)
    assert metrics.worst_tile(page, shown) < 0 < 50 < ok
    assert metrics.ssimulacra2(page, shown) > metrics.worst_tile(page, shown) + 30


@pytest.mark.parametrize("seed", range(4))
def test_worst_tile_is_near_that_of_parts_cut_out(make, seed):
    pixels = make.photo(512, 768, seed)
    pixels[256:, :256] = make.text(256, 256, seed)
    other = distort(pixels, 30)
    every = [
        metrics.ssimulacra2(pixels[y : y + 256, x : x + 256], other[y : y + 256, x : x + 256])
        for y in (0, 256)
        for x in (0, 256, 512)
    ]
    # Cut out, a part has a border that hides errors; here the seam to the text counts, too.
    assert min(every) - 8 <= metrics.worst_tile(pixels, other) <= min(every) + 3


def test_worst_tile_looks_at_the_last_rows_and_columns(make):
    pixels = make.photo(600, 700, 2)
    other = pixels.copy()
    other[560:, 660:] = 0
    assert metrics.worst_tile(pixels, other) < 40


def test_worst_tile_of_a_small_picture_is_its_score(make):
    pixels = make.photo(200, 120)
    other = distort(pixels)
    assert metrics.worst_tile(pixels, other) == metrics.ssimulacra2(pixels, other)


def test_sample_is_the_picture_itself_up_to_a_megapixel():
    pixels = np.zeros((1024, 1024, 3), np.uint8)
    assert metrics.sample(pixels) is pixels


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000))
def test_sample_is_bounded_and_made_of_the_picture(height, width):
    pixels = np.broadcast_to(np.uint8(7), (height, width, 3))
    sample = metrics.sample(pixels)
    assert np.unique(sample).tolist() == [7]
    assert max(sample.shape[0], 256) * max(sample.shape[1], 256) <= 2**20
    assert sample.shape[0] * sample.shape[1] >= min(height * width, 2**20) / 64


def test_sample_covers_the_whole_picture():
    y, x = np.mgrid[:1600, :2400]
    sample = metrics.sample(np.stack([y // 400 * 4 + x // 600] * 3, axis=-1).astype(np.uint8))
    values, counts = np.unique(sample[..., 0], return_counts=True)
    assert values.tolist() == list(range(16))
    assert set(counts) == {256 * 256}


def test_sample_scores_like_the_whole(make):
    pixels = make.photo(1280, 1536, 4)
    other = distort(pixels, 40)
    sampled = metrics.ssimulacra2(metrics.sample(pixels), metrics.sample(other))
    assert sampled == pytest.approx(metrics.ssimulacra2(pixels, other), abs=3)


def test_transparency_is_scored_over_black_and_over_white(make):
    pixels = make.photo(256, 256, 3)
    clear = np.dstack([pixels, np.full((256, 256), 255, np.uint8)])
    clear[:, 128:, 3] = np.linspace(255, 0, 128).astype(np.uint8)
    clear[:, 250:, 3] = 0
    invisible = clear.copy()
    invisible[:, 250:, :3] = 99
    with metrics.against(clear) as score:
        assert score(clear).score == pytest.approx(100)
        assert score(invisible) == score(clear)
        dark = clear.copy()
        dark[..., 3] = np.where(clear[..., 3] < 128, 0, clear[..., 3])
        found = score(dark)
        assert score(pixels).score < found.score < 99  # a picture without alpha is an opaque one
    for level in (0, 255):
        with metrics.against(metrics.over(clear, level)) as plain:
            assert found.score <= plain(metrics.over(dark, level)).score
            assert found.worst_tile <= plain(metrics.over(dark, level)).worst_tile


def test_over_a_grey():
    pixel = np.array([[[200, 100, 0, 51]]], np.uint8)
    assert metrics.over(pixel, 0).tolist() == [[[40, 20, 0]]]
    assert metrics.over(pixel, 255).tolist() == [[[244, 224, 204]]]

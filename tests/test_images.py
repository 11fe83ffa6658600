import io

import numpy as np
import pytest
from PIL import Image

from sitecodec.encoding import images


def test_lossless_files_keep_alpha(make, photo):
    clear = np.dstack([photo, np.minimum(photo[..., 0], 250) + 1])
    few = (clear // 64) * 64 + 1
    for pixels in (clear, few):
        for file in (*images.lossless(pixels), images.png(pixels)):
            np.testing.assert_array_equal(images.decode(file.data), pixels)
    assert len(images.png(few).data) < len(make.file(Image.fromarray(few), optimize=True))


def test_what_is_invisible_costs_nothing_without_loss(photo):
    alpha = np.zeros((*photo.shape[:2], 1), np.uint8)
    alpha[40:90, 30:99] = 255
    full, empty = np.dstack([photo, alpha]), np.dstack([photo * (alpha > 0), alpha])
    assert images.png(full) == images.png(empty)
    assert images.lossless(full) == images.lossless(empty)


def test_the_visible_part_says_how_flat_a_picture_is(photo):
    alpha = np.zeros((*photo.shape[:2], 1), np.uint8)
    alpha[:, :100] = 255
    empty = np.concatenate([photo * (alpha > 0), alpha], axis=2)
    seen = images.flatness(photo[:, :100])
    assert images.flatness(empty) == pytest.approx(seen, abs=0.001)
    assert images.flatness(empty[..., :3]) > 0.5


def test_smaller_sizes_are_not_tinted_by_what_is_invisible():
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :31] = (200, 100, 50, 255)
    small = images.filled(images.resized(pixels, 16))
    visible = small[..., 3] > 32  # fainter, eight bits say little of a colour
    assert np.abs(small[visible, :3].astype(int) - (200, 100, 50)).max() <= 12
    assert (small[:, 4, 3] == 255).all()
    assert 0 < small[0, 7, 3] < 255
    almost = np.full((64, 64, 4), 255, np.uint8)
    almost[0, 0, 3] = 254
    assert images.filled(images.resized(almost, 16)).shape == (16, 16, 3)


def test_jpeg_is_the_best_within_a_sixth_of_a_byte_per_pixel(make):
    pixels = make.photo(256, 256, 3)
    noisy = np.random.default_rng(0).integers(-40, 40, pixels.shape)
    pixels = np.clip(pixels + noisy, 0, 255).astype(np.uint8)
    limit = 256 * 256 * 2 // 12
    options = {"progressive": True, "optimize": True, "subsampling": "4:2:0"}
    files = [make.file(pixels, "JPEG", quality=q, **options) for q in range(1, 81)]
    fitting = [file for file in files if len(file) <= limit]
    assert 0 < len(fitting) < 80
    assert images.jpeg_fallback(pixels, 10**9) == fitting[-1]


def test_jpeg_obeys_a_lower_limit(photo):
    assert len(images.jpeg_fallback(photo, 5_000)) <= 5_000


def test_jpeg_is_progressive_subsampled_and_bare(photo):
    data = images.jpeg_fallback(photo, 10**9)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info.get("progressive") == 1
        assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]
        assert not {"exif", "icc_profile", "comment", "xmp"} & set(image.info)


def test_jpeg_quality_has_a_ceiling(make):
    flat = np.full((256, 256, 3), 99, np.uint8)
    options = {"progressive": True, "optimize": True, "subsampling": "4:2:0"}
    assert images.jpeg_fallback(flat, 10**9) == make.file(flat, "JPEG", quality=80, **options)


def test_jpeg_of_one_pixel_is_over_the_line_but_made():
    data = images.jpeg_fallback(np.zeros((1, 1, 3), np.uint8), 10**9)
    assert images.decode(data).shape == (1, 1, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (33, 2), (64, 96)])
def test_avif_round_trip(make, shape):
    pixels = make.photo(*shape)
    decoded = images.decode(images.avif(pixels, 90))
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - pixels).mean() < 12


def test_avif_is_repeatable_and_follows_quality(photo):
    low, high = images.avif(photo, 30), images.avif(photo, 70)
    assert low == images.avif(photo, 30)
    assert len(low) < len(high)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("quality", [0, 50, 99, 100])
def test_avif_takes_every_quality(make, quality, channels):
    pixels = make.photo(40, 60)
    if channels == 4:
        pixels = np.dstack([pixels, np.full((40, 60), 200, np.uint8)])
    assert images.decode(images.avif(pixels, quality, 9)).shape == pixels.shape


def test_avif_without_an_encoder_that_knows_the_tuning(make, monkeypatch):
    real = images._avif

    def older(image, **options):
        if "advanced" in options:
            raise ValueError("Failed to encode image: Invalid codec-specific option")
        return real(image, **options)

    images._tuning.cache_clear()
    monkeypatch.setattr(images, "_avif", older)
    try:
        assert images._tuning() == {}
        assert images.avif(make.photo(40, 60), 50, 9)
    finally:
        images._tuning.cache_clear()

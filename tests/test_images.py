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


def test_colours_that_are_near_each_other_stay_apart():
    rng = np.random.default_rng(1)
    palette = (120 + rng.integers(0, 24, (200, 3))).astype(np.uint8)
    pixels = palette[rng.integers(0, 200, (80, 90))]
    np.testing.assert_array_equal(images.decode(images.png(pixels).data), pixels)


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


@pytest.mark.parametrize(("chroma", "layers"), [("4:2:0", (2, 2)), ("4:4:4", (1, 1))])
def test_jpeg_is_progressive_and_bare(photo, chroma, layers):
    with Image.open(io.BytesIO(images.jpeg(photo, 70, chroma))) as image:
        assert image.info.get("progressive") == 1
        assert [layer[1:3] for layer in image.layer] == [layers, (1, 1), (1, 1)]
        assert not {"exif", "icc_profile", "comment", "xmp"} & set(image.info)


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


def test_avif_without_an_encoder_that_knows_the_tuning(make, monkeypatch, caplog):
    real = images._avif

    def older(image, **options):
        if "advanced" in options:
            raise ValueError("Failed to encode image: Invalid codec-specific option")
        return real(image, **options)

    images._tuning.cache_clear()
    monkeypatch.setattr(images, "_avif", older)
    try:
        assert images._tuning() == {}
        assert "cannot tune" in caplog.text
        assert images.avif(make.photo(40, 60), 50, 9)
    finally:
        images._tuning.cache_clear()


def test_patient_efforts_get_patient_avifs(make):
    pixels = make.photo(160, 200, 3)
    sizes = [len(images.avif(pixels, 50, images.avif_speed(effort))) for effort in (0, 4, 5, 9)]
    assert sizes[0] == sizes[1] > sizes[2] == sizes[3]

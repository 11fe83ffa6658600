import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from sitecodec import codecs, engine
from sitecodec.codecs import alpha
from sitecodec.codecs.alpha import filled
from tests.conftest import make_photo

SIDE = 256


def drawn(shape):
    """A white shape on black with soft edges: drawn eight times as large, then scaled down."""
    image = Image.new("L", (SIDE * 8, SIDE * 8))
    draw = ImageDraw.Draw(image)
    if shape == "ellipse":
        draw.ellipse((163, 305, 1880, 1760), fill=255)
    elif shape == "card":
        draw.rounded_rectangle((83, 125, 1950, 1910), 170, fill=255)
    else:
        around = np.linspace(0, 2 * np.pi, 15)[:-1] + 0.2
        radius = np.where(np.arange(14) % 2, 0.45, 0.22) * SIDE * 8
        corners = SIDE * 4 + radius * np.array([np.cos(around), np.sin(around)])
        draw.polygon([tuple(corner) for corner in corners.T], fill=255)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def webp_size(plane):
    """What a lossless WebP spends on a plane: a black picture's, less its headers."""
    pixels = np.zeros((*plane.shape, 4), np.uint8)
    pixels[..., 3] = plane
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=100, method=6, exact=True)
    return len(buffer.getvalue()) - 34


@pytest.mark.parametrize("soft", [0, 2, 6])
@pytest.mark.parametrize("shape", ["ellipse", "card", "star"])
def test_cutouts_take_less_than_in_a_lossless_webp(shape, soft):
    plane = np.asarray(drawn(shape).filter(ImageFilter.GaussianBlur(soft)))
    assert len(engine.encode_alpha(plane)) < webp_size(plane)


def test_even_noise_takes_hardly_more_than_it_has():
    noise = np.random.default_rng(1).integers(0, 256, (200, 300), np.uint8)
    assert len(engine.encode_alpha(noise)) < 1.05 * noise.size
    assert len(engine.encode_alpha(np.full((1000, 1000), 255, np.uint8))) < 200


def test_a_little_error_saves_many_bytes():
    plane = np.asarray(drawn("ellipse").filter(ImageFilter.GaussianBlur(1)))
    sizes = [len(engine.encode_alpha(plane))]
    for slack in (2, 8, 32):
        eased = engine.eased_alpha(plane, slack)
        sure = (plane == 0) | (plane == 255)
        np.testing.assert_array_equal(eased[sure], plane[sure])
        error = eased[~sure].astype(float) - plane[~sure]
        assert 0 < np.sqrt((error**2).mean()) < 3 * np.sqrt(16 * slack)
        sizes.append(len(engine.encode_alpha(eased)))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < 0.6 * sizes[0]
    np.testing.assert_array_equal(engine.eased_alpha(plane, 0), plane)


def test_a_higher_score_asks_for_better_edges():
    pixels = np.dstack([make_photo(SIDE, SIDE, 7), np.asarray(drawn("star"))])
    errors = [np.abs(alpha.eased(pixels, score) - pixels.astype(int)) for score in (30, 70, 100)]
    assert [error[..., :3].max() for error in errors] == [0, 0, 0]
    assert errors[0].sum() > errors[1].sum() > errors[2].sum() == 0


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (17, 33)])
def test_alpha_of_any_size_comes_back(height, width):
    web = codecs.get("web")
    pixels = np.random.default_rng(2).integers(0, 256, (height, width, 4), np.uint8)
    decoded = web.decode(web.encode(pixels, 50))
    assert decoded.shape == pixels.shape
    np.testing.assert_array_equal(decoded[..., 3], pixels[..., 3])


def test_colours_are_those_of_the_filled_picture():
    web = codecs.get("web")
    pixels = np.dstack([make_photo(70, 90, 4), np.asarray(drawn("star"))[60:130, 60:150]])
    opaque = web.encode(filled(pixels), 40)
    np.testing.assert_array_equal(
        web.decode(web.encode(pixels, 40))[..., :3],
        web.decode(opaque),
    )


def test_only_what_cannot_be_seen_is_filled():
    pixels = np.dstack([make_photo(101, 77, 5), np.zeros((101, 77), np.uint8)])
    pixels[30:60, 20:50, 3] = np.arange(30)
    visible = pixels[..., 3] > 0
    colours = filled(pixels)
    np.testing.assert_array_equal(colours[visible], pixels[visible, :3])
    other = pixels.copy()
    other[~visible, :3] = 255 - other[~visible, :3]
    np.testing.assert_array_equal(filled(other), colours)  # whatever was there before
    assert np.ptp(colours[80:, 60:], axis=(0, 1)).max() < 40  # smooth, far from what is visible


def test_what_is_filled_costs_few_bits():
    web = codecs.get("web")
    pixels = np.dstack([make_photo(SIDE, SIDE, 6), np.asarray(drawn("ellipse"))])
    black = np.where(pixels[..., 3:] > 0, pixels[..., :3], 0).astype(np.uint8)
    smooth = len(web.encode(filled(pixels), 50))
    assert smooth < 0.95 * len(web.encode(black, 50))
    assert smooth < len(web.encode(pixels[..., :3], 50))


def test_a_picture_without_any_colour_becomes_grey():
    assert np.unique(filled(np.zeros((9, 5, 4), np.uint8))).tolist() == [128]
    one = np.zeros((9, 5, 4), np.uint8)
    one[4, 2] = (1, 2, 3, 1)
    assert np.unique(filled(one).reshape(-1, 3), axis=0).tolist() == [[1, 2, 3]]

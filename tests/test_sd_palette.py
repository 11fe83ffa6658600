"""The seed's quantisation, against values worked by hand: no torch, no network."""

import zlib

import numpy as np
import pytest

from sitecodec.errors import PayloadError
from sitecodec.sd import palette


def gradient(height=64, width=64):
    """Four smooth ramps."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    planes = [2 * x - 1, 2 * y - 1, x + y - 1, x - y]
    return np.stack(planes, -1).astype(np.float32)


@pytest.mark.parametrize(
    ("unscaled", "byte"),
    [
        # uint8(255 · clamp(z / 46.44825 + 0.5, 0, 1) + 0.5)
        (0.0, 128),  # 255 · 0.5 + 0.5 = 128.0
        (0.18215, 129),  # a step is the scaling factor: 129.0
        (-0.18215, 127),
        (-0.01, 127),  # 127.945
        (1.0, 133),  # 255 · (0.0215293 + 0.5) + 0.5 = 133.48997
        (-10.0, 73),  # 255 · (-0.2152934 + 0.5) + 0.5 = 73.1002
        (23.2, 255),  # 255 · 0.9994807 + 0.5 = 255.3676
        (23.3, 255),
        (1000.0, 255),
        (-23.2, 0),  # 0.6324
        (-1000.0, 0),
    ],
)
def test_quantisation_by_hand(unscaled, byte):
    # Scaled and back in single precision, the exact edges may fall to either side.
    nudge = 1e-4 if unscaled in (0.0, 0.18215, -0.18215) else 0
    latents = np.full((1, 1, 4), (unscaled + nudge) * 0.18215, np.float32)
    assert palette.quantise(latents).tolist() == [[[byte] * 4]]


@pytest.mark.parametrize(
    ("byte", "unscaled"), [(0, -23.224125), (255, 23.224125), (128, 0.091075), (127, -0.091075)]
)
def test_dequantisation_by_hand(byte, unscaled):
    # (q / 255 - 0.5) · 255 · 0.18215
    latents = palette.dequantise(np.full((1, 1, 4), byte, np.uint8))
    assert latents == pytest.approx(np.full((1, 1, 4), unscaled * 0.18215), rel=1e-4)


def test_quantisation_errs_by_half_a_step_at_most():
    latents = gradient()
    back = palette.dequantise(palette.quantise(latents))
    # The published formulas are half a step apart: each value is rounded down on average.
    assert np.abs(back - latents).max() <= 1.01 * palette.SCALING**2


def test_about_five_kilobytes_whatever_the_picture():
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(64, 64, 4)).astype(np.float32)
    raw = 1 + 256 * 4 + 64 * 64
    assert 0.94 * raw < len(palette.encode(noise)) <= raw + 16
    natural = noise
    for axis in (0, 1):
        natural = natural + np.roll(natural, 1, axis)
    assert 0.9 * raw < len(palette.encode(natural / 2)) <= raw + 16


def test_the_palette_is_near_and_reproducible():
    rng = np.random.default_rng(4)
    latents = rng.normal(size=(64, 64, 4)).astype(np.float32)
    assert palette.encode(latents) == palette.encode(latents)
    plain = palette.decode(palette.encode(latents, dither=0), 64, 64)
    # 256 of 4096 points: k-means of a 4-dimensional Gaussian at 2 bits a dimension errs by about
    # 0.08 of its variance (the bound of rate and distortion is 0.0625).
    assert 0.0625 < np.square(plain - latents).mean() < 0.095


def test_dithering_lowers_banding():
    ramp = np.linspace(-1, 1, 64, dtype=np.float32)
    values = palette.quantise(np.broadcast_to(ramp[None, :, None], (64, 64, 4)))
    few = palette.make_palette(values.reshape(-1, 4), 6)
    smooth = []
    for amount in (0.0, 1.0):
        shown = few[palette.diffuse(values, few, amount)].astype(float)
        error = shown - values
        # What an eye sees of bands: the error's local mean.
        blocks = error.reshape(8, 8, 8, 8, 4).mean((1, 3))
        # The ends are beyond the outermost colours: no mixture reaches them.
        smooth.append(np.square(blocks[:, 1:-1]).mean())
    assert smooth[1] < 0.25 * smooth[0]


def test_diffusion_is_floyd_and_steinbergs():
    """Against the plain loop over places in reading order."""
    rng = np.random.default_rng(6)
    values = rng.integers(0, 256, (13, 9, 4)).astype(np.uint8)
    centres = rng.integers(0, 256, (20, 4)).astype(np.uint8)
    wanted = values.astype(np.float64)
    expected = np.zeros((13, 9), int)
    for y in range(13):
        for x in range(9):
            here = np.clip(wanted[y, x], 0, 255)
            expected[y, x] = np.square(centres - here).sum(1).argmin()
            error = here - centres[expected[y, x]]
            for dy, dx, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if y + dy < 13 and 0 <= x + dx < 9:
                    wanted[y + dy, x + dx] += error * share / 16
    assert np.array_equal(palette.diffuse(values, centres), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5), (80, 70)])
def test_any_size_comes_back(size):
    latents = gradient(*size)
    decoded = palette.decode(palette.encode(latents), *size)
    assert decoded.shape == latents.shape
    assert np.square(decoded - latents).mean() < 0.02


def test_what_is_no_palette_is_refused():
    good = palette.encode(gradient(8, 8))
    raw = zlib.decompress(good)
    count = raw[0] + 1
    bad_index = bytes([count]) if count < 256 else b""
    for body in (
        b"",
        b"garbage",
        good[:-5],
        good + b"x",
        zlib.compress(b""),
        zlib.compress(raw[:-1]),
        zlib.compress(raw + b"\0"),
        zlib.compress(raw[:-1] + bad_index),
        zlib.compress(bytes(10_000_000)),
    ):
        with pytest.raises(PayloadError, match="corrupt payload"):
            palette.decode(body, 8, 8)

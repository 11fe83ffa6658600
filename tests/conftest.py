"""Pictures that tests share, generated so that nothing needs a licence or a download."""

import io

import numpy as np
import pytest
from PIL import Image


def make_photo(height, width, seed=0):
    """A photograph-like (H, W, 3) uint8 picture: smooth shapes, edges and texture at all scales."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    cells = 3
    while cells < max(height, width):
        noise = rng.normal(size=(cells, cells, 3)) @ (0.75 * np.ones((3, 3)) / 3 + 0.25 * np.eye(3))
        octave = Image.fromarray(np.clip(noise * 40 + 128, 0, 255).astype(np.uint8))
        resized = np.asarray(octave.resize((width, height), Image.Resampling.BICUBIC))
        picture += (resized - 128.0) * (6 / cells) ** 0.9
        cells *= 2
    y, x = np.mgrid[:height, :width] / max(height, width)
    for _ in range(6):
        cx, cy, radius = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.05, 0.25)
        disc = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
        picture[disc] += rng.normal(0, 30, 3)
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


def make_text(height, width, seed=0):
    """A page of letter-like black strokes on white, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    page = np.full((height, width), 255, np.uint8)
    for top in range(4, height - 10, 14):
        for left in range(4, width - 8, 8):
            glyph = rng.random((4, 3)) < 0.5
            page[top : top + 8, left : left + 6][np.kron(glyph, np.ones((2, 2), bool))] = 20
    return np.repeat(page[..., None], 3, axis=2)


def encode(pixels, format_name="PNG", **options):
    """The bytes of a Pillow image or an array as a file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def photo():
    return make_photo(256, 384)


@pytest.fixture(scope="session")
def make():
    """The functions above, for tests that want pictures of their own."""

    class Make:
        photo = staticmethod(make_photo)
        text = staticmethod(make_text)
        file = staticmethod(encode)

    return Make

"""Pictures that tests share, generated so that nothing needs a licence or a download."""

import io

import hypothesis
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

# How long a test takes says more of the machine than of the code.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


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


def make_page(height, width):
    """A screenshot-like (H, W, 3) uint8 picture: smooth letters on areas, and a link's blue."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, 30), fill=(38, 50, 56))
    draw.rectangle((width - 90, 30, width, height), fill=(246, 248, 250))
    draw.text((8, 6), "Light pictures", font=ImageFont.load_default(16), fill="white")
    words = "latent grid of numbers a picture is made from small and whole with light on it".split()
    for row, top in enumerate(range(40, height - 20, 18)):
        line = " ".join(words[(row * 5 + n) % len(words)] for n in range(width // 70))
        draw.text((8, top), line, font=ImageFont.load_default(13), fill=(33, 33, 33))
        draw.text((width - 80, top), words[row % 15], font=ImageFont.load_default(12), fill="#06c")
    return np.asarray(image).copy()


def encode(pixels, format_name="PNG", **options):
    """The bytes of a Pillow image or an array as a file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session", autouse=True)
def no_home(tmp_path_factory):
    """The user's own folders are not written to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def photo():
    return make_photo(256, 384)


@pytest.fixture(scope="session")
def make():
    """The functions above, for tests that want pictures of their own."""

    class Make:
        photo = staticmethod(make_photo)
        text = staticmethod(make_text)
        page = staticmethod(make_page)
        file = staticmethod(encode)

    return Make

import math

import numpy as np
import pytest

from sitecodec import metrics
from sitecodec.encoding import fallback, images
from sitecodec.encoding.task import Task
from sitecodec.encoding.trials import TEXT


def jpeg(picture, target=0.0, limit=math.inf, graphics=False, floor=-math.inf):
    with metrics.against(picture) as score:
        return fallback.jpeg(Task(picture, score, graphics, target, floor, limit))


def test_it_is_the_best_within_a_sixth_of_a_byte_per_pixel(make):
    noisy = np.random.default_rng(0).integers(-40, 40, (256, 256, 3))
    pixels = np.clip(make.photo(256, 256, 3) + noisy, 0, 255).astype(np.uint8)
    files = [images.jpeg(pixels, quality) for quality in range(1, 81)]
    fitting = [file for file in files if len(file) <= 256 * 256 * 2 // 12]
    assert 0 < len(fitting) < 80
    assert jpeg(pixels, target=-1000).data == fitting[-1]


def test_its_quality_has_a_ceiling(make):
    smooth = np.full((256, 256, 3), 99, np.uint8)
    assert jpeg(smooth).data == images.jpeg(smooth, 80)


def test_it_reaches_what_every_file_has_to(make):
    picture = np.concatenate([make.photo(256, 384), make.page(256, 384)])
    least, more = jpeg(picture, 60), jpeg(picture, 85)
    for found, target in ((least, 60), (more, 85)):
        assert found.score >= target
        assert found.text >= TEXT
        assert metrics.ssimulacra2(picture, images.decode(found.data)) == found.score
    assert more.size > least.size
    assert jpeg(picture, 99) is None


@pytest.mark.parametrize(("part", "made"), [(0.4, True), (0.6, False)])
def test_over_half_of_the_author_s_bytes_it_must_look_the_same(make, part, made):
    picture = make.photo(256, 256, 3)
    size = jpeg(picture, 50).size
    assert (jpeg(picture, 50, limit=size / part) is not None) == made


def test_graphics_keep_their_colours_sharp(make):
    picture = make.page(128, 128)
    picture[40:, ::4] = (220, 30, 30)
    assert jpeg(picture, 30).score < jpeg(picture, 30, graphics=True).score

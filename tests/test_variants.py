"""Widths and formats of one source; tests/test_jobs.py has whole jobs."""

import itertools

import numpy as np
import pytest

from sitecodec import codecs, lettering, metrics
from sitecodec.encoding import images, palette, sources, variants
from sitecodec.encoding.task import is_graphics
from sitecodec.encoding.trials import TEXT
from sitecodec.facts.calibration import GRAPHICS_SCORE
from sitecodec.settings import Settings


@pytest.mark.parametrize(
    ("source", "wanted", "made"),
    [
        (400, (), [400]),
        (400, (100, 200), [200, 100]),
        (400, (100, 400, 800), [400, 100]),
        (400, (500,), [400]),
        (400, (399,), [399]),
    ],
)
def test_widths_are_never_over_the_source_s(source, wanted, made):
    assert variants._widths(source, wanted) == made


def test_what_is_kept_of_each_width_is_right(make):
    pixels = make.photo(160, 240)
    memos = {}
    outcome = variants.encode(sources.Source(pixels), 10**6, Settings(widths=(120, 240)), memos)
    assert sorted(memos) == [120, 240]
    assert all(memos.values())
    for variant in outcome.variants:
        shown = images.resized(pixels, variant.width) if variant.width < 240 else pixels
        if variant.format == "avif":
            score = metrics.ssimulacra2(shown, images.decode(variant.data))
            assert score == variant.score >= 50
    assert [v.width for v in outcome.variants] == sorted(
        (v.width for v in outcome.variants), reverse=True
    )


def test_nothing_is_made_that_is_not_smaller_than_the_source(make):
    outcome = variants.encode(sources.Source(make.photo(160, 240)), 60, Settings(), {})
    assert outcome.variants == ()
    assert outcome.reason == "already small"


def test_each_width_has_the_smallest_format(make):
    """A screenshot is smallest without loss; narrower, with blurred letters, as an AVIF."""
    pixels = make.page(720, 960)
    outcome = variants.encode(sources.Source(pixels), 10**6, Settings(widths=(240, 480, 960)), {})
    modern = [v for v in outcome.variants if v.format in ("avif", "webp")]
    assert len(modern) > 1
    for wide, narrow in itertools.pairwise(modern):
        assert len(narrow.data) <= 0.9 * len(wide.data)
    for variant in modern:
        shown = images.resized(pixels, variant.width)
        few = palette.fewer(shown, palette.REACHES[-1])[0]
        assert len(variant.data) <= 1.02 * len(images.lossless(few)[0].data)


def test_a_picture_is_classified_once_by_its_full_size(make):
    """Scaled down, hardly two neighbours of a drawing are equal: it is a drawing all the same."""
    pixels = np.kron(make.page(360, 480), np.ones((2, 2, 1), np.uint8))
    pixels[:, 480:] = np.kron(make.photo(180, 120), np.ones((4, 4, 1), np.uint8))
    small = images.resized(pixels, 300)
    assert is_graphics(pixels)
    assert not is_graphics(small)
    outcome = variants.encode(sources.Source(pixels), 10**6, Settings(widths=(300, 960)), {})
    assert {v.width for v in outcome.variants} == {300, 960}
    for variant in outcome.variants:
        shown = images.resized(pixels, variant.width)
        assert metrics.ssimulacra2(shown, images.decode(variant.data)) >= GRAPHICS_SCORE


def test_narrower_files_are_made_where_the_widest_gains_nothing(make):
    pixels = make.photo(400, 600)
    settings = Settings(quality=50, widths=(200, 600))
    whole = variants.encode(sources.Source(pixels), 10**6, settings, {})
    least = min(len(v.data) for v in whole.variants if v.width == 600)
    outcome = variants.encode(sources.Source(pixels), least - 1, settings, {})
    assert {v.width for v in outcome.variants} == {200}
    assert outcome.reason


def test_no_file_shows_text_worn(make):
    """Letters in a picture that is a photograph otherwise: its mean score overlooks them."""
    pixels = np.clip(make.photo(480, 640, 2) * 0.3 + 60, 0, 255).astype(np.uint8)
    pixels[20:120, 20:400] = make.page(200, 400)[60:160, 10:390] // 4 + 100
    assert not is_graphics(pixels)
    outcome = variants.encode(sources.Source(pixels), 10**6, Settings(quality=30), {})
    assert {"avif", "jpeg"} <= {v.format for v in outcome.variants}
    alike = lettering.against(pixels)
    for variant in outcome.variants:
        decode = codecs.get("web").decode if variant.format == "slat" else images.decode
        assert alike(decode(variant.data)) >= TEXT


@pytest.mark.parametrize("shape", [(17_000, 64), (64, 17_000)])
def test_a_side_that_few_formats_can_hold(make, shape):
    pixels = np.resize(make.page(300, 400), (*shape, 3))
    outcome = variants.encode(sources.Source(pixels), 10**7, Settings(), {})
    assert {v.format for v in outcome.variants} & {"png", "jpeg"}
    assert "webp" not in {v.format for v in outcome.variants}

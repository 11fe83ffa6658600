"""Widths and formats of one source; tests/test_jobs.py has whole jobs."""

import itertools

import pytest

from sitecodec import metrics
from sitecodec.encoding import images, sources, variants
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


def test_all_widths_share_the_format_of_the_widest(make):
    source = sources.Source(make.page(360, 480))
    outcome = variants.encode(source, 10**6, Settings(widths=(120, 240, 480)), {})
    modern = [v for v in outcome.variants if v.format in ("avif", "webp")]
    assert len({v.format for v in modern}) == 1
    assert len(modern) > 1
    for wide, narrow in itertools.pairwise(modern):
        assert len(narrow.data) <= 0.9 * len(wide.data)

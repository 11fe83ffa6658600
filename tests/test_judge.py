"""The second judge against the package whose metric it computes."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from sitecodec import metrics
from sitecodec.encoding import images
from sitecodec.engine import judge, judge_tables
from sitecodec.errors import EngineError


@pytest.fixture(scope="module")
def package():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    pycvvdp = pytest.importorskip("pycvvdp", reason="cvvdp is not installed")
    metric = pycvvdp.cvvdp(display_name="standard_fhd", device=torch.device("cpu"))
    return lambda reference, shown: float(metric.predict(shown, reference, dim_order="HWC")[0])


def coded(pixels, quality):
    return images.decode(images.avif(pixels, quality, speed=9))


@pytest.mark.parametrize("quality", [0, 30, 60, 95])
def test_figures_are_those_of_the_package(package, make, quality):
    for pixels in (make.photo(256, 384, seed=quality), make.text(301, 301, seed=quality)):
        shown = coded(pixels, quality)
        with metrics.judged_against(pixels) as judged:
            assert judged(shown) == pytest.approx(package(pixels, shown), abs=2e-3)


def test_odd_sides_are_mirrored_as_even_ones_are(package, make):
    pixels = make.photo(257, 384, seed=2)
    shown = coded(pixels, 20)
    with metrics.judged_against(pixels) as judged:
        assert judged(shown) == pytest.approx(package(pixels, shown), abs=0.06)


def test_it_gives_the_figures_that_the_package_gave(make):
    """Of cvvdp 0.5.7, for machines that have it not."""
    pixels = make.photo(256, 256, seed=4)
    darker = (pixels * 0.9).astype(np.uint8)
    tinted = np.ascontiguousarray(pixels + np.array([8, 0, -8])).clip(0, 255).astype(np.uint8)
    with metrics.judged_against(pixels) as judged:
        assert [judged(darker), judged(tinted)] == pytest.approx([9.9872, 9.5877], abs=2e-3)


def test_the_same_picture_has_the_best_figure_and_order_does_not_matter(make):
    pixels = make.photo(120, 144, seed=1)
    candidates = [coded(pixels, quality) for quality in (5, 40, 80)]
    with metrics.judged_against(pixels) as judged:
        first = [judged(picture) for picture in candidates]
        assert first == sorted(first)
        assert [judged(picture) for picture in reversed(candidates)] == first[::-1]
        assert judged(pixels) == judge.BEST


def test_small_large_and_transparent_pictures_are_judged(make):
    tiny = make.photo(5, 9, seed=1)
    with metrics.judged_against(tiny) as judged:
        assert judged(~tiny) < judged(tiny) == judge.BEST
    large = make.photo(1100, 1000, seed=1)
    with metrics.judged_against(large) as judged:
        assert judged(large // 2) < judged(large) == judge.BEST
    clear = np.dstack([tiny, np.full((5, 9), 128, np.uint8)])
    with metrics.judged_against(clear) as judged:
        assert judged(np.dstack([~tiny, clear[..., 3]])) < judged(clear) == judge.BEST


def test_pictures_of_other_sizes_are_refused(make):
    with (
        metrics.judged_against(make.photo(20, 30, seed=1)) as judged,
        pytest.raises(ValueError, match="differ"),
    ):
        judged(make.photo(30, 20, seed=1))
    with pytest.raises(EngineError), judge.opened(np.zeros((8, 8, 3), np.uint8)):
        pass


def test_the_committed_table_is_an_excerpt_of_the_packages():
    spec = importlib.util.find_spec("pycvvdp")
    if spec is None or spec.origin is None:
        pytest.skip("cvvdp is not installed")
    table = Path(spec.origin).with_name("vvdp_data") / "csf_lut_weber_fixed_size.json"
    assert json.loads(table.read_text())["omega"][0] == 0
    assert judge_tables.header(table) == judge_tables.HEADER.read_text(encoding="utf-8")

"""The scoring module against the PyPI package whose metric it computes."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sitecodec import metrics
from sitecodec.encoding import images
from sitecodec.engine import scores
from sitecodec.errors import EngineError


def package_s(reference, distorted):
    package = pytest.importorskip("ssimulacra2")

    def file(pixels):
        return io.BytesIO(b"P6 %d %d 255\n" % pixels.shape[1::-1] + pixels.tobytes())

    return package.compute_ssimulacra2(file(reference), file(distorted))


def coded(pixels, quality):
    return images.decode(images.avif(pixels, quality, speed=9))


def grey(pixels):
    return np.repeat(pixels[..., :1], 3, axis=2)


@pytest.mark.parametrize("quality", [0, 30, 60, 95])
@pytest.mark.parametrize("shape", [(256, 256), (257, 383), (225, 640), (341, 226)])
def test_scores_agree_with_the_package(make, shape, quality):
    for pixels in (make.photo(*shape, seed=quality), make.text(*shape, seed=quality)):
        for picture in (pixels, grey(pixels)):
            other = coded(picture, quality)
            expected = package_s(picture, other)
            assert metrics.ssimulacra2(picture, other) == pytest.approx(expected, abs=0.05)


def test_scores_agree_where_hardly_anything_differs(photo):
    other = photo.copy()
    other[100:140, 100:140] ^= 1
    assert metrics.ssimulacra2(photo, other) == pytest.approx(package_s(photo, other), abs=0.05)


def test_scores_agree_where_everything_differs():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 256, (2, 300, 300, 3), np.uint8)
    flat = np.zeros_like(a)
    for pair in ((a, b), (flat, a), (flat, ~flat)):
        expected = package_s(*pair)
        assert metrics.ssimulacra2(*pair) == pytest.approx(expected, abs=0.05, rel=1e-3)


def test_one_reference_scores_many_candidates_in_any_order(photo):
    candidates = [coded(photo, quality) for quality in (10, 50, 90)]
    alone = [
        metrics.Scores(metrics.ssimulacra2(photo, c), metrics.worst_tile(photo, c))
        for c in candidates
    ]
    with metrics.against(photo) as score:
        assert [score(c) for c in candidates] == alone
        assert [score(c) for c in reversed(candidates)] == alone[::-1]
        assert score(photo) == metrics.Scores(100, 100)


def test_threads_and_processes_score_alike(photo, tmp_path):
    other = coded(photo, 40)
    expected = metrics.ssimulacra2(photo, other)
    with ThreadPoolExecutor(3) as executor:
        assert set(executor.map(metrics.ssimulacra2, [photo] * 6, [other] * 6)) == {expected}
    np.savez(tmp_path / "pair.npz", a=photo, b=other)
    code = (
        "import sys, numpy; from sitecodec import metrics; p = numpy.load(sys.argv[1]);"
        "print(repr(metrics.ssimulacra2(p['a'], p['b'])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "pair.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) == expected


def test_arrays_need_not_be_contiguous(make):
    wide = make.photo(600, 600)
    other = coded(wide, 50)
    views = (wide[::2, ::2], other[::2, ::2])
    assert metrics.ssimulacra2(*views) == metrics.ssimulacra2(*map(np.ascontiguousarray, views))


def test_tiles_say_where_the_damage_is(make):
    pixels = make.photo(512, 768)
    other = pixels.copy()
    other[300:400, 600:700] = make.text(100, 100)
    tiles = [(x, y, x + 256, y + 256) for y in (0, 256) for x in (0, 256, 512)]
    with scores.opened(pixels) as score:
        found = score(other, [(0, 0, 768, 512), *tiles])
    assert found[6] == min(found) < 20
    assert found[1] == found[2] == found[4] == 100
    assert metrics.worst_tile(pixels, other) == found[6]


def test_a_tile_of_a_picture_scores_about_as_cut_out(make):
    pixels = make.photo(512, 512, 4)
    other = coded(pixels, 40)
    with scores.opened(pixels) as score:
        (inside,) = score(other, [(128, 64, 384, 320)])
    cut = metrics.ssimulacra2(pixels[64:320, 128:384], other[64:320, 128:384])
    assert cut - 4 < inside < cut + 1


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (5, 5), (5, 5, 4)])
def test_what_is_no_picture_is_refused(shape):
    pixels = np.zeros(shape, np.uint8)
    for metric in (metrics.ssimulacra2, metrics.worst_tile):
        with pytest.raises(ValueError, match="not a picture"):
            metric(pixels, pixels)


def test_the_module_refuses_sizes_and_tiles_out_of_range(photo):
    with pytest.raises(EngineError), scores.opened(np.zeros((7, 400, 3), np.uint8)):
        pass
    for tile in [(-1, 0, 9, 9), (0, 0, 385, 9), (0, -9, 9, 9), (0, 0, 9, 257), (9, 0, 9, 9)]:
        with scores.opened(photo) as score, pytest.raises(EngineError):
            score(photo, [tile])

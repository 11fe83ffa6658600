import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from sitecodec import engine, metrics, models
from sitecodec.codecs import refine
from sitecodec.codecs.web import WebCodec
from sitecodec.encoding import gate, refining, search
from sitecodec.encoding.task import Task
from sitecodec.errors import ModelError


@pytest.fixture(scope="module")
def pixels(make):
    return make.photo(256, 272, 5)


@pytest.fixture(scope="module")
def small(make):
    return make.photo(128, 144, 5)


@pytest.fixture(scope="module")
def files():
    return engine.Models(
        models.read(models.DEFAULT, "decoder"), models.read(models.DEFAULT, "encoder")
    )


def test_refined_payloads_score_more_for_their_bytes(pixels, files):
    plain = {q: engine.encode(pixels, files, q) for q in (30, 40, 50, 60)}
    curve = {len(p): metrics.ssimulacra2(pixels, engine.decode(p, files)) for p in plain.values()}
    payload = refine.refined(pixels, files, 40, 6)
    found = metrics.ssimulacra2(pixels, engine.decode(payload, files))
    sizes = sorted(curve)
    usual = np.interp(np.log(len(payload)), np.log(sizes), [curve[size] for size in sizes])
    assert found > usual + 0.3  # the score is three parts in ten of what is sought


def test_the_same_picture_gives_the_same_bytes(small, files):
    first, second = (refine.refined(small, files, 30, 5) for _ in range(2))
    assert first == second


def test_tuning_for_squared_error_lowers_it(small, files):
    scores = {}
    for tune in ("psnr", "score"):
        payload = refine.refined(small, files, 40, 5, tune)
        scores[tune] = metrics.psnr(small, engine.decode(payload, files))
    assert scores["psnr"] > scores["score"]


def test_blocks_cover_every_latent_once():
    for rows, columns in ((1, 1), (48, 49), (100, 30), (97, 150)):
        seen = np.zeros((rows, columns), int)
        for block in refine._blocks(rows, columns):
            window = seen[block.rows, block.columns]
            assert min(window.shape) >= min(rows, columns, 8)
            window[block.free] += 1
        assert (seen == 1).all()


def test_a_picture_of_several_blocks_is_as_good(small, files, monkeypatch):
    whole = refine.refined(small, files, 40, 5)
    monkeypatch.setattr(refine, "_BLOCK", 8)
    parts = refine.refined(small, files, 40, 5)
    assert len(parts) == pytest.approx(len(whole), rel=0.15)
    shown = [metrics.psnr(small, engine.decode(p, files)) for p in (whole, parts)]
    assert shown[1] == pytest.approx(shown[0], abs=0.5)


def test_small_pictures_are_encoded_as_ever(pixels, files):
    tiny = np.ascontiguousarray(pixels[:64])
    assert refine.refined(tiny, files, 40, 9) == engine.encode(tiny, files, 40)


def test_the_search_meets_its_target_or_gives_up(pixels):
    codec, memo = WebCodec(effort=5), {}
    curve = search.curve((8.0, 21.0, 31.0, 40.0, 48.0, 55.0, 61.0, 65.0, 68.0, 70.0, 72.0))
    sizes = np.arange(101) * 0.02
    with metrics.against(pixels) as score:
        task = Task(pixels, score, False, 40.0, 0.0, memo=memo)

        def smallest(worth, plain):
            return refining.smallest(
                task, pixels, codec, worth, refining.Plain(curve, sizes, plain)
            )

        found = smallest(1e9, 9000.0)
        assert found is not None
        assert found.score >= 40
        assert codec.decode(found.data).shape == pixels.shape
        assert 1 <= len(memo) <= 3
        assert smallest(1e9, 9000.0) == found
        tried = dict(memo)
        assert smallest(100, 150.0) is None
        assert memo == tried  # one trial told that no other is small enough
        memo.clear()
        assert smallest(found.size, found.size * 1.7) is None
        assert not memo  # no refining has ever saved so much


def test_the_gate_takes_the_smaller_payload(pixels):
    with metrics.against(pixels) as score:
        verdicts = [
            gate.choose(Task(pixels, score, False, 40, 0, 10**6), WebCodec(effort=effort))
            for effort in (3, 5)
        ]
    sizes = [v.payload.size if v.payload else 10**6 for v in verdicts]
    assert sizes[1] <= sizes[0]
    assert sizes[1] < 10**6


def test_without_torch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(ModelError, match=r"sitecodec\[torch\]"):
        refine.check_torch(5)
    refine.check_torch(4)

import io
import itertools
import json
import math
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import AvifImagePlugin, Image

from sitecodec import bench, codecs, metrics
from sitecodec.bench import Point, Results, bdrate, judges, measure, report
from sitecodec.codecs.web import WebCodec
from sitecodec.encoding import images, sources
from sitecodec.errors import SitecodecError
from sitecodec.settings import Settings

KODAK = Path(__file__).resolve().parents[2] / "shared" / "data" / "kodak"
CODECS = ["jpeg", "webp", "avif", "avif-tuned", "web"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make):
    root = tmp_path_factory.mktemp("pictures")
    Image.fromarray(make.photo(96, 128, 1)).save(root / "a.png")
    Image.fromarray(make.photo(130, 80, 2)).save(root / "b c.png")
    transparent = Image.fromarray(make.photo(40, 40, 3)).convert("RGBA")
    transparent.putalpha(100)
    transparent.save(root / "alpha.png")
    (root / "garbage.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return root


@pytest.fixture(scope="module")
def measured(folder):
    """(results, progress calls) of a run over two good and three bad pictures."""
    calls = []
    names = ["a.png", "alpha.png", "garbage.png", "missing.png", "b c.png"]
    results = bench.run(
        [folder / name for name in names], progress=lambda *call: calls.append(call)
    )
    return results, calls


def curve(rate_factor, scores=(20.0, 25.0, 30.0, 35.0)):
    return tuple(
        Point(q, rate_factor * 2.0**q / 8, s, 1 - 10 ** (-s / 20), 2 * s, 0.5, 0.1)
        for q, s in enumerate(scores)
    )


def test_every_codec_has_a_rising_curve(measured):
    results, _ = measured
    assert list(results.curves) == CODECS
    for points in results.curves.values():
        assert 6 <= len(points) <= 8
        for lower, higher in itertools.pairwise(points):
            assert lower.quality < higher.quality
            assert lower.bpp < higher.bpp
            assert lower.psnr < higher.psnr
        assert all(p.encode_seconds > 0 and p.decode_seconds > 0 for p in points)


def test_points_are_means_of_whole_files_and_their_scores(measured, folder):
    results, _ = measured
    web = codecs.get("web", effort=Settings.effort)
    expected = []
    for name in ("a.png", "b c.png"):
        pixels = np.asarray(Image.open(folder / name))
        file = web.encode(pixels, 60)
        decoded = web.decode(file)
        expected.append(
            (
                len(file) * 8 / (pixels.shape[0] * pixels.shape[1]),
                metrics.psnr(pixels, decoded),
                metrics.ms_ssim(pixels, decoded),
                metrics.ssimulacra2(pixels, decoded),
            )
        )
    point = next(p for p in results.curves["web"] if p.quality == 60)
    measured_point = (point.bpp, point.psnr, point.ms_ssim, point.ssimulacra2)
    assert measured_point == pytest.approx(np.mean(expected, axis=0), rel=1e-9)


def test_avif_is_pillows_own_and_the_tuned_one_that_of_builds(measured, folder):
    results, _ = measured
    ways = {
        ("avif", 30): lambda pixels: make_avif(pixels, quality=30),
        ("avif-tuned", 31): lambda pixels: images.avif(pixels, 31),
    }
    for (name, quality), way in ways.items():
        sizes = []
        for file in ("a.png", "b c.png"):
            pixels = np.asarray(Image.open(folder / file))
            sizes.append(len(way(pixels)) * 8 / (pixels.shape[0] * pixels.shape[1]))
        point = next(p for p in results.curves[name] if p.quality == quality)
        assert point.bpp == pytest.approx(np.mean(sizes))


def make_avif(pixels, quality):
    file = io.BytesIO()
    options = {"subsampling": "4:2:0", "max_threads": 1}
    Image.fromarray(pixels).save(file, "AVIF", quality=quality, speed=6, **options)
    return file.getvalue()


def judged(make, name):
    pixels = make.photo(96, 128, 1)
    judge = judges.available()[0].get(name)
    if judge is None:
        pytest.skip(" ".join(line for line in judges.available()[1] if name in line.lower()))
    pictures = [images.decode(images.avif(pixels, quality, 9)) for quality in (15, 60)]
    return [judges.quality(name, judge(pixels, picture)) for picture in (*pictures, pixels)]


@pytest.mark.parametrize("name", ["butteraugli", "cvvdp"])
def test_judges_prefer_the_better_picture(make, name):
    worse, better, same = judged(make, name)
    assert worse < better < same


def test_judges_that_are_missing_are_a_line_each(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(judges, "_installed", lambda name: name == "torch")
    asked, missing = judges.available()
    assert asked == {}
    assert [line.split()[0] for line in missing] == ["butteraugli", "ColorVideoVDP"]
    assert "torchvision, pycvvdp" in missing[1]


def test_without_scipy_there_are_no_bd_rates_and_a_line_says_so(make, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "scipy", None)
    path = tmp_path / "a.png"
    path.write_bytes(make.file(make.photo(64, 96, 3)))
    results = bench.run([path], ["avif", "webp"])
    assert any(line.startswith("BD-rates left out") for line in results.missing)
    assert set(bench.bd_rates(results)["webp"].values()) == {None}
    with pytest.raises(SitecodecError, match="install it with"):
        bdrate.bd_rate([(1, 1), (2, 2)], [(1, 1), (2, 2)])


def test_bad_pictures_are_a_line_each_and_count_nowhere(measured):
    results, _ = measured
    assert results.pictures == 2
    assert results.pixels == 96 * 128 + 130 * 80
    assert len(results.problems) == 3
    for name, problem in zip(
        ("alpha.png", "garbage.png", "missing.png"), results.problems, strict=True
    ):
        assert name in problem
        assert "\n" not in problem
        assert problem.count(name) == 1
    assert "transparency" in results.problems[0]


def test_progress_rises_to_the_total(measured):
    _, calls = measured
    totals = {total for _, total in calls}
    assert len(totals) == 1
    done = [done for done, _ in calls]
    assert done == sorted(done)
    assert done[-1] == totals.pop()
    assert len(set(done)) > 10


def test_the_avif_decoder_gets_its_threads_back(measured):
    assert AvifImagePlugin.DEFAULT_MAX_THREADS == 0


def test_nothing_measured(tmp_path):
    results = bench.run([tmp_path / "none.png"])
    assert results.curves == {}
    assert len(results.problems) == 1
    values = bench.to_json(results)
    assert (values["curves"], values["bd_rate"]) == ({}, {})
    assert {"pillow", "libavif", "libaom"} <= values["versions"].keys()
    assert "no picture" in bench.render_table(results)
    assert bench.run([]).problems == ()


def test_large_pictures_are_scored_by_a_sample(monkeypatch, tmp_path, make):
    # One quality each: what matters is the size.
    monkeypatch.setattr(measure, "_QUALITIES", dict.fromkeys(CODECS, (50,)))
    Image.fromarray(make.photo(1100, 1000, 4)).save(tmp_path / "large.png", compress_level=1)
    results = bench.run([tmp_path / "large.png"])
    assert (results.pictures, results.sampled) == (1, 1)
    assert "over a megapixel" in bench.render_table(results)
    pixels = np.asarray(Image.open(tmp_path / "large.png"))
    web = codecs.get("web", effort=Settings.effort)
    decoded = web.decode(web.encode(pixels, 50))
    assert results.curves["web"][0].psnr == pytest.approx(metrics.psnr(pixels, decoded))


def test_bd_rates_of_known_curves():
    results = Results(
        {
            "avif": curve(1.0),
            "web": curve(0.5),
            "jpeg": curve(3.0),
            "webp": curve(1.0, (70.0, 71.0, 72.0, 73.0)),
        },
        *(1, 1, 0, ()),
    )
    rates = bench.bd_rates(results)
    assert set(rates) == {"web", "jpeg", "webp"}
    for metric in ("psnr", "ms_ssim", "ssimulacra2"):
        assert rates["web"][metric] == pytest.approx(-50)
        assert rates["jpeg"][metric] == pytest.approx(200)
        assert rates["webp"][metric] is None  # no quality in common
    assert " - " in bench.render_table(results) + " "


def test_json_has_three_keys_and_only_json_values(measured, tmp_path):
    results, _ = measured
    bench.write_json(results, tmp_path / "r.json")
    data = json.loads((tmp_path / "r.json").read_text())
    assert set(data) == {"curves", "bd_rate", "versions"}
    assert list(data["curves"]) == CODECS
    assert set(data["bd_rate"]) == {"jpeg", "webp", "avif-tuned", "web"}
    assert set(data["bd_rate"]["web"]) == set(report._METRICS)
    assert data["curves"]["web"][0]["bpp"] == results.curves["web"][0].bpp

    lossless = Point(100, 9.0, math.inf, 1.0, 100.0, 1.0, 1.0)
    infinite = Results({"avif": (*curve(1.0), lossless), "web": curve(0.5)}, *(1, 1, 0, ()))
    text = json.dumps(bench.to_json(infinite), allow_nan=False)
    assert json.loads(text)["curves"]["avif"][-1]["psnr"] is None
    assert json.loads(text)["curves"]["avif"][-1]["ms_ssim_db"] is None
    assert json.loads(text)["curves"]["web"][0]["ms_ssim_db"] == pytest.approx(10)
    assert json.loads(text)["bd_rate"]["web"]["psnr"] == pytest.approx(-50)


def test_json_that_cannot_be_written(measured, tmp_path):
    results, _ = measured
    with pytest.raises(SitecodecError, match="cannot write") as raised:
        bench.write_json(results, tmp_path / "no folder" / "r.json")
    assert "\n" not in str(raised.value)


def test_table_fits_a_terminal(measured):
    results, _ = measured
    table = bench.render_table(results)
    assert max(map(len, table.splitlines())) <= 80
    assert "web, effort 3" in table
    assert "2 pictures" in table
    extreme = Point(100, 23.456, math.inf, 1.0, -1234.5, 1234.567, 1234.567)
    wide = Results(dict.fromkeys(CODECS, (*curve(1.0), extreme)), *(99999, 10**12, 12345, ()))
    assert max(map(len, bench.render_table(wide).splitlines())) <= 80


def test_plot(measured, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra 'bench' is not installed")
    results, _ = measured
    for name in ("one.svg", "two.svg"):
        bench.plot(results, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    root = ET.parse(tmp_path / "one.svg").getroot()
    groups = [g.get("id", "") for g in root.iter("{http://www.w3.org/2000/svg}g")]
    panels = 3 + len(judges.available()[0])
    assert {f"axes_{n + 1}" for n in range(panels)} <= set(groups)
    assert f"axes_{panels + 1}" not in groups
    bench.plot(results, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.format == "PNG"
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    lossless = Point(100, 9.0, math.inf, 1.0, 100.0, 1.0, 1.0)
    bench.plot(Results({"web": (lossless,), "avif": curve(1.0)}, 1, 1, 0, ()), tmp_path / "p.png")
    for path in (tmp_path / "plot.txt", tmp_path / "no folder" / "plot.svg"):
        with pytest.raises(SitecodecError, match="cannot write the plot") as raised:
            bench.plot(results, path)
        assert "\n" not in str(raised.value)


@pytest.mark.skipif(not KODAK.exists(), reason="needs Kodak in ../shared/data/kodak")
def test_web_0_agrees_with_its_card_on_kodim23():
    # Ideal bytes and PSNR of the float weights; the payload adds a header and quantisation.
    card = [
        (3799, 29.91),
        (5945, 31.76),
        (9175, 33.48),
        (14321, 35.05),
        (21150, 36.15),
        (30130, 36.84),
    ]
    source = sources.load((KODAK / "kodim23.webp").read_bytes(), "kodim23", 10**6)
    payloads = WebCodec("web-0").encode_many(source.pixels, [0, 20, 40, 60, 80, 100])
    for payload, (size, psnr) in zip(payloads, card, strict=True):
        assert len(payload) == pytest.approx(size + 20, rel=0.005)
        shown = WebCodec().decode(payload)
        assert metrics.psnr(source.pixels, shown) == pytest.approx(psnr, abs=0.07)

import json
import logging
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sitecodec import codecs, metrics
from sitecodec.disk import store
from sitecodec.disk.store import Store
from sitecodec.encoding import images, jobs, sources
from sitecodec.encoding.jobs import Job, Outcome
from sitecodec.errors import ImageError
from sitecodec.settings import Settings

SETTINGS = Settings(quality=30, min_bytes=100)


@pytest.fixture(scope="module")
def folder(make, tmp_path_factory):
    """Sources of every kind: three photographs (two alike), and what is left alone or broken."""
    folder = tmp_path_factory.mktemp("docs")
    photo = make.file(make.photo(96, 128, 1))
    (folder / "photo.png").write_bytes(photo)
    (folder / "copy of photo ü%20;.png").write_bytes(photo)
    (folder / "other.png").write_bytes(make.file(make.photo(96, 128, 2)))
    moving = [images.Image.fromarray(make.photo(64, 64, seed)) for seed in (3, 4)]
    data = make.file(moving[0], "WEBP", save_all=True, append_images=moving[1:])
    (folder / "moving.webp").write_bytes(data)
    (folder / "tiny.png").write_bytes(b"tiny")
    (folder / "broken.png").write_bytes(photo[: len(photo) // 2])
    (folder / "dangling.png").symlink_to(folder / "nowhere.png")
    (folder / "folder.png").mkdir()
    return folder


@pytest.fixture
def cache(tmp_path):
    return Store(tmp_path / "store")


def run(folder, executor, cache, *names, settings=SETTINGS):
    names = names or sorted(path.name for path in folder.iterdir())
    results = list(
        jobs.encode_images([Job(folder / name, settings) for name in names], executor, cache)
    )
    assert sorted(job.source.name for job, _ in results) == sorted(names)
    return {job.source.name: outcome for job, outcome in results}


@pytest.fixture(scope="module")
def inline(folder):
    return run(folder, None, None)


def test_a_photograph_becomes_variants_that_show_it(folder):
    source = folder / "photo.png"
    outcome = jobs.encode_image(Job(source, SETTINGS))
    pixels = sources.load(source.read_bytes(), "photo", 10**6).pixels
    assert (outcome.width, outcome.height) == (128, 96)
    assert outcome.source_bytes == source.stat().st_size
    variants = {variant.format: variant for variant in outcome.variants}
    assert {"avif", "jpeg"} <= set(variants)
    assert ("slat" in variants) == (outcome.reason == "")
    avif = images.decode(variants["avif"].data)
    assert metrics.ssimulacra2(pixels, avif) == variants["avif"].score
    assert images.decode(variants["jpeg"].data).shape == pixels.shape
    assert all(len(v.data) < outcome.source_bytes for v in outcome.variants)
    assert all((v.width, v.height) == (128, 96) for v in outcome.variants)


def test_a_kept_payload_is_the_codec_s_and_carries_its_score(folder):
    source = folder / "photo.png"
    outcome = jobs.encode_image(Job(source, replace(SETTINGS, quality=50)))
    assert outcome.reason == ""
    assert [variant.format for variant in outcome.variants] == ["slat", "avif", "jpeg"]
    slat = outcome.variants[0]
    pixels = sources.load(source.read_bytes(), "photo", 10**6).pixels
    codec = codecs.get("web", effort=SETTINGS.effort)
    assert slat.data == codec.encode(pixels, slat.quality)
    assert slat.score == metrics.ssimulacra2(pixels, codec.decode(slat.data))
    assert 50 <= slat.score < 53
    assert len(slat.data) < 0.95 * len(outcome.variants[1].data)


def test_a_cutout_keeps_its_alpha_in_every_variant(make, tmp_path):
    pixels = np.dstack([make.photo(96, 128, 4), make.photo(96, 128, 5)[..., 0]])
    pixels[:30, :, 3] = 0
    source = tmp_path / "cutout.png"
    source.write_bytes(make.file(images.Image.fromarray(pixels)))
    outcome = jobs.encode_image(Job(source, replace(SETTINGS, widths=(128, 64))))
    formats = {variant.format for variant in outcome.variants}
    assert {"webp"} <= formats <= {"webp", "slat"}  # its alpha is soft: see tests/browser
    assert {variant.width for variant in outcome.variants} == {128, 64}
    for variant in outcome.variants:
        decode = codecs.get("web").decode if variant.format == "slat" else images.decode
        shown = decode(variant.data)
        assert shown.shape == (variant.height, variant.width, 4)
        assert np.abs(shown[: variant.height // 4, :, 3]).max() < 20


def test_sources_left_alone_say_why(folder, inline):
    assert inline["moving.webp"].reason == "animated"
    assert inline["moving.webp"].variants == ()
    assert inline["tiny.png"] == Outcome(0, 0, 4, (), "too small")


def test_flat_graphics_that_are_small_are_left_alone(make, tmp_path):
    path = tmp_path / "flat.png"
    board = np.kron(np.indices((40, 50)).sum(axis=0) % 2, np.ones((8, 8))) > 0
    pixels = np.asarray(images.Image.fromarray(board).convert("RGB"))
    small = images.png(pixels).data
    path.write_bytes(make.file(images.Image.fromarray(board), optimize=True))
    assert path.stat().st_size <= len(small)
    outcome = jobs.encode_image(Job(path, replace(SETTINGS, min_bytes=0)))
    assert all(v.format in ("slat", "webp", "png") for v in outcome.variants)
    payloads = [v for v in outcome.variants if v.format == "slat"]
    assert all((codecs.get("flat").decode(v.data) == pixels).all() for v in payloads)
    assert not payloads or len(outcome.variants) > len(payloads)
    assert bool(outcome.variants) == (outcome.reason == "")


def test_a_screenshot_gets_a_lossless_file(make, tmp_path):
    path = tmp_path / "screen.png"
    path.write_bytes(make.file(make.text(300, 400)))
    outcome = jobs.encode_image(Job(path, SETTINGS))
    pixels = make.text(300, 400)
    best = next(v for v in outcome.variants if v.format != "slat")
    assert best.format in ("webp", "png")
    assert (images.decode(best.data) == pixels).all()
    assert len(best.data) < len(images.avif(pixels, 50))


def test_a_screenshot_is_shown_in_the_same_few_colours_by_every_browser(make, tmp_path):
    pixels = make.page(300, 400)
    path = tmp_path / "screen.png"
    path.write_bytes(make.file(pixels))
    payload, best, fallback = jobs.encode_image(Job(path, SETTINGS)).variants
    assert (payload.format, best.format, fallback.format) == ("slat", "webp", "png")
    assert 85 <= best.score == fallback.score < 100
    np.testing.assert_array_equal(images.decode(best.data), images.decode(fallback.data))
    assert len(best.data) < 0.8 * len(images.lossless(pixels)[0].data)


def test_widths(make, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(make.file(make.photo(200, 400)))
    outcome = jobs.encode_image(Job(path, replace(SETTINGS, widths=(100, 200, 390, 800))))
    assert (outcome.width, outcome.height) == (400, 200)
    widths = jobs.by_width(outcome)
    sizes = [next(iter(files.values())).width for files in widths]
    assert sizes[0] == 400
    assert sizes == sorted(sizes, reverse=True)
    assert {100, 200} <= set(sizes)
    avifs = [files["avif"] for files in widths if "avif" in files]
    for wide, narrow in pairwise(avifs):
        assert len(narrow.data) <= 0.9 * len(wide.data)
        assert images.decode(narrow.data).shape == (narrow.height, narrow.width, 3)


def test_no_width_over_the_largest_wanted(make, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(make.file(make.photo(200, 400)))
    outcome = jobs.encode_image(Job(path, replace(SETTINGS, widths=(300,))))
    assert {(v.width, v.height) for v in outcome.variants} == {(300, 150)}
    assert (outcome.width, outcome.height) == (400, 200)


def test_a_small_jpeg_is_its_own_fallback(make, tmp_path):
    path = tmp_path / "small.jpg"
    path.write_bytes(make.file(make.photo(200, 200), "JPEG", quality=40, optimize=True))
    outcome = jobs.encode_image(Job(path, SETTINGS))
    for variant in outcome.variants:
        if variant.format == "jpeg":
            assert len(variant.data) <= 0.9 * outcome.source_bytes


@pytest.mark.parametrize("name", ["broken.png", "dangling.png", "folder.png", "missing.png"])
def test_bad_sources_raise_one_line_that_names_them(folder, name):
    with pytest.raises(ImageError, match=rf"^[^\n]*{name}: [^\n]*;[^\n]*$"):
        jobs.encode_image(Job(folder / name, SETTINGS))


def test_one_failure_stops_nothing(inline):
    failed = {name for name, outcome in inline.items() if isinstance(outcome, ImageError)}
    assert failed == {"broken.png", "dangling.png", "folder.png"}
    assert all(name in str(inline[name]) for name in failed)
    assert len(inline) == 8


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a file"):
        jobs.encode_image(Job(tmp_path / "pipe.png", SETTINGS))


def comparable(results):
    return {n: str(o) if isinstance(o, ImageError) else o for n, o in results.items()}


def test_threads_give_what_one_thread_gives(folder, inline, cache):
    with ThreadPoolExecutor(2) as executor:
        assert comparable(run(folder, executor, cache)) == comparable(inline)


def test_processes_give_what_one_process_gives(folder, inline, cache):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert comparable(run(folder, executor, cache)) == comparable(inline)


def test_the_store_answers_the_second_time(folder, inline, cache, monkeypatch):
    first = run(folder, None, cache)
    entries = cache.stats().entries
    # Of two different photographs what came of them and what was measured; the animated picture.
    assert entries == 5
    monkeypatch.setattr(jobs, "_encode", None)  # what must not run any more
    good = [name for name, outcome in first.items() if isinstance(outcome, Outcome)]
    second = run(folder, None, cache, *good)
    assert second == {name: first[name] for name in good}
    assert cache.stats().entries == entries


def test_another_target_uses_what_was_measured(folder, cache, monkeypatch):
    higher = replace(SETTINGS, quality=33)
    expected = jobs.encode_image(Job(folder / "photo.png", higher))
    run(folder, None, cache, "photo.png")
    quick = []
    real = images.avif
    monkeypatch.setattr(
        images, "avif", lambda p, q, s, c: (quick.append(q) if s > 6 else None, real(p, q, s, c))[1]
    )
    assert run(folder, None, cache, "photo.png", settings=higher) == {"photo.png": expected}
    assert len(quick) <= 1


def test_equal_sources_are_encoded_once(folder, monkeypatch):
    seen = []
    real = jobs._encode
    monkeypatch.setattr(
        jobs, "_encode", lambda job, *rest: (seen.append(job.source.name), real(job, *rest))[1]
    )
    results = run(folder, None, None, "photo.png", "other.png", "copy of photo ü%20;.png")
    assert sorted(seen) == ["other.png", "photo.png"]
    assert results["photo.png"] == results["copy of photo ü%20;.png"] != results["other.png"]


@pytest.mark.parametrize(
    "change",
    [
        {"quality": 31},
        {"min_tile_score": 9.5},
        {"max_pixels": 10**6},
        {"min_bytes": 99},
        {"widths": (100,)},
    ],
)
def test_settings_that_matter_are_part_of_the_key(folder, change):
    digest = bytes(32)
    assert jobs._key(digest, SETTINGS) != jobs._key(digest, replace(SETTINGS, **change))


def test_settings_that_do_not_matter_are_not(folder):
    other = replace(SETTINGS, workers=3, asset_dir="x", exclude=("a",), store=Path("elsewhere"))
    assert jobs._key(bytes(32), SETTINGS) == jobs._key(bytes(32), other)
    assert jobs._key(bytes(32), SETTINGS) != jobs._key(b"1" * 32, SETTINGS)


WARM = """
import json, sys
from pathlib import Path
from sitecodec.encoding import jobs
from sitecodec.settings import Settings
from sitecodec.disk.store import Store

work = [jobs.Job(Path(name), Settings(quality=30, min_bytes=100)) for name in sys.argv[2:]]
outcomes = [outcome for _, outcome in jobs.encode_images(work, None, Store(Path(sys.argv[1])))]
assert all(isinstance(outcome, jobs.Outcome) for outcome in outcomes), outcomes
heavy = ("numpy", "PIL", "scipy", "wasmtime", "torch", "mkdocs")
print(json.dumps([name for name in heavy if name in sys.modules]))
"""


def test_a_warm_answer_imports_nothing_heavy(folder, cache):
    names = ["photo.png", "moving.webp", "tiny.png"]
    run(folder, None, cache, *names)
    done = subprocess.run(
        [sys.executable, "-c", WARM, str(cache.root), *[str(folder / name) for name in names]],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_a_damaged_entry_is_encoded_again(folder, cache):
    first = run(folder, None, cache, "photo.png")
    name = jobs._key(jobs.hashlib.sha256((folder / "photo.png").read_bytes()).digest(), SETTINGS)
    assert cache.get(name) is not None
    cache.put(name, b"SCO1 nonsense with a sound checksum")
    assert run(folder, None, cache, "photo.png") == first
    assert jobs.unpack(cache.get(name)) == first["photo.png"]


def test_a_store_that_cannot_be_written_costs_one_warning(folder, inline, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "sitecodec"):
        results = run(folder, None, Store(tmp_path / "file" / "store"), "photo.png", "other.png")
    assert results == {name: inline[name] for name in ("photo.png", "other.png")}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot write to the store" in caplog.text


def test_what_changes_while_it_waits_is_stored_under_its_own_key(make, tmp_path, cache):
    # The source is replaced between the look into the store and the encoding.
    source = tmp_path / "photo.png"
    before, after = (make.file(make.photo(64, 64, seed)) for seed in (1, 2))
    source.write_bytes(before)

    class Late(ThreadPoolExecutor):
        def submit(self, *args):
            source.write_bytes(after)
            return super().submit(*args)

    with Late(1) as executor:
        [(_, late)] = jobs.encode_images([Job(source, SETTINGS)], executor, cache)
    assert late == jobs.encode_image(Job(source, SETTINGS))
    sha256 = jobs.hashlib.sha256
    assert cache.get(jobs._key(sha256(before).digest(), SETTINGS)) is None
    assert jobs.unpack(cache.get(jobs._key(sha256(after).digest(), SETTINGS))) == late


def die(*_):
    os._exit(1)


def test_a_worker_that_dies_is_an_error_of_its_images(folder, monkeypatch):
    monkeypatch.setattr(jobs, "_work", die)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        results = run(folder, executor, None, "photo.png", "other.png")
    assert all(isinstance(outcome, ImageError) for outcome in results.values())
    assert "encoding stopped unexpectedly" in str(results["photo.png"])


def test_an_unexpected_error_is_the_image_s_alone(folder, monkeypatch):
    real = jobs._encode

    def fail(job, *rest):
        if job.source.name == "photo.png":
            raise ZeroDivisionError("a bug,\nin two lines")
        return real(job, *rest)

    monkeypatch.setattr(jobs, "_encode", fail)
    results = run(folder, None, None, "photo.png", "other.png")
    assert (
        "photo.png: encoding stopped unexpectedly (ZeroDivisionError a bug, in two lines)"
        in str(results["photo.png"])
    )
    assert isinstance(results["other.png"], Outcome)


def test_a_consumer_may_stop_early(folder):
    with ThreadPoolExecutor(1) as executor:
        results = jobs.encode_images(
            [Job(folder / name, SETTINGS) for name in ("photo.png", "other.png")], executor, None
        )
        next(results)
        results.close()


def test_keys_of_outcomes_are_keys_of_the_store():
    assert jobs._key(bytes(32), SETTINGS) != store.key(bytes(32))
    assert len(jobs._key(bytes(32), SETTINGS)) == 64

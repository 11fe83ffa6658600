"""sitecodec.visitors.worker: what goes into a site, and when it is worth it."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from sitecodec import codecs, engine, models
from sitecodec.disk.store import Store
from sitecodec.page.html import scan
from sitecodec.report.weight import measure
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from sitecodec.visitors import break_even, worker

FOLDER = "assets/sitecodec"


@pytest.fixture(scope="module")
def payload(make):
    return codecs.get("web").encode(make.photo(40, 48), 50)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def add(site: Path, stem: str, payload: bytes, fallback: str = ".avif") -> None:
    folder = site / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.slat").write_bytes(payload)
    if fallback:
        (folder / f"{stem}{fallback}").write_bytes(b"x")


def facts(script: bytes) -> dict[str, str]:
    """What the build put into a script."""
    match = re.search(rb"\((\{\".*?\})\);", script)
    assert match
    found = json.loads(match[1])
    assert isinstance(found, dict)
    return found


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def make_site(root: Path, make, pages: int = 1) -> Path:
    (root / "deep").mkdir(parents=True)
    (root / "a.png").write_bytes(make.file(make.photo(80, 120, 0)))
    for n in range(pages):
        (root / f"{n}.html").write_text("<main><img src=a.png><img src=a.png></main>")
    (root / "deep/index.html").write_text("<img src=../a.png>")
    (root / "bare.html").write_text("<p>no image</p>")
    return root


def test_the_worker_knows_what_the_site_holds(tmp_path, payload):
    add(tmp_path, "a-000000000001-48w", payload)
    add(tmp_path, "b-000000000002-48w", payload, ".jpg")
    assert worker.write(tmp_path, FOLDER) == 2
    known = facts((tmp_path / worker.NAME).read_bytes())
    assert known["stems"] == "000000000001000000000002"
    assert known["folder"] == FOLDER
    for name, wanted in (
        (known["engine"], engine.DECODER.read_bytes()),
        (known["model"], models.read(models.DEFAULT, "decoder")),
    ):
        packed = (tmp_path / FOLDER / name).read_bytes()
        assert zlib.decompress(packed, wbits=31) == wanted


def test_a_change_of_the_decoder_reaches_visitors_and_no_payload(tmp_path, payload, monkeypatch):
    add(tmp_path, "a-000000000001-48w", payload)
    worker.write(tmp_path, FOLDER)
    before = facts((tmp_path / worker.NAME).read_bytes())
    identities = [codecs.get(name).identity for name in ("web", "flat")]
    other = tmp_path / "decoder.wasm"
    other.write_bytes(engine.DECODER.read_bytes() + b"\0\1\0")  # a section that says nothing
    monkeypatch.setattr(engine, "DECODER", other)
    worker._engine.cache_clear()
    worker.write(tmp_path, FOLDER)
    worker._engine.cache_clear()
    after = facts((tmp_path / worker.NAME).read_bytes())
    assert {name for name in before if before[name] != after[name]} == {"engine", "version"}
    assert not (tmp_path / FOLDER / before["engine"]).exists()
    assert [codecs.get(name).identity for name in ("web", "flat")] == identities


def test_only_payloads_that_the_worker_can_decode_and_is_asked_for_are_listed(tmp_path, payload):
    other_model = payload[:6] + b"\1\2\3\4" + payload[10:]
    other_codec = payload[:5] + b"\1" + payload[6:]
    newer = payload[:4] + b"\3" + payload[5:]
    add(tmp_path, "a-000000000001-48w", payload, "")
    for n, data in enumerate((other_model, other_codec, newer, b""), start=2):
        add(tmp_path, f"a-00000000000{n}-48w", data)
    add(tmp_path, "author-s-own", payload)
    assert worker.decodable(tmp_path / FOLDER) == {}


def test_flat_graphics_need_no_model(tmp_path, payload, make):
    flat = codecs.get("flat").encode(make.text(40, 48), 100)
    add(tmp_path, "a-000000000001-48w", flat, ".webp")
    assert worker.write(tmp_path, FOLDER) == 1
    assert facts((tmp_path / worker.NAME).read_bytes())["model"] == ""
    assert not break_even.has_model(tmp_path, FOLDER)
    alone = worker.shipped(tmp_path, FOLDER)
    assert worker.cost(1) - worker.cost(1, model=None) > 10 * alone > 100_000
    add(tmp_path, "b-000000000002-48w", payload)
    kinds = {"000000000001": False, "000000000002": True}
    assert worker.decodable(tmp_path / FOLDER) == kinds
    for stem, latents in zip("ab", kinds.values(), strict=True):
        (path,) = (tmp_path / FOLDER).glob(f"{stem}-*.slat")
        assert worker.needs_model(path) is latents
    assert worker.write(tmp_path, FOLDER) == 2
    assert break_even.has_model(tmp_path, FOLDER)
    # Where they pay for the worker and latents do not for the model.
    assert worker.write(tmp_path, FOLDER, model=None) == 1
    assert facts((tmp_path / worker.NAME).read_bytes())["stems"] == "000000000001"
    assert not break_even.has_model(tmp_path, FOLDER)


def test_auto_includes_a_worker_for_flat_graphics_alone(tmp_path, make, store):
    """Two pages of many screenshots; one has a photograph, too."""
    site = tmp_path / "site"
    site.mkdir()
    for n in range(16):
        page = np.roll(make.page(400, 640), 37 * n, axis=1)
        (site / f"{n}.png").write_bytes(make.file(page))
    shown = "".join(f"<img src={n}.png>" for n in range(16))
    (site / "a.html").write_text(shown)
    (site / "b.html").write_text(shown + "<img src=photo.png>")
    (site / "photo.png").write_bytes(make.file(make.photo(80, 120)))
    summary = rewrite_site(site, Settings(store=store))
    assert summary.worker.startswith("service worker: included (the engine takes")
    without = [row.path for row in summary.images if not row.payload]
    assert without == ["photo.png"]  # its latents would take a model
    known = facts((site / worker.NAME).read_bytes())
    assert (known["model"], len(known["stems"])) == ("", 16 * 12)
    first = tree(site)
    rewrite_site(site, Settings(store=store))
    assert tree(site) == first
    report = measure(site, asset_dir=FOLDER)
    assert not report.has_model
    assert sum(i.payload is not None for page in report.pages for i in page.images) == 32


def test_the_same_site_gives_the_same_bytes_and_another_a_new_version(tmp_path, payload):
    add(tmp_path, "a-000000000001-48w", payload)
    worker.write(tmp_path, FOLDER)
    first = tree(tmp_path)
    worker.write(tmp_path, FOLDER)
    assert tree(tmp_path) == first
    add(tmp_path, "b-000000000002-48w", payload)
    worker.write(tmp_path, FOLDER)
    changed = {name for name, data in tree(tmp_path).items() if first.get(name, data) != data}
    assert changed == {worker.NAME}
    versions = {
        facts(data)["version"] for data in (first[worker.NAME], tree(tmp_path)[worker.NAME])
    }
    assert len(versions) == 2


def test_engines_and_models_of_earlier_builds_are_cleared(tmp_path, payload):
    add(tmp_path, "a-0123456789ab-48w", payload)
    folder = tmp_path / FOLDER
    for name in ("engine-000000000000.bin", "model-000000000000.bin", "model-mine.bin"):
        (folder / name).write_bytes(b"old")
    worker.write(tmp_path, FOLDER)
    names = {path.name for path in folder.glob("*.bin")}
    assert "model-mine.bin" in names
    assert not names & {"engine-000000000000.bin", "model-000000000000.bin"}
    assert len(names) == 3


@pytest.mark.parametrize("folder", ["latents", "assets/sitecodec", "a/b/c"])
def test_the_registration_finds_the_worker_from_its_own_place(folder):
    path, content = worker.registration(folder)
    assert path.startswith(f"{folder}/register-")
    assert facts(content) == {"root": "../" * (folder.count("/") + 1), "name": worker.NAME}


@pytest.mark.parametrize("name", ["worker.js", "register.js"])
def test_scripts_are_valid_and_smaller_without_comments(name, tmp_path):
    source = worker.source(name)
    assert "// @include" not in source
    small = worker.minified(source)
    assert len(small) < 0.8 * len(source)
    assert "//" not in re.sub(r"https?://", "", small)
    # What the removal relies on: no string can run over a line's end.
    assert not re.search(r"`|/\*|\\$", small, re.MULTILINE)
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node here")
    script = tmp_path / name
    script.write_text(small.replace("(SITE)", "({})"), encoding="utf-8")
    subprocess.run([node, "--check", str(script)], check=True)


def test_minified_keeps_what_is_no_comment():
    source = "// a\n  const url = 'http://x';\n\n    // b\n  /x\\/\\//.test(url);\n"
    assert worker.minified(source) == "const url = 'http://x';\n/x\\/\\//.test(url);\n"


def test_a_small_site_gets_no_worker_unless_asked(tmp_path, make, store):
    site = make_site(tmp_path / "site", make)
    summary = rewrite_site(site, Settings(store=store))
    assert not (site / worker.NAME).exists()
    assert not list(site.rglob("*.bin"))
    assert b"<script defer" not in (site / "0.html").read_bytes()
    assert summary.worker.startswith("service worker: left out (engine and model take ")
    assert summary.worker.endswith("'browser: always' includes it")


def test_never_says_and_writes_nothing(tmp_path, make, store):
    site = make_site(tmp_path / "site", make)
    assert rewrite_site(site, Settings(store=store, browser="never")).worker == ""
    assert not (site / worker.NAME).exists()


def test_always_includes_it_on_every_page_with_pictures(tmp_path, make, store):
    site = make_site(tmp_path / "site", make)
    settings = Settings(store=store, browser="always")
    summary = rewrite_site(site, settings, base_path="/docs/")
    assert summary.worker.startswith("service worker: included")
    script = worker.registration(FOLDER)[0]
    assert (site / script).is_file()
    for page, up in (("0.html", ""), ("deep/index.html", "../")):
        text = (site / page).read_text()
        assert text.count("<script defer") == 1
        assert f'<script defer src="{up}{script}"></script>' in text
        assert len(scan(text.encode()).images) == text.count("<img")
    assert "<script" not in (site / "bare.html").read_text()
    stems = facts((site / worker.NAME).read_bytes())["stems"]
    assert [p.name.split("-")[-2] for p in (site / FOLDER).glob("*.slat")] == [stems]
    first = tree(site)
    rewrite_site(site, settings, base_path="/docs/")
    assert tree(site) == first
    # What an earlier run has decided stays, though this one sees no images to account for.
    rewrite_site(site, Settings(store=store), base_path="/docs/")
    assert tree(site) == first


def test_a_site_without_payloads_gets_no_worker(tmp_path, make, store):
    (tmp_path / "a.png").write_bytes(make.file(make.text(96, 96)))
    (tmp_path / "index.html").write_text("<img src=a.png>")
    summary = rewrite_site(tmp_path, Settings(store=store, browser="always"))
    if any(row.payload for row in summary.images):
        pytest.skip("the text got a payload")
    assert not (tmp_path / worker.NAME).exists()
    assert summary.worker == ""


def test_the_store_remembers_what_engine_and_model_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Store(tmp_path)
    assert worker.cost(3, store) == worker.cost(3)
    worker._engine.cache_clear()
    worker._model.cache_clear()
    monkeypatch.setattr(gzip, "compress", lambda *a, **k: pytest.fail("packed again"))
    packed = worker._packed(engine.DECODER.read_bytes(), store)
    assert gzip.decompress(packed) == engine.DECODER.read_bytes()
    assert worker.cost(3, store) > len(packed)

"""A model of one's own: added from a training run's folder, used, shipped, and refused if bad."""

import gzip
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sitecodec import models
from sitecodec.cli import main
from sitecodec.errors import ModelError
from sitecodec.models import trained
from sitecodec.visitors import worker

pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder that a (very short) training run leaves."""
    from sitecodec.training import config, export, initial

    folder = tmp_path_factory.mktemp("run")
    settings = config.load(config.FOLDER / "web-0.toml")
    import torch

    sample = torch.tensor(np.asarray(picture())).permute(2, 0, 1)[None] / 255
    decoder, encoder = export.export(initial.initial_weights(settings), [sample])
    (folder / "trained.decoder.slm").write_bytes(decoder)
    (folder / "trained.encoder.slm").write_bytes(encoder)
    (folder / "log.jsonl").write_text("{}\n")
    return folder


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """An empty registry, and no memory of another test's models."""
    monkeypatch.setenv("SITECODEC_MODELS", str(tmp_path / "registry"))
    models.read.cache_clear()
    yield tmp_path / "registry"
    models.read.cache_clear()


def picture():
    y, x = np.mgrid[0:192, 0:256]
    waves = np.stack([np.sin(x / 23), np.cos(y / 17), np.sin((x + y) / 31)], -1)
    noise = np.random.default_rng(1).normal(0, 9, waves.shape)
    return Image.fromarray((128 + 70 * waves + noise).clip(0, 255).astype(np.uint8))


def called(*arguments):
    answer = CliRunner().invoke(main, [str(a) for a in arguments])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_add_list_encode_info_decode(run, registry, tmp_path):
    picture().save(tmp_path / "a.png")
    assert "model: mine" in called("models", "add", "mine", "--from", run)
    rows = {row["name"]: row for row in json.loads(called("models", "list", "--json"))}
    assert rows["mine"]["codec"] == "web"
    assert rows["mine"]["source"] == str(registry / "mine")
    called("encode", tmp_path / "a.png", tmp_path / "a.slat", "--model", "mine")
    assert json.loads(called("info", tmp_path / "a.slat", "--json"))["model"] == "mine"
    called("decode", tmp_path / "a.slat", tmp_path / "back.png")
    error = np.asarray(Image.open(tmp_path / "back.png")).astype(float) - np.asarray(picture())
    assert np.sqrt(np.mean(error**2)) < 20  # an untrained model is a coarse DCT codec


def test_a_site_ships_the_model_that_its_payloads_need(registry, tmp_path, make):
    for part in trained.PARTS:
        shutil.copy(models.FOLDER / f"web-0.{part}.slm", tmp_path)
    trained.add("mine", tmp_path)
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.png").write_bytes(make.file(make.photo(80, 120, 3)))
    (site / "index.html").write_text('<html><body><img src="a.png" alt="a"></body></html>')
    (tmp_path / "sitecodec.toml").write_text(
        'model = "mine"\nbrowser = "always"\nmin_bytes = 0\nquality = 40\nmin_tile_score = 0\n'
    )
    called("build", site, "--config", tmp_path / "sitecodec.toml")
    shipped = list((site / "assets" / "sitecodec").glob("model-*.bin"))
    assert [gzip.decompress(p.read_bytes()) for p in shipped] == [models.read("mine", "decoder")]
    assert worker.decodable(site / "assets" / "sitecodec", "mine")
    assert not worker.decodable(site / "assets" / "sitecodec")
    assert worker.shipped(site, "assets/sitecodec") > shipped[0].stat().st_size


def refused(message, name, source):
    with pytest.raises(ModelError, match=message):
        trained.add(name, source)
    assert "mine" not in models.names()


def test_what_is_no_model_is_refused_and_nothing_is_left(run, registry, tmp_path):
    refused("built in", "web-1", run)
    refused("not a model's name", "../mine", run)
    bad = shutil.copytree(run, tmp_path / "bad")
    (bad / "trained.encoder.slm").unlink()
    refused("trained.encoder.slm: no such file", "mine", bad)
    (bad / "trained.encoder.slm").write_bytes(b"SLM?" * 100)
    refused("not a valid model file", "mine", bad)
    shutil.copy(models.FOLDER / "web-0.encoder.slm", bad / "trained.encoder.slm")
    refused("made with another model", "mine", bad)
    shutil.copy(run / "trained.decoder.slm", bad / "second.decoder.slm")
    refused("several models", "mine", bad)
    assert not registry.exists() or not any(Path(registry).rglob("*.slm"))


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
@pytest.mark.parametrize("part", trained.PARTS)
def test_pipes_are_refused(run, registry, tmp_path, part):
    bad = shutil.copytree(run, tmp_path / "bad")
    (bad / f"trained.{part}.slm").unlink()
    os.mkfifo(bad / f"trained.{part}.slm")
    refused("not a file", "mine", bad)


def test_a_model_that_is_not_there_says_how_to_add_it(registry, tmp_path):
    picture().save(tmp_path / "a.png")
    arguments = ["encode", str(tmp_path / "a.png"), str(tmp_path / "a.slat"), "--model", "mine"]
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == 1
    assert "sitecodec models add mine --from" in answer.output

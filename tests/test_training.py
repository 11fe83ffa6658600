import json
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

import torch
from safetensors.torch import load_file, save_file

from sitecodec import engine, metrics, models
from sitecodec.engine import Models
from sitecodec.errors import ImageError, ModelError, SettingsError
from sitecodec.training import (
    architecture,
    config,
    data,
    export,
    initial,
    quantise,
    recover,
    run,
    step,
)
from sitecodec.training.config import Config, Stage

TINY = Config(
    name="tiny",
    lambdas=(0.001, 0.02),
    stages=(Stage(6, 1e-3, 1.0, 0.0), Stage(3, 1e-3, 0.4, 0.6)),
    luma=32,
    chroma=8,
    analysis=(16, 16, 16),
    synthesis=(16, 16, 16),
    hidden=32,
    batch=2,
    crop=176,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:200, 0:240]
    for i in range(6):
        base = 120 + 70 * np.sin(x / (7 + i) + i) * np.cos(y / (11 + i))
        noisy = base[..., None] + rng.normal(0, 10, (200, 240, 3)) + [20, 0, -20]
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


def test_an_untrained_model_is_a_dct_codec():
    weights = initial.initial_weights(TINY)
    basis = weights["analysis.linear.weight"][:, :, 0, 0]
    assert torch.allclose(basis @ basis.T, torch.eye(TINY.channels), atol=1e-5)
    smooth = torch.linspace(0, 1, 48)[None, None, None, :].expand(1, 3, 48, 48)
    values = architecture.run(step.ANALYSIS, weights, architecture.to_colour(smooth))[-1]
    decoded = architecture.run(step.SYNTHESIS, weights, values)[-1]
    assert (architecture.from_colour(decoded) - smooth).abs().max() < 0.02


def test_batches_depend_on_the_step_only(folder):
    paths = data.find(folder).training
    first = data.batch(paths, 7, 3, 64, seed=1)
    assert torch.equal(first, data.batch(paths, 7, 3, 64, seed=1))
    assert not torch.equal(first, data.batch(paths, 8, 3, 64, seed=1))
    assert data.batch(paths, 0, 1, 256, seed=1).shape == (1, 3, 256, 256)  # mirrored


def test_pictures_held_out_are_not_trained_on(folder):
    pictures = data.find(folder)
    assert not set(pictures.training) & set(pictures.held_out)
    assert len(pictures.training) + len(pictures.held_out) == 6


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ImageError, match="no pictures"):
        data.find(tmp_path)


def test_code_length_is_that_of_the_gaussian():
    prediction = architecture.Prediction(
        torch.tensor(0.25), torch.tensor(0.3), torch.zeros(1), torch.zeros(1)
    )
    scale = math.log1p(math.exp(0.3)) + 0.05

    def below(z):
        return 0.5 * (1 + math.erf(z / math.sqrt(2)))

    mass = below((2.5 - 0.25) / scale) - below((1.5 - 0.25) / scale)
    length = float(architecture.code_length(prediction, torch.tensor(2.0)))
    assert length == pytest.approx(-math.log2(mass), rel=1e-4)


def test_training_lowers_the_loss(folder):
    settings = replace(TINY, stages=(Stage(60, 2e-3, 1.0, 0.0),))
    crops = data.batch(data.find(folder).training, 0, 2, 176, 1)
    state = run._begin(folder / "none", settings, torch.device("cpu"))

    def current():
        with torch.no_grad():
            return [
                float(step.loss(state.weights, crops / 255, settings, settings.stages[0], n).total)
                for n in range(8)
            ]

    before = current()
    for _ in range(60):
        run._advance(state, crops, settings)
    assert np.mean(current()) < 0.9 * np.mean(before)


def test_a_run_killed_and_continued_is_the_same_run(folder, tmp_path, monkeypatch):
    torch.manual_seed(0)
    run.train(folder, tmp_path / "whole", TINY, torch.device("cpu"))

    class KilledError(Exception):
        pass

    real, calls = run._advance, []

    def killed(state, crops, settings):
        real(state, crops, settings)
        calls.append(state.step)
        if len(calls) == 4:
            run._save(tmp_path / "parts" / "checkpoint.safetensors", state, settings)
            raise KilledError

    monkeypatch.setattr(run, "_advance", killed)
    with pytest.raises(KilledError):
        run.train(folder, tmp_path / "parts", TINY, torch.device("cpu"))
    run.train(folder, tmp_path / "parts", TINY, torch.device("cpu"))
    assert calls == list(range(1, 10))
    names = ("tiny.decoder.slm", "tiny.encoder.slm")
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == TINY.steps
    assert "Trained on 5 pictures for 9 steps" in (tmp_path / "whole" / "tiny.md").read_text()

    other = replace(TINY, seed=2)
    with pytest.raises(ModelError, match="another config"):
        run.train(folder, tmp_path / "whole", other, torch.device("cpu"))

    # What was exported works in the engine, as the float model does.
    files = Models(*((tmp_path / "whole" / name).read_bytes() for name in names))
    picture = data.read(folder / "0.png")
    pixels = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    payload = engine.encode(pixels, files, 100)
    weights = load_file(tmp_path / "whole" / "tiny.safetensors")
    score = step.evaluate(weights, [picture])[1]
    # Not more bits; fewer, as escapes cost less than the ideal length's limit of 30 bits.
    assert 0.5 < 8 * (len(payload) - 20) / (200 * 240) / score.bits_per_pixel < 1.03
    assert metrics.psnr(pixels, engine.decode(payload, files)) == pytest.approx(score.psnr, abs=0.1)


SLIM = replace(
    TINY, name="slim", luma=40, structured=True, reduced=16, grain=0.5, lambdas_before=TINY.lambdas
)


def test_a_wider_model_begins_with_the_pictures_of_the_one_before(folder, tmp_path):
    before = initial.initial_weights(TINY)
    generator = torch.Generator().manual_seed(3)
    mixing = torch.eye(48) + 0.05 * torch.randn(48, 48, generator=generator)
    linear = before["synthesis.linear.weight"].flatten(1) @ mixing
    before["synthesis.linear.weight"] = linear[:, :, None, None]
    save_file(before, tmp_path / "before.safetensors")
    grown = initial.continued_weights(SLIM, tmp_path / "before.safetensors")
    assert grown["synthesis.mix.weight"].shape == (384, 56, 1, 1)
    assert grown["log_gain"].shape == (2, 56)
    assert grown[quantise.FINE].sum() == 8
    values = torch.randn(1, 48, 3, 3, generator=generator)
    shown = architecture.run(step.SYNTHESIS, before, values)[-1]
    wide = torch.cat([values, torch.zeros(1, 8, 3, 3)], 1)
    again = architecture.run(step.SYNTHESIS, architecture.composed(grown), wide)[-1]
    assert torch.allclose(shown, again, atol=1e-4)
    # Latents that are new give what the old ones miss.
    source = architecture.to_colour(torch.rand(1, 3, 48, 48, generator=generator))
    errors = [
        (architecture.run(step.SYNTHESIS, w, architecture.run(step.ANALYSIS, w, source)[-1])[-1])
        .sub(source)
        .square()
        .mean()
        for w in (before, architecture.composed(grown))
    ]
    assert errors[1] < errors[0]
    wider = replace(SLIM, synthesis=(24, 16, 16))
    with pytest.raises(ModelError, match="another shape"):
        initial.continued_weights(wider, tmp_path / "before.safetensors")


def test_a_factored_entropy_model_sees_only_what_is_decoded():
    weights = initial.initial_weights(SLIM)
    latents = torch.randn(1, 56, 7, 7)
    changed = latents.clone()
    changed[:, :, 3, 3] += 5
    a, b = (architecture.predict(weights, q, torch.tensor(0.0)) for q in (latents, changed))
    differs = ((a.spread - b.spread).abs().amax((0, 1)) > 1e-6).nonzero().tolist()
    assert sorted(map(tuple, differs)) == sorted((3 - dy, 3 - dx) for dy, dx in architecture.TAPS)


def test_an_entropy_only_stage_leaves_the_transforms_alone(folder):
    stage = replace(TINY.stages[0], entropy_only=True)
    settings = replace(SLIM, stages=(stage, TINY.stages[1]))
    state = run._begin(folder / "none", settings, torch.device("cpu"))
    before = {name: w.detach().clone() for name, w in state.weights.items()}
    run._advance(state, data.batch(data.find(folder).training, 0, 2, 176, 1), settings)
    moved = {n.split(".")[0] for n, w in state.weights.items() if not torch.equal(w, before[n])}
    assert moved == {"entropy"}
    run._save(folder / "part.safetensors", state, settings)
    again = run._begin(folder / "part.safetensors", settings, torch.device("cpu"))
    assert all(torch.equal(w, again.weights[name]) for name, w in state.weights.items())
    assert len(again.optimiser.state) == len(state.optimiser.state)


def test_a_structured_linear_path_is_exported_as_one_layer(folder):
    weights = initial.initial_weights(replace(SLIM, reduced=0))
    picture = data.read(folder / "0.png")
    files = Models(*export.export(weights, [picture[None] / 255]))
    pixels = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    shown = engine.decode(engine.encode(pixels, files, 100), files)
    score = step.evaluate(weights, [picture])[1]
    assert metrics.psnr(pixels, shown) == pytest.approx(score.psnr, abs=0.1)


def test_built_in_models_are_recovered_from_their_files():
    like = initial.initial_weights(config.load(config.FOLDER / "web-0.toml"))
    decoder, encoder = (models.read("web-1", part) for part in ("decoder", "encoder"))
    found = recover.recovered(decoder, encoder, like)
    pixels = np.ascontiguousarray(np.random.default_rng(2).integers(0, 255, (64, 64, 3), np.uint8))
    analysed = engine.analyse(pixels, Models(decoder, encoder)).astype(np.float32)
    source = architecture.to_colour(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
    values = architecture.run(step.ANALYSIS, found, source)[-1][0].permute(1, 2, 0)
    scale = float((values * torch.from_numpy(analysed)).sum() / (values**2).sum())
    assert np.abs(values.numpy() * scale - analysed).mean() < 0.02 * np.abs(analysed).mean()


def test_values_that_an_add_joins_share_a_step():
    ops = architecture.synthesis_ops()
    bits = export.value_bits(ops, [1.0] * (len(ops) + 1), picture=len(ops))
    assert bits[-1] == export.PICTURE_BITS
    for index, op in enumerate(ops, start=1):
        if op.kind == "add":
            assert bits[index] == bits[op.a] == bits[op.b]


def test_configs_are_read_and_checked(tmp_path):
    built_in = config.load(config.FOLDER / "web-0.toml")
    assert (built_in.channels, built_in.steps, len(built_in.lambdas)) == (128, 23400, 6)
    assert built_in.stage(19599)[0].ms_ssim == 0
    assert built_in.stage(19600) == (built_in.stages[1], 0.0)
    assert config.load(config.FOLDER / "long.toml").batch == 32
    bad = tmp_path / "bad.toml"
    bad.write_text('name = "x"\nlambdas = [1]\nsteps = 3\nstages = []\n')
    with pytest.raises(SettingsError, match="unknown keys steps"):
        config.load(bad)
    with pytest.raises(SettingsError, match="cannot read"):
        config.load(tmp_path / "none.toml")


def test_the_built_in_model_has_the_shape_of_its_config():
    shapes = initial._shapes(config.load(config.FOLDER / "web-0.toml"))
    multiplications = sum(math.prod(shape) for shape in shapes.values())
    assert multiplications > 1_000_000
    assert shapes["synthesis.block16.0.a"] == (192, 96, 1, 1)
    assert shapes["analysis.net.8.b"] == (160, 160, 3, 3)
    assert len(models.read("web-0", "decoder")) == 646190

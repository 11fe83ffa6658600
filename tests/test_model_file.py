import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from sitecodec import engine, models
from sitecodec.training import model_file


@pytest.fixture(scope="module")
def files():
    return engine.Models(
        models.read(models.DEFAULT, "decoder"), models.read(models.DEFAULT, "encoder")
    )


@pytest.fixture(scope="module")
def pixels():
    y, x = np.mgrid[0:130, 0:170]
    base = 120 + 60 * np.sin(x / 9) * np.cos(y / 13) + 40 * (x > y)
    noise = np.random.default_rng(1).normal(0, 5, (130, 170, 3))
    return (base[..., None] + noise + [20, 0, -20]).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [0, 37.5, 100])
def test_it_says_what_the_engine_does(files, pixels, quality):
    gains = model_file.read_gains(files.encoder, quality).numpy()
    latents = np.rint(engine.analyse(pixels, files) * gains).astype(np.int16)
    payload = engine.code(latents, 170, 130, files, quality)
    # The same payload as the engine's own, but for ties of rounding.
    assert len(payload) == pytest.approx(len(engine.encode(pixels, files, quality)), rel=0.01)
    decoder = model_file.read(files.decoder, quality)
    values = torch.from_numpy(latents.astype(np.float32)).permute(2, 0, 1)[None]
    bits = float(model_file.bits(decoder, values).sum())
    assert bits / 8 == pytest.approx(len(payload) - 20, rel=0.02, abs=12)
    shown = model_file.decoded(decoder, values)[0, :, :130, :170].clamp(0, 1) * 255
    difference = shown.permute(1, 2, 0).numpy() - engine.decode(payload, files)
    assert np.abs(difference).mean() < 1


def test_everything_has_a_slope(files):
    decoder = model_file.read(files.decoder, 50)
    channels = decoder.gain.shape[0]
    values = torch.full((1, channels, 3, 4), 0.3, requires_grad=True)
    (model_file.bits(decoder, values).sum() + model_file.decoded(decoder, values).sum()).backward()
    assert values.grad.isfinite().all()
    assert (values.grad != 0).float().mean() > 0.9


def test_latents_of_another_shape_are_refused(files):
    with pytest.raises(ValueError, match="latents"):
        engine.code(np.zeros((2, 2, 128), np.int16), 64, 32, files, 50)

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

import torch

from sitecodec.training import initial, quantise
from sitecodec.training.config import Config, Stage

CONFIG = Config(
    name="tiny",
    lambdas=(0.001, 0.02),
    stages=(Stage(6, 1e-3, 1.0, 0.0),),
    luma=32,
    chroma=8,
    analysis=(16, 16, 16),
    synthesis=(16, 16, 16),
    hidden=32,
)


@pytest.fixture(scope="module")
def weights():
    return initial.initial_weights(CONFIG)


def test_integers_keep_to_their_largest(weights):
    for name in ("entropy.hidden", "synthesis.in", "synthesis.linear", "synthesis.out"):
        whole, step = quantise.integers(name, weights)
        assert torch.equal(whole, whole.round())
        assert whole.abs().max() <= quantise.largest(name, weights)
        error = (whole * step - weights[f"{name}.weight"]).abs()
        coarse = quantise.COARSE if name == "synthesis.linear" else 1
        assert (error <= step * coarse * 0.501).all()


def test_low_frequencies_are_finer(weights):
    whole, _ = quantise.integers("synthesis.linear", weights)
    fine = weights[quantise.FINE] > 0
    assert fine.sum() == 8
    assert (whole[:, ~fine] % quantise.COARSE == 0).all()
    assert (whole[:, fine] % quantise.COARSE != 0).any()


def test_rounding_again_changes_nothing(weights):
    once = quantise.straight_through(weights)
    twice = quantise.straight_through(once)
    for name, weight in once.items():
        assert torch.allclose(weight, twice[name], atol=1e-6), name


def test_gradients_pass_straight_through(weights):
    trained = {name: w.clone().requires_grad_() for name, w in weights.items()}
    rounded = quantise.straight_through(trained)
    (2 * rounded["synthesis.in.weight"]).sum().backward()
    assert (trained["synthesis.in.weight"].grad == 2).all()


def test_a_run_can_begin_with_weights_of_the_same_shape(weights, tmp_path):
    from safetensors.torch import save_file

    from sitecodec.errors import ModelError

    moved = {name: w.contiguous() for name, w in weights.items()}
    moved["synthesis.in.bias"] = moved["synthesis.in.bias"] + 0.5
    save_file(moved, tmp_path / "start.safetensors")
    found = initial.continued_weights(CONFIG, tmp_path / "start.safetensors")
    assert torch.equal(found["synthesis.in.bias"], weights["synthesis.in.bias"] + 0.5)
    with pytest.raises(ModelError, match="another shape"):
        initial.continued_weights(replace(CONFIG, luma=40), tmp_path / "start.safetensors")

"""How weights become the integers of a model file, for the exporter and for training alike.

A weight is an integer times a step of its output channel. Most integers have five or six bits;
those that go straight into the picture have more, because their rounding errors do too: a model
file's size after brotli is what its integers' entropy is. Training towards weights that are
rounded already (Jacob et al. 2018, with the gradient passed straight through) costs nearly nothing
of what rounding afterwards would.

A model with a `grain` has steps that follow the deviation of an output's weights instead of their
peak: log2(4.1 / grain) bits a weight after entropy coding, whatever their distribution's tails.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sitecodec.training.architecture import Weights

SMALL, PICTURE, LINEAR = 24, 127, 1008
"""Largest integers: of most layers, of the last layer, and of the linear path."""
MIXES = ("synthesis.linear", "synthesis.mix")
COARSE = 16
"""Inputs of a linear path that are not `fine` have integers that are multiples of this."""
FINER = 3
"""How much finer the grain is of layers with few weights, and of the last one."""
GRAIN = "grain"
"""The grain, a number; models before web-2 have none."""
FINE = "synthesis.linear.fine"
"""1 for latents that are large (the lowest frequencies), 0 for others; a model without it keeps
the precision that models before it had."""


def largest(name: str, weights: Weights) -> int:
    """The largest integer of a layer's weights, where that says what the step is."""
    composed = name == "synthesis.linear" and GRAIN in weights
    if FINE not in weights or composed or name.startswith("analysis"):
        return 4095 if name.endswith(".linear") or name == "synthesis.out" else 127
    if name in MIXES:
        return LINEAR
    return PICTURE if name == "synthesis.out" else SMALL


def integers(name: str, weights: Weights) -> tuple[Tensor, Tensor]:
    """A layer's weights as (outputs, ...) integers in float, and the step of each output."""
    weight = weights[f"{name}.weight"]
    step = _steps(name, weights).view(-1, *(1 for _ in weight.shape[1:]))
    scaled = weight / step
    composed = name == "synthesis.linear" and GRAIN in weights
    if name not in MIXES or FINE not in weights or composed:
        return scaled.round(), step
    coarse = (scaled / COARSE).round() * COARSE
    return torch.where(weights[FINE].view(1, -1, 1, 1) > 0, scaled.round(), coarse), step


def _steps(name: str, weights: Weights) -> Tensor:
    weight = weights[f"{name}.weight"].detach().flatten(1)
    peak = weight.abs().amax(1).clamp_min(1e-9)
    if GRAIN not in weights or name in MIXES or name.startswith("analysis"):
        return peak / largest(name, weights)
    rms = weight.square().sum(1).div((weight != 0).sum(1).clamp_min(1)).sqrt()
    few = weights[f"{name}.weight"].shape[1] == 1 or name == "synthesis.out"
    # Integers have to fit a byte: a lone large weight coarsens its output.
    return torch.maximum(rms * weights[GRAIN] / (FINER if few else 1), peak / 127)


def straight_through(weights: Weights) -> Weights:
    """Weights as the decoder will have them, whose gradients are those of the unrounded ones."""
    rounded = dict(weights)
    for key, weight in weights.items():
        name, _, kind = key.rpartition(".")
        if kind != "weight" or weight.dim() != 4 or name.startswith("analysis"):
            continue
        if name == "synthesis.linear" and "synthesis.mix.weight" in weights:
            continue  # fixed
        whole, step = integers(name, {**weights, key: weight.detach()})
        rounded[key] = weight + (whole * step - weight).detach()
    return rounded

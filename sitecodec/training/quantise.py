"""How weights become the integers of a model file, for the exporter and for training alike.

A weight is an integer times a step of its output channel. Most integers have five or six bits;
those that go straight into the picture have more, because their rounding errors do too: a model
file's size after brotli is what its integers' entropy is. Training towards weights that are
rounded already (Jacob et al. 2018, with the gradient passed straight through) costs nearly nothing
of what rounding afterwards would.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sitecodec.training.architecture import Weights

SMALL, PICTURE, LINEAR = 24, 127, 1008
"""Largest integers: of most layers, of the last layer, and of the linear path."""
COARSE = 16
"""Inputs of a linear path that are not `fine` have integers that are multiples of this."""
FINE = "synthesis.linear.fine"
"""1 for latents that are large (the lowest frequencies), 0 for others; a model without it keeps
the precision that models before it had."""


def largest(name: str, weights: Weights) -> int:
    """The largest integer of a layer's weights."""
    if FINE not in weights or name.startswith("analysis"):
        return 4095 if name.endswith(".linear") or name == "synthesis.out" else 127
    if name == "synthesis.linear":
        return LINEAR
    return PICTURE if name == "synthesis.out" else SMALL


def integers(name: str, weights: Weights) -> tuple[Tensor, Tensor]:
    """A layer's weights as (outputs, ...) integers in float, and the step of each output."""
    weight = weights[f"{name}.weight"]
    limit = largest(name, weights)
    peak = weight.detach().abs().flatten(1).amax(1).clamp_min(1e-9)
    step = (peak / limit).view(-1, *(1 for _ in weight.shape[1:]))
    scaled = weight / step
    if name != "synthesis.linear" or FINE not in weights:
        return scaled.round(), step
    coarse = (scaled / COARSE).round() * COARSE
    return torch.where(weights[FINE].view(1, -1, 1, 1) > 0, scaled.round(), coarse), step


def straight_through(weights: Weights) -> Weights:
    """Weights as the decoder will have them, whose gradients are those of the unrounded ones."""
    rounded = dict(weights)
    for key, weight in weights.items():
        name, _, kind = key.rpartition(".")
        if kind != "weight" or weight.dim() != 4 or name.startswith("analysis"):
            continue
        whole, step = integers(name, {**weights, key: weight.detach()})
        rounded[key] = weight + (whole * step - weight).detach()
    return rounded

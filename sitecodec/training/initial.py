"""Weights to begin with: a 16×16 DCT codec, with nets beside it that begin at zero."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from sitecodec.errors import ModelError
from sitecodec.training.architecture import (
    BLOCK,
    CHROMA_FREQUENCIES,
    TAPS,
    Op,
    Weights,
    analysis_ops,
    dct_basis,
    synthesis_ops,
)
from sitecodec.training.config import Config
from sitecodec.training.quantise import FINE, GRAIN


def initial_weights(config: Config) -> Weights:
    """Weights of an untrained model; the same for the same config."""
    generator = torch.Generator().manual_seed(config.seed)
    channels = config.channels
    shapes = _shapes(config)
    weights: Weights = {}
    for name, shape in shapes.items():
        fan_in = math.prod(shape[1:])
        weights[f"{name}.weight"] = torch.randn(shape, generator=generator) / math.sqrt(fan_in)
        if not name.endswith(".linear"):
            weights[f"{name}.bias"] = torch.zeros(shape[0])
    basis = dct_basis(config.luma, config.chroma)
    weights["analysis.linear.weight"] = basis[:, :, None, None].clone()
    if config.structured:
        frequencies = dct_basis(BLOCK * BLOCK, CHROMA_FREQUENCIES)
        weights["synthesis.mix.weight"] = (frequencies @ basis.T)[:, :, None, None]
    else:
        weights["synthesis.linear.weight"] = basis.T[:, :, None, None].clone()
    for name in ("analysis.out", "synthesis.out"):
        weights[f"{name}.weight"].zero_()
    for name in shapes:  # residual branches begin small, so that depth does not add up
        if name.endswith(".b"):
            weights[f"{name}.weight"] *= 0.1
    # The step that balances rate against distortion for a uniform quantiser at high rate.
    price = torch.tensor(config.lambdas) * 255**2 / 3
    gain = -0.5 * (6 / (price * math.log(2))).log()
    weights["log_gain"] = gain[:, None].repeat(1, channels)
    weights["log_inverse_gain"] = -weights["log_gain"]
    level = torch.tensor(config.lambdas).log()
    weights["level_t"] = (level - level.mean()) / level.std() if len(level) > 1 else level * 0
    if config.grain:
        weights[GRAIN] = torch.tensor(config.grain)
    weights[FINE] = torch.zeros(channels)
    weights[FINE][[*range(min(6, config.luma)), config.luma, config.luma + config.chroma]] = 1
    unseen = torch.ones(5, 5, dtype=torch.bool)
    for dy, dx in TAPS:
        unseen[dy + 2, dx + 2] = False
    weights["entropy.context.weight"][:, :, unseen] = 0
    if config.reduced:
        weights["entropy.local.weight"][:, :, unseen] = 0
        weights["entropy.local.weight"][:, :, ~unseen] = 1 / len(TAPS)
    return weights


def continued_weights(config: Config, start: Path) -> Weights:
    """The weights of a model trained before, to go on from. Raises ModelError for another shape.

    A config with a structured linear path goes on from models without one, too (`grown`).
    """
    weights, found = initial_weights(config), load_file(start)
    kept = {FINE, GRAIN, "level_t"}
    if config.structured and "synthesis.linear.weight" in found:
        found = grown(weights, found, config)
        kept -= {FINE}
    for name, weight in weights.items():
        if name not in kept:
            if name not in found or found[name].shape != weight.shape:
                raise ModelError(f"{start} is of another shape than {config.name}: {name} differs")
            weights[name] = found[name].float()
    return weights


def grown(weights: Weights, before: Weights, config: Config) -> Weights:
    """The weights of a model before in the shape of `weights`: it makes about the same pictures.

    The linear path becomes a mixture of frequencies; latents that are new begin as the frequencies
    that the old ones miss most, each worth less the higher it is, and the nets take no notice of
    them yet. Gains are those of the same λ. A factored entropy model begins anew.
    """
    grown = {name: before.get(name, weight).float() for name, weight in weights.items()}
    if config.reduced:
        grown |= {name: w for name, w in weights.items() if name.startswith("entropy.")}
    basis = dct_basis(BLOCK * BLOCK, CHROMA_FREQUENCIES)
    old = before["synthesis.linear.weight"].flatten(1).float()
    analysis = before["analysis.linear.weight"].flatten(1).float()
    mix = basis @ old
    new = config.channels - mix.shape[1]
    orthogonal, _ = torch.linalg.qr(mix)
    missed = 1 - orthogonal.square().sum(1)
    # Powers of natural pictures fall with the square of the frequency, and colour has less.
    place = (torch.arange(BLOCK)[:, None] ** 2 + torch.arange(BLOCK) ** 2 + 1.0).flatten().sort()[0]
    chroma = 4 * place[:CHROMA_FREQUENCIES]
    picked = (missed / torch.cat([place, chroma, chroma])).topk(new).indices.sort().values
    atoms = torch.zeros(len(mix), new)
    atoms[picked, torch.arange(new)] = 1
    left = basis - mix @ analysis  # what the old linear path does not give of each frequency
    wide = {
        "synthesis.mix.weight": torch.cat([mix, atoms], 1),
        "analysis.linear.weight": torch.cat([analysis, left[picked]]),
        "analysis.out.weight": _widened(before["analysis.out.weight"].flatten(1), 0, new),
        "analysis.out.bias": _widened(before["analysis.out.bias"], 0, new),
        "synthesis.in.weight": _widened(before["synthesis.in.weight"].flatten(1), 1, new),
    }
    power = (mix.square() / torch.cat([place, chroma, chroma])[:, None]).sum(0)
    grown[FINE] = torch.zeros(config.channels)
    grown[FINE][power.topk(int(weights[FINE].sum())).indices] = 1
    for name, weight in wide.items():
        ones = (1,) * (weights[name].dim() - weight.dim())
        grown[name] = weight.float().reshape(*weight.shape, *ones).contiguous()
    for name in ("log_gain", "log_inverse_gain"):
        gains = _at_lambdas(before[name].float(), config.lambdas_before, config.lambdas)
        grown[name] = torch.cat([gains, weights[name][:, gains.shape[1] :]], 1)
    return grown


def _at_lambdas(gains: Tensor, before: tuple[float, ...], lambdas: tuple[float, ...]) -> Tensor:
    """Rows of gains at other λs, linear between and beyond those there are."""
    places = torch.tensor(before or lambdas).log()
    rows = []
    for place in torch.tensor(lambdas).log():
        low = int((places[1:-1] < place).sum())
        part = (place - places[low]) / (places[low + 1] - places[low])
        rows.append(gains[low] + (gains[low + 1] - gains[low]) * part)
    return torch.stack(rows)


def _widened(weight: Tensor, axis: int, count: int) -> Tensor:
    shape = list(weight.shape)
    shape[axis] = count
    return torch.cat([weight.float(), torch.zeros(shape)], axis)


def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    channels = config.channels
    fine, middle, coarse = config.analysis
    outputs = {
        "analysis.linear": channels,
        "analysis.net.1": fine,
        "analysis.net.4": middle,
        "analysis.net.7": coarse,
        "analysis.out": channels,
        "synthesis.linear": 3 * BLOCK**2,
        "synthesis.in": config.synthesis[0],
        "synthesis.up8": 4 * config.synthesis[1],
        "synthesis.up4": 4 * config.synthesis[2],
        "synthesis.base4": config.synthesis[2],
        "synthesis.out": 48,
    }
    shapes = {
        "entropy.context": (config.hidden, config.reduced or channels, 5, 5),
        "entropy.hidden": (config.hidden, config.hidden, 1, 1),
        "entropy.out": (2 * channels, config.hidden, 1, 1),
        "entropy.level": (config.hidden, 1),
        "entropy.scale_level": (channels, 1),
    }
    if config.reduced:
        shapes["entropy.reduce"] = (config.reduced, 2 * channels, 1, 1)
        shapes["entropy.local"] = (channels, 1, 5, 5)
    for ops, inputs in ((analysis_ops(), 3), (synthesis_ops(), channels)):
        shapes |= _walk(ops, inputs, outputs)
    if config.structured:
        del shapes["synthesis.linear"]
    return shapes


def _walk(ops: list[Op], inputs: int, outputs: dict[str, int]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    channels = [inputs]
    for op in ops:
        width = channels[op.a]
        if op.kind == "shuffle":
            width //= op.factor**2
        elif op.kind == "unshuffle":
            width *= op.factor**2
        elif op.kind == "depthwise":
            shapes[op.name] = (width, 1, 2 * op.pad + 1, 2 * op.pad + 1)
        elif op.kind == "conv":
            kernel = 4 if op.factor == 2 else 2 * op.pad + 1
            block = op.name.rpartition(".")[0]
            if op.name.endswith(".a"):
                wide = 2 * width if kernel == 1 else width  # depthwise blocks expand twofold
            elif op.name.endswith(".b"):
                wide = width // 2 if f"{block}.d" in shapes else width
            else:
                wide = outputs[op.name]
            shapes[op.name] = (wide, width, kernel, kernel)
            width = wide
        channels.append(width)
    return shapes

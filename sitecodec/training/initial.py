"""Weights to begin with: a 16×16 DCT codec, with nets beside it that begin at zero."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from sitecodec.errors import ModelError
from sitecodec.training.architecture import TAPS, Op, Weights, analysis_ops, synthesis_ops
from sitecodec.training.config import Config
from sitecodec.training.quantise import FINE

BLOCK = 16


def dct_basis(luma: int, chroma: int) -> Tensor:
    """Orthonormal DCT-II functions of 16×16 blocks, lowest frequencies first.

    (luma + 2·chroma, 768): `luma` of Y', then `chroma` each of Cb and Cr, over the channels that
    unshuffling a picture by 16 gives.
    """
    place = (torch.arange(BLOCK) + 0.5) * math.pi / BLOCK
    wave = torch.cos(torch.arange(BLOCK)[:, None] * place) * math.sqrt(2 / BLOCK)
    wave[0] /= math.sqrt(2)
    order = sorted(
        ((u, v) for u in range(BLOCK) for v in range(BLOCK)),
        key=lambda f: (f[0] ** 2 + f[1] ** 2, f),
    )
    basis = torch.zeros(luma + 2 * chroma, 3, BLOCK * BLOCK)
    row = 0
    for plane, count in enumerate((luma, chroma, chroma)):
        for u, v in order[:count]:
            basis[row, plane] = torch.outer(wave[u], wave[v]).flatten()
            row += 1
    return basis.flatten(1)


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
    weights[FINE] = torch.zeros(channels)
    weights[FINE][[*range(min(6, config.luma)), config.luma, config.luma + config.chroma]] = 1
    unseen = torch.ones(5, 5, dtype=torch.bool)
    for dy, dx in TAPS:
        unseen[dy + 2, dx + 2] = False
    weights["entropy.context.weight"][:, :, unseen] = 0
    return weights


def continued_weights(config: Config, start: Path) -> Weights:
    """The weights of a model trained before, to go on from. Raises ModelError for another shape."""
    weights, found = initial_weights(config), load_file(start)
    for name, weight in weights.items():
        if name not in (FINE, "level_t"):
            if name not in found or found[name].shape != weight.shape:
                raise ModelError(f"{start} is of another shape than {config.name}: {name} differs")
            weights[name] = found[name].float()
    return weights


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
        "entropy.context": (config.hidden, channels, 5, 5),
        "entropy.hidden": (config.hidden, config.hidden, 1, 1),
        "entropy.out": (2 * channels, config.hidden, 1, 1),
        "entropy.level": (config.hidden, 1),
        "entropy.scale_level": (channels, 1),
    }
    for ops, inputs in ((analysis_ops(), 3), (synthesis_ops(), channels)):
        shapes |= _walk(ops, inputs, outputs)
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

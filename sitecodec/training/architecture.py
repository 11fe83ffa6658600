"""The layers of the web models as lists of operations, and their float execution in torch.

The same lists are what the exporter writes into a model file and what the engine interprets:
this module is the reference the integer engine is measured against.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]
"""Tensors by name, as in a weights file."""

COLOUR = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
"""RGB (minus 0.5) to full-range BT.601 Y'CbCr."""

TAPS = ((-2, 0), (-1, -1), (-1, 0), (-1, 1), (0, -2), (0, -1))
"""Neighbours (dy, dx) that the entropy model sees, all already decoded."""


BLOCK = 16
CHROMA_FREQUENCIES = 64
"""The frequencies of Cb and of Cr in a structured linear path, which has all 256 of Y'."""


@dataclass(frozen=True)
class Op:
    """One operation; `a` and `b` index earlier values, 0 being the input."""

    kind: str  # conv, depthwise, add, relu, shuffle, unshuffle
    a: int
    b: int = 0
    name: str = ""  # of the weights
    relu: bool = False
    factor: int = 1  # of shuffles; stride of convolutions
    pad: int = 0


class _Builder:
    def __init__(self) -> None:
        self.ops: list[Op] = []

    def add(self, op: Op) -> int:
        self.ops.append(op)
        return len(self.ops)

    def conv(self, a: int, name: str, kernel: int = 1, *, relu: bool = False) -> int:
        stride = 2 if kernel == 4 else 1
        pad = 1 if kernel == 4 else kernel // 2
        return self.add(Op("conv", a, name=name, relu=relu, factor=stride, pad=pad))

    def residual(self, a: int, name: str) -> int:
        inner = self.conv(self.conv(a, f"{name}.a", 3, relu=True), f"{name}.b", 3)
        return self.add(Op("add", a, inner))

    def depthwise_block(self, a: int, name: str) -> int:
        inner = self.add(Op("depthwise", a, name=f"{name}.d", pad=2))
        inner = self.conv(self.conv(inner, f"{name}.a", relu=True), f"{name}.b")
        return self.add(Op("add", a, inner))

    def shuffle(self, a: int, factor: int) -> int:
        return self.add(Op("shuffle", a, factor=factor))

    def unshuffle(self, a: int, factor: int) -> int:
        return self.add(Op("unshuffle", a, factor=factor))


def analysis_ops() -> list[Op]:
    """Picture (3 channels) to unquantised latents (128 channels at 1/16)."""
    net = _Builder()
    linear = net.conv(net.unshuffle(0, 16), "analysis.linear")
    h = net.conv(net.unshuffle(0, 4), "analysis.net.1", 3, relu=True)
    h = net.residual(h, "analysis.net.3")
    h = net.conv(h, "analysis.net.4", 4)
    h = net.residual(net.residual(h, "analysis.net.5"), "analysis.net.6")
    h = net.conv(h, "analysis.net.7", 4)
    h = net.residual(net.residual(h, "analysis.net.8"), "analysis.net.9")
    net.add(Op("add", linear, net.conv(h, "analysis.out")))
    return net.ops


def synthesis_ops() -> list[Op]:
    """Dequantised latents to a picture."""
    net = _Builder()
    base = net.shuffle(net.conv(0, "synthesis.linear"), 16)
    h = net.conv(0, "synthesis.in")
    for i in range(2):
        h = net.depthwise_block(h, f"synthesis.block16.{i}")
    h = net.shuffle(net.conv(h, "synthesis.up8"), 2)
    for i in range(2):
        h = net.residual(h, f"synthesis.block8.{i}")
    h = net.shuffle(net.conv(h, "synthesis.up4"), 2)
    h = net.add(Op("add", h, net.conv(net.unshuffle(base, 4), "synthesis.base4")))
    for i in range(2):
        h = net.residual(h, f"synthesis.block4.{i}")
    h = net.add(Op("relu", h))
    net.add(Op("add", base, net.shuffle(net.conv(h, "synthesis.out", 3), 4)))
    return net.ops


@lru_cache(8)
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


def composed(weights: Weights) -> Weights:
    """Weights whose synthesis has one linear layer, where it is made of two.

    A structured linear path first mixes latents into frequencies (`synthesis.mix`), which a fixed
    inverse DCT turns into blocks: a third of the weights, and most of them small.
    """
    if "synthesis.mix.weight" not in weights:
        return weights
    mix = weights["synthesis.mix.weight"]
    basis = dct_basis(BLOCK * BLOCK, CHROMA_FREQUENCIES).to(mix.device)
    linear = basis.T @ mix.flatten(1)
    return {**weights, "synthesis.linear.weight": linear[:, :, None, None]}


def run(ops: list[Op], weights: Weights, value: Tensor) -> list[Tensor]:
    """Every value of the graph, the input first; float32, (N, C, H, W)."""
    values = [value]
    for op in ops:
        a = values[op.a]
        match op.kind:
            case "conv" | "depthwise":
                weight = weights[f"{op.name}.weight"]
                groups = a.shape[1] if op.kind == "depthwise" else 1
                out = F.conv2d(
                    a, weight, weights.get(f"{op.name}.bias"), op.factor, op.pad, 1, groups
                )
                out = out.relu() if op.relu else out
            case "add":
                out = a + values[op.b]
            case "relu":
                out = a.relu()
            case "shuffle":
                out = F.pixel_shuffle(a, op.factor)
            case _:
                out = F.pixel_unshuffle(a, op.factor)
        values.append(out)
    return values


def to_colour(rgb: Tensor) -> Tensor:
    """RGB in [0, 1] to the analysis' input."""
    return torch.einsum("oc,nchw->nohw", COLOUR.to(rgb.device), rgb - 0.5)


def from_colour(value: Tensor) -> Tensor:
    """The synthesis' output to RGB, nominally in [0, 1]; not clamped, for gradients' sake."""
    return torch.einsum("oc,nchw->nohw", torch.linalg.inv(COLOUR).to(value.device), value) + 0.5


def pad_to_stride(rgb: Tensor) -> Tensor:
    """Replicates the last row and column up to a multiple of 16."""
    return F.pad(rgb, (0, -rgb.shape[3] % 16, 0, -rgb.shape[2] % 16), mode="replicate")


@dataclass(frozen=True)
class Prediction:
    """The entropy model's output for every latent, with its inner values for calibration."""

    mean: Tensor
    spread: Tensor  # before softplus
    context: Tensor
    hidden: Tensor

    @property
    def scale(self) -> Tensor:
        """Standard deviation of each latent."""
        return F.softplus(self.spread) + 0.05


def predict(weights: Weights, latents: Tensor, level_t: Tensor) -> Prediction:
    """The entropy model over quantised latents (N, C, H, W), all positions at once.

    A factored one looks at neighbours through few channels (`reduce`), which are told magnitudes
    beside values, and lets each channel see the magnitudes of its own neighbours (`local`).
    `level_t` is a scalar, or one number for each picture (N).
    """
    seen = torch.asinh(latents)
    local = torch.zeros((), device=latents.device)
    if "entropy.reduce.weight" in weights:
        sizes = seen.abs()
        local = _taps(weights, "entropy.local", sizes, groups=sizes.shape[1])
        seen = _pointwise(weights, "entropy.reduce", torch.cat([seen, sizes], 1))
        seen = F.leaky_relu(seen, 0.1)
    context = _taps(weights, "entropy.context", seen)
    context = F.leaky_relu(context + _by_level(weights, "entropy.level", level_t), 0.1)
    hidden = F.leaky_relu(_pointwise(weights, "entropy.hidden", context), 0.1)
    mean, spread = _pointwise(weights, "entropy.out", hidden).float().chunk(2, 1)
    spread = spread + local + _by_level(weights, "entropy.scale_level", level_t)
    return Prediction(mean, spread, context, hidden)


def _taps(weights: Weights, name: str, values: Tensor, groups: int = 1) -> Tensor:
    mask = torch.zeros(5, 5, device=values.device)
    for dy, dx in TAPS:
        mask[dy + 2, dx + 2] = 1
    weight = weights[f"{name}.weight"] * mask
    return F.conv2d(values, weight, weights[f"{name}.bias"], padding=2, groups=groups)


def _pointwise(weights: Weights, name: str, values: Tensor) -> Tensor:
    return F.conv2d(values, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _by_level(weights: Weights, name: str, level_t: Tensor) -> Tensor:
    linear = level_t.reshape(-1, 1) * weights[f"{name}.weight"][:, 0] + weights[f"{name}.bias"]
    return linear[:, :, None, None]


def code_length(prediction: Prediction, latents: Tensor) -> Tensor:
    """Bits of each latent under what the entropy model gives."""
    return gaussian_bits(prediction.mean, prediction.scale, latents)


def gaussian_bits(mean: Tensor, scale: Tensor, latents: Tensor) -> Tensor:
    """-log2 of a Gaussian's mass over an interval of one around each latent."""
    # By the side of the distribution that is small, where differences keep their precision.
    distance = (latents - mean).abs()
    upper = torch.special.ndtr((0.5 - distance) / scale)
    lower = torch.special.ndtr((-0.5 - distance) / scale)
    return -(upper - lower).clamp_min(1e-9).log2()


def ideal_bits(prediction: Prediction, latents: Tensor) -> float:
    """The code length of all latents together, in bits."""
    return float(code_length(prediction, latents).sum())

"""A decoder's model file as torch sees it: what `export` wrote, ready for gradients.

Values are in the engine's own units (integers, there), but nothing is rounded between layers, so
that pictures differ from the engine's by a fraction of a level and everything has a slope.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sitecodec.training import architecture, export
from sitecodec.training.architecture import Op, Weights

KINDS = {number: kind for kind, number in export.KINDS.items()}
REACH = 3  # rows and columns that a tap may be away
HEADER = "<4sBBHBBHI"
PICTURE_STEP, MEAN_STEP = 2.0**-export.PICTURE_BITS, 2.0**-export.MEAN_BITS


@dataclass(frozen=True)
class Decoder:
    """A decoder at one quality."""

    ops: list[Op]
    weights: Weights
    gain: Tensor  # (C, 1, 1): dequantised in the engine's units = q · gain
    transform: Tensor  # |q| to what the entropy model sees
    log_scale: Tensor  # the scale table, as logarithms


@dataclass
class _Reader:
    data: bytes
    at: int = 0

    def take(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def array(self, kind: str, *shape: int) -> NDArray[np.float64]:
        count = int(np.prod(shape))
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found.astype(np.float64).reshape(shape)


def read_gains(encoder: bytes, quality: float) -> Tensor:
    """The factors, (C), of latents before rounding, at a quality of 0-100."""
    reader = _Reader(encoder)
    _, _, levels, channels, *_ = reader.take(HEADER)
    return _tensor(2.0 ** (_between_levels(reader.array("<i2", levels, channels), quality) / 256))


def read(file: bytes, quality: float) -> Decoder:
    """The decoder at a quality of 0-100. The file must be one that the engine accepts.

    An encoder's file is read, too: it has no entropy model, and its tables are empty.
    """
    reader = _Reader(file)
    _, kind, levels, channels, latent_bits, count, _, _ = reader.take(HEADER)

    def between(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return rows[0] if len(rows) == 1 else _between_levels(rows, quality)

    gain = 2.0 ** (between(reader.array("<i2", levels, channels)) / 256 + latent_bits)
    weights: Weights = {}

    def layer(name: str, inputs: int) -> tuple[int, int, int]:
        outputs, rows, columns, size, activation, bias_rows, _ = reader.take("<HBBBBBB")
        scale = reader.array("<f4", outputs)
        weights[f"{name}.bias"] = _tensor(between(reader.array("<f4", bias_rows, outputs)))
        whole = reader.array("<i1" if size == 1 else "<i2", outputs, rows, columns, inputs)
        whole *= scale[:, None, None, None]
        weights[f"{name}.weight"] = _tensor(whole.transpose(0, 3, 1, 2))
        return outputs, rows, activation

    transform = scales = np.zeros(0)
    if kind == 1:
        transform_size, scale_size, taps, _ = reader.take("<HHBB")
        places = [reader.take("<bb") for _ in range(taps)]
        transform = reader.array("<i2", transform_size)
        scales = np.log(65536 / reader.array("<u4", scale_size))
        hidden, _, _ = layer("context", channels)
        context = torch.zeros(hidden, channels, REACH + 1, 2 * REACH + 1)
        for index, (dy, dx) in enumerate(places):
            context[:, :, dy + REACH, dx + REACH] = weights["context.weight"][:, :, index, 0]
        weights["context.weight"] = context
        layer("output", layer("hidden", hidden)[0])
    ops: list[Op] = []
    widths = [channels if kind == 1 else 3]
    for index in range(1, count + 1):
        number, factor, pad, _, a, b = reader.take("<BBBBHH")
        name, width, relu = str(index), widths[a], False
        if KINDS[number] in ("conv", "depthwise"):
            width, _, activation = layer(name, 1 if KINDS[number] == "depthwise" else width)
            relu = activation == export.RELU
        elif KINDS[number] == "shuffle":
            width //= factor**2
        elif KINDS[number] == "unshuffle":
            width *= factor**2
        widths.append(width)
        ops.append(Op(KINDS[number], a, b, name, relu, factor, pad))
    return Decoder(ops, weights, _tensor(gain[:, None, None]), _tensor(transform), _tensor(scales))


def decoded(decoder: Decoder, latents: Tensor) -> Tensor:
    """The picture of latents (N, C, h, w), (N, 3, 16·h, 16·w) RGB about [0, 1], not limited."""
    value = architecture.run(decoder.ops, decoder.weights, latents * decoder.gain)[-1]
    return architecture.from_colour(value.float() * PICTURE_STEP)


def bits(decoder: Decoder, latents: Tensor) -> Tensor:
    """The code length of each latent (N, C, h, w), in bits."""
    seen = torch.sign(latents) * _between(decoder.transform, latents.abs())
    seen = F.pad(seen, (REACH, REACH, REACH, 0))
    weights = decoder.weights
    value = F.conv2d(seen, weights["context.weight"], weights["context.bias"])
    for name in ("hidden", "output"):
        value = F.conv2d(
            F.leaky_relu(value, 0.1), weights[f"{name}.weight"], weights[f"{name}.bias"]
        )
    mean, spread = value.float().chunk(2, 1)
    scale = _between(decoder.log_scale, spread + export.SPREAD_OFFSET).exp()
    return architecture.gaussian_bits(mean * MEAN_STEP, scale, latents)


def _between_levels(rows: NDArray[np.float64], quality: float) -> NDArray[np.float64]:
    last = len(rows) - 1
    place = (round(quality * 100) * last * 4096 + 5000) // 10000
    level, part = place >> 12, (place & 4095) / 4096
    mixed: NDArray[np.float64] = rows[level] + (rows[min(level + 1, last)] - rows[level]) * part
    return mixed


def _between(table: Tensor, place: Tensor) -> Tensor:
    """Values of a table between its entries."""
    place = place.clamp(0, len(table) - 1.001)
    index = place.detach().long()
    low, high = table[index], table[index + 1]
    return low + (high - low) * (place - index)


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))

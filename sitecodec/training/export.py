"""Turns trained float weights into the engine's two model files.

`python -m sitecodec.training.export WEIGHTS.safetensors CALIBRATION_FOLDER OUT_STEM` writes
OUT_STEM.decoder.slm (entropy model and synthesis, what visitors load) and OUT_STEM.encoder.slm
(analysis, what builds use).

Weights become integers with a scale for each output channel (see `quantise`); values between
layers become int16 with a power-of-two step chosen from the largest magnitudes seen on the
calibration pictures.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sitecodec.training import architecture, quantise
from sitecodec.training.architecture import TAPS, Op, Weights

HEADROOM = 3.0  # how far a value may exceed the calibration's largest before it saturates
PICTURE_BITS = 13
TRANSFORM_BITS, TRANSFORM_SIZE = 12, 512
MEAN_BITS, SPREAD_BITS, SPREAD_OFFSET, SCALE_SIZE = 6, 4, 128, 1024
KINDS = {"conv": 1, "depthwise": 2, "add": 3, "relu": 4, "shuffle": 5, "unshuffle": 6}
RELU, LEAKY = 1, 2
FLOAT_BITS = 12  # of the mantissas of scales and biases: the rest would only fill the file


@dataclass(frozen=True)
class Calibration:
    """Largest magnitudes seen."""

    analysis: list[float]  # of each value
    synthesis: list[float]
    context: float
    hidden: float


def calibrate(weights: Weights, pictures: Iterable[Tensor]) -> Calibration:
    """Largest magnitudes of every value over (1, 3, H, W) pictures in [0, 1], at all levels."""
    analysis, synthesis = architecture.analysis_ops(), architecture.synthesis_ops()
    high_a, high_s = [0.0] * (len(analysis) + 1), [0.0] * (len(synthesis) + 1)
    context = hidden = 0.0
    with torch.no_grad():
        for picture in pictures:
            source = architecture.to_colour(architecture.pad_to_stride(picture))
            values = architecture.run(analysis, weights, source)
            high_a = [max(h, float(v.abs().max())) for h, v in zip(high_a, values, strict=True)]
            for level in range(weights["level_t"].shape[0]):
                gain = weights["log_gain"][level].exp().view(1, -1, 1, 1)
                latents = torch.round(values[-1] * gain)
                prediction = architecture.predict(weights, latents, weights["level_t"][level])
                context = max(context, float(prediction.context.abs().max()))
                hidden = max(hidden, float(prediction.hidden.abs().max()))
                inverse = weights["log_inverse_gain"][level].exp().view(1, -1, 1, 1)
                decoded = architecture.run(synthesis, weights, latents * inverse)
                high_s = [
                    max(h, float(v.abs().max())) for h, v in zip(high_s, decoded, strict=True)
                ]
    return Calibration(high_a, high_s, context, hidden)


def bits_for(largest: float) -> int:
    """Fraction bits of an int16 that holds `largest` with headroom."""
    return min(14, math.floor(math.log2(32767 / (HEADROOM * max(largest, 1e-6)))))


def joined(ops: list[Op]) -> list[int]:
    """A number for each value, the same for those whose fraction bits an op joins."""
    parent = list(range(len(ops) + 1))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for index, op in enumerate(ops, start=1):
        if op.kind in ("add", "relu", "shuffle", "unshuffle"):
            parent[root(index)] = root(op.a)
        if op.kind == "add":
            parent[root(index)] = root(op.b)
    return [root(i) for i in range(len(parent))]


def value_bits(ops: list[Op], largest: list[float], picture: int) -> list[int]:
    """Fraction bits of each value; those that an op joins share theirs."""
    groups = joined(ops)
    bits = {
        group: bits_for(max(h for h, g in zip(largest, groups, strict=True) if g == group))
        for group in set(groups)
    }
    bits[groups[picture]] = PICTURE_BITS
    return [bits[group] for group in groups]


@dataclass(frozen=True)
class Ranges:
    """The fixed points of a layer."""

    in_bits: int
    """Fraction bits of its inputs."""

    largest: float
    """The largest magnitude of its inputs."""

    out_bits: NDArray[np.int64] | int
    """Fraction bits of its outputs."""


def layer_record(
    whole: NDArray[np.float64],
    size: NDArray[np.float64],
    biases: NDArray[np.float64],
    ranges: Ranges,
    activation: int,
) -> bytes:
    """A layer as docs/format.md lays it out.

    `whole` is (outputs, rows, columns, inputs) integers, `size` what one of them is worth in each
    output.
    """
    outputs, rows, columns, _ = whole.shape
    # Sums must fit int32 for any input that calibration saw, with headroom; where they would not,
    # an output has coarser weights.
    sums = np.abs(whole).reshape(outputs, -1).sum(1) * ranges.largest * 2.0**ranges.in_bits * 1.5
    coarser = np.maximum(1, sums / (2**31 - 1))
    whole, size = np.rint(whole / coarser[:, None, None, None]), size * coarser
    wide = np.abs(whole).max() > 127
    step = 2.0 ** np.broadcast_to(ranges.out_bits, (outputs,))
    header = struct.pack(
        "<HBBBBBB", outputs, rows, columns, 2 if wide else 1, activation, len(biases), 0
    )
    return (
        header
        + short_floats(size * 2.0**-ranges.in_bits * step)
        + short_floats(biases * step)
        + whole.astype("<i2" if wide else "i1").tobytes()
    )


def short_floats(values: NDArray[np.float64]) -> bytes:
    """Values as float32 whose mantissas end after FLOAT_BITS bits."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4").astype(np.uint64)
    half = 1 << (22 - FLOAT_BITS)
    return ((bits + half) >> (23 - FLOAT_BITS) << (23 - FLOAT_BITS)).astype("<u4").tobytes()


def whole_weights(name: str, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A layer's integers as (outputs, rows, columns, inputs), and each output's step."""
    whole, step = quantise.integers(name, weights)
    return whole.double().numpy().transpose(0, 2, 3, 1), step.double().flatten().numpy()


def graph_records(ops: list[Op], weights: Weights, bits: list[int], largest: list[float]) -> bytes:
    """The operations of a graph."""
    out = b""
    for index, op in enumerate(ops, start=1):
        out += struct.pack("<BBBBHH", KINDS[op.kind], op.factor, op.pad, 0, op.a, op.b)
        if op.kind not in ("conv", "depthwise"):
            continue
        whole, size = whole_weights(op.name, weights)
        bias = weights.get(f"{op.name}.bias", torch.zeros(len(size))).double().numpy()
        out += layer_record(
            whole,
            size,
            bias[None],
            Ranges(bits[op.a], largest[op.a], bits[index]),
            activation=RELU if op.relu else 0,
        )
    return out


def entropy_record(weights: Weights, calibration: Calibration) -> bytes:
    """The entropy model: tables, taps, three layers."""

    def array(name: str) -> NDArray[np.float64]:
        return weights[f"entropy.{name}"].double().numpy()

    transform = np.rint(np.arcsinh(np.arange(TRANSFORM_SIZE)) * 2**TRANSFORM_BITS)
    spread = (np.arange(SCALE_SIZE) - SPREAD_OFFSET) / 2**SPREAD_BITS
    inverse = np.rint(65536 / (np.logaddexp(spread, 0) + 0.05))
    level_t = weights["level_t"].double().numpy()[:, None]
    context, context_size = whole_weights("entropy.context", weights)
    context = context[:, [dy + 2 for dy, _ in TAPS], [dx + 2 for _, dx in TAPS]][:, :, None]
    context_bias = array("context.bias") + level_t * array("level.weight")[:, 0]
    context_bias = context_bias + array("level.bias")
    out_bias = np.tile(array("out.bias"), (len(level_t), 1))
    channels = out_bias.shape[1] // 2
    out_bias[:, channels:] += level_t * array("scale_level.weight")[:, 0]
    out_bias[:, channels:] += array("scale_level.bias")
    context_bits, hidden_bits = bits_for(calibration.context), bits_for(calibration.hidden)
    return b"".join(
        [
            struct.pack("<HHBB", TRANSFORM_SIZE, SCALE_SIZE, len(TAPS), 0),
            b"".join(struct.pack("<bb", dy, dx) for dy, dx in TAPS),
            transform.astype("<i2").tobytes(),
            np.maximum(inverse, 1024).astype("<u4").tobytes(),
            layer_record(
                context,
                context_size,
                context_bias,
                Ranges(TRANSFORM_BITS, math.asinh(TRANSFORM_SIZE), context_bits),
                activation=LEAKY,
            ),
            layer_record(
                *whole_weights("entropy.hidden", weights),
                array("hidden.bias")[None],
                Ranges(context_bits, calibration.context, hidden_bits),
                activation=LEAKY,
            ),
            layer_record(
                *whole_weights("entropy.out", weights),
                out_bias,
                Ranges(
                    hidden_bits, calibration.hidden, np.repeat([MEAN_BITS, SPREAD_BITS], channels)
                ),
                activation=0,
            ),
        ]
    )


def model_file(
    kind: int, log_gain: Tensor, latent_bits: int, ops: int, partner: int, body: bytes
) -> bytes:
    """Header, gains, body and checksum of a model file."""
    levels, channels = log_gain.shape
    gains = np.rint(log_gain.double().numpy() / math.log(2) * 256).astype("<i2").tobytes()
    header = struct.pack(
        "<4sBBHBBHI", b"SLM1", kind, levels, channels, latent_bits, ops, 0, partner
    )
    data = header + gains + body
    return data + struct.pack("<I", zlib.crc32(data))


def export(weights: Weights, pictures: Iterable[Tensor]) -> tuple[bytes, bytes]:
    """The decoder's and the encoder's model file of trained weights.

    A structured linear path is written as one layer; a factored entropy model has no place there.
    """
    if "synthesis.mix.weight" in weights:
        weights = architecture.composed(quantise.straight_through(weights))
    calibration = calibrate(quantise.straight_through(weights), pictures)
    ops = architecture.synthesis_ops()
    bits = value_bits(ops, calibration.synthesis, picture=len(ops))
    body = entropy_record(weights, calibration) + graph_records(
        ops, weights, bits, calibration.synthesis
    )
    decoder = model_file(1, weights["log_inverse_gain"], bits[0], len(ops), 0, body)
    fingerprint = struct.unpack("<I", decoder[-4:])[0]
    ops = architecture.analysis_ops()
    bits = value_bits(ops, calibration.analysis, picture=0)
    body = graph_records(ops, weights, bits, calibration.analysis)
    encoder = model_file(2, weights["log_gain"], bits[-1], len(ops), fingerprint, body)
    return decoder, encoder


def load_pictures(folder: Path, count: int) -> Iterable[Tensor]:
    """`count` pictures of a folder, evenly spread over its names, as (1, 3, H, W) in [0, 1]."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    for path in paths[:: max(1, len(paths) // count)][:count]:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        yield torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255


def main(weights_file: str, folder: str, stem: str) -> None:
    """Export from the command line."""
    from safetensors.torch import load_file

    decoder, encoder = export(load_file(weights_file), load_pictures(Path(folder), 24))
    Path(f"{stem}.decoder.slm").write_bytes(decoder)
    Path(f"{stem}.encoder.slm").write_bytes(encoder)
    print(f"decoder {len(decoder)} bytes, encoder {len(encoder)} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])

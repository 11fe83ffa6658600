"""Model files made by hand: sound ones, odd ones at random, and ones with a single error.

The layout is that of docs/format.md, "Model file". Nothing here shares code with the engine.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

CONVOLUTION, DEPTHWISE, ADD, RELU, SHUFFLE, UNSHUFFLE = range(1, 7)


@dataclass(frozen=True)
class Layer:
    """The fields of a layer; its weights are made up from their number."""

    inputs: int
    outputs: int
    rows: int = 1
    columns: int = 1
    depthwise: bool = False
    size: int = 1
    activation: int = 0
    scale: float | tuple[float, ...] = 0.02
    biases: tuple[float | tuple[float, ...], ...] = (5.0,)
    reserved: int = 0

    def pack(self) -> bytes:
        count = self.outputs * self.rows * self.columns * (1 if self.depthwise else self.inputs)
        some = bytes((at * 37 + 11) % 256 for at in range(256))
        weights = (some * (count * self.size // 256 + 1))[: count * self.size]
        shape = (self.outputs, self.rows, self.columns, self.size, self.activation)
        return (
            struct.pack("<HBBBBBB", *shape, len(self.biases), self.reserved)
            + b"".join(self._floats(values) for values in (self.scale, *self.biases))
            + weights
        )

    def _floats(self, values: float | tuple[float, ...]) -> bytes:
        some = values if isinstance(values, tuple) else (values,)
        return struct.pack(f"<{self.outputs}f", *(some[i % len(some)] for i in range(self.outputs)))


@dataclass(frozen=True)
class Operation:
    """One operation of a graph."""

    kind: int
    factor: int = 1
    pad: int = 0
    a: int = 0
    b: int = 0
    layer: Layer | None = None
    reserved: int = 0

    def pack(self) -> bytes:
        head = struct.pack(
            "<BBBBHH", self.kind, self.factor, self.pad, self.reserved, self.a, self.b
        )
        return head + (self.layer.pack() if self.layer else b"")


def _ending() -> tuple[Operation, ...]:
    return (Operation(CONVOLUTION, layer=Layer(8, 768)), Operation(SHUFFLE, 16, a=1))


@dataclass(frozen=True)
class Model:
    """A decoder's file. As it comes it is sound: latents, one convolution, a picture."""

    magic: bytes = b"SLM1"
    kind: int = 1
    levels: int = 2
    channels: int = 8
    bits: int = 4
    reserved: int = 0
    parent: int = 0
    gains: tuple[int, ...] = (256,)
    transform: tuple[int, ...] = (0, 400, 900)
    scales: tuple[int, ...] = (65536, 30000)
    taps: tuple[tuple[int, int], ...] = ((0, -1),)
    context: Layer = Layer(8, 8)
    hidden: Layer = Layer(8, 8)
    output: Layer = Layer(8, 16)
    operations: tuple[Operation, ...] = field(default_factory=_ending)
    count: int | None = None
    """Of the operations, as the file tells it; None is the truth."""

    def pack(self, tail: bytes = b"") -> bytes:
        """The file; its checksum is right whatever its fields say."""
        count = len(self.operations) if self.count is None else self.count
        head = (self.kind, self.levels, self.channels, self.bits, count, self.reserved, self.parent)
        size = self.levels * self.channels
        gains = [self.gains[i % len(self.gains)] for i in range(size)]
        sizes = (len(self.transform), len(self.scales), len(self.taps), self.reserved & 255)
        parts = [
            self.magic + struct.pack("<BBHBBHI", *head),
            struct.pack(f"<{size}h", *gains),
            struct.pack("<HHBB", *sizes),
            *(struct.pack("<bb", *tap) for tap in self.taps),
            struct.pack(f"<{len(self.transform)}h", *self.transform),
            struct.pack(f"<{len(self.scales)}I", *self.scales),
            *(layer.pack() for layer in (self.context, self.hidden, self.output)),
            *(operation.pack() for operation in self.operations),
            tail,
        ]
        data = b"".join(parts)
        return data + struct.pack("<I", zlib.crc32(data))


def payload_for(
    model: bytes,
    body: bytes = b"",
    size: tuple[int, int] = (40, 24),
    quality: int = 5000,
    version: int = 1,
) -> bytes:
    """A payload of (width, height) pixels that names this model, its checksum right."""
    (fingerprint,) = struct.unpack("<I", model[-4:])
    fields = (b"SLAT", version, 0, fingerprint, size[0] - 1, size[1] - 1, quality)
    head = struct.pack("<4sBBIHHH", *fields)
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


_ODD_FLOATS = (0.0, -0.0, 1e-40, 3e38, -3e38, float("inf"), float("-inf"), float("nan"), 0.5, 2**31)


class _Maker:
    """Draws the parts of a model from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def floats(self, typical: float) -> tuple[float, ...]:
        some = tuple(float(v) for v in self.rng.normal(0, typical, 8).astype(np.float32))
        return self.pick(some, some, (*some, self.pick(*_ODD_FLOATS)), (self.pick(*_ODD_FLOATS),))

    def layer(self, levels: int, inputs: int, outputs: int, **shape: Any) -> Layer:
        return Layer(
            inputs,
            outputs,
            size=self.pick(1, 2),
            activation=self.pick(0, 1, 2),
            scale=self.floats(self.pick(1e-2, 1e-3, 1e-4)),
            biases=tuple(self.floats(40) for _ in range(self.pick(1, levels))),
            reserved=self.pick(0, 7),
            **shape,
        )

    def operation(self, levels: int, values: list[tuple[int, int]]) -> Operation:
        """An operation on earlier values, (channels, 1 / scale); the result's is appended."""
        a = self.pick(*(i for i, (channels, _) in enumerate(values) if channels % 8 == 0))
        channels, scale = values[a]
        kinds = [CONVOLUTION, DEPTHWISE, ADD, RELU]
        kinds += [SHUFFLE] if scale > 1 and channels % 32 == 0 else []
        kinds += [UNSHUFFLE] if scale < 16 and channels <= 64 else []
        kind, factor, pad, b, layer = self.pick(*kinds), self.pick(0, 3), 0, self.pick(0, 999), None
        if kind == CONVOLUTION:
            factor, outputs = self.pick(*([1, 1, 2] if scale < 16 else [1])), self.pick(8, 16, 48)
            pad = 1 if factor == 2 else self.pick(0, 1, 2, 3)
            kernel = 4 if factor == 2 else 2 * pad + 1
            layer = self.layer(levels, channels, outputs, rows=kernel, columns=kernel)
            channels, scale = outputs, scale * factor
        elif kind == DEPTHWISE:
            factor, pad = 1, self.pick(0, 1, 2, 3)
            shape = {"rows": 2 * pad + 1, "columns": 2 * pad + 1, "depthwise": True}
            layer = self.layer(levels, channels, channels, **shape)
        elif kind == ADD:
            b = self.pick(*(i for i, value in enumerate(values) if value == values[a]))
        elif kind in (SHUFFLE, UNSHUFFLE):
            factor = 2
            channels = channels // 4 if kind == SHUFFLE else channels * 4
            scale = scale // 2 if kind == SHUFFLE else scale * 2
        values.append((channels, scale))
        return Operation(kind, factor, pad, a, b, layer, self.pick(0, 9))

    def graph(self, levels: int, channels: int) -> tuple[Operation, ...]:
        values = [(channels, 16)]
        made = [self.operation(levels, values) for _ in range(int(self.rng.integers(0, 8)))]
        coarse = [i for i, (c, scale) in enumerate(values) if scale >= 4 and c % 8 == 0]
        a = coarse[-1]
        channels, scale = values[a]
        if scale == 16 and self.pick(True, True, False):
            made += [Operation(CONVOLUTION, a=a, layer=self.layer(levels, channels, 128))]
            made += [Operation(SHUFFLE, 4, a=len(made))]
            a, channels, scale = len(made), 8, 4
        layer = self.layer(levels, channels, 3 * scale * scale)
        made += [Operation(CONVOLUTION, 1, a=a, layer=layer)]
        made += [Operation(SHUFFLE, scale, a=len(made))]
        if self.pick(True, False):
            made += [Operation(self.pick(ADD, RELU), a=len(made), b=len(made))]
        return tuple(made)


def any_model(seed: int) -> Model:
    """A sound model, with numbers that no training gives: infinities, extremes, reserved bytes."""
    make = _Maker(np.random.default_rng(seed))
    rng = make.rng
    levels, channels, hidden = int(rng.integers(2, 5)), make.pick(8, 16), make.pick(8, 24)
    all_taps = [(dy, dx) for dy in (-3, -2, -1, 0) for dx in range(-3, 4) if dy or dx < 0]
    taps = [all_taps[i] for i in rng.choice(len(all_taps), int(rng.integers(1, 6)))]
    table = rng.integers(-3000, 3000, int(rng.integers(2, 9)))
    table[0] = make.pick(0, 0, 700, -32768)
    table[-1] = make.pick(table[-1], 32767, -32768)
    return replace(
        Model(),
        levels=levels,
        channels=channels,
        bits=int(rng.integers(0, 15)),
        reserved=make.pick(0, 513),
        parent=make.pick(0, 77),
        gains=tuple(int(v) for v in rng.integers(*make.pick((-600, 1200), (-32768, 32768)), 9)),
        transform=tuple(int(v) for v in table),
        scales=tuple(int(v) for v in rng.integers(1024, 1638401, int(rng.integers(2, 200)))),
        taps=tuple(taps),
        context=make.layer(levels, channels, hidden, rows=len(taps)),
        hidden=make.layer(levels, hidden, 16),
        output=make.layer(levels, 16, 2 * channels),
        operations=make.graph(levels, channels),
    )


def any_payload(seed: int, model: bytes) -> bytes:
    """A payload of that model with noise for latents: small, now and then tall."""
    rng = np.random.default_rng(seed)
    body = rng.integers(0, 256, int(rng.choice([0, 1, 7, 60, 400])), dtype=np.uint8)
    body[rng.random(len(body)) < rng.choice([0, 0.3, 0.9])] = rng.choice([0, 255])
    width, height = (int(v) for v in rng.integers(1, 50, 2))
    if seed % 16 == 0:
        height = 700
    return payload_for(model, body.tobytes(), (width, height), int(rng.integers(0, 10001)))


def spoilt(seed: int, model: bytes) -> bytes:
    """The model file with a few bytes changed, most of them in fields, and its checksum right."""
    rng = np.random.default_rng(seed)
    broken = bytearray(model[:-4])
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(24 if rng.random() < 0.3 else len(broken)))
        broken[at] = int(rng.choice([0, 1, 2, 127, 255, int(rng.integers(256))]))
    return bytes(broken) + struct.pack("<I", zlib.crc32(broken))

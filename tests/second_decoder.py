"""A second decoder, written from docs/format.md alone: small and slow, with no code of the engine.

It shares nothing with the decoder that ships, so where the two give the same pixels the
specification has said enough. Each function is a section of the specification.
"""

from __future__ import annotations

import math
import struct
import zlib
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

EXP2 = np.array([math.floor(2 ** (15 + i / 256) + 0.5) for i in range(256)], np.int64)
PHI = [math.floor(32768 * (1 + math.erf(i / 64 / math.sqrt(2))) + 0.5) for i in range(321)]

Record = SimpleNamespace  # a model, a layer or an operation, with the specification's names


class Position(NamedTuple):
    """Where a quality lies among the model's levels."""

    level: int
    w: int

    def rows(self, table: Array) -> tuple[Array, Array]:
        return table[self.level], table[self.level + 1 if self.w else self.level]


def require(condition: bool, reason: str) -> None:
    if not condition:
        raise ValueError(reason)


def decode(payload: bytes, model_file: bytes) -> Array:
    """Section "Payload" and "Order of decoding"."""
    require(len(payload) >= 20 and payload[:4] == b"SLAT", "not a payload")
    version, codec, fingerprint, width, height, quality, checksum = struct.unpack(
        "<BBIHHHI", payload[4:20]
    )
    width, height = width + 1, height + 1
    require(version in (1, 2), "unknown version")
    require(codec == 0, "unknown codec")
    require(zlib.crc32(payload[20:], zlib.crc32(payload[:16])) == checksum, "wrong checksum")
    require(quality <= 10000, "quality above 10000")
    limit = min(50_000_000, 2**21 + 4096 * len(payload))
    require(width * height <= limit, "too many pixels")
    model = read_model(model_file)
    require(model.fingerprint == fingerprint, "unknown model")
    p = (quality * (model.levels - 1) * 4096 + 5000) // 10000
    at = Position(p >> 12, p & 4095)
    body, alpha = payload[20:], None
    if version == 2:
        require(len(body) >= 4, "no alpha")
        end = 4 + int.from_bytes(body[:4], "little")
        require(end <= len(body), "alpha beyond the end")
        alpha = decode_alpha(body[4:end], height, width)
        body = body[end:]
    latents = decode_latents(body, model, at, -(-height // 16), -(-width // 16))
    rgb = to_rgb(run_graph(model, dequantise(latents, model, at), at))[:height, :width]
    return rgb if alpha is None else np.dstack([rgb, alpha])


class Reader:
    """The fields of a model file, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def array(self, dtype: str, *shape: int) -> Array:
        count = math.prod(shape)
        size = count * np.dtype(dtype).itemsize
        require(self.offset + size <= len(self.data), "bytes are missing")
        values = np.frombuffer(self.data, dtype, count, self.offset).reshape(shape)
        self.offset += size
        return values

    def fields(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize("<" + layout)
        return struct.unpack("<" + layout, self.array("u1", size).tobytes())


def read_model(data: bytes) -> Record:
    """Section "Model file", of a decoder, and "Entropy model"."""
    require(20 <= len(data) <= 1 << 26 and data[:4] == b"SLM1", "not a model")
    (fingerprint,) = struct.unpack("<I", data[-4:])
    require(zlib.crc32(data[:-4]) == fingerprint, "wrong checksum of the model")
    reader = Reader(data[4:-4])
    kind, levels, channels, bits, count, _, _ = reader.fields("BBHBBHI")
    require(kind == 1, "not a decoder")
    require(2 <= levels <= 16 and 8 <= channels <= 512 and channels % 8 == 0, "bad shape")
    require(bits <= 14 and count <= 127, "bad header of the model")
    model = Record(levels=levels, channels=channels, bits=bits, fingerprint=fingerprint)
    model.gains = reader.array("<i2", levels, channels).astype(np.int64)

    transform_size, scale_size, tap_count, _ = reader.fields("HHBB")
    require(transform_size >= 2 and scale_size >= 2, "bad tables")
    require(1 <= tap_count <= 32, "bad taps")
    model.taps = taps = [(int(dy), int(dx)) for dy, dx in reader.array("i1", tap_count, 2)]
    require(all(-3 <= y <= 0 and -3 <= x <= 3 and (y < 0 or x < 0) for y, x in taps), "bad tap")
    model.transform = reader.array("<i2", transform_size).astype(np.int64)
    model.scales = reader.array("<u4", scale_size).tolist()
    require(all(1024 <= scale <= 1638400 for scale in model.scales), "bad scale")
    context = read_layer(reader, levels, channels)
    hidden = read_layer(reader, levels, context.outputs)
    output = read_layer(reader, levels, hidden.outputs)
    require((context.rows, context.columns) == (tap_count, 1), "bad context layer")
    require(hidden.rows == hidden.columns == output.rows == output.columns == 1, "not 1x1")
    require(output.outputs == 2 * channels, "bad output layer")
    model.entropy = (context, hidden, output)

    shapes = [(channels, 16)]
    model.graph = [read_operation(reader, levels, shapes) for _ in range(count)]
    require(reader.offset == len(reader.data), "bytes are left over")
    require(shapes[-1] == (3, 1), "the graph does not end in a picture")
    return model


def read_layer(reader: Reader, levels: int, inputs: int, depthwise: bool = False) -> Record:
    """Section "Layers": the fields."""
    outputs, rows, columns, size, activation, bias_rows, _ = reader.fields("HBBBBBB")
    require(8 <= outputs <= 1024 and outputs % 8 == 0 and inputs % 8 == 0, "bad channels")
    require(1 <= rows <= 32 and 1 <= columns <= 8, "bad kernel")
    require(size in (1, 2) and activation <= 2, "bad layer")
    require(bias_rows in (1, levels), "bad bias")
    layer = Record(outputs=outputs, rows=rows, columns=columns, activation=activation)
    layer.scale = reader.array("<f4", outputs)
    layer.bias = reader.array("<f4", bias_rows, outputs)
    shape = (outputs, rows, columns) if depthwise else (outputs, rows, columns, inputs)
    layer.weights = reader.array(f"<i{size}", *shape).astype(np.float64)
    return layer


def read_operation(reader: Reader, levels: int, shapes: list[tuple[int, int]]) -> Record:
    """Section "Graph": the fields. A shape is (channels, 1 / scale); the result's is appended."""
    kind, factor, pad, _, a, b = reader.fields("BBBBHH")
    require(1 <= kind <= 6 and a < len(shapes), "bad operation")
    channels, scale = shapes[a]
    layer = None
    if kind in (1, 2):
        layer = read_layer(reader, levels, channels, kind == 2)
        kernel = {1: 2 * pad + 1, 2: 4}.get(factor)
        require(layer.rows == layer.columns == kernel, "bad kernel")
        require(factor == 1 or (kind == 1 and pad == 1), "bad stride")
        require(kind == 1 or layer.outputs == channels, "bad depthwise convolution")
        channels, scale = layer.outputs, scale * factor
    elif kind == 3:
        require(b < len(shapes) and shapes[a] == shapes[b], "shapes differ")
    elif kind in (5, 6):
        require(factor in (2, 4, 8, 16), "bad factor")
        if kind == 5:
            require(channels % factor**2 == 0 and scale % factor == 0, "bad shuffle")
            channels, scale = channels // factor**2, scale // factor
        else:
            channels, scale = channels * factor**2, scale * factor
    require(scale <= 16 and channels <= 1024 and (scale == 1 or channels % 8 == 0), "bad value")
    shapes.append((channels, scale))
    return Record(kind=kind, factor=factor, pad=pad, a=a, b=b, layer=layer)


def run_layer(layer: Record, sums: Array, at: Position) -> Array:
    """Section "Layers": from the sums, exact and not yet wrapped, to i16 values."""
    bias = layer.bias[0]
    if len(layer.bias) > 1:
        a, b = at.rows(layer.bias)
        bias = a + (b - a) * (np.float32(at.w) * np.float32(2**-12))
    v = sums.astype(np.int64).astype(np.int32).astype(np.float32) * layer.scale
    v = v + bias
    if layer.activation == 1:
        v = np.maximum(v, np.float32(0))
    elif layer.activation == 2:
        v = np.where(v < 0, v * np.float32(0.1), v)
    v = np.where(np.isnan(v), np.float32(0), v)
    return np.clip(np.rint(v), -32768, 32767).astype(np.int64)


def convolve(op: Record, value: Array, at: Position) -> Array:
    """Section "Graph": kinds 1 and 2. float64 holds a sum exactly: it stays below 2^53."""
    layer = op.layer
    rows, columns = value.shape[0] // op.factor, value.shape[1] // op.factor
    padded = np.pad(value.astype(np.float64), ((op.pad,) * 2, (op.pad,) * 2, (0, 0)))
    sums = np.zeros((rows, columns, layer.outputs))
    for i in range(layer.rows):
        for j in range(layer.columns):
            window = padded[i :: op.factor, j :: op.factor][:rows, :columns]
            weights = layer.weights[:, i, j]
            sums += window @ weights.T if op.kind == 1 else window * weights
    return run_layer(layer, sums, at)


def run_graph(model: Record, latents: Array, at: Position) -> Array:
    """Section "Graph": values are (rows, columns, channels)."""
    values = [latents]
    for op in model.graph:
        a, r = values[op.a], op.factor
        rows, columns, channels = a.shape
        if op.layer is not None:
            values.append(convolve(op, a, at))
        elif op.kind == 3:
            values.append(np.clip(a + values[op.b], -32768, 32767))
        elif op.kind == 4:
            values.append(np.maximum(a, 0))
        elif op.kind == 5:
            parts = a.reshape(rows, columns, channels // r**2, r, r).transpose(0, 3, 1, 4, 2)
            values.append(parts.reshape(rows * r, columns * r, channels // r**2))
        else:
            parts = a.reshape(rows // r, r, columns // r, r, channels).transpose(0, 2, 4, 1, 3)
            values.append(parts.reshape(rows // r, columns // r, channels * r**2))
    return values[-1]


def dequantise(q: Array, model: Record, at: Position) -> Array:
    """Section "Gains"."""
    a, b = at.rows(model.gains)
    log = (a * (4096 - at.w) + b * at.w + 2048) >> 12
    product = q * EXP2[log & 255]
    shift = 15 - (log >> 8) - model.bits
    down = np.clip(shift, 1, 46)
    d = (product + (np.int64(1) << (down - 1))) >> down
    d = np.where(shift > 0, d, product << np.clip(-shift, 0, 16))
    return np.where((shift > 46) | (shift < -16), 0, np.clip(d, -32767, 32767))


def decode_latents(data: bytes, model: Record, at: Position, rows: int, columns: int) -> Array:
    """Section "Prediction"."""
    coder = RangeDecoder(data)
    channels = model.channels
    q = np.zeros((rows, columns, channels), np.int64)
    seen = np.zeros((rows + 3, columns + 6, channels))  # t(q), with the taps' reach around it
    for y in range(rows):
        for x in range(columns):
            v = np.concatenate([seen[y + 3 + dy, x + 3 + dx] for dy, dx in model.taps])
            for layer in model.entropy:
                v = run_layer(layer, layer.weights.reshape(layer.outputs, -1) @ v, at)
            for c in range(channels):
                index = min(max(int(v[channels + c]) + 128, 0), len(model.scales) - 1)
                q[y, x, c] = decode_latent(coder, int(v[c]), model.scales[index])
            magnitude = np.minimum(np.abs(q[y, x]), len(model.transform) - 1)
            seen[y + 3, x + 3] = (np.sign(q[y, x]) * model.transform[magnitude]).astype(np.int16)
    return q


def decode_latent(coder: RangeDecoder, mean: int, scale: int) -> int:
    """Sections "Distribution" and "Escape"."""
    center = (mean + 32) >> 6
    reach = 1 + 327680 // scale
    count = 2 * reach + 1

    def start(s: int) -> int:
        if s == 0 or s >= count:
            return 0 if s == 0 else 65535 + s - count
        e = 64 * (center - reach + s) - 32 - mean
        z = (abs(e) * scale) >> 8
        i = z >> 8
        phi = 65536 if i >= 320 else PHI[i] + (((PHI[i + 1] - PHI[i]) * (z & 255) + 128) >> 8)
        return s + (((phi if e >= 0 else 65536 - phi) * (65535 - count)) >> 16)

    target = coder.target()
    low, high = 0, count + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if start(middle) <= target else (low, middle)
    coder.take(start(low), start(low + 1))
    if low < count:
        return center - reach + low

    below = coder.bit()
    n = 0
    while coder.bit():
        n += 1
        require(n <= 16, "the escape is too long")
    number = 1
    for _ in range(n):
        number = 2 * number + coder.bit()
    latent = center - (reach + number) if below else center + reach + number
    require(abs(latent) <= 32767, "the latent is too large")
    return latent


class RangeDecoder:
    """Section "Range decoder"."""

    def __init__(self, data: bytes) -> None:
        self.data = data + bytes(4)
        self.code = int.from_bytes(self.data[:4], "big")
        self.offset = 4
        self.range = 2**32 - 1

    def target(self) -> int:
        return min(self.code // (self.range >> 16), 65535)

    def take(self, start: int, end: int) -> None:
        unit = self.range >> 16
        self.code -= unit * start
        self.range = self.range - unit * start if end == 65536 else unit * (end - start)
        while self.range < 2**24:
            byte = self.data[self.offset] if self.offset < len(self.data) else 0
            self.code = (self.code * 256 + byte) % 2**32
            self.range *= 256
            self.offset += 1

    def bit(self) -> int:
        one = self.target() >= 32768
        self.take(*((32768, 65536) if one else (0, 32768)))
        return int(one)


def to_rgb(picture: Array) -> Array:
    """Section "Colour"."""
    luma, cb, cr = (picture[..., i] for i in range(3))
    y = (luma + 4096) * 4080 + 65536
    rgb = np.stack([y + 5720 * cr, y - 1404 * cb - 2914 * cr, y + 7230 * cb], axis=-1) >> 17
    return np.clip(rgb, 0, 255).astype(np.uint8)


def decode_alpha(data: bytes, height: int, width: int) -> Array:
    """Section "Alpha"."""
    coder = RangeDecoder(data)
    learnt: dict[tuple[Any, ...], tuple[int, int]] = {}  # p and t of decisions, by name and index
    plane = np.zeros((height + 2, width + 2), np.int64)  # two rows above, a column on each side

    def decision(*name: Any) -> int:
        p, t = learnt.get(name, (32768, 2))
        one = coder.target() < p
        coder.take(*((0, p) if one else (p, 65536)))
        learnt[name] = (p + (65536 - p) // t if one else p - p // t, min(t + 1, 20))
        return int(one)

    def difference(g: int, j: int) -> int:
        if not decision("differs", g):
            return 0
        b = decision("below", g)
        length = 1
        if decision("more", g, b):
            length = 2
            while length < 8 and decision("longer", j, length):
                length += 1
        size = 1
        for i in range(length - 1):
            size = 2 * size + (coder.bit() if i else decision("half", j, length))
        return -size if b else size

    def near(a: int) -> int:
        return min(max(a, -2), 2) + 2

    for y in range(2, height + 2):
        for x in range(1, width + 1):
            w, n, nw = int(plane[y, x - 1]), int(plane[y - 1, x]), int(plane[y - 1, x - 1])
            ne, nn = int(plane[y - 1, x + 1]), int(plane[y - 2, x])
            kinds = [{0: 0, 255: 2}.get(value, 1) for value in (w, n, nw, ne)]
            k = sum(kind * 3**i for i, kind in enumerate(kinds))
            s = max(abs(w - nw), abs(n - nw), abs(ne - n))
            if not decision("between", k):
                plane[y, x] = 255 * decision("opaque", k)
            elif s >= 64:
                v = 1
                for _ in range(8):
                    v = 2 * v + decision("steep", k % 9, v)
                plane[y, x] = v - 256
            else:
                p = (3 * (w + n) - 2 * nw + ne - nn + 2) >> 2
                if s < 6 or nw in (w, n):
                    p = min(max(w + n - nw, min(w, n)), max(w, n))
                g = ((near(w - nw) * 5 + near(n - nw)) * 5 + near(ne - n)) * 5 + near(n - nn)
                plane[y, x] = (min(max(p, 1), 254) + difference(g, s.bit_length())) % 256
    return plane[2:, 1:-1].astype(np.uint8)

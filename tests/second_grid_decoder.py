"""A second decoder of the grid coding, from docs/format.md alone: no code of the engine."""

import math

TAIL = [math.floor(2**24 / (1 + math.exp(n / 16)) + 0.5) for n in range(257)]
A = (7, 9, 11, 13, 16, 20, 26, 40)
B = (13, 16, 20)
EDGES = (8, 10, 12, 15, 18, 23, 31)


def limit(x, low, high):
    return max(low, min(high, x))


def share(p, q):
    return p * 65536 // (p + q)


class RangeDecoder:
    def __init__(self, data):
        self.data = data
        self.at = 4
        self.range = 2**32 - 1
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def symbol(self, one):
        """1 for the symbol from 0 to `one` of 65,536, else 0."""
        unit = self.range >> 16
        if min(self.code // unit, 65535) < one:
            bit, self.range = 1, unit * one
        else:
            bit, self.code, self.range = 0, self.code - unit * one, self.range - unit * one
        while self.range < 2**24:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.at += 1
            self.range, self.code = self.range * 256, (self.code * 256 + byte) % 2**32
        return bit


class Channel:
    def __init__(self, index, data):
        b, self.pull = data[0], data[1]
        signed = [value - 256 if value > 127 else value for value in data[2:]]
        self.base = 2 ** (b >> 4) + ((2 ** (b >> 4) * (b & 15)) >> 4)
        self.bias, self.weights, self.cross = signed[0], signed[1:7], signed[7:]
        assert len(self.cross) == index
        self.scales = [[[4 * max(1, (self.base * a * b) >> 8), 4] for a in A] for b in B]
        self.seen = [[[0, 0, 0] for _ in range(16)] for _ in range(4)]
        self.values, self.sizes = {}, {}


def decode(data, parameters, height, width, channels):
    """Rows of positions of latents l, in 1/64 of a step."""
    coder = RangeDecoder(data)
    planes, at = [], 0
    for c in range(channels):
        planes.append(Channel(c, parameters[at : at + 9 + c]))
        at += 9 + c
    rows = []
    for y in range(height):
        rows.append([])
        for x in range(width):
            errors, place = [], []
            for c, plane in enumerate(planes):
                v, prediction = value(coder, planes, plane, c, x, y, width, errors)
                assert -128 <= v <= 127
                towards = limit(prediction - 64 * v, -32, 32)
                place.append(64 * v + ((towards * plane.pull + 128) >> 8))
                errors.append(64 * v - prediction)
                plane.values[x, y] = v
                plane.sizes[x, y] = abs(errors[-1])
            rows[-1].append(place)
    return rows


def around(plane, x, y, width):
    if x == y == 0:
        return [0] * 6
    w = plane[x - 1, y] if x else plane[x, y - 1]
    n = plane[x, y - 1] if y else w
    return [
        w,
        n,
        plane[x - 1, y - 1] if x and y else n,
        plane[x + 1, y - 1] if y and x + 1 < width else n,
        plane[x - 2, y] if x > 1 else w,
        plane[x, y - 2] if y > 1 else n,
    ]


def value(coder, planes, plane, c, x, y, width, errors):
    near = around(plane.values, x, y, width)
    prediction = 4 * plane.bias + sum(w * v for w, v in zip(plane.weights, near, strict=True))
    prediction += sum((w * e) >> 6 for w, e in zip(plane.cross, errors, strict=True))
    prediction = limit(prediction, -8192, 8128)
    center = (prediction + 32) >> 6
    w, n, nw, ne = around(plane.sizes, x, y, width)[:4]
    a = 2 * (3 * w + 3 * n + nw + ne) // plane.base if x or y else 16
    e = sum(16 * abs(error) // planes[k].base for k, error in enumerate(errors))
    j = 1 if c == 0 or 9 * c <= e < 20 * c else 0 if e < 9 * c else 2
    context = plane.scales[j][sum(edge <= a for edge in EDGES)]
    inverse = 372130559 * context[1] // context[0]

    def tail(d):
        if d < 0:
            return 2**24 - tail(-d)
        z = (d * inverse) >> 16
        n = z >> 8
        return 1 if n >= 256 else TAIL[n] - (((TAIL[n] - TAIL[n + 1]) * (z & 255)) >> 8) + 1

    def above(k):
        return tail(64 * (center + k) - 32 - prediction)

    def below(k):
        return tail(prediction - (64 * (center - k) + 32))

    def decide(kind, p):
        seen = plane.seen[kind][min(15, p >> 12)]
        ones, expected, n = seen
        p = limit(p, 32, 65504)
        one = (p * (ones + 4096) * (256 * n - expected + 4096)) >> 8
        zero = ((65536 - p) * (256 * n - ones + 4096) * (expected + 4096)) >> 8
        bit = coder.symbol(limit(one * 65536 // (one + zero), 32, 65504))
        seen[:] = ones + 256 * bit, expected + (p >> 8), n + 1
        if seen[2] == 1024:
            seen[:] = [number >> 1 for number in seen]
        return bit

    v = center
    if not decide(0, share(max(1, 2**24 - above(1) - below(1)), above(1) + below(1))):
        negative = decide(1, share(below(1), above(1)))
        far = below if negative else above
        k = 1
        while k < 40 and not decide(
            2 if k == 1 else 3, share(max(1, far(k) - far(k + 1)), far(k + 1))
        ):
            k += 1
        if k == 40:
            ones = 0
            while ones < 9 and coder.symbol(32768) == 0:
                ones += 1
            number = 1
            for _ in range(ones):
                number = 2 * number + 1 - coder.symbol(32768)
            k += number - 1
        v += -k if negative else k
    context[0] += abs(64 * v - prediction)
    context[1] += 1
    if context[1] == 255:
        context[:] = (context[0] + 1) >> 1, 127
    return v, prediction

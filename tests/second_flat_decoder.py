"""A second decoder of flat pictures, from docs/format.md alone: no code of the engine."""

import struct
import zlib

WORD = 2**32 - 1


def limit(x, low, high):
    return max(low, min(high, x))


# Section "Tables of mixing"


def make_squash():
    table, e = {0: 32768}, 2**24
    for x in range(1, 2816):
        e += (e * 65664 + 2**23) >> 24
        table[-x] = max(1, 2**40 // (e + 2**24))
        table[x] = 65536 - table[-x]
    return table


def make_stretch():
    table, x = [], -2815
    for top in range(4096):
        while x < 2815 and SQUASH[x] < 16 * top + 8:
            x += 1
        table.append(x)
    return table


SQUASH = make_squash()
STRETCH = make_stretch()
PACE = [32768 // (2 * n + 3) for n in range(31)]
AGE = [0, 1, 2, 3] + [4] * 2 + [5] * 6 + [6] * 12 + [7] * 7


def stretch(p):
    return STRETCH[p >> 4]


# Section "Hashes"


def hash_of(first, *others):
    a = first & WORD
    for b in others:
        x = (a * 0x2F0B4C47 + (b & WORD) * 0xB5297A4D + 0x68E31DA4) & WORD
        a = (x ^ x >> 15) * 0x9E3779B1 & WORD
    return a


def scramble(x):
    x = (x ^ x >> 15) * 0x2545F491 & WORD
    x = (x ^ x >> 13) * 0xD168AAAD & WORD
    return x ^ x >> 16


class Decisions:
    """Sections "Range decoder", "What is learnt" and "A decision"."""

    def __init__(self, data, pixels):
        self.data = data
        self.at = 4
        self.range = 2**32 - 1
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self.bits = next((b for b in range(16, 22) if 2**b >= 4 * pixels), 22)
        self.slots = {}  # share, check, seen
        self.cells = {}
        self.rows = {}

    def symbol(self, one):
        """1 for the symbol from 0 to `one` of 65,536, else 0."""
        unit = self.range >> 16
        if self.code // unit < one:
            bit, self.range = 1, unit * one
        else:
            bit, self.code, self.range = 0, self.code - unit * one, self.range - unit * one
        while self.range < 2**24:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.at += 1
            self.range, self.code = self.range * 256, (self.code * 256 + byte) & WORD
        return bit

    def decide(self, kind, contexts, choices, expectation=0, detail=0):
        inputs = [0] * 34
        inputs[32:] = expectation, 256
        slots, cells = [], []
        for i, v in enumerate(contexts):
            z = scramble((hash_of(v, i) + (65536 * kind + detail) * 0x9E3779B1) & WORD)
            slot = self.slots.setdefault(z >> (32 - self.bits), [0, 0, 0])
            if slot[1] != z % 256:
                slot[:] = 32768, z % 256, 0
            said = stretch(slot[0])
            j, g = (said + 2815) * 32 // 5631, AGE[slot[2]]
            start = SQUASH[(2 * j + 1) * 2815 // 32 - 2815] if g else 32768
            cell = self.cells.setdefault((kind, i, j, g), [start])
            inputs[2 * i] = said if slot[2] else 0
            inputs[2 * i + 1] = stretch(cell[0])
            slots.append(slot)
            cells.append(cell)
        rows = [self.rows.setdefault(row, [5500] * 34) for row in enumerate(choices)]
        dots = [
            limit(sum(w * v >> 8 for w, v in zip(row, inputs, strict=True)) >> 8, -2815, 2815)
            for row in rows
        ]
        total = sum(dots)
        t = total // 3 if total >= 0 else -(-total // 3)
        one = self.symbol(limit(SQUASH[t], 2, 65534))
        truth = 65535 * one
        for row, dot in zip(rows, dots, strict=True):
            error = (truth - SQUASH[dot]) >> 2
            for i, v in enumerate(inputs):
                row[i] = limit(row[i] + ((v * error + 4096) >> 13), -400000, 400000)
        for slot, cell in zip(slots, cells, strict=True):
            slot[0] += ((truth - slot[0]) * PACE[slot[2]]) >> 14
            slot[2] = min(slot[2] + 1, 30)
            cell[0] += (truth - cell[0]) >> 7
        return one


def require(condition, reason):
    if not condition:
        raise ValueError(reason)


def decode(payload, most=50_000_000):
    """Rows of pixels of (R, G, B) or (R, G, B, alpha). Sections "Payload" and "Flat pictures"."""
    require(len(payload) >= 20 and payload[:4] == b"SLAT", "not a payload")
    fields = struct.unpack("<BBIHHHI", payload[4:20])
    version, codec, _, width, height, quality, checksum = fields
    width, height, body = width + 1, height + 1, payload[20:]
    require((version, codec) == (1, 2), "not a flat picture")
    require(zlib.crc32(body, zlib.crc32(payload[:16])) == checksum, "wrong checksum")
    require(quality <= 10000, "quality above 10000")
    require(width * height <= min(most, 2**24), "too many pixels")
    require(len(body) >= 4, "no palette")
    told, background = struct.unpack("<HH", body[:4])
    channels, colours = (4, told - 32767) if told >= 32768 else (3, told + 1)
    require(colours <= 4096 and background < colours, "colours out of range")
    decisions = Decisions(body[4:], width * height)
    palette = read_palette(decisions, colours, channels)
    picture = Picture(decisions, width, height, colours, background)
    rows = []
    for y in range(height):
        picture.read_row(y)
        start = picture.position(0, y)
        rows.append([palette[index] for index in picture.indices[start : start + width]])
    return rows


def read_palette(decisions, colours, channels):
    """Section "Palette of a flat picture"."""
    palette = []
    previous = [0] * channels
    for number in range(colours):
        colour = []
        for channel in range(channels):
            above = previous[channel]
            moved = colour[0] - previous[0] if channel and number else 0
            n = 1
            for b in range(7, -1, -1):
                contexts = (
                    hash_of(4, channel, n),
                    hash_of(4, channel, n, moved),
                    hash_of(4, channel, n, above),
                )
                n = 2 * n + decisions.decide(4, contexts, (1000 + channel, 1000 + b, 1000))
            colour.append((above + n) % 256)
        palette.append(colour)
        previous = colour
    return palette


def far(n):
    return n if n < 8 else 8 if n < 16 else 9 if n < 32 else 10 if n < 64 else 11


LIKENESS = (
    *((-1, 0), (0, 1), (1, 1), (-1, 1), (-2, 0), (0, 2), (2, 1), (-2, 1)),
    *((1, 2), (-1, 2), (-3, 0), (0, 3), (3, 1), (-3, 1), (-2, 2), (2, 2)),
)


class Picture:
    """Section "Places": indices by position."""

    def __init__(self, decisions, width, height, colours, background):
        self.decisions = decisions
        self.width, self.colours = width, colours
        self.depth = next(d for d in range(13) if 2**d >= colours)
        self.indices = [background] * ((height + 4) * (width + 16))
        self.steady = [0] * (width + 16)
        self.gap = self.now = self.before = self.length = self.match = 0
        self.table = {}
        self.trust = [[32768 + 900 * n for n in range(32)] for _ in range(3)]
        self.r = self.areas = (0, 0)

    def position(self, x, y):
        return (y + 4) * (self.width + 16) + x + 8

    def place(self, position):
        return lambda a, b: self.indices[position + a - b * (self.width + 16)]

    def read_row(self, y):
        """Section "Rows"."""
        self.before, self.now, self.length = self.now, 0, 0
        since, whole, x = 0, False, 0
        steady, decide = self.steady, self.decisions.decide
        while x < self.width:
            here = self.position(x, y)
            at = self.place(here)
            w = at(-1, 0)
            steady[x] = min(steady[x] + 1, 255) if at(0, 1) == at(0, 2) else 0
            if x % 16 == 0:
                whole = x + 16 <= self.width and at(-2, 0) == w
                whole = whole and all(at(i, 1) == at(i, 2) == w for i in range(-2, 18))
                if whole and not decide(2, *self.calm(at, x, since, 0)):
                    self.indices[here : here + 16] = [w] * 16
                    for i in range(1, 16):
                        steady[x + i] = min(steady[x + i] + 1, 255)
                    self.length = 0
                    since, x = min(since + 16, 255), x + 16
                    continue
            around = ((-2, 0), *((i, 1) for i in range(-2, 3)), *((i, 2) for i in range(-1, 2)))
            if all(at(*place) == w for place in around):
                rest = 16 - x % 16 if whole else 0
                if decide(3, *self.calm(at, x, since, rest)):
                    self.now += 1
                    self.gap, since, whole = since, 0, False
                    self.indices[here] = self.read_pixel(at, here, x, y, True)
                else:
                    self.indices[here], self.length = w, 0
            else:
                if w != at(0, 1):
                    since = 0
                self.indices[here] = self.read_pixel(at, here, x, y, False)
            require(self.indices[here] < self.colours, "an index that is no colour")
            since, x = min(since + 1, 255), x + 1

    def calm(self, at, x, since, rest):
        """Contexts and choices of a decision that is calm."""
        w, steady = at(-1, 0), self.steady
        here, soon, later = far(steady[x]), far(steady[x + 3]), far(steady[x + 6])
        n = min(self.now, 7)
        contexts = (
            hash_of(rest, since, self.now > 0, w),
            hash_of(rest, here, soon, later),
            hash_of(rest, steady[x], w),
            hash_of(rest, far(since), n, here, soon),
            hash_of(rest, x, w),
            hash_of(rest, n, min(self.before, 15), far(since), here),
            hash_of(rest, at(3, 2), at(4, 1), at(0, 3), at(-3, 1), w),
            hash_of(rest, self.gap, since),
        )
        return contexts, (900 + far(since) + 16 * (rest > 0), 940 + here, 960 + min(self.now, 15))

    def expected(self, at, here, key):
        """Section "Matches": an index, or None."""
        if self.length:
            self.match += 1
        elif key in self.table:
            self.match = self.table[key]
            there, k = self.place(self.match), 0
            while k < 16 and there(*LIKENESS[k]) == at(*LIKENESS[k]):
                k += 1
            self.length = k - 7 if k >= 8 else 0
        self.table[key] = here
        return self.indices[self.match] if self.length else None

    def learn(self, t, length, right):
        self.trust[t][length] += ((65535 if right else 0) - self.trust[t][length]) >> 6

    def read_pixel(self, at, here, x, y, not_w):
        """Sections "Neighbourhoods" and "Pixels"."""
        w, ww, www, nw, nww = at(-1, 0), at(-2, 0), at(-3, 0), at(-1, 1), at(-2, 1)
        n, ne, nee, nnw, nn = at(0, 1), at(1, 1), at(2, 1), at(-1, 2), at(0, 2)
        nne, nnn = at(1, 2), at(0, 3)
        six = hash_of(1, w, n, ne, nw, ww, nn)
        ten = hash_of(six, nee, nww, nne, nnw)
        many = hash_of(ten, www, nnn, at(1, 3), at(-3, 1), at(-2, 2), at(2, 2))
        most = hash_of(many, at(-4, 0), at(4, 1), at(-4, 1), at(3, 2), at(-3, 2), at(-1, 3))
        above = hash_of(hash_of(2, n, nn, ne, nne), hash_of(nnn, nee, at(2, 2), at(1, 3)))
        left = hash_of(hash_of(3, w, n, nw, nn), hash_of(ww, nnw, nww, at(-2, 2)))
        pairs = (
            *((w, n), (w, nw), (n, nw), (n, ne), (w, ww), (n, nn)),
            *((nw, nww), (ne, nee), (ne, nne), (w, ne), (nn, nne), (nw, nnw)),
        )
        pattern = sum((a == b) << i for i, (a, b) in enumerate(pairs))
        expected = self.expected(at, here, many >> 16)
        length = min(self.length, 31)
        contexts = (
            *(hash_of(w, n), six, ten, many, most),
            *(hash_of(w, ww, www, at(-4, 0)), hash_of(n, nn, nnn, at(0, 4)), pattern),
            *(hash_of(x, w), hash_of(y, w), above, hash_of(w, n, ne, nne)),
        )
        index = None
        for k, e in enumerate((w, n)):
            if index is not None or (k == 0 and not_w) or (k == 1 and n == w):
                continue
            agrees = expected == e
            t = k if agrees else 2
            sure = stretch(self.trust[t][length])
            if expected is None:
                m, sure = 0, 0
            elif agrees:
                m = 2 if length > 15 else 1
            else:
                m, sure = 3, -sure
            choices = (16 * k + m, 256 * k + pattern % 256, k)
            yes = self.decisions.decide(k, contexts, choices, sure)
            if expected is not None:
                self.learn(t, length, yes == agrees)
            if yes:
                index = e
        if index is None:
            s = max(0, self.depth - 4)
            contexts = (
                *(0, w, n, hash_of(w, n), hash_of(w >> s, n >> s, nw >> s, ne >> s)),
                *(hash_of(*self.r), hash_of(w, ww, nw == n), hash_of(n, nn, w == nw)),
                *(ten, most, hash_of(*self.areas), above, left),
                *(hash_of(w, ww, www, n), hash_of(n, nn, nnn, w)),
            )
            index = self.read_index(contexts, expected, length)
            self.r = index, self.r[0]
        if index == w == ww != self.areas[0]:
            self.areas = index, self.areas[0]
        self.length = self.length + 1 if expected == index else 0
        return index

    def read_index(self, contexts, expected, length):
        n, depth = 1, self.depth
        for b in range(depth - 1, -1, -1):
            step = depth - 1 - b
            f = expected is not None and (expected + 2**depth) >> (b + 1) == n
            sure, x = 0, 0
            if f:
                x = expected >> b & 1
                sure = stretch(self.trust[2][length]) * (1 if x else -1)
            choices = (32 + 2 * step + f, 512 + n % 128 + 128 * f, 2 + f + (f and length > 15))
            bit = self.decisions.decide(5 + step, contexts, choices, sure, n)
            if f:
                self.learn(2, length, bit == x)
            n = 2 * n + bit
        return n - 2**depth

"""The page on flat pictures is precise: a decoder written from it alone gives the same pixels."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from sitecodec import codecs
from sitecodec.engine import flat
from sitecodec.errors import PayloadError
from tests import second_flat_decoder
from tests.conftest import make_page
from tests.test_flat import coloured, cut_out, noise, resealed, with_fields

CODEC = codecs.get("flat")
LIKENESS = second_flat_decoder.LIKENESS
GOLDENS = Path(__file__).with_name("goldens")


def areas() -> np.ndarray:
    """Wide and narrow areas, lines that go down for long, and the same small drawings again."""
    indices = np.zeros((65, 150), int)
    indices[:, 101] = 1
    indices[3:, 120:] = 2
    indices[40:, ::31] = 3
    drawing = np.random.default_rng(3).integers(0, 5, (7, 22))
    for top, left in ((5, 3), (5, 40), (20, 70), (33, 7), (50, 33), (51, 64)):
        indices[top : top + 7, left : left + 22] = drawing
    indices[60] = np.arange(150) // 9 % 5
    indices[61] = np.arange(150) // 9 % 5
    return coloured(indices, 5)


def beyond_the_edge() -> np.ndarray:
    """What was at the end of a row comes again, and goes on as its background and the next row."""
    rng = np.random.default_rng(4)
    indices = np.zeros((24, 60), int)
    indices[:8] = rng.integers(1, 6, (8, 60))
    indices[10:19] = rng.integers(1, 6, (9, 60))
    indices[14:19, :30] = indices[2:7, 30:]
    indices[18, 30:46] = 0
    indices[18, 46:] = indices[7, :14]
    return coloured(indices, 6)


def before_a_block() -> np.ndarray:
    """Drawings that come again, and 16 columns of nothing right behind one and before another."""
    rng = np.random.default_rng(5)
    indices = np.zeros((18, 40), int)
    indices[:, :14] = np.tile(rng.integers(0, 6, (6, 14)), (3, 1))
    indices[:, 34:] = np.tile(rng.integers(0, 6, (6, 6)), (3, 1))
    return coloured(indices, 6)


def look_alikes() -> np.ndarray:
    """Neighbourhoods of the same key of which the first 7 to 15 places are the same, no others."""
    rng = np.random.default_rng(6)
    indices = rng.integers(0, 16, (46, 24), np.uint64)
    hashed = (*LIKENESS[:12], (1, 3), *LIKENESS[13:])
    for row, same in enumerate(range(7, 16)):
        found = np.zeros(0, int)
        while not found.size:
            places = dict.fromkeys([*LIKENESS, (1, 3)])
            pairs = {place: rng.integers(0, 16, (2, 100_000), np.uint64) for place in places}
            for place in LIKENESS[:same]:
                pairs[place][1] = pairs[place][0]
            for place in LIKENESS[same:]:
                other = rng.integers(1, 16, 100_000, np.uint64)
                pairs[place][1] = (pairs[place][0] + other) % np.uint64(16)
            around = (pairs[place] for place in hashed)
            keys = second_flat_decoder.hash_of(np.uint64(1), *around) >> np.uint64(16)
            found = np.flatnonzero(keys[0] == keys[1])
        for (a, b), values in pairs.items():
            indices[5 * row + 4 - b, 5 + a] = values[0, found[0]]
            indices[5 * row + 4 - b, 16 + a] = values[1, found[0]]
    # Greys: an index is the grey's number.
    return np.repeat(indices.astype(np.uint8)[..., None] * 17, 3, -1)


def specks(height, width, count, often) -> np.ndarray:
    """Single pixels of other colours."""
    rng = np.random.default_rng(height)
    return coloured((rng.random((height, width)) < often) * rng.integers(1, count, width), count)


def late() -> np.ndarray:
    """A change below hundreds of rows without one."""
    indices = np.zeros((264, 36), int)
    indices[262, 3::8] = 1
    return coloured(indices, 2)


PICTURES = {
    "page": make_page(60, 70),
    "letters with alpha": cut_out(40, 60),
    "noise": noise(12, 31, 40),
    "300 colours": coloured(np.arange(300).reshape(20, 15), 300),
    "areas": areas(),
    "beyond the edge": beyond_the_edge(),
    "before a block": before_a_block(),
    "look-alikes": look_alikes(),
    "few specks, wide": specks(10, 1200, 3, 0.002),
    "few specks, high": specks(600, 20, 3, 0.002),
    "few specks, 2^14 pixels": specks(128, 128, 2, 0.002),
    "many specks in a row": specks(14, 600, 3, 0.025),
    "late": late(),
    "one colour, with alpha": noise(40, 50, 1, 4),
    "a row": make_page(60, 300)[50:51],
    "a column": make_page(300, 60)[:, 12:13],
}


@pytest.mark.parametrize("name", PICTURES)
def test_both_decoders_agree_on_pictures(name):
    pixels = PICTURES[name]
    payload = CODEC.encode(pixels)
    np.testing.assert_array_equal(CODEC.decode(payload), pixels)
    np.testing.assert_array_equal(second_flat_decoder.decode(payload), pixels)


def test_the_golden_with_alpha_decodes_to_its_pixels():
    entry = json.loads((GOLDENS / "flat.json").read_text())["flat-cutout.slat"]
    rows = second_flat_decoder.decode((GOLDENS / "flat-cutout.slat").read_bytes())
    pixels = np.array(rows, np.uint8)
    assert pixels.shape == (entry["height"], entry["width"], entry["channels"])
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == entry["sha256"]


def decode_both(payload):
    """The pixels of both decoders; None for a decoder that rejects the payload."""
    try:
        second = np.array(second_flat_decoder.decode(payload), np.uint8)
    except ValueError:
        second = None
    try:
        first = flat.decode(payload)
    except PayloadError:
        first = None
    return second, first


def test_both_decoders_agree_on_any_bytes():
    """Noise as a picture: far from any, and rejected where it names colours there are not."""
    rng = np.random.default_rng(7)
    rejected = 0
    for i in range(30):
        body = rng.integers(0, 256, int(rng.choice([0, 3, 40, 200])), dtype=np.uint8)
        body[rng.random(len(body)) < rng.choice([0, 0.3, 0.9])] = rng.choice([0, 255])
        count = int(rng.choice([1, 2, 3, 4, 16, 60, 64]))
        size = [int(n) for n in rng.integers(1, 36, 2)]
        background = int(rng.integers(0, count))
        payload = with_fields(count, i % 2 == 1, background, body.tobytes(), size)
        second, first = decode_both(payload)
        assert (second is None) == (first is None)
        rejected += second is None
        if second is not None:
            assert second.shape == (size[1], size[0], 4 if i % 2 else 3)
            np.testing.assert_array_equal(second, first)
    assert 0 < rejected < 25


GOOD = CODEC.encode(make_page(60, 70)[40:50, 3:30])

HOSTILE = {
    "truncated header": GOOD[:19],
    "truncated palette": resealed(GOOD[:23]),
    "no body": resealed(GOOD[:20]),
    "magic": b"SLAU" + GOOD[4:],
    "checksum": GOOD[:16] + bytes([GOOD[16] ^ 1]) + GOOD[17:],
    "version": resealed(GOOD[:4] + b"\2" + GOOD[5:]),
    "codec": resealed(GOOD[:5] + b"\3" + GOOD[6:]),
    "quality": resealed(GOOD[:14] + struct.pack("<H", 10001) + GOOD[16:]),
    "pixels": with_fields(2, size=(4096, 4097)),
    "colours": with_fields(4097),
    "colours with alpha": with_fields(4097, alpha=True),
    "background": with_fields(7, background=7),
    "an index that is no colour": with_fields(3, size=(9, 9)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_both_decoders_reject(name):
    assert decode_both(HOSTILE[name]) == (None, None)


def test_both_decoders_accept_what_the_hostile_payloads_spoil():
    second, first = decode_both(GOOD)
    np.testing.assert_array_equal(second, first)

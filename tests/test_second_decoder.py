"""The format's page is precise: a decoder written from it alone gives the engine's pixels."""

import hashlib
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

import sitecodec.engine
from sitecodec import models
from sitecodec.codecs import get
from sitecodec.errors import SitecodecError
from sitecodec.payload import read_header
from tests import second_decoder

ROOT = Path(__file__).parents[1]
GOLDENS = ROOT / "tests" / "goldens"
MODEL = models.read(models.DEFAULT, "decoder")
(FINGERPRINT,) = struct.unpack("<I", MODEL[-4:])
SMALL = 20_000  # pixels: the second decoder is slow


def small_goldens():
    entries = json.loads((GOLDENS / "goldens.json").read_text())
    return sorted(n for n, entry in entries.items() if entry["width"] * entry["height"] <= SMALL)


def make_payload(
    body=b"", size=(5, 4), quality=5000, magic=b"SLAT", version=1, codec=0, model=FINGERPRINT
):
    """A payload whose checksum is right, whatever its fields."""
    fields = (version, codec, model, size[0] - 1, size[1] - 1, quality)
    head = magic + struct.pack("<BBIHHH", *fields)
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def decode_both(payload):
    """The pixels of both decoders; None for a decoder that rejects the payload."""
    try:
        ours = second_decoder.decode(payload, MODEL)
    except ValueError:
        ours = None
    try:
        engine = get("web").decode(payload)
    except SitecodecError:
        engine = None
    return ours, engine


@pytest.mark.parametrize("name", small_goldens())
def test_goldens_decode_to_their_pixels(name):
    entry = json.loads((GOLDENS / "goldens.json").read_text())[name]
    payload = (GOLDENS / name).read_bytes()
    model = models.read(models.find(read_header(payload).model), "decoder")
    pixels = second_decoder.decode(payload, model)
    assert pixels.shape[:2] == (entry["height"], entry["width"])
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("quality", [0, 0.01, 19.99, 20, 61.8, 99.99, 100])
def test_both_decoders_agree_at_every_quality(quality):
    y, x = np.mgrid[:45, :61]
    pixels = np.stack([x * 4, y * 5, 128 + 100 * np.sin(x * y / 50)], axis=-1).astype(np.uint8)
    payload = get("web").encode(pixels, quality)
    ours, engine = decode_both(payload)
    np.testing.assert_array_equal(ours, engine)


def test_both_decoders_agree_on_any_bytes():
    """Noise as latents: far from any picture, with escapes, saturation and rejected latents."""
    rng = np.random.default_rng(7)
    rejected = 0
    for length in [0, 1, 5, 40, 300, 3000] * 8:
        body = rng.integers(0, 256, length, dtype=np.uint8)
        body[rng.random(length) < rng.choice([0, 0.2, 0.9])] = 255
        size, quality = rng.integers(1, 60, 2), int(rng.integers(0, 10001))
        ours, engine = decode_both(make_payload(body.tobytes(), size, quality))
        assert (ours is None) == (engine is None)
        rejected += ours is None
        if ours is not None:
            np.testing.assert_array_equal(ours, engine)
    assert 0 < rejected < 24


def test_both_decoders_agree_on_any_alpha():
    """Planes of all kinds, and noise in the place of a coded plane."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:29, :34]
    planes = [
        rng.integers(0, 256, y.shape),
        rng.integers(0, 2, y.shape) * 255,
        (x * 7 + y * 3) % 256,
        (x // 9 + y // 9) % 2 * 255,
        np.clip(20 * (14 - np.hypot(x - 17, y - 14)), 0, 255),
        128 + 100 * np.sin(x * y / 50),
        np.full(y.shape, 255),
    ]
    for plane in planes:
        plane = plane.astype(np.uint8)
        section = sitecodec.engine.encode_alpha(plane)
        np.testing.assert_array_equal(second_decoder.decode_alpha(section[4:], *y.shape), plane)
    for length in [0, 1, 30, 500] * 4:
        body = rng.integers(0, 256, length, dtype=np.uint8)
        body[rng.random(length) < rng.choice([0, 0.3, 0.9])] = rng.choice([0, 255])
        part = int(rng.integers(0, length + 1))
        section = struct.pack("<I", part) + body.tobytes()
        ours, engine = decode_both(make_payload(section, rng.integers(1, 40, 2), version=2))
        assert (ours is None) == (engine is None)
        if ours is not None:
            assert ours.shape[2] == 4
            np.testing.assert_array_equal(ours, engine)


class Script(second_decoder.RangeDecoder):
    """A range decoder that is told its symbols, to find the bytes that give them."""

    def __init__(self, targets):
        super().__init__(b"")
        self.targets, self.low, self.shift = targets, 0, 0

    def target(self):
        return self.targets.pop(0)

    def take(self, start, end):
        self.low += (self.range >> 16) * start
        super().take(start, end)
        shift = 8 * (self.offset - 4) - self.shift
        self.low, self.shift = self.low << shift, self.shift + shift

    def bytes(self):
        return (self.low + 1).to_bytes(4 + self.shift // 8, "big")


def escape(distance, sign):
    """The script of a payload whose first latent is that far beyond the largest symbol's."""
    bits = f"{distance:b}"[1:]
    flags = f"{int(sign < 0)}{'1' * len(bits)}0{bits}"
    return Script([65535] + [65535 * int(bit) for bit in flags])


@pytest.mark.parametrize("sign", [1, -1])
def test_escapes_reach_to_the_largest_latent_and_no_further(sign, monkeypatch):
    """The first latent's distribution depends on the model alone: find it, then write escapes."""
    decode_latent = second_decoder.decode_latent
    first, latents = [], []

    def remember(coder, mean, scale):
        first.append((mean, scale))
        latents.append(decode_latent(coder, mean, scale))
        return latents[-1]

    monkeypatch.setattr(second_decoder, "decode_latent", remember)
    second_decoder.decode(make_payload(), MODEL)
    mean, scale = first[0]
    nearest = sign * ((mean + 32) >> 6) + 1 + 327680 // scale
    for latent, valid in [(nearest + 1, True), (32767, True), (32768, False), (70000, False)]:
        script = escape(latent - nearest, sign)
        if valid:
            assert decode_latent(script, mean, scale) == sign * latent
        else:
            with pytest.raises(ValueError, match="too large"):
                decode_latent(script, mean, scale)
        latents.clear()
        ours, engine = decode_both(make_payload(script.bytes()))
        if valid:
            assert latents[0] == sign * latent
            np.testing.assert_array_equal(ours, engine)
        else:
            assert (ours, engine) == (None, None)


GOOD = make_payload(b"latents")

HOSTILE = {
    "empty": b"",
    "truncated header": GOOD[:19],
    "truncated latents": GOOD[:-1],
    "magic": make_payload(magic=b"SLAU"),
    "version": make_payload(version=3),
    "no alpha": make_payload(version=2),
    "half of an alpha's size": make_payload(b"\0\0\0", version=2),
    "alpha beyond the end": make_payload(b"\5\0\0\0four", version=2),
    "alpha far beyond the end": make_payload(b"\xff\xff\xff\xfffour", version=2),
    "alpha of another codec": make_payload(b"\0\0\0\0", version=2, codec=1),
    "reserved codec": make_payload(codec=1),
    "codec of flat pictures": make_payload(codec=2),
    "unknown codec": make_payload(codec=3),
    "checksum": GOOD[:16] + bytes([GOOD[16] ^ 1]) + GOOD[17:],
    "checksum of the header": GOOD[:10] + b"\x09" + GOOD[11:],
    "quality": make_payload(quality=10001),
    "model": make_payload(model=FINGERPRINT ^ 1),
    "pixels": make_payload(size=(7072, 7072)),
    "escape": make_payload(b"\xff" * 12),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_both_decoders_reject(name):
    assert decode_both(HOSTILE[name]) == (None, None)


def test_both_decoders_accept_what_the_hostile_payloads_spoil():
    ours, engine = decode_both(GOOD)
    np.testing.assert_array_equal(ours, engine)


@pytest.mark.parametrize("spoil", [MODEL[:-1], MODEL + b"\0", b"X" + MODEL[1:], MODEL[:2]])
def test_a_spoilt_model_is_rejected(spoil):
    with pytest.raises(ValueError, match="model"):
        second_decoder.decode(GOOD, spoil)

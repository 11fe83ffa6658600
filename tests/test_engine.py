import contextlib
import hashlib
import random
import re
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

from sitecodec import engine, models
from sitecodec.engine import Models, tables
from sitecodec.errors import ModelError, PayloadError, SitecodecError
from sitecodec.payload import with_alpha

GOLDEN = (Path(__file__).parent / "goldens" / "odd.slat").read_bytes()


@pytest.fixture(scope="module")
def web():
    return Models(models.read("web-0", "decoder"), models.read("web-0", "encoder"))


def resealed(payload: bytes) -> bytes:
    """The payload with a checksum that matches, so that what it says is believed."""
    checksum = zlib.crc32(payload[20:], zlib.crc32(payload[:16]))
    return payload[:16] + struct.pack("<I", checksum) + payload[20:]


def texture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width]
    base = 128 + 80 * np.sin(x / 9) * np.cos(y / 13)
    return (base[..., None] + rng.normal(0, 12, (height, width, 3))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 400), (400, 1), (15, 17), (16, 16), (33, 47), (300, 40)]
)
def test_any_size_comes_back(web, height, width):
    pixels = texture(height, width)
    decoded = engine.decode(engine.encode(pixels, web, 100), web)
    assert decoded.shape == pixels.shape
    error = ((decoded.astype(float) - pixels) ** 2).mean()
    assert error < ((pixels - pixels.mean((0, 1))) ** 2).mean() + 300


def test_quality_is_continuous_and_ordered(web):
    pixels = texture(96, 128)
    qualities = [0, 10, 19.99, 20, 20.01, 35, 50, 62.5, 80, 100]
    payloads = engine.encode_many(pixels, web, qualities)
    sizes = [len(payload) for payload in payloads]
    errors = [
        ((engine.decode(payload, web).astype(float) - pixels) ** 2).mean() for payload in payloads
    ]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 7
    assert errors == sorted(errors, reverse=True)
    assert abs(sizes[2] - sizes[4]) <= 0.02 * sizes[3]  # no jump where two levels meet


def test_encode_many_equals_encode(web):
    pixels = texture(40, 56)
    assert engine.encode_many(pixels, web, [10, 90]) == [
        engine.encode(pixels, web, 10),
        engine.encode(pixels, web, 90),
    ]


def test_a_session_that_was_kept_gives_what_a_new_one_gives(web):
    rng = np.random.default_rng(4)
    large, small = (rng.integers(0, 256, (n, n, 3), np.uint8) for n in (90, 40))
    engine._close_kept()
    fresh = engine.encode(small, web, 50)
    shown = engine.decode(fresh, web)
    engine.decode(engine.encode(large, web, 90), web)  # leaves more behind than `small` needs
    with pytest.raises(PayloadError):
        engine.decode(fresh[:-1] + bytes([fresh[-1] ^ 1]), web)
    for _ in range(2):
        assert engine.encode(small, web, 50) == fresh
        assert np.array_equal(engine.decode(fresh, web), shown)
    assert {len(waiting) for waiting in engine._kept.values()} == {1}


def test_calls_from_threads_do_not_meet(web):
    pixels = [texture(64 + 16 * i, 80) for i in range(4)]
    alone = [engine.encode(p, web, 60) for p in pixels]
    together: dict[int, bytes] = {}

    def work(i: int) -> None:
        together[i] = engine.encode(pixels[i], web, 60)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[i] for i in range(4)] == alone


@pytest.mark.parametrize("value", [0, 1, 77, 128, 254, 255])
def test_flat_grey_stays_flat_grey(web, value):
    pixels = np.full((48, 48, 3), value, np.uint8)
    error = np.abs(engine.decode(engine.encode(pixels, web, 100), web).astype(int) - value)
    assert error.mean() < 2
    assert error.max() <= 12


@pytest.mark.parametrize("cut", [0, 1, 4, 19])
def test_truncated_header_is_rejected(web, cut):
    with pytest.raises(PayloadError):
        engine.decode(GOLDEN[:cut], web)


def test_every_flipped_byte_is_noticed(web):
    for at in range(len(GOLDEN)):
        broken = bytearray(GOLDEN)
        broken[at] ^= 0x41
        with pytest.raises(PayloadError):
            engine.decode(bytes(broken), web)


def test_every_truncation_is_noticed(web):
    for size in range(20, len(GOLDEN)):
        with pytest.raises(PayloadError, match="checksum"):
            engine.decode(GOLDEN[:size], web)


def test_a_payload_over_the_size_limit_is_rejected_before_any_work(web):
    huge = resealed(GOLDEN[:10] + b"\xff\xff\xff\xff" + GOLDEN[14:])
    with pytest.raises(PayloadError, match="size limit"):
        engine.decode(huge, web)
    with pytest.raises(PayloadError, match="size limit"):
        engine.decode(GOLDEN, web, max_pixels=100)


def test_garbage_behind_a_valid_header_gives_a_picture_or_an_error(web):
    rng = random.Random(2)
    for _ in range(60):
        payload = resealed(GOLDEN[:20] + rng.randbytes(rng.randrange(200)))
        error = ""
        try:
            shape = engine.decode(payload, web).shape
        except PayloadError as caught:
            error = str(caught)
        assert "a value out of range" in error if error else shape == (37, 53, 3)


def test_garbage_as_alpha_gives_a_picture_or_an_error(web):
    rng = random.Random(5)
    rejected = 0
    for _ in range(60):
        noise = rng.randbytes(rng.randrange(300))
        section = struct.pack("<I", rng.choice([len(noise) // 2, len(noise), rng.randrange(500)]))
        payload = with_alpha(GOLDEN[:20], section + noise)
        error = ""
        try:
            shape = engine.decode(payload, web).shape
        except PayloadError as caught:
            error = str(caught)
            rejected += 1
        assert "a value out of range" in error if error else shape == (37, 53, 4)
    assert 0 < rejected < 60


def test_quality_out_of_range_and_wrong_model_are_rejected(web):
    with pytest.raises(PayloadError, match="a value out of range"):
        engine.decode(resealed(GOLDEN[:14] + struct.pack("<H", 10001) + GOLDEN[16:]), web)
    with pytest.raises(PayloadError, match="another model"):
        engine.decode(resealed(GOLDEN[:6] + b"\0\0\0\0" + GOLDEN[10:]), web)


def test_model_files_are_checked(web):
    good = web.decoder
    rng = random.Random(3)
    for data in (b"", good[:23], good[:-1], good + b"\0", b"SLM2" + good[4:]):
        with pytest.raises(ModelError):
            engine.decode(GOLDEN, Models(data))
    for _ in range(150):
        # Damage within the structure, with a checksum that matches: no crash, no hang.
        broken = bytearray(good[:-4])
        at = rng.randrange(24) if rng.random() < 0.4 else rng.randrange(len(broken))
        broken[at] = rng.randrange(256)
        data = bytes(broken) + struct.pack("<I", zlib.crc32(broken))
        fingerprint = struct.pack("<I", zlib.crc32(broken))
        payload = resealed(GOLDEN[:6] + fingerprint + GOLDEN[10:])
        with contextlib.suppress(SitecodecError):
            engine.decode(payload, Models(data))


def test_an_encoder_needs_its_own_decoder(web):
    broken = web.encoder[:12] + b"\1\2\3\4" + web.encoder[16:-4]
    data = broken + struct.pack("<I", zlib.crc32(broken))
    with pytest.raises(PayloadError, match="another model"):
        engine.encode(texture(16, 16), Models(web.decoder, data), 50)


def test_tables_hold_correctly_rounded_values():
    text = (Path(engine.__file__).parent / "src" / "tables.h").read_text()
    exp2, phi = (
        [int(number) for number in body.split(",") if number.strip()]
        for body in re.findall(r"\{([\d,\s]+)\}", text)
    )
    assert exp2 == tables.exp2_table()
    assert phi == tables.phi_table()
    assert exp2[128] == round(2**15.5)
    assert phi[64] == round(65536 * 0.8413447460685429)  # Φ(1)


def exports(wasm: Path) -> set[str]:
    return {export.name for export in engine._module(wasm)[1].exports}


def test_browsers_get_what_decodes_and_no_more():
    decoding = "load open width height channels read"
    shared = {"memory", *(f"sc_{name}" for name in f"alloc mark release {decoding}".split())}
    assert exports(engine.DECODER) == shared
    encoding = "alpha analyse analysed code encode flat grid_decode grid_encode"
    assert exports(engine.WASM) == shared | {f"sc_{name}" for name in encoding.split()}


def test_committed_modules_are_what_their_sources_give():
    pytest.importorskip("ziglang", reason="the wheel ziglang is not installed")
    command = [sys.executable, "-m", "sitecodec.engine.build", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_memory_does_not_grow_with_the_height(web):
    sizes = []
    for height in (256, 2048):
        with engine.session() as session:
            payload = engine.encode(np.full((height, 256, 3), 90, np.uint8), web, 30)
            plane = np.full((height, 256), 90, np.uint8)
            payload = with_alpha(payload, engine.encode_alpha(plane))
            model = session.load(web.decoder)
            before = session.call("sc_mark")
            session.call("sc_open", model, session.put(payload), len(payload), 50_000_000)
            sizes.append(session.call("sc_mark") - before)
    assert sizes[1] < sizes[0] * 1.2


def test_decoding_is_deterministic_over_strips(web):
    pixels = engine.decode(GOLDEN, web)
    old = engine.STRIP_ROWS
    try:
        engine.STRIP_ROWS = 5
        again = engine.decode(GOLDEN, web)
    finally:
        engine.STRIP_ROWS = old
    assert hashlib.sha256(pixels.tobytes()).digest() == hashlib.sha256(again.tobytes()).digest()


def test_with_a_strength_latents_cost_less_and_errors_grow_less(photo, web):
    plain, cheaper, cheapest = (
        engine.encode(photo, web, 50, strength) for strength in (0, 400, 900)
    )
    assert len(plain) > len(cheaper) > len(cheapest) > 0.85 * len(plain)
    errors = [
        np.mean((engine.decode(data, web).astype(float) - photo) ** 2)
        for data in (plain, cheaper, cheapest)
    ]
    assert errors[0] < errors[1] < errors[2] < 1.3 * errors[0]


def test_flat_and_tiny_pictures_take_a_strength(web):
    for shape in ((1, 1), (17, 300), (64, 64)):
        for value in (0, 255):
            pixels = np.full((*shape, 3), value, np.uint8)
            shown = engine.decode(engine.encode(pixels, web, 50, 400), web)
            assert np.abs(shown.astype(int) - pixels).max() < 12

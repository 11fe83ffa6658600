"""The codec of pictures of few colours: nothing is lost, and nothing hostile gets through."""

import random
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitecodec import codecs, engine, payload
from sitecodec.engine import flat
from sitecodec.errors import ImageError, PayloadError
from tests.conftest import make_page

CODEC = codecs.get("flat")


def resealed(data: bytes) -> bytes:
    """The payload with a checksum that matches, so that what it says is believed."""
    checksum = zlib.crc32(data[20:], zlib.crc32(data[:16]))
    return data[:16] + struct.pack("<I", checksum) + data[20:]


def with_fields(colours=2, alpha=False, background=0, body=b"", size=(9, 5)) -> bytes:
    """A payload whose checksum is right, whatever its body says."""
    told = struct.pack("<HH", colours - 1 | alpha << 15, background)
    return payload.pack(payload.Header("flat", 0, *size, payload.LOSSLESS), told + body)


def coloured(indices, count, channels=3, seed=0) -> np.ndarray:
    """A picture of these indices, each of `count` a colour of its own."""
    rng = np.random.default_rng(seed)
    words = rng.choice(1 << 24, count, replace=False).astype("<u4") * 199  # odd: all differ
    palette = words.view(np.uint8).reshape(-1, 4)[:, :channels]
    return palette[np.asarray(indices) % count]


def noise(height, width, count, channels=3) -> np.ndarray:
    indices = np.random.default_rng(count).integers(0, count, (height, width))
    return coloured(indices, count, channels)


def cut_out(height, width) -> np.ndarray:
    """Letters with soft edges on nothing."""
    page = make_page(height, width)
    pixels = np.dstack([np.full_like(page, 40), 255 - page[..., 0]])
    pixels[height // 2 :, :, 0] = 200
    return pixels


PICTURES = {
    "page": make_page(120, 200),
    "page, with alpha": cut_out(64, 96),
    "a pixel": coloured([[0]], 1),
    "a pixel that cannot be seen": np.zeros((1, 1, 4), np.uint8),
    "one colour": coloured(np.zeros((70, 90), int), 1),
    "one colour, with alpha": coloured(np.zeros((17, 33), int), 1, 4),
    "two colours": noise(40, 37, 2),
    "stripes": coloured(np.add.outer(np.arange(64), np.arange(50)) // 5, 3),
    "4096 colours": coloured(np.arange(4096).reshape(64, 64), 4096),
    "4096 colours, with alpha": coloured(np.arange(4097).reshape(17, 241), 4096, 4),
    "a row": make_page(60, 300)[50:51],
    "a column": make_page(300, 60)[:, 12:13],
    "a row of noise": noise(1, 400, 9),
    "a column of noise": noise(400, 1, 9),
    "noise": noise(60, 70, 200),
    "noise, with alpha": noise(30, 40, 40, 4),
    "extremes": np.eye(20, dtype=np.uint8)[..., None].repeat(4, -1) * 255,
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_pixel_comes_back(name):
    pixels = PICTURES[name]
    data = CODEC.encode(pixels)
    decoded = CODEC.decode(data)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels)
    assert CODEC.encode(pixels.copy()) == data
    header = payload.read_header(data)
    height, width = pixels.shape[:2]
    assert header == payload.Header("flat", 0, width, height, payload.LOSSLESS)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 20),
    st.sampled_from([3, 4]),
    st.sampled_from(["noise", "areas", "again", "lines"]),
    st.integers(0, 2**32 - 1),
)
def test_any_small_picture_comes_back(height, width, count, channels, kind, seed):
    rng = np.random.default_rng(seed)
    if kind == "areas":
        indices = np.kron(rng.integers(0, count, (6, 3)), np.ones((7, 15), int))[:height, :width]
    elif kind == "again":  # the same small piece, here and there on a background
        indices = np.zeros((height + 8, width + 8), int)
        piece = rng.integers(0, count, (6, 5))
        for _ in range(5):
            top, left = rng.integers(0, height), rng.integers(0, width)
            indices[top : top + 6, left : left + 5] = piece
        indices = indices[:height, :width]
    elif kind == "lines":
        indices = np.repeat(rng.integers(0, count, (1, width)), height, 0)
        indices[rng.random(height) < 0.2] = 0
    else:
        indices = rng.integers(0, count, (height, width))
    pixels = coloured(indices, count, channels, seed)
    np.testing.assert_array_equal(CODEC.decode(CODEC.encode(pixels)), pixels)


def test_the_bytes_are_those_that_the_format_says():
    assert CODEC.encode(PICTURES["a pixel"])[20:24] == b"\0\0\0\0"
    alpha = CODEC.encode(PICTURES["page, with alpha"])
    told, background = struct.unpack_from("<HH", alpha, 20)
    colours = len(np.unique(PICTURES["page, with alpha"].reshape(-1, 4), axis=0))
    assert told == 0x8000 + colours - 1
    assert background < colours
    header = payload.HEADER_BYTES
    assert CODEC.encode(make_page(40, 60))[4:16] == (
        b"\x01\x02" + bytes(4) + struct.pack("<HHH", 59, 39, 10_000)
    )
    assert flat.encode(make_page(40, 60)) == CODEC.encode(make_page(40, 60))[header:]


def test_a_page_takes_a_fraction_of_what_it_is_made_of():
    page = PICTURES["page"]
    assert len(CODEC.encode(page)) < 0.04 * page.size
    assert len(CODEC.encode(PICTURES["one colour"])) < 40
    even = noise(256, 256, 16)  # half a byte a pixel is all there is
    assert len(CODEC.encode(even)) < 1.05 * even.size / 6


def test_too_many_colours_are_refused():
    with pytest.raises(ImageError, match="4097 colours, and the codec flat takes 4096"):
        CODEC.encode(coloured(np.arange(4097).reshape(1, 4097), 4097))


@pytest.mark.parametrize("size", [(4096, 4097), (65536, 257), (1, 2**24 + 1)])
def test_too_many_pixels_are_refused_before_they_are_looked_at(size):
    pixels = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (*size, 3))
    with pytest.raises(ImageError, match=r"over 16777216 pixels: scale the picture down"):
        CODEC.encode(pixels)


def test_the_largest_picture_is_taken():
    with engine.session() as session:
        data = with_fields(size=(4096, 4096))
        assert session.call("sc_open", 0, session.put(data), len(data), engine.MAX_PIXELS)
        data = with_fields(size=(4096, 4097))
        with pytest.raises(PayloadError, match="over the size limit"):
            session.call("sc_open", 0, session.put(data), len(data), engine.MAX_PIXELS)


def test_memory_is_two_bytes_a_pixel_and_what_is_learnt():
    """Of a decoder and of an encoder; the latter is also handed what it codes."""
    learnt = 20_000_000
    for width, height in ((4096, 4096), (65536, 256), (256, 65536), (1000, 1000)):
        data = with_fields(4096, True, size=(width, height))
        with engine.session() as session:
            before = session.call("sc_mark")
            session.call("sc_open", 0, session.put(data), len(data), engine.MAX_PIXELS)
            used = session.call("sc_mark") - before
            assert used < 2 * (width + 16) * (height + 4) + learnt
    sizes = []
    for height in (64, 1024):
        width = 1024
        with engine.session() as session:
            indices = session.put(bytes(2 * width * height))
            palette, body = session.put(bytes(3)), session.call("sc_alloc", 4096)
            before = session.call("sc_mark")
            session.call("sc_flat", indices, width, height, palette, 1, 3, 0, body, 4096)
            sizes.append(session.call("sc_mark") - before)
    assert sizes[1] - sizes[0] < 2 * (width + 16) * (1024 - 64) + learnt


# ---- what is not a payload of this codec

SMALL = PICTURES["page"][40:56, 4:28]
GOOD = CODEC.encode(SMALL)


def shown_or_refused(data: bytes) -> bool:
    """Whether there is a picture. Fails for one of another size and for any other error."""
    try:
        pixels = CODEC.decode(data)
    except PayloadError:
        return False
    width, height = struct.unpack_from("<HH", data, 10)
    (told,) = struct.unpack_from("<H", data, 20)
    assert pixels.shape == (height + 1, width + 1, 4 if told & 0x8000 else 3)
    return True


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, b"P", "begin with SLAT"),
        (4, b"\0", "version 0"),
        (4, b"\2", "alpha out of range"),
        (4, b"\3", "version 3"),
        (5, b"\0", "'web', not 'flat'"),
        (5, b"\1", "'sd', not 'flat'"),
        (5, b"\3", "codec or quality unknown here"),
        (10, b"\xff\xff\xff\xff", "over the size limit"),
        (10, b"\xff\xff\x00\x01", "over the size limit"),
        (14, b"\x11\x27", "codec or quality unknown here"),
        (20, b"\x00\x10", "a value out of range"),  # 4097 colours
        (20, b"\xff\xff", "a value out of range"),
        (22, b"\xff\xff", "a value out of range"),
    ],
)
def test_what_is_wrong_is_said(at, value, words):
    data = resealed(GOOD[:at] + value + GOOD[at + len(value) :])
    with pytest.raises(PayloadError, match=words):
        CODEC.decode(data)


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (4, b"\2", "newer format version"),
        (5, b"\0", "another model"),
        (5, b"\1", "does not know"),
        (5, b"\3", "does not know"),
        (14, b"\x11\x27", "a value out of range"),
        (10, b"\xff\xff\xff\xff", "over the size limit"),
    ],
)
def test_the_engine_says_so_of_its_own(at, value, words):
    data = resealed(GOOD[:at] + value + GOOD[at + len(value) :])
    with pytest.raises(PayloadError, match=words):
        flat.decode(data)


def test_fingerprint_and_quality_change_nothing():
    np.testing.assert_array_equal(CODEC.decode(resealed(GOOD[:6] + b"abcd" + GOOD[10:])), SMALL)
    np.testing.assert_array_equal(CODEC.decode(resealed(GOOD[:14] + b"\0\0" + GOOD[16:])), SMALL)
    assert CODEC.encode(SMALL, 3) == GOOD


def test_a_wrong_checksum_is_noticed():
    for at in range(len(GOOD)):
        broken = bytearray(GOOD)
        broken[at] ^= 0x41
        for decode in (CODEC.decode, flat.decode):
            with pytest.raises(PayloadError):
                decode(bytes(broken))


def test_a_limit_of_pixels_holds():
    with pytest.raises(PayloadError, match="over the size limit"):
        flat.decode(GOOD, max_pixels=SMALL[..., 0].size - 1)
    np.testing.assert_array_equal(flat.decode(GOOD, max_pixels=SMALL[..., 0].size), SMALL)


def test_every_truncation_gives_a_picture_or_an_error():
    for size in range(len(GOOD)):
        with pytest.raises(PayloadError):
            CODEC.decode(GOOD[:size])
        if size >= 20:
            assert not shown_or_refused(resealed(GOOD[:size])) or size >= 24


def test_every_byte_may_be_any_other():
    shown = 0
    rng = random.Random(1)
    for at in range(20, len(GOOD)):
        for change in (0x80, rng.randrange(1, 128)):
            broken = bytearray(GOOD)
            broken[at] ^= change
            shown += shown_or_refused(resealed(bytes(broken)))
    assert 0 < shown < 2 * len(GOOD)
    for at in (*range(10), 10, 12, 14, 15):  # not what would make it large
        broken = bytearray(GOOD)
        broken[at] ^= 0x2A
        shown_or_refused(resealed(bytes(broken)))


def test_any_body_gives_a_picture_or_an_error():
    rng = random.Random(2)
    outcomes = []
    for i in range(150):
        count = 4096 if i % 50 == 0 else rng.choice([1, 2, 3, 4, 37, 64, 100])
        body = bytearray(rng.randbytes(rng.randrange(200)))
        fill = rng.choice([None, 0, 255])
        for at in range(len(body)):
            if fill is not None and rng.random() < 0.8:
                body[at] = fill
        size = rng.randrange(1, 50), rng.randrange(1, 40)
        alpha, background = rng.random() < 0.5, rng.randrange(count)
        outcomes.append(shown_or_refused(with_fields(count, alpha, background, body, size)))
    assert 0 < sum(outcomes) < len(outcomes)


@pytest.mark.parametrize("colours", [1, 2, 4096])
def test_a_background_that_is_no_colour_is_refused(colours):
    assert shown_or_refused(with_fields(colours, background=colours - 1, body=b"\xff" * 9))
    for background in (colours, colours + 1, 0x7FFF, 0xFFFF):
        with pytest.raises(PayloadError, match="a value out of range"):
            CODEC.decode(with_fields(colours, background=background, body=b"\xff" * 9))


def test_a_pixel_that_is_no_colour_is_refused_as_often_as_it_is_asked_for():
    """Behind the header nothing but ones: the palette's last index, and beyond it."""
    data = with_fields(3, size=(40_000, 1))
    with pytest.raises(PayloadError, match="a value out of range"):
        CODEC.decode(data)
    with engine.session() as session:
        decoder = session.call("sc_open", 0, session.put(data), len(data), engine.MAX_PIXELS)
        row = session.call("sc_alloc", 3 * 40_000)
        for _ in range(20):  # each a row further on would soon be beyond all memory
            with pytest.raises(PayloadError, match="a value out of range"):
                session.call("sc_read", decoder, row, 1)


def test_payloads_of_models_need_one():
    web = codecs.get("web").encode(SMALL, 50)
    with engine.session() as session, pytest.raises(PayloadError, match="another model"):
        engine.read(session, 0, web)
    with pytest.raises(PayloadError, match="'web', not 'flat'"):
        CODEC.decode(web)
    with pytest.raises(PayloadError, match="'flat', not 'web'"):
        codecs.get("web").decode(GOOD)


def test_strips_do_not_show(monkeypatch):
    for rows in (1, 5, 300):
        monkeypatch.setattr(engine, "STRIP_ROWS", rows)
        np.testing.assert_array_equal(CODEC.decode(GOOD), SMALL)

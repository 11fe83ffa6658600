from dataclasses import replace

import pytest

from sitecodec import payload
from sitecodec.errors import PayloadError
from sitecodec.payload import Header

HEADER = Header("web", 0xDEADBEEF, 65536, 1, 33.33)


def test_twenty_bytes_around_the_latents():
    assert payload.HEADER_BYTES == 20
    assert len(payload.pack(HEADER, b"latents")) == 27


def test_bytes_are_those_of_the_specification():
    data = payload.pack(Header("web", 0x04030201, 400, 272, 60.0), b"")
    assert data[:16] == b"SLAT\x01\x00\x01\x02\x03\x04\x8f\x01\x0f\x01\x70\x17"


def test_pack_and_read_are_inverse():
    assert payload.read_header(payload.pack(HEADER, b"x" * 99)) == HEADER


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (65537, 1), (1, 65537)])
def test_sizes_that_do_not_fit_are_refused(size):
    with pytest.raises(PayloadError, match="65536"):
        payload.pack(Header("web", 0, *size, 50), b"")


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [(0, b"P", "begin with SLAT"), (4, b"\x03", "version 3"), (16, b"\0\0\0\0", "checksum")],
)
def test_what_is_wrong_is_said(at, value, words):
    data = payload.pack(HEADER, b"latents")
    with pytest.raises(PayloadError, match=words):
        payload.read_header(data[:at] + value + data[at + len(value) :])


def test_alpha_is_a_second_version():
    opaque = payload.pack(HEADER, b"latents")
    data = payload.with_alpha(opaque, b"\x02\0\0\0ab")
    assert data[4:5] == b"\x02"
    assert data[5:16] == opaque[5:16]
    assert data[20:] == b"\x02\0\0\0ablatents"
    assert payload.read_header(data) == replace(HEADER, alpha=2)


@pytest.mark.parametrize("section", [b"", b"\0\0\0", b"\x0a\0\0\0", b"\xff\xff\xff\xff"])
def test_alpha_beyond_the_end_is_refused(section):
    with pytest.raises(PayloadError, match="alpha out of range"):
        payload.read_header(payload.with_alpha(payload.pack(HEADER, b""), section))


def test_unknown_codecs_and_qualities_are_refused():
    import struct
    import zlib

    for at, value in ((5, b"\x07"), (14, b"\xff\xff")):
        head = payload.pack(HEADER, b"")[:16]
        head = head[:at] + value + head[at + len(value) :]
        with pytest.raises(PayloadError, match="update sitecodec"):
            payload.read_header(head + struct.pack("<I", zlib.crc32(head)))

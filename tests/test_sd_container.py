import struct

import numpy as np
import pytest

from sitecodec import codecs, payload
from sitecodec.errors import PayloadError
from sitecodec.payload import Header
from sitecodec.sd import container, grid, palette

HEADER = Header("sd", 0xCAFEF00D, 100, 50, 62.5)
LATENTS = np.linspace(-1, 1, 7 * 13 * 4, dtype=np.float32).reshape(7, 13, 4)


def sealed(first, channels, stride_log2, data):
    return payload.pack(HEADER, bytes([first, channels, stride_log2]) + data)


@pytest.fixture(scope="module")
def coded():
    return grid.encode(LATENTS, grid.step_codes(60, (), 4))


def test_a_grid_comes_back(coded):
    body = container.unpack(container.pack(HEADER, 8, coded, False))
    assert (body.header, body.rows, body.columns) == (HEADER, 7, 13)
    assert (body.coding, body.channels, body.stride) == (container.GRID, 4, 8)
    assert np.abs(body.latents() - LATENTS).max() < 1.6 * grid.step_of(coded.steps[0])


def test_a_palette_comes_back():
    body = container.unpack(container.pack(HEADER, 8, palette.encode(LATENTS), True))
    assert (body.coding, body.denoise) == (container.PALETTE, True)
    assert np.square(body.latents() - LATENTS).mean() < 0.02


def test_payloads_say_that_they_are_generative(coded):
    data = container.pack(HEADER, 8, coded, False)
    assert data[20] & 0x80
    assert container.is_generative(data)
    web = codecs.get("web").encode(np.zeros((16, 16, 3), np.uint8), 50)
    assert not container.is_generative(web)


def test_bytes_are_those_of_the_specification(coded):
    data = container.pack(HEADER, 8, coded, True)
    assert data[5] == 1
    assert data[6:10] == struct.pack("<I", 0xCAFEF00D)
    assert data[20] & ~0x10 == 0xC1
    assert data[21:23] == b"\x04\x03"
    assert data[23:27] == coded.steps
    assert len(data) == 23 + coded.size


@pytest.mark.parametrize(
    ("first", "channels", "stride_log2"),
    [(2, 4, 3), (0x21, 4, 3), (0x10, 4, 3), (0, 3, 3), (1, 0, 3), (1, 17, 3), (1, 4, 1), (1, 4, 6)],
)
def test_unknown_fields_are_refused(first, channels, stride_log2):
    with pytest.raises(PayloadError, match="update sitecodec"):
        container.unpack(sealed(first, channels, stride_log2, b"x" * 80))


def test_cut_and_foreign_payloads_are_refused(coded):
    with pytest.raises(PayloadError, match="ends in its header"):
        container.unpack(payload.pack(HEADER, b"\x81\x04"))
    with pytest.raises(PayloadError, match="cut short"):
        container.unpack(sealed(0x81, 4, 3, b"1234567")).latents()
    with pytest.raises(PayloadError, match="'web', not 'sd'"):
        container.unpack(codecs.get("web").encode(np.zeros((16, 16, 3), np.uint8), 50))
    good = container.pack(HEADER, 8, coded, False)
    for at in range(len(good)):
        with pytest.raises(PayloadError):
            container.unpack(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])


def test_garbage_latents_give_numbers_or_an_error(coded):
    rng = np.random.default_rng(7)
    for first, data in ((0x81, coded.steps + coded.parameters), (0x91, coded.steps), (0x80, b"")):
        for _ in range(40):
            body = container.unpack(sealed(first, 4, 3, data + rng.bytes(60)))
            try:
                latents = body.latents()
            except PayloadError:
                continue
            assert latents.shape == (7, 13, 4)
            assert np.isfinite(latents).all()


def test_opening_needs_neither_torch_nor_numpy():
    import subprocess
    import sys

    code = (
        "import sys, sitecodec.sd.codec, sitecodec.sd.registry;"
        "print({'torch', 'numpy', 'diffusers', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"

"""The codec on a small autoencoder and U-Net that were really trained."""

import os

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'torch')")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra 'torch')")

from sitecodec import metrics, payload
from sitecodec.errors import ModelError, PayloadError, SettingsError
from sitecodec.models.user_folder import ENVIRONMENT
from sitecodec.sd import adding, container, grid, invented, loading, networks, palette, registry
from sitecodec.sd.codec import SdCodec
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from tests import sd_models


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory):
    """A registry with the model `small`; its folder."""
    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = str(tmp_path_factory.mktemp("models"))
    folder = sd_models.save(tmp_path_factory.mktemp("trained"), *sd_models.train())
    adding.add("small", str(folder))
    yield folder
    if before is None:
        del os.environ[ENVIRONMENT]
    else:
        os.environ[ENVIRONMENT] = before


@pytest.fixture(scope="module")
def small():
    return loading.load(registry.read("small"), "cpu")


@pytest.fixture(scope="module")
def picture(make):
    return make.photo(256, 256, seed=100)


@pytest.fixture(scope="module")
def latents(small, picture):
    return small.encode(picture[None])[0]


def squared(a, b):
    return float(np.square(a - b).mean())


def test_the_autoencoder_is_one(small, picture, latents):
    assert latents.shape == (32, 32, 4)
    assert 0.5 < latents.std() < 2
    assert metrics.psnr(picture, small.decode(latents, 256, 256)) > 18


def test_denoising_lowers_the_error_that_dithering_put_in(small, latents):
    few = palette.make_palette(palette.quantise(latents).reshape(-1, 4), 64)
    dithered = palette.dequantise(few[palette.diffuse(palette.quantise(latents), few)])
    assert squared(small.denoise(dithered), latents) < 0.7 * squared(dithered, latents)


def test_dithering_lowers_banding_of_real_latents(latents):
    few = palette.make_palette(palette.quantise(latents).reshape(-1, 4), 48)
    values = palette.quantise(latents)
    local = []
    for amount in (0.0, 1.0):
        error = few[palette.diffuse(values, few, amount)].astype(float) - values
        local.append(np.square(error.reshape(8, 4, 8, 4, 4).mean((1, 3))).mean())
    assert local[1] < local[0]


@pytest.mark.parametrize("seed", [100, 101, 102])
def test_rd_beats_seed_at_no_more_bytes(small, make, seed):
    picture = make.photo(256, 256, seed=seed)
    latents = small.encode(picture[None])[0]
    old = SdCodec("small", "seed", device="cpu")
    data = old.encode(picture, 50)
    new = SdCodec("small", device="cpu").encode_to(picture, len(data))
    assert len(new) <= len(data)
    assert metrics.psnr(picture, old.decode(new)) > metrics.psnr(picture, old.decode(data))
    before = container.unpack(data).latents()
    errors = [squared(known, latents) for known in (before, small.denoise(before))]
    assert squared(container.unpack(new).latents(), latents) < 0.5 * min(errors)


def test_refined_latents_decode_to_a_nearer_picture_at_no_more_bytes(picture):
    plain = SdCodec("small", device="cpu").encode(picture, 60)
    refined = SdCodec("small", device="cpu", refine=12).encode(picture, 60)
    codec = SdCodec("small", device="cpu")
    assert len(refined) <= len(plain)
    gain = metrics.psnr(picture, codec.decode(refined)) - metrics.psnr(picture, codec.decode(plain))
    assert gain > 0.1


def test_quality_and_size_rise_together(picture):
    codec = SdCodec("small", device="cpu")
    payloads = [codec.encode(picture, quality) for quality in (0, 20, 40, 60, 80)]
    sizes = [len(data) for data in payloads]
    errors = [metrics.psnr(picture, codec.decode(data)) for data in payloads]
    assert sizes == sorted(sizes)
    assert errors == sorted(errors)


def test_encode_to_takes_the_room_it_is_given(picture):
    codec = SdCodec("small", device="cpu")
    for room in (300, 600, 1000):
        assert 0.9 * room < len(codec.encode_to(picture, room)) <= room
    with pytest.raises(PayloadError, match="does not fit 30 bytes"):
        codec.encode_to(picture, 30)
    with pytest.raises(PayloadError, match="does not fit 900 bytes with preset 'seed'"):
        SdCodec("small", "seed", device="cpu").encode_to(picture, 900)


def test_decoding_is_reproducible(picture):
    codec = SdCodec("small", "seed", device="cpu")
    data = codec.encode(picture, 50)
    assert container.unpack(data).denoise
    assert np.array_equal(codec.decode(data), codec.decode(data))
    assert data == codec.encode(picture, 50)


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (9, 7), (65, 41), (120, 128)])
@pytest.mark.parametrize("preset", ["seed", "rd"])
def test_any_size_comes_back(make, size, preset):
    picture = make.photo(*size, seed=7)
    codec = SdCodec("small", preset, device="cpu")
    decoded = codec.decode(codec.encode(picture, 90))
    assert decoded.shape == picture.shape
    assert metrics.psnr(picture, decoded) > 10


def test_grey_comes_back_grey(picture):
    grey = np.repeat(picture[..., :1], 3, axis=2)
    codec = SdCodec("small", device="cpu")
    decoded = codec.decode(codec.encode(grey, 90)).astype(float)
    assert np.abs(decoded - decoded.mean(2, keepdims=True)).mean() < 12


def test_many_pictures_of_mixed_sizes(make):
    pictures = [make.photo(64, 64, seed=1), make.photo(40, 64, seed=2), make.photo(64, 64, seed=3)]
    codec = SdCodec("small", device="cpu")
    together = codec.latents(pictures)
    for picture, latents in zip(pictures, together, strict=True):
        assert np.allclose(latents, codec.latents([picture])[0], atol=1e-4)
    assert len(codec.encode_many(pictures, 50)) == 3
    assert codec.encode_many([], 50) == []


def test_tiles_give_the_picture_in_one_piece(small, make, monkeypatch):
    """No seams: tiled and whole differ nowhere by more than the eye could see."""
    picture = make.photo(512, 640, seed=9)
    whole = small.encode(picture[None])[0]
    shown = small.decode(whole, 512, 640)
    monkeypatch.setattr(networks, "TILES", (40, 32))
    tiled = small.encode(picture[None])[0]
    assert np.abs(tiled - whole).max() < 1e-3
    difference = np.abs(small.decode(whole, 512, 640).astype(int) - shown)
    assert difference.max() <= 1


def test_denoising_in_tiles_has_no_seams(small, make, monkeypatch):
    latents = small.encode(make.photo(320, 448, seed=9)[None])[0]
    whole = small.denoise(latents)
    monkeypatch.setattr(networks, "TILES", (40, 32))
    tiled = small.denoise(latents)
    # Attention and group norms see the whole of a tile, so the two differ, but smoothly.
    assert squared(tiled, whole) < 0.1 * squared(whole, latents)
    steps = np.abs(np.diff(tiled - whole, axis=1)).mean((0, 2))[4:-4]  # edges are no seams
    assert steps.max() < 3 * steps.mean()


def test_memory_that_runs_out_gives_smaller_tiles_then_one_line(small, make, monkeypatch):
    import dataclasses

    import torch

    class Narrow:
        """An autoencoder on a device whose memory takes pictures of `most` latents."""

        dtype = torch.float32

        def __init__(self, most):
            self.most = most

        def decode(self, latents):
            if latents.shape[-1] > self.most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
            return small.vae.decode(latents)

    latents = small.encode(make.photo(512, 512, seed=3)[None])[0]
    expected = small.decode(latents, 512, 512).astype(int)
    narrow = dataclasses.replace(small, vae=Narrow(50))
    assert np.abs(narrow.decode(latents, 512, 512) - expected).max() <= 1
    from sitecodec.errors import ImageError

    with pytest.raises(ImageError, match="not enough memory"):
        dataclasses.replace(small, vae=Narrow(8)).decode(latents, 512, 512)


def test_payloads_name_what_decodes_them(picture):
    model = registry.read("small")
    rd = SdCodec("small", device="cpu").encode(picture, 50)
    seed = SdCodec("small", "seed", device="cpu").encode(picture, 50)
    assert payload.read_header(rd).model == model.fingerprint(False)
    assert payload.read_header(seed).model == model.fingerprint(True) != model.fingerprint(False)
    assert container.is_generative(rd)
    other = payload.pack(payload.Header("sd", 77, 256, 256, 50), rd[payload.HEADER_BYTES :])
    with pytest.raises(ModelError, match="needs the model 0000004d, which is not here"):
        SdCodec(device="cpu").decode(other)


def test_latents_that_do_not_fit_the_model_are_refused(picture):
    model = registry.read("small").fingerprint(False)
    header = payload.Header("sd", model, 64, 64, 50)
    coded = grid.encode(np.zeros((8, 8, 3), np.float32), bytes([120] * 3))
    with pytest.raises(PayloadError, match="do not fit the model"):
        SdCodec(device="cpu").decode(container.pack(header, 8, coded, False))


def test_identity_changes_with_what_decides_the_bytes():
    codecs = [
        SdCodec("small"),
        SdCodec("small", "seed"),
        SdCodec("small", denoise=True),
        SdCodec("small", rdo=0),
        SdCodec("small", refine=3),
    ]
    assert len({codec.identity for codec in codecs}) == len(codecs)
    with pytest.raises(SettingsError, match="unknown preset"):
        SdCodec("small", "best")


def test_unknown_devices_are_refused(picture):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ModelError, match="no device 'cuda' here"):
        SdCodec("small", device="cuda").encode(picture, 50)


@pytest.fixture
def site(make, tmp_path):
    """A built site with one photograph, and the settings to rewrite it with `sd`."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "photo.png").write_bytes(make.file(make.photo(160, 200, seed=100)))
    (tmp_path / "site" / "index.html").write_text('<body><img src="photo.png" alt="a"></body>')
    settings = Settings(quality=0, min_tile_score=-1000, codec="sd", store=tmp_path / "store")
    return tmp_path / "site", settings


def test_a_site_s_payloads_are_held_to_the_stricter_gate(site, monkeypatch):
    folder, settings = site
    monkeypatch.setattr(
        "sitecodec.encoding.gate.WORTH_IT", 50
    )  # a trained minute does not beat AVIF
    (row,) = rewrite_site(folder, settings).images
    assert row.payload is None
    assert row.reason.startswith(("skin, perhaps a face: ", "worst tile "))
    assert not list(folder.rglob("*.slat"))
    assert "generative" not in (folder / "index.html").read_text()


def test_a_site_says_what_is_generative_and_asks_no_visitor_to_decode_it(site, monkeypatch):
    folder, settings = site
    monkeypatch.setattr("sitecodec.encoding.gate.WORTH_IT", 50)
    monkeypatch.setattr(
        "sitecodec.sd.invented.judge", lambda *_: invented.Verdict("", 50.0, 1.0, 100.0)
    )
    monkeypatch.setattr("sitecodec.encoding.trials.Trial.level", lambda *_: 100.0)
    (row,) = rewrite_site(folder, settings).images
    assert row.payload
    assert row.modern
    (data, *_) = [path.read_bytes() for path in folder.rglob("*.slat")]
    assert container.is_generative(data)
    assert SdCodec(device="cpu").decode(data).ndim == 3
    page = (folder / "index.html").read_text()
    start = page.index('<source type="image/x-sitecodec"')
    assert 'data-sitecodec="generative"' in page[start : page.index(">", start)]
    assert page.count("generative") == 1
    assert not list(folder.glob("*.js"))
    assert not rewrite_site(folder, settings).rewritten

"""Models of the shapes that were published are added, and mean what their classes say."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="torch is not installed (extra 'torch')")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra 'torch')")
pytest.importorskip("transformers", reason="transformers is not installed (extra 'torch')")

import torch

from sitecodec.cli import main
from sitecodec.models.user_folder import ENVIRONMENT
from sitecodec.sd import adding, configurations, container, description, palette, registry
from sitecodec.sd.codec import SdCodec
from tests import published as shapes
from tests.refusing import refused

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "published"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return shapes.sd15(tmp_path_factory.mktemp("published") / "sd15")


@pytest.fixture
def folder(made, tmp_path):
    return shapes.copy(made, tmp_path / "folder")


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def change(path, **values):
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


def test_stable_diffusion_1_5_takes_its_class_s_factor(made, home):
    done = run("models", "add", "sd15", "--from", made)
    assert done.exit_code == 0, done.output
    assert "scaling factor 0.18215, stride 8, 4 channels" in done.output
    model = registry.read("sd15")
    assert model.space == description.LatentSpace("AutoencoderKL", 4, 8, 0.18215, 0.0)
    assert sorted(model.files) == [
        "empty_prompt.safetensors",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]


def by_hand(vae, picture):
    """The experiment's arithmetic from its published constants, one latent after the other."""
    with torch.no_grad():
        batch = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
        z = vae.encode(batch).latent_dist.mode()[0].permute(1, 2, 0).numpy().astype(float)
    q = (255 * np.clip(z / (255 * 0.18215) + 0.5, 0, 1) + 0.5).astype(np.uint8).astype(float)
    colours = palette.make_palette(q.reshape(-1, 4).astype(np.uint8)).astype(float)
    work, shown = q.copy(), np.zeros_like(q)
    height, width = q.shape[:2]
    for y in range(height):
        for x in range(width):
            wanted = np.clip(work[y, x], 0, 255)
            nearest = colours[np.square(colours - wanted).sum(1).argmin()]
            shown[y, x] = nearest
            for dy, dx, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if y + dy < height and 0 <= x + dx < width:
                    work[y + dy, x + dx] += (wanted - nearest) * share / 16
    back = (shown / 255 - 0.5) * 255 * 0.18215
    with torch.no_grad():
        batch = torch.from_numpy(back).permute(2, 0, 1)[None].float()
        decoded = vae.decode(batch).sample[0].permute(1, 2, 0).numpy()
    return z, back, np.clip(np.rint((decoded + 1) * 127.5), 0, 255)


def test_the_seed_preset_is_the_published_arithmetic(folder, make, tmp_path):
    network = shapes.vae(tmp_path / "same", shapes.VAE_15)
    adding.add("sd15", str(folder))
    picture = make.photo(256, 256, seed=5)
    codec = SdCodec("sd15", "seed", denoise=False, device="cpu")
    data = codec.encode(picture, 50)
    z, expected, shown = by_hand(network, picture)
    ours = container.unpack(data).latents() / 0.18215
    error, wanted = np.square(ours - z).mean(), np.square(expected - z).mean()
    assert 0.95 < error / wanted < 1.05
    assert z.std() > 2  # else rounding would be all there is
    decoded = codec.decode(data).astype(float)
    before, after = np.square(shown - picture).mean(), np.square(decoded - picture).mean()
    assert 0.95 < after / before < 1.05


def test_all_of_the_published_pipeline_runs(folder, make):
    adding.add("sd15", str(folder))
    codec = SdCodec("sd15", "seed", device="cpu")
    data = codec.encode(make.photo(96, 128), 50)
    assert container.unpack(data).denoise
    assert codec.decode(data).shape == (96, 128, 3)


def same_pictures(first, second, make):
    picture = make.photo(64, 64, seed=2)
    one, two = (SdCodec(name, device="cpu").latents([picture])[0] for name in (first, second))
    assert np.allclose(one, two, atol=2e-2)


def test_old_and_new_names_of_attention_are_one_network(tmp_path, make):
    shapes.vae(tmp_path / "old" / "vae", shapes.VAE_15, old_names=True)
    shapes.vae(tmp_path / "new" / "vae", shapes.VAE_15)
    for name in ("old", "new"):
        assert adding.add(name, str(tmp_path / name)).space.scaling == 0.18215
    same_pictures("old", "new", make)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("sharded", [False, True])
def test_half_precision_and_shards(tmp_path, make, half, sharded):
    shapes.vae(tmp_path / "plain" / "vae", shapes.VAE_15)
    shapes.vae(tmp_path / "other" / "vae", shapes.VAE_15, half=half)
    if sharded:
        shapes.shard(tmp_path / "other" / "vae", variant=".fp16" * half)
    adding.add("plain", str(tmp_path / "plain"))
    model = adding.add("other", str(tmp_path / "other"))
    assert len(model.files) == (5 if sharded else 2)
    same_pictures("plain", "other", make)


@pytest.mark.parametrize(
    ("config", "space"),
    [
        (shapes.VAE_XL, ("AutoencoderKL", 4, 8, 0.13025, 0.0)),
        (shapes.VAE_SD3, ("AutoencoderKL", 16, 8, 1.5305, 0.0609)),
        (shapes.VAE_FLUX, ("AutoencoderKL", 16, 8, 0.3611, 0.1159)),
        (shapes.TAESD, ("AutoencoderTiny", 4, 8, 1.0, 0.0)),
    ],
    ids=["sdxl", "sd3", "flux", "taesd"],
)
def test_kin_are_added_encode_and_decode(tmp_path, make, config, space):
    inner = "" if config is shapes.TAESD else "vae"
    network = shapes.vae(tmp_path / "made" / inner, config)
    (tmp_path / "made" / "transformer").mkdir()
    (tmp_path / "made" / "transformer" / "config.json").write_text("{}")
    model = adding.add("kin", str(tmp_path / "made"))
    assert dataclasses.astuple(model.space) == space
    assert not model.denoises
    _, wants_full = configurations.autoencoder(registry.folder("kin") / "vae", "kin")
    assert wants_full == (config is not shapes.TAESD)
    picture = make.photo(72, 88, seed=4)
    codec = SdCodec("kin", device="cpu")
    (latents,) = codec.latents([picture])
    with torch.no_grad():
        padded = np.pad(picture, [(0, 0), (0, 0), (0, 0)])
        coded = network.encode(torch.from_numpy(padded).permute(2, 0, 1)[None] / 127.5 - 1)
    z = coded.latent_dist.mode() if hasattr(coded, "latent_dist") else coded.latents
    assert np.allclose(latents, ((z - space[4]) * space[3])[0].permute(1, 2, 0), atol=1e-3)
    assert codec.decode(codec.encode(picture, 70)).shape == picture.shape
    if space[1] == 16:
        done = run("models", "show", "kin")
        assert done.exit_code == 0
        from sitecodec.errors import SettingsError

        with pytest.raises(SettingsError, match="has 16: use preset 'rd'"):
            SdCodec("kin", "seed", device="cpu").encode(picture, 50)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (shapes.PNDM, "epsilon"),
        (shapes.EULER_XL, "epsilon"),
        (shapes.PNDM | {"prediction_type": "v_prediction"}, "v_prediction"),
    ],
)
def test_schedulers_become_ddim_with_the_same_noise(tmp_path, config, kind):
    shapes.scheduler(tmp_path, config)
    ddim = configurations.scheduler(tmp_path / "scheduler", "x")
    assert type(ddim).__name__ == "DDIMScheduler"
    ddim.set_timesteps(66)
    assert ddim.timesteps[-3:].tolist() == [31, 16, 1]
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    assert torch.allclose(ddim.alphas_cumprod, torch.cumprod(1 - betas, 0))
    assert ddim.final_alpha_cumprod == ddim.alphas_cumprod[0]
    assert (ddim.config.clip_sample, ddim.config.prediction_type) == (False, kind)


def test_what_a_scheduler_leaves_out_has_the_default_of_its_own_class(tmp_path):
    """PNDM knows no clipping; DDIM's default is to clip, which would cut latents to -1…1."""
    plain = {k: v for k, v in shapes.PNDM.items() if k not in ("clip_sample", "set_alpha_to_one")}
    shapes.scheduler(tmp_path, plain)
    ddim = configurations.scheduler(tmp_path / "scheduler", "x")
    assert not ddim.config.clip_sample
    assert ddim.final_alpha_cumprod == ddim.alphas_cumprod[0] < 1


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_denoising_takes_out_exactly_the_noise_that_the_network_names(tmp_path, kind):
    """A made-up network that knows the noise: after the last steps hardly any is left."""
    from sitecodec.sd.networks import Networks

    shapes.scheduler(tmp_path, shapes.PNDM | {"prediction_type": kind})
    ddim = configurations.scheduler(tmp_path / "scheduler", "x")
    generator = np.random.default_rng(1)
    clean = generator.normal(size=(16, 16, 4)).astype(np.float32)
    model = description.Model(
        "x", "", "", description.LatentSpace("AutoencoderKL", 4, 8, 0.18215, 0.0), (), {}
    )

    class Knowing:
        """Says the noise in what it gets, as a perfect U-Net would."""

        config = shapes.UNet2DConditionModel.from_config(shapes.UNET_15).config
        dtype = torch.float32

        def __call__(self, sample, step, encoder_hidden_states):
            alpha = ddim.alphas_cumprod[step]
            wanted = torch.from_numpy(clean).permute(2, 0, 1)[None]
            noise = (sample - alpha.sqrt() * wanted) / (1 - alpha).sqrt()
            if kind == "v_prediction":
                noise = alpha.sqrt() * noise - (1 - alpha).sqrt() * wanted
            return type("Output", (), {"sample": noise})

    prompt = {"prompt": torch.zeros(1, 77, shapes.CROSS)}
    networks = Networks(model, "cpu", None, Knowing(), ddim, prompt)
    noisy = clean + 0.1 * generator.normal(size=clean.shape).astype(np.float32)
    left = np.square(networks.denoise(noisy) - clean).mean()
    # The last step goes to the noise of t = 0, not to none at all (set_alpha_to_one is false).
    assert left < 0.3 * np.square(noisy - clean).mean()


def test_sdxl_s_unet_wants_no_text_encoder(tmp_path, make):
    shapes.vae(tmp_path / "xl" / "vae", shapes.VAE_XL)
    config = shapes.UNET_15 | {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 6 * 4 + 8,
    }
    shapes.unet(tmp_path / "xl" / "unet", config)
    shapes.scheduler(tmp_path / "xl", shapes.EULER_XL)
    assert adding.add("xl", str(tmp_path / "xl")).space.scaling == 0.13025
    codec = SdCodec("xl", "seed", device="cpu")
    assert codec.decode(codec.encode(make.photo(64, 64), 50)).shape == (64, 64, 3)


def test_a_model_added_under_a_wrong_factor_is_found_and_mended(folder, make, tmp_path):
    """An older version took 1.0 where a configuration names no factor."""
    adding.add("sd15", str(folder))
    right = registry.read("sd15")
    path = registry.folder("sd15") / "model.json"
    change(path, scaling=1.0, sensitivity=[1.0] * 4)
    assert registry.read("sd15").space.scaling == 1.0
    (tmp_path / "photo.png").write_bytes(make.file(make.photo(64, 64)))
    encode = ("encode", tmp_path / "photo.png", tmp_path / "a.slat", "--codec", "sd")
    for done in (run(*encode), run("models", "show", "sd15")):
        assert done.exit_code == 1
        told = "the model 'sd15' was added with scaling 1.0 for 0.18215: run  sitecodec models pull"
        assert told in done.output
        assert "Traceback" not in done.output
    shutil.rmtree(folder)  # its own files are whole: they are described anew, nothing is fetched
    done = run("models", "pull", "sd15")
    assert done.exit_code == 0, done.output
    assert "scaling factor 0.18215" in done.output
    assert registry.read("sd15") == right
    assert run("models", "show", "sd15").exit_code == 0
    assert run(*encode).exit_code == 0


VAE, UNET = "vae/config.json", "unet/config.json"


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        (VAE, {"_class_name": "AutoencoderDC"}, "'AutoencoderDC'; known: AutoencoderKL"),
        (VAE, {"_class_name": ["AutoencoderKL"]}, "of the class ['AutoencoderKL']"),
        (VAE, {"_class_name": ...}, "of the class None"),
        (VAE, {"scaling_factor": 0}, "its scaling_factor is 0"),
        (VAE, {"scaling_factor": -0.2}, "its scaling_factor is -0.2"),
        (VAE, {"scaling_factor": "0.18215"}, "its scaling_factor is no number"),
        (VAE, {"scaling_factor": float("nan")}, "its scaling_factor is no number"),
        (VAE, {"shift_factor": [1]}, "its shift_factor is no number"),
        (VAE, {"latents_std": [1, 2, 3, 4]}, "channel by channel"),
        (VAE, {"latent_channels": 32}, "32 channels; payloads hold 16"),
        (VAE, {"block_out_channels": "wide"}, "cannot use its vae/config.json"),
        (VAE, {"block_out_channels": [8, 8]}, "cannot use its vae/config.json"),
        (VAE, {"layers_per_block": 1}, "cannot load its vae"),
        (UNET, {"in_channels": 9}, "its U-Net takes 9 channels"),
        (UNET, {"_class_name": "UNet2DModel"}, "'UNet2DModel'; known: UNet2DConditionModel"),
        (UNET, {"cross_attention_dim": 48}, "cannot load its unet"),
        (UNET, {"class_embed_type": "timestep"}, "cannot load its unet"),
        ("scheduler/scheduler_config.json", {"_class_name": "Nope"}, "no class 'Nope'"),
        ("scheduler/scheduler_config.json", {"_class_name": "os"}, "no class 'os'"),
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "ModularPipeline", "pretrained_model_name_or_path": "a/b"},
            "ModularPipeline is no scheduler",
        ),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**8}, "is too large"),
        (VAE, {"layers_per_block": 10**7}, "layers_per_block of its config.json is too large"),
        (VAE, {"layers_per_block": [10**7]}, "is too large"),
        (VAE, {"down_block_types": ["DownEncoderBlock2D"] * 1000}, "is too large"),
        (UNET, {"transformer_layers_per_block": 10**7}, "is too large"),
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "FlowMatchEulerDiscreteScheduler"},
            "cannot use its scheduler",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_line(folder, home, file, values, words):
    change(folder / file, **values)
    refused(lambda: adding.add("sd15", str(folder)), words)
    assert not home.exists() or not list(home.iterdir())


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "null", '"x"', "{", "\xff"])
def test_configurations_that_are_none_are_one_line(folder, text):
    for file in (VAE, UNET, "scheduler/scheduler_config.json"):
        before = (folder / file).read_bytes()
        (folder / file).write_bytes(text.encode("latin-1"))
        refused(lambda: adding.add("sd15", str(folder)), "JSON")
        (folder / file).write_bytes(before)


@pytest.mark.parametrize(
    "files",
    [["a"], {"a": 5}, {"a": 5, "b": "x"}, {"a": ["x"]}, None, {}, {"a": "../x.safetensors"},
     {"a": "x.bin"}, {"a": "a\\b.safetensors"}],
    ids=str,
)  # fmt: skip
def test_an_index_that_names_no_files_is_one_line(folder, home, files):
    index = shapes.shard(folder / "vae")
    change(index, weight_map=files)
    refused(lambda: adding.add("sd15", str(folder)), "names no files")
    change(index, weight_map={"a": "gone.safetensors"})
    refused(lambda: adding.add("sd15", str(folder)), "vae/gone.safetensors is missing")
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    "lost", ["tokenizer/vocab.json", "tokenizer/merges.txt", "text_encoder/model.safetensors"]
)
def test_a_tokenizer_or_text_encoder_that_is_missing_is_said(folder, home, lost):
    (folder / lost).unlink()
    refused(lambda: adding.add("sd15", str(folder)), "no whole text_encoder/", "leave unet/ out")
    assert not list(home.iterdir())


def test_a_text_encoder_of_other_weights_is_refused(folder):
    config = folder / "text_encoder" / "config.json"
    change(config, num_hidden_layers=3)
    refused(lambda: adding.add("sd15", str(folder)), "cannot load its text encoder")


def test_a_model_stays_when_its_successor_is_refused(folder):
    before = adding.add("sd15", str(folder))
    change(folder / VAE, scaling_factor=0)
    refused(lambda: adding.add("sd15", str(folder)), "scaling_factor")
    assert registry.read("sd15") == before
    registry.verify(before)


def test_a_model_of_the_codec_web_is_not_replaced(folder):
    refused(lambda: adding.add("web-1", str(folder)), "web-1 is a model of the codec web")


@pytest.mark.parametrize(
    "values",
    [
        {"name": "other"}, {"name": 5}, {"source": None}, {"revision": []}, {"vae": "AutoModel"},
        {"vae": ["AutoencoderKL"]}, {"channels": "4"}, {"channels": True}, {"stride": 0},
        {"scaling": "x"}, {"scaling": 0}, {"scaling": float("nan")}, {"shift": {}},
        {"sensitivity": 5}, {"sensitivity": ["x"]}, {"sensitivity": [1.0]}, {"files": []},
        {"files": {"vae/config.json": 5}}, {"files": {"../secret": "x"}}, {"files": {"/etc": "x"}},
        {"files": ...}, {"scaling": ...},
    ],
    ids=str,
)  # fmt: skip
def test_descriptions_of_wrong_types_are_damaged(home, values):
    space = description.LatentSpace("AutoencoderKL", 4, 8, 0.18215, 0.0)
    model = description.Model("own", "x", "", space, (1.0,) * 4, {"vae/config.json": "a"})
    (home / "own").mkdir(parents=True)
    path = home / "own" / "model.json"
    path.write_text(description.render(model))
    assert registry.read("own") == model
    change(path, **values)
    refused(lambda: registry.read("own"), "damaged", "models add own")
    for text in ("[" * 100_000, "[]", "7"):
        path.write_text(text)
        refused(lambda: registry.read("own"), "damaged")


@pytest.mark.skipif(not DATA.is_dir(), reason="the published configurations are not beside here")
@pytest.mark.parametrize(
    ("name", "scaling"),
    [("sd14", 0.18215), ("sd15", 0.18215), ("sd21-base", 0.18215), ("sdxl", 0.13025), ("taesd", 1)],
)
def test_configurations_word_for_word_as_published(name, scaling):
    folder = DATA / name
    inner = folder / "vae" if (folder / "vae").is_dir() else folder
    space, _ = configurations.autoencoder(inner, name)
    assert (space.channels, space.stride, space.scaling, space.shift) == (4, 8, scaling, 0)
    if (folder / "unet").is_dir():
        config = configurations.unet_config(folder / "unet", 4, name)
        assert config["cross_attention_dim"] in (768, 1024)
        ddim = configurations.scheduler(folder / "scheduler", name)
        assert not ddim.config.clip_sample
        # Ours leave out what the published ones leave out.
        if name == "sd15":
            for ours, path in ((shapes.VAE_15, VAE), (shapes.UNET_15, UNET)):
                assert set(ours) == set(json.loads((folder / path).read_text()))


def memory_there():
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(memory_there() < 9e9, reason="a whole U-Net wants 9 GB of free memory")
def test_the_whole_unet_of_1_5_runs(tmp_path, make):
    """860 million parameters, stored in half precision: added, and denoising a small picture."""
    if DATA.is_dir():
        config = json.loads((DATA / "sd15" / "unet" / "config.json").read_text())
    else:
        config = shapes.UNET_15 | {
            "block_out_channels": [320, 640, 1280, 1280],
            "cross_attention_dim": 768,
            "norm_num_groups": 32,
            "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
            "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        }
    with torch.device("meta"):
        network = shapes.UNet2DConditionModel.from_config(config)
    assert sum(parameter.numel() for parameter in network.parameters()) == 859_520_964
    noise = torch.randn(2**20).half()
    tensors = {}
    for key, tensor in network.state_dict().items():
        size = tensor.numel()
        flat = noise.repeat(-(-size // len(noise)))[:size].reshape(tensor.shape)
        norm = "norm" in key and key.endswith("weight")
        fan = max(tensor[0].numel(), 1) if tensor.ndim > 1 else 1e4
        tensors[key] = torch.ones_like(flat) if norm else flat * fan**-0.5
    shapes.write(
        tmp_path / "made" / "unet", config, tensors, "diffusion_pytorch_model.fp16.safetensors"
    )
    del tensors
    shapes.vae(tmp_path / "made" / "vae", shapes.VAE_15)
    shapes.scheduler(tmp_path / "made")
    from safetensors.torch import save_file

    save_file({"prompt": torch.zeros(1, 77, 768)}, tmp_path / "made" / "empty_prompt.safetensors")
    adding.add("whole", str(tmp_path / "made"))
    shutil.rmtree(tmp_path / "made")
    codec = SdCodec("whole", "seed", device="cpu")
    data = codec.encode(make.photo(64, 64), 50)
    assert codec.decode(data).shape == (64, 64, 3)

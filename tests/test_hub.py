"""Models from the hub, through its own client, from a stand-in on loopback."""

import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'torch')")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra 'torch')")
pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (torch)")

from huggingface_hub import constants

from sitecodec.models.user_folder import ENVIRONMENT
from sitecodec.sd import adding, registry
from tests import hub_server
from tests import published as shapes
from tests.refusing import refused

NAME = "stable-diffusion-v1-5/stable-diffusion-v1-5"
VAE = "vae/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return shapes.sd15(tmp_path_factory.mktemp("published") / "sd15")


@pytest.fixture
def hub():
    hub = hub_server.Hub()
    with hub_server.serving(hub):
        yield hub


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, hub):
    """Our registry and the client's cache in empty folders; the client asks the stand-in."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "models"))
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    address = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "models"


def nothing_added(home):
    return not home.exists() or not list(home.iterdir())


def test_the_command_takes_main_says_the_commit_and_fetches_only_what_it_needs(
    made, hub, home, tmp_path
):
    commit = hub.publish(NAME, made)
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    code = "from sitecodec.cli.commands import main; main()"
    command = ["models", "add", "sd15", "--from", "sd15"]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told, pin = done.stdout.splitlines()
    assert "scaling factor 0.18215, stride 8" in told
    assert pin == f"sd15: to get the same files elsewhere, use  --revision {commit}"
    model = registry.read("sd15")
    assert (model.source, model.revision) == (NAME, commit)
    fetched = {path.split(f"{commit}/")[1] for _, path, _ in hub.asked("HEAD", "/resolve/")}
    assert fetched == {
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        VAE,
    }


def test_a_revision_is_a_pin(made, hub, tmp_path):
    first = hub.publish(NAME, made)
    newer = shapes.copy(made, tmp_path / "newer")
    (newer / "vae" / "config.json").write_text(
        (newer / "vae" / "config.json").read_text().replace("0.6.0", "0.7.0")
    )
    second = hub.publish(NAME, newer)
    assert adding.add("sd15", "sd15").revision == second
    model = adding.add("sd15", "sd15", first)
    assert model.revision == first
    (registry.folder("sd15") / VAE).unlink()
    assert adding.pull("sd15") == model
    refused(lambda: adding.add("sd15", "sd15", "no-such-branch"), "check --revision")
    assert registry.read("sd15") == model


def test_a_download_that_is_cut_is_resumed_where_it_stopped(made, hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)  # 10 MB: more than all of ours
    hub.publish(NAME, made)
    hub.cut[VAE] = 2
    adding.add("sd15", "sd15")
    starts = [span for _, _, span in hub.asked("GET", "/storage/") if span]
    assert len(starts) == 2
    assert 0 < int(starts[0][6:-1]) < int(starts[1][6:-1])


def test_a_hub_that_stops_in_the_middle_leaves_nothing_half_added(made, hub, home, monkeypatch):
    import time

    hub.publish(NAME, made)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    hub.cut["unet/diffusion_pytorch_model.safetensors"] = 1000
    refused(lambda: adding.add("sd15", "sd15"), "cannot fetch", "folder to --from")
    assert nothing_added(home)
    assert registry.names() == []
    hub.cut.clear()
    before = len(hub.asked("GET", "/storage/"))
    adding.add("sd15", "sd15")
    # What had come whole is not fetched again; the rest goes on where it stopped.
    spans = [span for _, _, span in hub.asked("GET", "/storage/")[before:]]
    assert len(spans) == 1


def test_a_file_that_arrives_damaged_is_refused_and_fetched_again(made, hub, home):
    hub.publish(NAME, made)
    hub.damaged.add(VAE)
    refused(lambda: adding.add("sd15", "sd15"), VAE, "arrived damaged", "try again")
    assert nothing_added(home)
    hub.damaged.clear()
    adding.add("sd15", "sd15")


def test_gated_and_missing_repositories_are_one_line(made, hub, home):
    hub.publish(NAME, made)
    hub.gated.add(NAME)
    refused(lambda: adding.add("sd15", "sd15"), "licence must be accepted")
    refused(lambda: adding.add("sd14", "sd14"), "not there any more")
    refused(lambda: adding.add("x", "some/where"), "check the name")
    assert nothing_added(home)


def test_a_model_that_does_not_fit_is_refused_before_its_weights_are_fetched(
    made, hub, home, tmp_path
):
    other = shapes.copy(made, tmp_path / "other")
    config = other / "vae" / "config.json"
    config.write_text(config.read_text().replace("AutoencoderKL", "AutoencoderDC"))
    hub.publish(NAME, other)
    refused(lambda: adding.add("sd15", "sd15"), "'AutoencoderDC'")
    assert not hub.asked("GET", "/storage/")
    shutil.rmtree(other / "tokenizer")
    shutil.copy(made / "vae" / "config.json", config)
    hub.publish(NAME, other)
    refused(lambda: adding.add("sd15", "sd15"), "tokenizer/")
    assert not hub.asked("GET", "/storage/")
    assert nothing_added(home)


def test_a_hub_that_is_not_there_is_one_line(hub, home, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    refused(lambda: adding.add("sd15", "sd15"), "cannot be reached", "folder to --from")
    assert nothing_added(home)

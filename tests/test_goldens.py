import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sitecodec import engine, models
from sitecodec.codecs import get
from sitecodec.codecs.web import WebCodec
from tests.goldens import make

GOLDENS = Path(make.__file__).parent
INDEX = json.loads((GOLDENS / "goldens.json").read_text())
FLAT = json.loads((GOLDENS / "flat.json").read_text())
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


@pytest.mark.parametrize("name", INDEX)
def test_golden_decodes_to_the_same_pixels_for_ever(name):
    pixels = get("web").decode((GOLDENS / name).read_bytes())
    assert pixels.shape[:2] == (INDEX[name]["height"], INDEX[name]["width"])
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == INDEX[name]["sha256"]


@pytest.mark.parametrize("name", INDEX)
def test_alpha_comes_back_as_it_was(name):
    entry = INDEX[name]
    case, _ = make.case_and_model(name)
    plane = make.alpha(case, entry["height"], entry["width"])
    pixels = get("web").decode((GOLDENS / name).read_bytes())
    assert pixels.shape[2] == (3 if plane is None else 4)
    assert plane is None or np.array_equal(pixels[..., 3], plane)


@pytest.mark.parametrize("name", INDEX)
def test_encoding_gives_the_golden_bytes(name):
    entry = INDEX[name]
    case, model = make.case_and_model(name)
    pixels = make.picture(case, entry["height"], entry["width"])
    assert WebCodec(model).encode(pixels, entry["quality"]) == (GOLDENS / name).read_bytes()


@pytest.mark.parametrize("name", FLAT)
def test_flat_golden_decodes_to_the_same_pixels_for_ever(name):
    entry, payload = FLAT[name], (GOLDENS / name).read_bytes()
    pixels = get("flat").decode(payload)
    assert pixels.shape == (entry["height"], entry["width"], entry["channels"])
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == entry["sha256"]
    assert get("flat").encode(pixels) == payload


def run_node(*arguments):
    command = [NODE, Path(__file__).with_name("engine.mjs"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@needs_node
@pytest.mark.parametrize("module", [engine.WASM, engine.DECODER], ids=lambda path: path.stem)
@pytest.mark.parametrize("name", INDEX)
def test_node_decodes_to_the_same_pixels(name, module):
    model = models.FOLDER / f"{make.case_and_model(name)[1]}.decoder.slm"
    assert run_node("decode", module, model, GOLDENS / name) == INDEX[name]["sha256"]


@needs_node
@pytest.mark.parametrize("module", [engine.WASM, engine.DECODER], ids=lambda path: path.stem)
@pytest.mark.parametrize("name", FLAT)
def test_node_decodes_flat_pictures_without_a_model(name, module):
    assert run_node("decode", module, "", GOLDENS / name) == FLAT[name]["sha256"]


@needs_node
def test_node_encodes_to_the_same_bytes(tmp_path):
    for name in ("odd.slat", "photo-1.slat"):
        entry = INDEX[name]
        case, model = make.case_and_model(name)
        pixels = make.picture(case, entry["height"], entry["width"])
        (tmp_path / "pixels").write_bytes(pixels.tobytes())
        got = run_node(
            "encode",
            engine.WASM,
            models.FOLDER / f"{model}.decoder.slm",
            models.FOLDER / f"{model}.encoder.slm",
            tmp_path / "pixels",
            str(entry["width"]),
            str(entry["height"]),
            str(round(entry["quality"] * 100)),
        )
        assert got == hashlib.sha256((GOLDENS / name).read_bytes()).hexdigest()

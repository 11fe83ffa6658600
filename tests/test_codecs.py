import subprocess
import sys

import numpy as np
import pytest

from sitecodec import codecs, models, payload
from sitecodec.errors import ModelError, PayloadError


def test_the_web_codec_names_its_model_and_size():
    data = codecs.get("web").encode(np.zeros((30, 50, 3), np.uint8), 12.34)
    header = payload.read_header(data)
    assert (header.codec, header.width, header.height, header.quality) == ("web", 50, 30, 12.34)
    assert header.model == models.fingerprint(models.read(models.DEFAULT, "decoder"))
    assert models.find(header.model) == models.DEFAULT


def test_payloads_of_other_codecs_and_models_are_refused():
    web = codecs.get("web")
    with pytest.raises(PayloadError, match="'sd', not 'web'"):
        web.decode(payload.pack(payload.Header("sd", 1, 16, 16, 50), b""))
    with pytest.raises(ModelError, match="00000001, which is not here"):
        web.decode(payload.pack(payload.Header("web", 1, 16, 16, 50), b""))
    with pytest.raises(PayloadError, match="unknown codec 'png'"):
        codecs.get("png")


def test_models_that_are_missing_are_named():
    with pytest.raises(ModelError, match=r"no model 'nope'.*models add nope --from"):
        models.read("nope", "decoder")


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_importing_loads_no_heavy_package():
    heavy = "{'torch', 'mkdocs', 'numpy', 'PIL', 'wasmtime', 'scipy', 'jinja2'}"
    code = f"import sys, sitecodec; print({heavy} & set(sys.modules))"
    assert run(code).strip() == "set()"


def test_the_library_never_imports_mkdocs_or_torch():
    modules = (
        "cli, site.build, encoding.jobs, encoding.gate, encoding.images, metrics, disk.store, "
        "page.markup, page.html, codecs.web, engine"
    )
    code = f"""
import importlib, sys
for name in {modules!r}.split(", "):
    importlib.import_module(f"sitecodec.{{name}}")
print({{"torch", "mkdocs"}} & set(sys.modules))
"""
    assert run(code).strip() == "set()"


def test_identities_are_had_without_numpy_or_wasmtime():
    code = """
import sys
from sitecodec import codecs
assert codecs.get("web").identity.startswith("web1-")
print({"numpy", "wasmtime"} & set(sys.modules))
"""
    assert run(code).strip() == "set()"


def test_from_effort_two_on_payloads_are_smaller_and_named_otherwise(photo):
    low, usual = (codecs.get("web", effort=effort) for effort in (1, 2))
    assert len(usual.encode(photo, 50)) < len(low.encode(photo, 50))
    assert usual.identity != low.identity
    assert codecs.get("web", effort=4).encode(photo, 50) == usual.encode(photo, 50)

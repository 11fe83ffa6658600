"""The public functions: they are there, load nothing before they are used, and keep their form."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sitecodec
from sitecodec.errors import PayloadError, SettingsError, SiteError

DOCS = Path(__file__).resolve().parents[1] / "docs/api.md"
SIGNATURES = {
    "encode": "(pixels: 'Pixels', score: 'float' = 65.0, *, effort: 'int' = 3) -> 'bytes'",
    "decode": "(payload: 'bytes') -> 'Pixels'",
    "build_site": "(site: 'Path', settings: 'Settings', *, base_path: 'str | None' = None,"
    " progress: 'Callable[[int, int], None] | None' = None) -> 'Summary'",
    "report_site": "(site: 'Path', settings: 'Settings', *, base_path: 'str | None' = None,"
    " device: 'str' = 'mobile', budgets: 'Iterable[str]' = ()) -> 'Report'",
}


def signature(name: str) -> str:
    text = str(inspect.signature(getattr(sitecodec, name)))
    return re.sub(r"'Settings' = Settings\(.*?\)(?=, \*)", "'Settings'", text)


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_form_of_a_function_stays(name):
    assert signature(name) == SIGNATURES[name]
    assert getattr(sitecodec, name).__doc__
    assert f"`{name}`" in DOCS.read_text()


def test_all_is_what_there_is():
    assert sorted(sitecodec.__all__) == sorted(["Settings", "__version__", *SIGNATURES])
    assert dataclasses.is_dataclass(sitecodec.Settings)
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = sitecodec.other


def test_importing_it_loads_nothing():
    code = "import sys, sitecodec; print([m for m in sys.modules if m.startswith('sitecodec.')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("channels", [3, 4])
def test_a_payload_reaches_its_score(make, channels):
    pixels = make.photo(96, 128, 1)
    if channels == 4:
        alpha = np.full((96, 128, 1), 255, np.uint8)
        alpha[:40] = 0
        pixels = np.concatenate([pixels, alpha], axis=2)
    small, large = (sitecodec.encode(pixels, score) for score in (30, 70))
    assert len(small) < len(large)
    assert sitecodec.decode(large).shape == pixels.shape
    from sitecodec import metrics

    with metrics.against(pixels) as score:
        assert score(sitecodec.decode(large)).score >= 70


def test_the_lines_of_the_docs_work(tmp_path, make, monkeypatch):
    site = tmp_path / "public"
    site.mkdir()
    (site / "photo.png").write_bytes(make.file(make.photo(192, 256, 2)))
    (site / "index.html").write_text('<!doctype html><head></head><img src="photo.png">')
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "api.md", "exec"), names)
    assert "<picture" in (site / "index.html").read_text()
    assert (tmp_path / "photo.slat").stat().st_size < (site / "photo.png").stat().st_size


def test_errors_are_ours(tmp_path, make):
    with pytest.raises(PayloadError):
        sitecodec.decode(b"no payload")
    with pytest.raises(SettingsError):
        sitecodec.encode(make.photo(64, 64, 1), 99.9)
    with pytest.raises(SiteError):
        sitecodec.build_site(tmp_path / "missing")
    with pytest.raises(SiteError):
        sitecodec.report_site(tmp_path)

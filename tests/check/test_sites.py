"""Whole sites of every host: built, they look and work as the plain ones (see sitecodec.check)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sitecodec.check import report, site
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from tests.hosts.test_hosts import FIXTURES, build

pytest.importorskip("playwright.async_api", reason="playwright is not installed")

EXAMPLE = Path(__file__).resolve().parents[2] / "example_site"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(autouse=True)
def chromium():
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        pytest.skip("there is no Chromium here")


def same(plain, built, base_path=None):
    """Both sites were looked at, and no fault was found."""
    result = site.check(plain, built, site.Wanted(base_path=base_path))
    assert result.looked_at
    assert not result.faults, "\n" + report.table(result)


@pytest.mark.parametrize(("name", "base_path"), [("hugo", "/docs/"), ("zensical", "/docs/")])
def test_a_built_folder(tmp_path, store, name, base_path):
    plain = FIXTURES / name / "built"
    built = tmp_path / "built"
    shutil.copytree(plain, built)
    rewrite_site(built, Settings(store=store), base_path=base_path)
    same(plain, built, base_path)


@pytest.mark.parametrize("theme", ["mkdocs", "readthedocs", "material"])
def test_mkdocs(tmp_path, make, store, theme):
    plain = build(tmp_path, make, store, theme=theme, ours=False)
    built = build(tmp_path, make, store, theme=theme)
    same(plain, built)


def test_the_example_site(tmp_path):
    if importlib.util.find_spec("material") is None or importlib.util.find_spec("skimage") is None:
        pytest.skip("the extra 'example' is not installed")
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("site", ".cache"))
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    subprocess.run([sys.executable, str(folder / "prepare.py")], check=True, env=quiet)
    for name, switch in (("plain", "off"), ("built", "on")):
        command = [sys.executable, "-m", "mkdocs", "build", "-q", "-d", str(tmp_path / name)]
        subprocess.run(command, check=True, cwd=folder, env=quiet | {"SITECODEC": switch})
    same(tmp_path / "plain", tmp_path / "built")

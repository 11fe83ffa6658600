"""The wheel: what it installs, and that MkDocs finds the plugin in it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling is not installed")
ROOT = Path(__file__).resolve().parent.parent


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_installs_one_package_and_all_that_it_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"sitecodec"}
    inside = {name for name in names if ".dist-info/" not in name}
    for folder in ("sitecodec", "templates", "mkdocs_plugin"):
        tracked = run_git("ls-files", folder)
        place = {"templates": "sitecodec/", "mkdocs_plugin": "sitecodec/hosts/"}.get(folder, "")
        assert {place + name for name in tracked} <= inside
    assert not [name for name in inside if name.endswith(".pyc")]


def run_git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return done.stdout.splitlines()


def test_mkdocs_builds_with_the_plugin_of_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    site = tmp_path / "project"
    (site / "docs").mkdir(parents=True)
    (site / "docs/index.md").write_text("# Hello")
    (site / "mkdocs.yml").write_text("site_name: x\nplugins: [sitecodec]\n")
    where = "import sys, sitecodec; from sitecodec.hosts.mkdocs_plugin import plugin"
    where += "; print(plugin.__file__)"
    shown = run("-c", where, cwd=site, PYTHONPATH=str(installed))
    assert shown.strip() == str(installed / "sitecodec/hosts/mkdocs_plugin/plugin.py")
    log = run("-m", "mkdocs", "build", cwd=site, PYTHONPATH=str(installed))
    assert "sitecodec: 0 images encoded" in log


def test_an_editable_install_has_the_plugin_of_the_checkout() -> None:
    from sitecodec.hosts.mkdocs_plugin import plugin  # type: ignore[import-not-found]

    assert Path(plugin.__file__).is_relative_to(ROOT)

"""The workflow in docs/ci.md: its shell steps as a runner runs them, and the cache between."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def blocks() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with mkdocs")
    text = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


def workflow() -> list[dict[str, Any]]:
    steps = blocks()[0]["jobs"]["build"]["steps"]
    assert isinstance(steps, list)
    return steps


def run(steps: list[str], folder: Path, summary: Path) -> list[subprocess.CompletedProcess[str]]:
    """Each step with the shell that GitHub gives it; installing is left out."""
    bin_folder = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": bin_folder + os.pathsep + os.environ["PATH"],
        "GITHUB_STEP_SUMMARY": str(summary),
        "NO_MKDOCS_2_WARNING": "1",
    }
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
    return [
        subprocess.run(
            [*shell, step], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        for step in steps
        if not step.startswith("pip install")
    ]


@pytest.fixture
def checkout(tmp_path: Path, make: Any) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    if shutil.which("sitecodec", path=Path(sys.executable).parent) is None:
        pytest.skip("the command sitecodec is not installed beside this Python")
    folder = tmp_path / "checkout"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs/a.png").write_bytes(make.file(make.photo(80, 120)))
    (folder / "docs/index.md").write_text("# Home\n\n![A](a.png)\n")
    (folder / "mkdocs.yml").write_text(
        "site_name: x\nsite_url: https://example.org/\n"
        "theme: {name: material, font: false}\nplugins: [sitecodec]\n"
    )
    return folder


def test_the_steps_of_the_workflow(checkout: Path, tmp_path: Path) -> None:
    steps = workflow()
    shell = [step["run"] for step in steps if "run" in step]
    (cache,) = (step["with"] for step in steps if step.get("uses", "").startswith("actions/cache@"))
    # The key differs from run to run, else nothing would be saved; its start finds the last one.
    assert "${{ github.run_id }}" in cache["key"]
    assert cache["key"].startswith(cache["restore-keys"])
    places = [step.get("run", step.get("uses", "")) for step in steps]
    assert any("cache@" in place for place in places[: places.index("mkdocs build --strict")])
    summary = tmp_path / "summary.md"
    for done in run(shell, checkout, summary):
        assert done.returncode == 0, done.stderr
    assert "### sitecodec" in summary.read_text()
    assert list((checkout / "site").rglob("*.avif"))

    # The next run starts from a fresh checkout and finds the cache.
    store = checkout / cache["path"]
    kept = tmp_path / "kept"
    shutil.move(store, kept)
    shutil.rmtree(checkout / "site")
    shutil.copytree(kept, store)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    (build,) = run([s for s in shell if s.startswith("mkdocs")], checkout, summary)
    assert build.returncode == 0, build.stderr
    after = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    assert after == before  # nothing was encoded


def test_a_budget_stops_the_workflow(checkout: Path, tmp_path: Path) -> None:
    shell = [step["run"] for step in workflow() if "run" in step]
    (report,) = (step for step in shell if step.startswith("sitecodec report"))
    assert run(["mkdocs build --strict"], checkout, tmp_path / "s.md")[0].returncode == 0
    tight = re.sub(r"page=\w+", "page=1kB", report)
    (done,) = run([tight], checkout, tmp_path / "s.md")
    assert done.returncode == 1
    assert "over page=1.0 kB" in done.stdout


def test_the_other_recipe_has_the_same_parts() -> None:
    job = blocks()[1]["pages"]
    assert job["cache"]["paths"] == [".cache/sitecodec"]
    assert any(step.startswith("mkdocs build") for step in job["script"])

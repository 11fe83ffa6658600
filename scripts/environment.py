"""Makes the virtual environment that the scripts beside this one run in. Standard library only."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

TORCH = "torch==2.13.0"  # whatever is newest may come with CUDA only
ROOT = Path(__file__).resolve().parent.parent


def prepare(extra: str) -> Path:
    """The Python of `.venv-EXTRA`, with sitecodec and that extra installed; made when missing."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this script runs before pip could refuse
        sys.exit(f"sitecodec needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    folder = ROOT / f".venv-{extra}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "sitecodec.stamp"
    project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == project:
        return python
    print(f"Preparing {folder.name} (once; about a minute) ...", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-e", f".[{extra}]"], cwd=ROOT, check=True)
    stamp.write_text(project)
    return python


def add_torch(python: Path) -> None:
    """Install the extra `torch`, if that brings no gigabytes of CUDA; say so if it does not."""
    has = [python, "-c", "import torch, diffusers, transformers, safetensors"]
    if subprocess.run(has, stderr=subprocess.DEVNULL).returncode == 0:
        return
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wanted = ["-e", ".[torch]", TORCH]
    trial = subprocess.run(
        [*install, "--dry-run", "--report", "-", *wanted], cwd=ROOT, capture_output=True, text=True
    )
    report = json.loads(trial.stdout) if trial.returncode == 0 else {"install": []}
    names = [package["metadata"]["name"] for package in report["install"]]
    if "torch" not in names or any(name.startswith("nvidia") for name in names):
        print("No CPU build of torch is on offer here: tests that need torch are skipped.")
        print("With one installed in .venv-dev (and the extra torch) they run.", flush=True)
        return
    subprocess.run([*install, *wanted], cwd=ROOT, check=True)


def run(*command: str | Path) -> None:
    """Run a command in the repository; exit with its status if it fails."""
    done = subprocess.run(command, cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)

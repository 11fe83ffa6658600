"""Makes the virtual environment that the scripts beside this one run in. Standard library only."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

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


def run(*command: str | Path) -> None:
    """Run a command in the repository; exit with its status if it fails."""
    done = subprocess.run(command, cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)

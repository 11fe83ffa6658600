"""Builds of a site that are measured, for plugin.py and site.py."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple


class Seconds(NamedTuple):
    """What a build takes."""

    clock: float
    cpu: float


def build(folder: Path, *arguments: str) -> Seconds:
    """A `mkdocs build` with these arguments in the folder, in an interpreter of its own."""
    before, start = _cpu_of_children(), time.perf_counter()
    run(folder, "-m", "mkdocs", "build", *arguments)
    return Seconds(time.perf_counter() - start, _cpu_of_children() - before)


def run(folder: Path, *arguments: str) -> str:
    """What Python prints with these arguments, in the folder and as a build is measured."""
    # Material says that at every start.
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    # Without it, only sitecodec's modules would be compiled anew each time: installers do it once.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"mkdocs build failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

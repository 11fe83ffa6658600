"""Passes the checks and the tests: `python3 scripts/test.py [pytest arguments]`."""

from __future__ import annotations

import os
import sys

import environment


def main() -> None:
    """Prepare the environment, then lint, types and tests."""
    python = environment.prepare("dev")
    environment.add_torch(python)
    environment.run(python, "-m", "ruff", "check", ".")
    environment.run(python, "-m", "ruff", "format", "--check", ".")
    environment.run(python, "-m", "mypy")
    # Slow ones too, unless the arguments choose others; a file of tests is one process's, since its
    # browsers and sites are made once.
    beside = ("-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile")
    environment.run(python, "-m", "pytest", "-m", "slow or not slow", *beside, *sys.argv[1:])


if __name__ == "__main__":
    main()

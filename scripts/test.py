"""Passes the checks and the tests: `python3 scripts/test.py [pytest arguments]`."""

from __future__ import annotations

import sys

import environment


def main() -> None:
    """Prepare the environment, then lint, types and tests."""
    python = environment.prepare("dev")
    environment.add_torch(python)
    environment.run(python, "-m", "ruff", "check", ".")
    environment.run(python, "-m", "ruff", "format", "--check", ".")
    environment.run(python, "-m", "mypy")
    environment.run(python, "-m", "pytest", *sys.argv[1:])


if __name__ == "__main__":
    main()

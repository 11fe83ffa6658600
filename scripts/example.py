"""Builds example_site and says where to look and what it saved: `python3 scripts/example.py`."""

from __future__ import annotations

import os

import environment


def main() -> None:
    """Prepare the environment and the pictures, build, say where to look."""
    python = environment.prepare("example")
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # Material's banner about another product
    environment.run(python, "example_site/prepare.py")
    environment.run(python, "-m", "mkdocs", "build", "-f", "example_site/mkdocs.yml")
    site = environment.ROOT / "example_site" / "site"
    print(f"\nOpen {site / 'index.html'} in a browser, or serve the folder:")
    print(f"  {python} -m http.server -d {site} 8000")


if __name__ == "__main__":
    main()

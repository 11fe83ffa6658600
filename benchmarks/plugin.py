"""What the plugin adds to a second `mkdocs build` of example_site, with a warm store.

Builds a copy of the site in a temporary folder, once to fill its store, then five times with the
plugin and without it in turn. The time is the clock's, since a build also waits for the disk;
the CPU time of the same pairs is beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import building
from building import Seconds

EXAMPLE = Path(__file__).resolve().parent.parent / "example_site"
PAIRS = 5
LIMIT = 0.3  # seconds
PLUGIN = re.compile(r"^  - sitecodec:\n(?:      .*\n)*", re.MULTILINE)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "example_site"
        shutil.copytree(EXAMPLE, site, ignore=shutil.ignore_patterns("site", ".cache"))
        subprocess.run(
            [sys.executable, str(site / "prepare.py")], check=True, stdout=subprocess.DEVNULL
        )
        config = (site / "mkdocs.yml").read_text(encoding="utf-8")
        without, plugins = PLUGIN.subn("", config)
        if plugins != 1:
            print("example_site/mkdocs.yml: no plugin 'sitecodec' to leave out")
            return 2
        (site / "without.yml").write_text(without, encoding="utf-8")

        cold, cold_cpu = build(site, "mkdocs.yml")
        build(site, "without.yml")  # both start from the same caches of the system
        pairs = [(build(site, "mkdocs.yml"), build(site, "without.yml")) for _ in range(PAIRS)]
        payloads = len(list((site / "site-mkdocs").rglob("*.slat")))

    added = statistics.median(with_.clock - without.clock for with_, without in pairs)
    added_cpu = statistics.median(with_.cpu - without.cpu for with_, without in pairs)
    print(
        f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {payloads} payloads"
    )
    print(f"{'first build, empty store':<34}{cold:7.2f} s   CPU {cold_cpu:.2f}")
    for name, i in (("second build, warm store", 0), ("the same without the plugin", 1)):
        clock, cpu = (statistics.median(pair[i][j] for pair in pairs) for j in (0, 1))
        print(f"{name:<34}{clock:7.2f} s   CPU {cpu:.2f}")
    verdict = "ok" if added <= LIMIT else "over"
    print(f"{'added, median of the pairs':<34}{added:7.2f} s   CPU {added_cpu:.2f}", end="")
    print(f"   limit {LIMIT:g}  {verdict}")
    return 0 if added <= LIMIT else 1


def build(site: Path, config: str) -> Seconds:
    """Not with --quiet: that hides strict mode's warnings, which should end a broken run here."""
    output = str(site / f"site-{Path(config).stem}")
    return building.build(site, "-f", config, "-d", output)


if __name__ == "__main__":
    sys.exit(main())

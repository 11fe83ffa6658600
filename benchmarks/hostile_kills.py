"""Builds, watchers and servers killed at random moments: what they leave is whole.

Each round forks a process that runs the command as a user would, and kills it (signal 9) somewhere
between its first moment and its last. Afterwards

- a page is as it was or as it will be, never half, and names no file that is not there;
- every entry of the store is whole;
- the next build finishes it: the site is byte for byte that of a build that nobody disturbed.

Of `plugin`, MkDocs' own half pages are its own; a page with markup of ours has to be whole.
Seeded; prints each fault and exits 1 if there is any.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mkdocs.__main__
import mkdocs.commands.build
import mkdocs.commands.serve
import numpy as np
import waitress  # noqa: F401 - so that forked processes need not import it
from PIL import Image

import sitecodec.encoding.variants
import sitecodec.preview.serving
import sitecodec.site.rewrite
import sitecodec.site.survey
import sitecodec.visitors.worker  # noqa: F401 - nor these
from sitecodec.cli.commands import main as command
from sitecodec.disk.store import Store
from sitecodec.disk.writing import TEMPORARY

_NAMED = re.compile(rb"assets/sitecodec/[\w.-]+")
_PAGE = (
    b"<!doctype html><html><head><title>t</title></head><body><main><p>%d"
    b'<img src="%d.png"><img src="%d.png"></main></body></html>'
)
_DATE = re.compile(rb"Build Date UTC : [^-]*-[^-]*-[^-]*")
_PICTURES = 5
_PAGES = 60
_SETTINGS = "browser = 'always'\nmin_bytes = 100\nstore = '../store'\nworkers = 2\n"
_PLUGIN = """site_name: x
theme: {name: mkdocs, locale: en}
plugins:
  - sitecodec: {browser: always, min_bytes: 100, store: ../store, workers: 2}
"""


def build() -> None:
    """`sitecodec build`."""
    command(["build", "site"])


def watch() -> None:
    """`sitecodec watch`, of pictures that a build needs as well."""
    command(["watch", "site"])


def serve() -> None:
    """`sitecodec serve`, which encodes what pages show."""
    command(["serve", "site", "--port", "0"])


def plugin() -> None:
    """`mkdocs build` with the plugin."""
    mkdocs.__main__.cli(["build", "-q"])


COMMANDS: dict[str, Callable[[], None]] = {f.__name__: f for f in (build, watch, serve, plugin)}
_PATIENCE = 60.0


def main() -> int:
    """Kill as often as wanted; 1 if anything was not whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=list(COMMANDS), help=", ".join(COMMANDS))
    parser.add_argument("--number", type=int, default=100, help="of each command")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faults = 0
    for name in options.commands:
        with tempfile.TemporaryDirectory() as folder:
            wrong, moments = kills(name, Path(folder), random.Random(options.seed), options.number)
        for line in wrong:
            print(f"{name}: {line}", flush=True)
        print(f"{name}: {options.number} kills, {moments}, {len(wrong)} faults", flush=True)
        faults += len(wrong)
    return 1 if faults else 0


def kills(name: str, folder: Path, rng: random.Random, number: int) -> tuple[list[str], str]:
    """Kill a command so often; what was wrong, and when the kills came, in words."""
    wanted, cold, warm = _undisturbed(name, folder)
    wrong: list[str] = []
    untouched = finished = 0
    for n in range(number):
        place = folder / "round"
        _prepare(name, place)
        if n % 3:  # others find all of it in the store, and write most of the time
            shutil.copytree(folder / "reference/store", place / "store")
        process = _start(name, place / "project")
        if n % 3 == 2 and name in ("build", "plugin"):
            _await_page(place / "project/site", rng.randrange(1, len(wanted)), warm)
        else:
            time.sleep(rng.uniform(0, cold if n % 3 == 0 else warm))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        site = place / "project/site"
        new = _pages(site)
        untouched += new == _pages(place / "before")
        finished += new == wanted
        wrong += [f"kill {n}: {line}" for line in _wrong(name, place, new, wanted)]
        _run("plugin" if name == "plugin" else "build", place / "project")
        if _pages(site) != wanted:
            wrong.append(f"kill {n}: the next build did not finish it")
        if left := [path.name for path in site.rglob(f"*{TEMPORARY}")]:
            wrong.append(f"kill {n}: {left[0]} is left")
        shutil.rmtree(place)
    between = number - untouched - finished
    return wrong, f"{untouched} before the first page, {between} between, {finished} after the last"


def _await_page(site: Path, number: int, most: float) -> None:
    """Wait until so many pages are written, or one of them is about to be."""
    deadline = time.monotonic() + 3 * most
    while time.monotonic() < deadline:
        done = sum(b"data-sitecodec" in data for data in _pages(site).values())
        if done >= number or [*site.glob(f"*{TEMPORARY}")]:
            return


def _undisturbed(name: str, folder: Path) -> tuple[dict[str, bytes], float, float]:
    """The pages of a build that nobody disturbs, and how many seconds it takes.

    That is, if nothing is in the store, and if all is.
    """
    ends = []
    for again in ("reference", "second"):
        _prepare(name, folder / again)
        project = folder / again / "project"
        if again == "second":
            shutil.copytree(folder / "reference/store", folder / again / "store")
        start = time.monotonic()
        _run("plugin" if name == "plugin" else "build", project)
        ends.append((time.monotonic() - start) * 1.05)
    return _pages(project / "site"), ends[0], ends[1]


def _wrong(name: str, place: Path, new: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """What a killed command has left that is not whole."""
    site = place / "project/site"
    before = _pages(place / "before")
    wrong = [f"entry {key} of the store" for key in Store(place / "store").verify()]
    for page, data in new.items():
        named = _NAMED.findall(data)
        if missing := [n for n in named if not (site / n.decode()).is_file()]:
            wrong.append(f"{page} names {missing[0].decode()}")
        old = not named and b"data-sitecodec" not in data if name == "plugin" else False
        if data not in (wanted.get(page), before.get(page)) and not old:
            wrong.append(f"{page} is neither old nor new")
    if name in ("watch", "serve") and new != before:
        wrong.append("the site has changed")
    return wrong


def _prepare(name: str, place: Path) -> None:
    """A project of pages and pictures in `place`, and a copy of its site as it was."""
    project = place / "project"
    pictures = project / ("docs" if name == "plugin" else "site")
    pictures.mkdir(parents=True)
    (project / "site").mkdir(exist_ok=True)
    for n, data in enumerate(_pictures()):
        data.save(pictures / f"{n}.png")
    for n in range(_PAGES // 3 if name == "plugin" else _PAGES):
        shown = n % _PICTURES, (n + 1) % _PICTURES
        if name == "plugin":
            text = f"# {n}\n\n![]({shown[0]}.png)\n\n![]({shown[1]}.png)\n"
            (pictures / ("index.md" if n == 0 else f"{n}.md")).write_text(text)
        else:
            (pictures / f"{n}.html").write_bytes(_PAGE % (n, *shown))
    (project / "mkdocs.yml").write_text(_PLUGIN)
    (project / "sitecodec.toml").write_text(_SETTINGS)
    shutil.copytree(project / "site", place / "before")


def _pictures() -> list[Image.Image]:
    rng = np.random.default_rng(7)
    small = [rng.integers(0, 256, (12, 16, 3), np.uint8) for _ in range(_PICTURES)]
    return [Image.fromarray(p).resize((160, 120), Image.Resampling.BICUBIC) for p in small]


def _pages(site: Path) -> dict[str, bytes]:
    return {
        path.relative_to(site).as_posix(): _DATE.sub(b"", path.read_bytes())
        for path in sorted(site.rglob("*.html"))
        if path.is_file()
    }


def _run(name: str, project: Path) -> None:
    """Run a command to its end. Raises RuntimeError if it fails."""
    _, status = os.waitpid(_start(name, project), 0)
    if status:
        raise RuntimeError(f"{name} ended with {status}: {(project / 'said').read_text()}")


def _start(name: str, project: Path) -> int:
    """Run a command in a process of its own; returns its number."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.chdir(project)
        said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        COMMANDS[name]()
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())

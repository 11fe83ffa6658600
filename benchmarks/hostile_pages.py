"""Pages with changed bytes and parts of adversarial shapes, in sites that are built and weighed.

Nothing may be raised; a page is as it was or rewritten whole, and names only files that are there.
Seeded; prints what is wrong and exits 1 if anything is.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.linear import CONFIGURATIONS, PAGES, SHEETS
from sitecodec.report import weight
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site

PAGE = (
    b"<!doctype html><html><head><title>t</title></head><body><main><p>"
    b'<img src="a.png" alt="&#65;" srcset="a.png 1x"><picture>'
    b'<source srcset="a.png 90w" media=print>'
    b'<img src=a.png width=5></picture><svg><title>x</title></svg><p style="background:url(a.png)">'
    b"</main></body></html>"
)
PIECES = [b"&#", b"9" * 4500, b"1e999w", b"\0", b"<!--", b"<svg>", b"%00", b'"', b"url(", b"<img "]
PIECES += [b"../", b"\xff", b"<template>", b"</", b"=", b" srcset=", b"a/" * 3000, "²".encode()]


_NAMED = re.compile(rb"assets/sitecodec/[\w.-]+")
_BATCH = 500
_SLOW = 10.0  # seconds, of one page


def main() -> int:
    """Build as many pages as wanted; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        faults = pages(Path(folder), random.Random(options.seed), options.number)
    print(f"{options.number} pages, seed {options.seed}: {faults} faults")
    return 1 if faults else 0


def mutant(rng: random.Random) -> bytes:
    """A page with some bytes changed, or put together of parts of adversarial shapes."""
    data = bytearray(PAGE)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        chance = rng.random()
        if chance < 0.5:
            piece = rng.choice(PIECES)
        elif chance < 0.7:
            piece = rng.randbytes(2)
        elif chance < 0.9:
            piece = rng.choice(_SHAPES)(rng.choice((40, 200, 1000)))
        else:
            other = rng.randrange(len(data))
            piece = bytes(data[other : other + rng.randrange(100)])
        data[at : at + rng.randrange(4)] = piece
    return bytes(data)


_SHAPES = [*PAGES.values(), *SHEETS.values()]


def make(site: Path) -> None:
    site.mkdir()
    Image.effect_mandelbrot((120, 80), (-2, -1.3, 1, 1.3), 60).save(site / "a.png")


def pages(folder: Path, rng: random.Random, number: int) -> int:
    """Build sites of so many mutants; returns the number of faults, each of which is printed."""
    faults = 0
    for batch in range(-(-number // _BATCH)):
        site = folder / "site"
        make(site)
        some = range(min(_BATCH, number - batch * _BATCH))
        before = {f"{n}.html": mutant(rng) + b"><!--%d-->" % n for n in some}
        before |= {f"{n}.css": rng.choice(_SHAPES)(400) + b"/*css%d*/" % n for n in range(5)}
        before["_headers"] = CONFIGURATIONS["_headers"](rng.randrange(400))
        for name, data in before.items():
            (site / name).write_bytes(data)
        start = time.process_time()
        try:
            wrong = _wrong_pages(site, folder / "store", before)
        except Exception as error:
            wrong = [f"{type(error).__name__}: {error}"]
        if time.process_time() - start > _SLOW * 10:
            wrong.append("slow")
        for line in wrong:
            print(f"batch {batch}: {line}", flush=True)
        faults += len(wrong)
        shutil.rmtree(site)
    return faults


def _wrong_pages(site: Path, store: Path, before: dict[str, bytes]) -> list[str]:
    """Build and weigh a site; what is wrong with it then."""
    settings = Settings(store=store, min_bytes=100, workers=1, browser="always")
    summary = rewrite_site(site, settings)
    wrong = [str(p) for p in summary.problems if "so it stays as it is" in p.message]
    found = weight.measure(site, asset_dir=settings.asset_dir)
    wrong += [str(f) for p in found.pages for f in p.findings if f.audit == "unreadable-page"]
    if not summary.rewritten:
        wrong.append("no page was rewritten")
    for name, data in before.items():
        new = (site / name).read_bytes()
        if new != data and (fault := _fault(site, data, new)):
            wrong.append(f"{name}: {fault}")
    return wrong


def _fault(site: Path, data: bytes, new: bytes) -> str:
    """What is wrong with a page or style sheet that was rewritten, '' for nothing."""
    for name in set(_NAMED.findall(new)) - set(_NAMED.findall(data)):
        if not (site / name.decode()).is_file():
            return f"names {name.decode()}"
    return "" if new[-7:] == data[-7:] else "is not whole"


if __name__ == "__main__":
    sys.exit(main())

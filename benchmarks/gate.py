"""What a cold encode costs: CPU seconds per megapixel and width, and how many encodes it takes.

Runs the whole job of every picture of a folder (default: those of example_site, as made by its
prepare.py) without a store, at default settings, once as it is and once scaled down to 700 pixels
as a theme's second width. A megapixel of a width is counted once, whatever number of files comes
of it. It is the fastest of three rounds for each picture: others on the same machine slow it down
by half for seconds at a time, and never speed it up. Then everything is done again at another
target with the measurements of the first rounds.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.codecs.web import WebCodec
from sitecodec.disk.store import Store
from sitecodec.encoding import images
from sitecodec.encoding.jobs import Job, Outcome, encode_images
from sitecodec.errors import SitecodecError
from sitecodec.settings import Settings

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels

EXAMPLE = Path(__file__).resolve().parent.parent / "example_site"
SECONDS = 2.5  # per megapixel of a width
ENCODES = 4.0  # full ones per width
ROUNDS = 3

counts: Counter[str] = Counter()


def main() -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else example(Path(temporary))
        paths = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png", ".webp"))
        count_encodes()
        warm_up(paths)
        store = Store(Path(temporary) / "store")
        print(f"{'picture':<28}{'MP':>6}{'widths':>8}{'CPU s':>8}{'s/MP':>7}  encodes")
        cold = summary("all, cold", rounds(paths, Settings(widths=(700, 1400)), None))
        again = Settings(widths=(700, 1400), quality=55)
        for path in paths:
            measured(path, Settings(widths=(700, 1400)), store)
        summary("all again, target 55", rounds(paths, again, store, 1))
    seconds, encodes = cold
    ok = seconds <= SECONDS and encodes <= ENCODES
    print(
        f"{seconds:.2f} s per megapixel of a width (limit {SECONDS:g}), "
        f"{encodes:.1f} full encodes per width (limit {ENCODES:g}): {'ok' if ok else 'OVER'}"
    )
    return 0 if ok else 1


def example(temporary: Path) -> Path:
    site = temporary / "site"
    shutil.copytree(EXAMPLE, site, ignore=shutil.ignore_patterns("site", ".cache"))
    command = [sys.executable, str(site / "prepare.py")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return site / "docs"


def count_encodes() -> None:
    """Count AVIF files by speed and payloads decoded for a score, while the real ones work."""
    avif, decode = images.avif, WebCodec.decode

    def counting_avif(pixels: Pixels, quality: int, speed: int = 6, chroma: str = "4:2:0") -> bytes:
        counts["full" if speed <= 6 else "fast"] += 1
        return avif(pixels, quality, speed, chroma)

    def counting_decode(self: WebCodec, data: bytes) -> Pixels:
        counts["payload"] += 1
        return decode(self, data)

    images.avif = counting_avif
    WebCodec.decode = counting_decode  # type: ignore[method-assign]


def warm_up(paths: list[Path]) -> None:
    """Imports and compilations are not what is measured."""
    smallest = min(paths, key=lambda path: path.stat().st_size)
    list(encode_images([Job(smallest, Settings(min_bytes=0))], None, None))


Row = tuple[float, int, float, Counter[str]]


def rounds(
    paths: list[Path], settings: Settings, store: Store | None, count: int = ROUNDS
) -> list[Row]:
    """A row for each picture, that of its fastest round; none of pictures that are left alone."""
    found: dict[Path, list[Row]] = {}
    for _ in range(count):
        for path in paths:
            if row := measured(path, settings, store):
                found.setdefault(path, []).append(row)
    rows = {path: min(each, key=lambda row: row[2]) for path, each in found.items()}
    if store is None:
        for path, (pixels, widths, seconds, encodes) in rows.items():
            print(
                f"{path.name:<28}{pixels:6.2f}{widths:8}{seconds:8.2f}{seconds / pixels:7.2f}"
                f"  {described(encodes)}"
            )
    return list(rows.values())


def measured(path: Path, settings: Settings, store: Store | None) -> Row | None:
    """Megapixels of all widths, their number, CPU seconds and encodes; None if left alone."""
    counts.clear()
    start = time.process_time()
    ((_, outcome),) = encode_images([Job(path, settings)], None, store)
    seconds = time.process_time() - start
    if isinstance(outcome, SitecodecError) or not outcome.width or not counts:
        return None
    sizes = tried_widths(outcome, settings)
    pixels = sum(width * height for width, height in sizes) / 1e6
    return pixels, len(sizes), seconds, Counter(counts)


def tried_widths(outcome: Outcome, settings: Settings) -> list[tuple[int, int]]:
    """The sizes that were encoded: the source's, unless over the largest, and narrower ones."""
    widths = [width for width in settings.widths if width < outcome.width]
    if outcome.width <= max(settings.widths):
        widths.append(outcome.width)
    return [(width, round(outcome.height * width / outcome.width)) for width in widths]


def summary(name: str, rows: list[Row]) -> tuple[float, float]:
    pixels, widths = sum(row[0] for row in rows), sum(row[1] for row in rows)
    seconds = sum(row[2] for row in rows)
    encodes = sum((row[3] for row in rows), Counter[str]())
    median = statistics.median(row[2] / row[0] for row in rows)
    print(
        f"{name:<28}{pixels:6.2f}{widths:8}{seconds:8.2f}{seconds / pixels:7.2f}"
        f"  {described(encodes)}; median {median:.2f} s/MP"
    )
    return seconds / pixels, (encodes["full"] + encodes["payload"]) / widths


def described(encodes: Counter[str]) -> str:
    return f"AVIF {encodes['full']} + {encodes['fast']} fast, payloads decoded {encodes['payload']}"


if __name__ == "__main__":
    sys.exit(main())

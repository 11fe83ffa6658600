"""What sitecodec costs a whole site: 200 pages of Material for MkDocs with 300 photographs.

The first build encodes everything: CPU seconds per megapixel of every variant, by itself and in one
process without what disturbs it, and how many processors it keeps busy. Then builds with a warm
store as CPU time: the plugin's part of its own process, and in turn with and without it. Last, how
fast the pages are searched for images, beside html.parser and lol-html.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import building
from building import Seconds

MOST_ADDED = 0.05  # of a warm build
LEAST_SCANNED = 30.0  # MB/s
MOST_ENCODING = 2.5  # CPU seconds per megapixel and variant
SAMPLE, ROUNDS = 40, 5
WORDS = (
    "latent grid of numbers a picture is made from small and whole with light on every side".split()
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5, help="warm builds with and without")
    parser.add_argument("--store", type=Path, help="keep the store here: no first build after one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        pixels = make_site(project, options.pages, options.images)
        store = options.store.resolve() if options.store else project / ".cache/sitecodec"
        print(f"{options.pages} pages, {len(pixels)} photographs of {pixels[0] / 1e6:.2f} MP")
        ok = store.is_dir() or first_build(project, store)
        write_config(project, store)
        for name in ("with", "without"):
            build(project, f"{name}.yml")  # what only the first one pays
        shares, pairs = [], []
        for number in range(1, options.pairs + 1):
            shares.append(share(project, number))
            with_it, without = (build(project, f"{n}.yml", number) for n in ("with", "without"))
            pairs.append((with_it.cpu, without.cpu))
        added = statistics.median(shares)
        ok &= report("warm build, CPU time added", f"{100 * added:.1f} %", added <= MOST_ADDED)
        print(f"  its part of the process to the rest, median of {options.pairs}; whole builds")
        least, plain_least = (min(times) for times in zip(*pairs, strict=True))
        middle = statistics.median(a / b - 1 for a, b in pairs)
        print(f"  with and without it in turn: median of the pairs {100 * middle:+.1f} %,")
        print(f"  the fastest {least:.2f} s and {plain_least:.2f} s; load {os.getloadavg()[0]:.1f}")
        ok &= scanning(sorted((project / "without-0").rglob("*.html")))
    return 0 if ok else 1


def first_build(project: Path, store: Path) -> bool:
    """A build that encodes everything, and what encoding costs when nothing disturbs it."""
    write_config(project, store)
    idled = idle()
    wall, cpu = build(project, "with.yml")
    idled = (idle() - idled) / wall / (os.cpu_count() or 1)
    plain = build(project, "without.yml")
    rate = (cpu - plain.cpu) / variants(project / "with-0")
    alone, whole, peer, peers = encoding(project)
    ok = report("encoding, CPU s per MP-variant", f"{alone:.2f}", alone <= MOST_ENCODING)
    print(f"  the fastest of {ROUNDS} for each of {SAMPLE} photographs, one process;")
    print(f"  on average {whole:.2f}. One AVIF of each, likewise: {peer:.2f}, {peers:.2f};")
    print(
        f"  the first build {rate:.2f}, with {(cpu - plain.cpu) / (wall - plain.clock):.2f} of",
        end=" ",
    )
    print(f"{os.cpu_count()} processors busy, {100 * idled:.0f} % of their time idle")
    return ok


def encoding(project: Path) -> tuple[float, float, float, float]:
    """CPU seconds per megapixel of some photographs: of all that a build does, and of one AVIF.

    Each as the sum of the fastest of several rounds, and as the mean. Others on the same machine
    slow it down by half for seconds at a time, in CPU time too, and never speed it up.
    """
    import numpy as np

    from sitecodec.encoding import images, jobs, sources
    from sitecodec.settings import Settings

    paths = sorted((project / "docs/images").glob("*.jpg"))[:SAMPLE]
    loaded = [sources.load(path.read_bytes(), path.name, 1_000_000) for path in paths]
    pictures = [source.pixels for source in loaded if isinstance(source, sources.Source)]
    settings = Settings(widths=(380, 760, 1520))
    ways: tuple[Callable[[int], object], ...] = (
        lambda place: list(jobs.encode_images([jobs.Job(paths[place], settings)], None, None)),
        lambda place: images.avif(pictures[place], 40),
    )
    for way in ways:
        way(0)
    seconds = np.empty((len(ways), ROUNDS, len(paths)))
    for number in range(ROUNDS):
        for place in range(len(paths)):
            for kind, way in enumerate(ways):
                start = time.process_time()
                way(place)
                seconds[kind, number, place] = time.process_time() - start
    least, mean = (
        how(seconds, axis=1).sum(axis=1) / sum(p.shape[0] * p.shape[1] / 1e6 for p in pictures)
        for how in (np.min, np.mean)
    )
    return float(least[0]), float(mean[0]), float(least[1]), float(mean[1])


def make_site(project: Path, pages: int, images: int) -> list[int]:
    """Photographs are crops of well-known ones; pages are text, tables and lists with images."""
    import numpy as np
    from PIL import Image
    from skimage import data
    from sklearn.datasets import load_sample_images

    rng = random.Random(6)
    sources = [data.astronaut(), data.coffee(), data.chelsea(), *load_sample_images().images]
    folder = project / "docs/images"
    folder.mkdir(parents=True)
    for number in range(images):
        source = Image.fromarray(np.asarray(sources[number % len(sources)]))
        width = rng.randrange(200, 300)
        height = width * 2 // 3
        left, top = rng.randrange(source.width - width), rng.randrange(source.height - height)
        crop = source.crop((left, top, left + width, top + height))
        crop.resize((360, 240), Image.Resampling.LANCZOS).save(folder / f"{number}.jpg", quality=92)
    for number in range(pages):
        shown = [
            n % images for n in range(number * images // pages, (number + 1) * images // pages)
        ]
        parts = [f"# Page {number}\n"]
        for n in shown or [number % images]:
            parts += [text(rng), f"## Part {n}\n", f"![Photograph {n}](images/{n}.jpg)\n"]
            parts += [text(rng) for _ in range(4)]
            parts += ["| a | b |\n|---|---|\n" + "| x | y |\n" * 6, "- item\n- item\n"]
        (project / f"docs/page{number}.md").write_text("\n".join(parts))
    (project / "docs/index.md").write_text("# Home\n\n" + text(rng))
    return [360 * 240] * images


def text(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=90)) + ".\n"


def write_config(project: Path, store: Path) -> None:
    config = {
        "site_name": "Benchmark",
        "site_url": "https://example.org/",
        "theme": {"name": "material", "font": False},
    }
    for name, plugins in (
        ("with", ["search", {"sitecodec": {"store": str(store)}}]),
        ("without", ["search"]),
    ):
        values = config | {"plugins": plugins, "site_dir": name}
        (project / f"{name}.yml").write_text(json.dumps(values))  # JSON is YAML


def build(project: Path, config: str, number: int = 0) -> Seconds:
    """A build into a new folder.

    Nothing is removed in between: ext4 without a journal passes over what was removed lately, one
    file after the other, whenever one is made, which soon takes longer than the build. Where
    others remove files, set TMPDIR to a folder in memory.
    """
    output = project / f"{Path(config).stem}-{number}"
    return building.build(project, "--strict", "-f", config, "-d", str(output))


def share(project: Path, number: int) -> float:
    """CPU time of the plugin's part of a build to that of the rest of it."""
    script = Path(__file__).with_name("inside.py")
    options = ["--strict", "-f", "with.yml", "-d", str(project / f"inside-{number}")]
    taken = json.loads(building.run(project, str(script), *options).splitlines()[-1])
    return float(taken["ours"] / (taken["all"] - taken["ours"]))


def idle() -> float:
    """Seconds that the processors have done nothing, all together; 0 where that is not told."""
    try:
        times = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return 0.0
    return int(times[4]) / os.sysconf("SC_CLK_TCK")


def variants(site: Path) -> float:
    """Megapixels of all widths that were made."""
    entries = json.loads((site / "assets/sitecodec/sitecodec.json").read_text())["images"]
    sizes = {(e["path"], f["width"], f["height"]) for e in entries for f in e["files"]}
    return sum(width * height for _, width, height in sizes) / 1e6


def scanning(pages: list[Path]) -> bool:
    from sitecodec.page import html

    documents = [page.read_bytes() for page in pages]
    size = sum(map(len, documents)) / 1e6

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            pass

    def with_html_parser(document: bytes) -> None:
        Reader().feed(document.decode())

    def ours(document: bytes) -> None:
        html.scan(document)
        html.styles(document)

    ways: dict[str, Callable[[bytes], object]] = {
        "sitecodec": ours,
        "html.parser": with_html_parser,
    }
    ways |= dict(lol_html())
    rates = {name: size / fastest(way, documents) for name, way in ways.items()}
    rate = rates.pop("sitecodec")
    ok = report("search for images and CSS, MB/s", f"{rate:.0f}", rate >= LEAST_SCANNED)
    print(f"  {len(pages)} pages, {size:.1f} MB; ", end="")
    print(", ".join(f"{name} {other:.0f} MB/s" for name, other in rates.items()))
    return ok


def lol_html() -> Iterator[tuple[str, Callable[[bytes], object]]]:
    try:
        import lolhtml
    except ImportError:
        return

    class Handler:
        def element(self, element: object) -> None:
            pass

    def way(document: bytes) -> None:
        rewriter = lolhtml.HTMLRewriter(lambda part: None)
        rewriter.on("img", Handler())
        rewriter.write(document)
        rewriter.end()

    yield "lol-html", way


def fastest(way: Callable[[bytes], object], documents: list[bytes]) -> float:
    times = []
    for _ in range(5):
        start = time.process_time()
        for document in documents:
            way(document)
        times.append(time.process_time() - start)
    return min(times)


def report(name: str, figure: str, ok: bool) -> bool:
    print(f"{name:<42}{figure:>10}   {'ok' if ok else 'OVER'}")
    return ok


if __name__ == "__main__":
    sys.exit(main())

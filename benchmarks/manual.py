"""What a folder of a manual's pictures weighs before and after, and what encoding it costs.

Every picture that a build would take, at the default settings and the widths of a theme whose
content is 760 pixels wide: bytes as the author has them, of the widest files that browsers load
without and with the service worker, the same of what a page of that width shows at density 1, and
CPU seconds a megapixel of every width. With --judge, how each file that may be shown looks beside
the source by SSIMULACRA2, worst tile and the part of 64 pixels that changes most.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sitecodec import codecs, metrics
from sitecodec.disk.store import Store
from sitecodec.encoding import images, sources
from sitecodec.encoding.jobs import Job, Outcome, Variant, by_width, encode_images
from sitecodec.errors import SitecodecError
from sitecodec.settings import Settings, quality_of
from sitecodec.site.encoded import with_widths

CONTENT = 760
WITHOUT, WITH = ("avif", "webp", "png", "jpeg"), ("slat", "avif", "webp", "png", "jpeg")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quality", type=quality_of, default=Settings.quality)
    parser.add_argument("--each", action="store_true", help="a line for each picture")
    parser.add_argument("--judge", action="store_true", help="scores of every file; minutes")
    parser.add_argument("--store", type=Path, help="keeps what was encoded for the next time")
    options = parser.parse_args()
    paths = sorted(p for p in options.folder.rglob("*") if p.suffix in (".jpg", ".png", ".webp"))
    settings = replace(with_widths(Settings(), CONTENT), quality=options.quality)
    store = Store(options.store) if options.store else None
    found: dict[Path, Outcome] = {}
    seconds: dict[Path, float] = {}
    left: Counter[str] = Counter()
    for path in paths:
        began = time.process_time()
        ((_, outcome),) = encode_images([Job(path, settings)], None, store)
        seconds[path] = time.process_time() - began
        if isinstance(outcome, SitecodecError):
            left["error"] += 1
        elif not outcome.variants:
            left[outcome.reason] += 1
        else:
            found[path] = outcome
            if options.each:
                print(
                    f"{seconds[path]:6.1f} s  {path.name[:40]:<42}{described(outcome)}", flush=True
                )
    print(f"\n{len(found)} pictures taken; left alone: {dict(left)}")
    sizes = [
        (
            outcome.source_bytes,
            *(picked(by_width(outcome)[0], kinds) for kinds in (WITHOUT, WITH)),
            *(picked(shown(outcome), kinds) for kinds in (WITHOUT, WITH)),
        )
        for outcome in found.values()
    ]
    names = ("author's", "widest", "with payloads", f"at {CONTENT}", "with payloads")
    print("kB  " + "".join(f"{name:>16}" for name in names))
    print("    " + "".join(f"{sum(column) / 1e3:16.1f}" for column in zip(*sizes, strict=True)))
    formats = Counter[str]()
    for outcome in found.values():
        formats.update({v.format: len(v.data) for v in outcome.variants})
    print("all files:", ", ".join(f"{k} {n / 1e3:.0f} kB" for k, n in formats.most_common()))
    spent = sum(seconds[path] for path in found)
    pixels = sum(sum(megapixels(outcome, settings)) for outcome in found.values())
    print(f"{spent:.0f} s CPU, {spent / max(pixels, 1e-9):.2f} s per megapixel of a width")
    if options.judge:
        judge(found)
    return 0


def picked(files: Mapping[str, Variant], kinds: Iterable[str]) -> int:
    return next(len(files[kind].data) for kind in kinds if kind in files)


def shown(outcome: Outcome) -> Mapping[str, Variant]:
    """The files of the narrowest width that fills the content, or of the widest."""
    widths = by_width(outcome)
    return next((w for w in reversed(widths) if next(iter(w.values())).width >= CONTENT), widths[0])


def megapixels(outcome: Outcome, settings: Settings) -> Iterator[float]:
    """Of each width that was tried."""
    for width in {min(outcome.width, width) for width in settings.widths}:
        yield width * width * outcome.height / outcome.width / 1e6


def described(outcome: Outcome) -> str:
    files = by_width(outcome)[0].values()
    sizes = " ".join(f"{v.format} {len(v.data) / 1e3:.1f} ({v.score or 0:.0f})" for v in files)
    return f"{outcome.source_bytes / 1e3:8.1f} kB -> {sizes}  {outcome.reason}"


def judge(found: Mapping[Path, Outcome]) -> None:
    rows: dict[str, list[tuple[float, float, float, str]]] = {}
    for path, outcome in found.items():
        source = sources.load(path.read_bytes(), str(path), 10**9)
        assert isinstance(source, sources.Source)
        for variant in outcome.variants:
            pixels = images.resized(source.pixels, variant.width)
            if variant.format == "slat":
                decoded = codecs.get("web").decode(variant.data) if not flat(variant) else None
                decoded = codecs.get("flat").decode(variant.data) if decoded is None else decoded
            else:
                decoded = images.decode(variant.data)
            seen = [metrics.over(p, 255) for p in (pixels, decoded)]
            parts = metrics.tile_scores(seen[0], seen[1], 64)
            name = f"{path.name} at {variant.width}"
            row = metrics.ssimulacra2(*seen), metrics.worst_tile(*seen), min(s for _, s in parts)
            rows.setdefault(variant.format, []).append((*row, name))
    print(
        f"\n{'':8}{'files':>6}{'score':>8}{'least':>8}{'tile':>8}{'least':>8}{'part':>8}{'least':>8}"
    )
    for kind, each in rows.items():
        columns = list(zip(*each, strict=True))[:3]
        cells = "".join(f"{statistics.median(c):8.1f}{min(c):8.1f}" for c in columns)
        print(f"{kind:8}{len(each):6}{cells}")
        for row in sorted(each, key=lambda row: row[2])[:5]:
            print(f"{'':14}part {row[2]:6.1f}  tile {row[1]:6.1f}  {row[3]}")


def flat(variant: Variant) -> bool:
    from sitecodec.payload import read_header

    return read_header(variant.data).codec == "flat"


if __name__ == "__main__":
    sys.exit(main())

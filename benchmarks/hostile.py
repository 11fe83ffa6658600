"""Campaigns against the engine as it ships, through wasmtime: nothing but pictures and errors.

- `models`: decoders' files at random, every other one spoilt, each with a payload of noise; the
  second decoder of the tests, which is written from the specification alone, has to give the same
  pixels or to reject as well.
- `payloads`: the goldens and flat pictures with bytes changed, cut or put in, checksums right.
- `images`: small pictures of all kinds; flat ones come back bit for bit, so does alpha, and others
  decode to their size.

Natively and under sanitizers: `python -m tests.fuzz.native`. Run from the repository's folder, as
`python -m benchmarks.hostile models 1000`. Prints what came of it, and exits 1 at a fault.
"""

from __future__ import annotations

import argparse
import collections
import re
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sitecodec import codecs, engine
from sitecodec.errors import EngineError, SitecodecError
from tests import model_files, second_decoder

GOLDENS = Path(__file__).resolve().parent.parent / "tests" / "goldens"


def one_model(seed: int) -> str:
    """What both decoders say of a model of that seed, spoilt where the seed is odd."""
    model = model_files.any_model(seed).pack()
    if seed % 2:
        model = model_files.spoilt(seed, model)
    payload = model_files.any_payload(seed, model)
    try:
        wanted = second_decoder.decode(payload, model)
    except ValueError:
        wanted = None
    try:
        shown = engine.decode(payload, engine.Models(model))
    except SitecodecError:
        shown = None
    if (wanted is None) != (shown is None):
        return "FAULT: one rejects"
    if wanted is None or shown is None:
        return "both reject"
    return "same pixels" if np.array_equal(wanted, shown) else "FAULT: pixels differ"


def _seeds() -> list[bytes]:
    small = [
        data for path in sorted(GOLDENS.glob("*.slat")) if len(data := path.read_bytes()) < 4000
    ]
    rng = np.random.default_rng(1)
    kinds = [
        rng.integers(0, 2, (20, 30, 1)) * 200,
        np.add.outer(np.arange(24), np.arange(31))[..., None],
    ]
    return small + [
        codecs.get("flat").encode(np.repeat(kind, 3, -1).astype(np.uint8), 100) for kind in kinds
    ]


def one_payload(seed: int, seeds: list[bytes]) -> str:
    """What comes of a payload with some of its bytes changed."""
    rng = np.random.default_rng(seed)
    data = bytearray(seeds[int(rng.integers(len(seeds)))])
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(len(data) if rng.random() < 0.9 else 24))
        kind = int(rng.integers(4))
        if kind == 0 and len(data) > 30:
            del data[at : at + int(rng.integers(1, 9))]
        elif kind == 1:
            data[at:at] = rng.integers(0, 256, int(rng.integers(1, 9)), np.uint8).tobytes()
        elif at < len(data):
            data[at] = int(rng.integers(256))
    data[:4] = b"SLAT"
    if len(data) >= 20:
        data[11:14:2] = b"\0\0"  # at most 256 pixels a side
        data[16:20] = struct.pack("<I", zlib.crc32(data[20:], zlib.crc32(data[:16])))
    try:
        codec = codecs.get("flat" if data[5:6] == b"\2" else "web")
        codec.decode(bytes(data))
    except EngineError as error:
        return f"FAULT: {error}"
    except SitecodecError as error:
        return re.sub(r"\b[0-9a-f]{8}\b|[0-9]+", "…", str(error)).partition(":")[0]
    return "a picture"


def one_image(seed: int) -> str:
    """What comes of a small picture that is encoded and decoded."""
    rng = np.random.default_rng(seed)
    height, width, channels = (int(v) for v in (*rng.integers(1, 40, 2), rng.integers(3, 5)))
    colours = rng.integers(0, 256, (int(rng.integers(1, 300)), channels), np.uint8)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    steps = rng.integers(0, 9, 3)
    kinds = (
        rng.integers(0, len(colours), (height, width)),
        (x * steps[0] + y * steps[1]) // (1 + steps[2]) % len(colours),
        (x // (1 + steps[0]) ^ y // (1 + steps[1])) % len(colours),
    )
    pixels = np.ascontiguousarray(colours[kinds[seed % 3]])
    flat = codecs.get("flat")
    if not np.array_equal(flat.decode(flat.encode(pixels, 100)), pixels):
        return "FAULT: flat"
    if seed % 8:
        return "flat"
    web = codecs.get("web")
    shown = web.decode(web.encode(pixels, float(rng.integers(0, 101))))
    if shown.shape != pixels.shape or not np.array_equal(shown[..., 3:], pixels[..., 3:]):
        return "FAULT: web"
    return "flat and web"


def main() -> int:
    """Run a campaign; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", choices=["models", "payloads", "images"])
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    seeds = _seeds()
    campaigns: dict[str, Callable[[int], str]] = {
        "models": one_model,
        "payloads": lambda seed: one_payload(seed, seeds),
        "images": one_image,
    }
    found: collections.Counter[str] = collections.Counter()
    start = time.process_time()
    with np.errstate(all="ignore"):
        for seed in range(options.first, options.first + options.count):
            result = campaigns[options.campaign](seed)
            if result.startswith("FAULT"):
                print(f"seed {seed}: {result}", flush=True)
            found[result] += 1
    for result, number in found.most_common():
        print(f"{number:8} {result}")
    print(f"{options.count} in {time.process_time() - start:.0f} s of CPU")
    return 1 if any(result.startswith("FAULT") for result in found) else 0


if __name__ == "__main__":
    sys.exit(main())

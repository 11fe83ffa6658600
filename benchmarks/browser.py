"""What the service worker costs and saves in Chromium, beside the decoders of @jsquash.

Sizes of what a visitor loads; time from a payload's bytes to the end of the answer, one thread, in
the worker itself; the same pictures as AVIF and JPEG XL through WebAssembly in a page of the same
browser; how long other requests wait meanwhile; how soon the pictures in the window are there; the
image bytes of a second view of example_site (visiting.py).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import brotli
import numpy as np
import visiting
from PIL import Image
from playwright.sync_api import sync_playwright
from visiting import REPORT

from sitecodec import codecs, engine
from sitecodec.encoding import images, palette
from sitecodec.training import screens
from sitecodec.visitors import worker

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from sitecodec.facts.pixels import Pixels

FOLDER = visiting.FOLDER
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
ROUNDS = 9
SIZES = {512: 150.0, 1024: 600.0}  # side in pixels: limit in milliseconds
SCREEN = 100_003  # the number of a page with text
CODE_LIMIT = 30.0  # kB, compressed by brotli
WAIT_LIMIT = 50.0  # milliseconds
PEERS = ("@jsquash/avif", "@jsquash/jxl")

_SHOW = """(url) => new Promise((resolve, reject) => {
  const image = new Image();
  image.onload = () => resolve(image.naturalWidth);
  image.onerror = reject;
  image.src = url;
})"""
# Requests for a file of nothing that pass through the worker too, one after the other, until a
# picture is decoded, or for a while.
_WAITS = """async ([image, probe]) => {
  const shown = new Promise((done) => {
    if (!image) return setTimeout(done, 300);
    const picture = new Image();
    picture.onload = picture.onerror = done;
    picture.src = image;
  });
  let going = true;
  shown.then(() => (going = false));
  const waits = [];
  for (let n = 0; going; n++) {
    const began = performance.now();
    const small = new Image();
    await new Promise((done) => {
      small.onload = small.onerror = done;
      small.src = probe + "." + n;
    });
    waits.push(performance.now() - began);
  }
  return waits;
}"""
_PEER = """async ([name, bytes, rounds]) => {
  const { default: decode } = await import(`/node_modules/@jsquash/${name}/decode.js`);
  const buffer = Uint8Array.from(bytes).buffer;
  await decode(buffer.slice());
  const times = [];
  for (let n = 0; n < rounds; n++) {
    const began = performance.now();
    await decode(buffer.slice());
    times.push(performance.now() - began);
  }
  return times;
}"""
_ENCODE_JXL = """async ([width, height, url, quality]) => {
  const { default: encode } = await import("/node_modules/@jsquash/jxl/encode.js");
  const data = new Uint8ClampedArray(await (await fetch(url)).arrayBuffer());
  const file = await encode(new ImageData(data, width, height), { quality });
  return Array.from(new Uint8Array(file));
}"""
_IMPORTS = """<!doctype html><link rel=icon href="data:,"><script type=importmap>
{"imports": {"wasm-feature-detect": "/node_modules/wasm-feature-detect/dist/esm/index.js"}}
</script>"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="a folder with node_modules; else npm fills one")
    parser.add_argument("--without-example", action="store_true", help="leave example_site out")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    rows: list[tuple[str, float, str, float | None]] = list(size_rows())
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        print(f"Chromium {browser.version}, load average {os.getloadavg()[0]:.1f}")
        rows += decode_rows(browser, Path(folder), arguments.peers or peers(Path(folder)))
        if not arguments.without_example:
            rows += visiting.view_rows(browser, Path(folder))
        browser.close()
    print(f"{'':<66}{'figure':>9}{'limit':>8}")
    for name, figure, unit, limit in rows:
        verdict = "" if limit is None else "over" if figure > limit else "ok"
        shown = "" if limit is None else f"{limit:g}"
        print(f"{name + ', ' + unit:<66}{figure:>9.4g}{shown:>8}  {verdict}".rstrip())
    if arguments.json:
        keys = ("name", "figure", "unit", "limit")
        records = [dict(zip(keys, row, strict=True)) for row in rows]
        arguments.json.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return int(any(limit is not None and figure > limit for _, figure, _, limit in rows))


def size_rows() -> Iterator[tuple[str, float, str, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        put(site, 16, texture(16))  # latents, which need the model
        worker.write(site, FOLDER)
        script = len(brotli.compress((site / worker.NAME).read_bytes()))
        register = len(brotli.compress((site / worker.registration(FOLDER)[0]).read_bytes()))
        (model,) = (site / FOLDER).glob("model-*.bin")
        module = len(brotli.compress(engine.DECODER.read_bytes()))
        yield "worker", script / 1e3, "kB brotli", None
        yield "registration", register / 1e3, "kB brotli", None
        yield "decoder", module / 1e3, "kB brotli", None
        yield "all three", (script + register + module) / 1e3, "kB brotli", CODE_LIMIT
        yield "model", model.stat().st_size / 1e3, "kB as sent", None


def decode_rows(
    browser: Browser, folder: Path, modules: Path | None
) -> Iterator[tuple[str, float, str, float | None]]:
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text("")
    if modules:
        (site / "node_modules").symlink_to(modules.resolve())
        (site / "peers.html").write_text(_IMPORTS)
    pictures = {side: texture(side) for side in SIZES}
    files = {side: put(site, side, pixels) for side, pixels in pictures.items()}
    screen = screenshot()
    files[0] = put(site, 0, screen, "flat")
    # One that the worker is asked for as well, but has no payload.
    other = f"{FOLDER}/other.avif"
    (site / other).write_bytes(images.avif(np.zeros((16, 16, 3), np.uint8), 45))
    worker.write(site, FOLDER)
    script = worker.registration(FOLDER)[0]
    head = '<!doctype html><link rel=icon href="data:,">'
    (site / "index.html").write_text(f'{head}<script defer src="{script}"></script>')
    with visiting.serving(site) as (url, _):
        page = browser.new_context().new_page()
        page.goto(url)
        visiting.wait_until_prepared(page)
        page.goto(url)
        for side, limit in SIZES.items():
            spent = []
            for n in range(ROUNDS):
                before = visiting.worker_seconds()
                page.evaluate(_SHOW, f"{url}{files[side]}?{n}")
                spent.append(1e3 * (visiting.worker_seconds() - before))
            log = [e for e in page.evaluate(REPORT)["log"] if e["pixels"] == side * side]
            times = [entry["ms"] for entry in log[1:]]
            assert times, "nothing was decoded"
            yield f"{side}x{side} decoded in the worker", statistics.median(times), "ms", limit
            if any(spent):
                busy = statistics.median(spent[1:])
                yield f"{side}x{side}, CPU time of its thread", busy, "ms", limit
        for n in range(ROUNDS):
            page.evaluate(_SHOW, f"{url}{files[0]}?{n}")
        shown = screen.shape[0] * screen.shape[1]
        log = [e for e in page.evaluate(REPORT)["log"] if e["pixels"] == shown]
        took = statistics.median(entry["ms"] for entry in log[1:]) / shown * 1e6
        yield "a screenshot decoded in the worker", took, "ms/MP", SIZES[1024]
        waits: dict[str, list[float]] = {"meanwhile": [], "otherwise": []}
        for n in range(ROUNDS):
            for name, found in waits.items():
                picture = f"{url}{files[1024]}?wait{n}" if name == "meanwhile" else None
                found += page.evaluate(_WAITS, [picture, f"{url}{other}?{name}{n}"])
        for name, found in waits.items():
            middle, most = statistics.median(found), statistics.quantiles(found, n=20)[-1]
            title = "while it decodes" if name == "meanwhile" else "while it does nothing"
            limit = WAIT_LIMIT if name == "meanwhile" else None
            yield f"others' wait {title}, median", middle, "ms", None
            yield "the same, 95th percentile", most, "ms", limit
        yield from visiting.window_rows(browser, folder / "window", texture(760))
        if not modules:
            print("the peers are not installed: npm install @jsquash/avif @jsquash/jxl")
            return
        page.goto(f"{url}peers.html")
        for side, pixels in pictures.items():
            avif = images.avif(pixels, 45)
            opaque = np.dstack((pixels, np.full(pixels.shape[:2], 255, np.uint8)))
            (site / "pixels.bin").write_bytes(opaque.tobytes())
            jxl = page.evaluate(_ENCODE_JXL, [side, side, f"{url}pixels.bin?{side}", 45])
            for name, data in (("avif", list(avif)), ("jxl", jxl)):
                times = page.evaluate(_PEER, [name, data, ROUNDS])
                title = f"{side}x{side} by @jsquash/{name} ({len(data) / 1e3:.0f} kB)"
                yield title, statistics.median(times), "ms", None
        for package in PEERS:
            (module,) = (modules / package / "codec/dec").glob("*_dec.wasm")
            size = len(brotli.compress(module.read_bytes(), quality=9)) / 1e3
            yield f"decoder of {package}", size, "kB brotli", None


def screenshot() -> Pixels:
    """A page of a megapixel in few colours, as a build makes of one that Chromium draws."""
    browser = next(filter(None, map(shutil.which, screens.BROWSERS)))
    pixels = np.asarray(screens.render(SCREEN, browser).convert("RGB"))
    return palette.fewer(pixels, palette.REACHES[0])[0]


def put(site: Path, side: int, pixels: Pixels, codec: str = "web") -> str:
    """Write a payload and its fallback; returns the fallback's path."""
    payload = codecs.get(codec).encode(pixels, 50)
    width = pixels.shape[1]
    stem = f"{FOLDER}/picture-{side:012x}-{width}w"
    (site / FOLDER).mkdir(parents=True, exist_ok=True)
    (site / f"{stem}.slat").write_bytes(payload)
    (site / f"{stem}.avif").write_bytes(images.avif(pixels, 45))
    return f"{stem}.avif"


def texture(side: int) -> Pixels:
    """Noise at all scales, with about as many bits as a detailed photograph."""
    rng = np.random.default_rng(side)
    picture = np.zeros((side, side, 3))
    cells = 4
    while cells <= side:
        noise = Image.fromarray(rng.integers(0, 255, (cells, cells, 3), np.uint8))
        resized = np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC), float)
        picture += (resized - 128) * (4 / cells) ** 0.3
        cells *= 2
    spread = 45 / picture.std()
    return np.clip(picture * spread + 128, 0, 255).astype(np.uint8)


def peers(folder: Path) -> Path | None:
    """The other decoders, from npm."""
    if not shutil.which("npm"):
        return None
    command = ["npm", "install", "--silent", "--prefix", str(folder), *PEERS]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return folder / "node_modules" if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())

"""What the service worker costs and saves in Chromium, beside the decoders of @jsquash.

Sizes of what a visitor loads; time from a payload's bytes to the end of the answer, one thread, in
the worker itself; the same pictures as AVIF and JPEG XL through WebAssembly in a page of the same
browser; how long other requests wait meanwhile; the image bytes of a second view of example_site.
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
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import brotli
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from sitecodec import codecs, engine, images, worker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from sitecodec.codecs import Pixels

EXAMPLE = Path(__file__).resolve().parent.parent / "example_site"
FOLDER = "assets/sitecodec"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
ROUNDS = 9
SIZES = {512: 150.0, 1024: 600.0}  # side in pixels: limit in milliseconds
CODE_LIMIT = 30.0  # kB, compressed by brotli
VIEW_LIMIT = 50.0  # per cent
WAIT_LIMIT = 50.0  # milliseconds
PEERS = ("@jsquash/avif", "@jsquash/jxl")

_REPORT = """async () => {
  const { active } = (await navigator.serviceWorker.getRegistration()) || {};
  return active && new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => resolve(data);
    active.postMessage({ sitecodec: "report" }, [channel.port2]);
  });
}"""
_SHOW = """(url) => new Promise((resolve, reject) => {
  const image = new Image();
  image.onload = () => resolve(image.naturalWidth);
  image.onerror = reject;
  image.src = url;
})"""
# Requests for a file of nothing that pass through the worker too, one after the other.
_WAITS = """async ([image, probe]) => {
  const shown = new Promise((done) => {
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
      small.src = probe + "?" + n;
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
            rows += view_rows(browser, Path(folder))
        browser.close()
    print(f"{'':<52}{'figure':>9}{'limit':>8}")
    for name, figure, unit, limit in rows:
        verdict = "" if limit is None else "over" if figure > limit else "ok"
        shown = "" if limit is None else f"{limit:g}"
        print(f"{name + ', ' + unit:<52}{figure:>9.4g}{shown:>8}  {verdict}".rstrip())
    if arguments.json:
        keys = ("name", "figure", "unit", "limit")
        records = [dict(zip(keys, row, strict=True)) for row in rows]
        arguments.json.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return int(any(limit is not None and figure > limit for _, figure, _, limit in rows))


def size_rows() -> Iterator[tuple[str, float, str, float | None]]:
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        (site / FOLDER).mkdir(parents=True)
        worker.write(site, FOLDER)
        script = len(brotli.compress((site / worker.NAME).read_bytes()))
        register = len(brotli.compress((site / worker.registration(FOLDER)[0]).read_bytes()))
        (model,) = (site / FOLDER).glob("model-*.bin")
        module = len(brotli.compress(engine.WASM.read_bytes()))
        yield "worker", script / 1e3, "kB brotli", None
        yield "registration", register / 1e3, "kB brotli", None
        yield "engine", module / 1e3, "kB brotli", None
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
    # One that the worker is asked for as well, but has no payload.
    other = f"{FOLDER}/other.avif"
    (site / other).write_bytes(images.avif(np.zeros((16, 16, 3), np.uint8), 45))
    worker.write(site, FOLDER)
    script = worker.registration(FOLDER)[0]
    head = '<!doctype html><link rel=icon href="data:,">'
    (site / "index.html").write_text(f'{head}<script defer src="{script}"></script>')
    with serving(site) as (url, _):
        page = browser.new_context().new_page()
        page.goto(url)
        wait_until_prepared(page)
        page.goto(url)
        for side, limit in SIZES.items():
            for n in range(ROUNDS):
                page.evaluate(_SHOW, f"{url}{files[side]}?{n}")
            log = [e for e in page.evaluate(_REPORT)["log"] if e["pixels"] == side * side]
            times = [entry["ms"] for entry in log[1:]]
            assert times, "nothing was decoded"
            yield f"{side}x{side} decoded in the worker", statistics.median(times), "ms", limit
        waits = page.evaluate(_WAITS, [f"{url}{files[1024]}?wait", f"{url}{other}"])
        yield "others' wait while it decodes, median", statistics.median(waits), "ms", WAIT_LIMIT
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


def view_rows(browser: Browser, folder: Path) -> Iterator[tuple[str, float, str, float | None]]:
    """Image bytes of all pages of example_site but the first, which has fetched the model."""
    copy = folder / "example_site"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("site", ".cache"))
    subprocess.run([sys.executable, copy / "prepare.py"], check=True, stdout=subprocess.DEVNULL)
    config = copy / "mkdocs.yml"
    text = config.read_text(encoding="utf-8")
    if "browser: always" not in text:
        text = text.replace("  - sitecodec\n", "  - sitecodec:\n      browser: always\n")
        config.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(config), "-d", "built"]
    subprocess.run(command, check=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    site = copy / "built"
    yield from measured_views(browser, site)


def measured_views(browser: Browser, site: Path) -> Iterator[tuple[str, float, str, float | None]]:
    # demo.html asks for its pictures twice, to show the difference.
    left_out = ("404.html", "demo.html")
    pages = [path.name for path in sorted(site.glob("*.html")) if path.name not in left_out]
    totals = {}
    for name in ("with", "without"):
        with serving(site) as (url, log):
            context = browser.new_context(
                viewport={"width": 1280, "height": 900},
                service_workers="allow" if name == "with" else "block",
            )
            page = context.new_page()
            page.goto(f"{url}credits.html")
            if name == "with":
                # A page without pictures may register nothing.
                page.evaluate(f"navigator.serviceWorker.register('{worker.NAME}')")
                page.evaluate(
                    "navigator.serviceWorker.ready.then(({ active }) =>"
                    " active.postMessage({ sitecodec: 'prepare' }))"
                )
                wait_until_prepared(page)
            log.clear()
            for path in pages:
                page.goto(url + path)
                page.evaluate("for (const image of document.images) image.loading = 'eager';")
                page.wait_for_function(
                    "Array.from(document.images).every((image) => image.complete)", timeout=120_000
                )
                page.wait_for_timeout(1500)
            totals[name] = sum(
                size
                for path, size in log
                if path.startswith(FOLDER) and not path.endswith((".js", ".bin"))
            )
            context.close()
    yield "example_site, image bytes with AVIF only", totals["without"] / 1e3, "kB", None
    yield "example_site, image bytes with the worker", totals["with"] / 1e3, "kB", None
    share = 100 * totals["with"] / max(1, totals["without"])
    yield "second view against AVIF only", share, "%", VIEW_LIMIT


def put(site: Path, side: int, pixels: Pixels) -> str:
    """Write a payload and its fallback; returns the fallback's path."""
    payload = codecs.get("web").encode(pixels, 50)
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


def wait_until_prepared(page: Page) -> None:
    for _ in range(100):
        told: dict[str, Any] | None = page.evaluate(_REPORT)
        if told and told["prepared"]:
            return
        page.wait_for_timeout(300)
    raise SystemExit("the worker did not get ready")


def peers(folder: Path) -> Path | None:
    """The other decoders, from npm."""
    if not shutil.which("npm"):
        return None
    command = ["npm", "install", "--silent", "--prefix", str(folder), *PEERS]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return folder / "node_modules" if done.returncode == 0 else None


@contextmanager
def serving(root: Path) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The folder's URL, and a list of (path, size) to which every answer is added."""
    log: list[tuple[str, int]] = []

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {".avif": "image/avif"}

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            file = root / path
            log.append((path, file.stat().st_size if file.is_file() else 0))
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", log
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    sys.exit(main())

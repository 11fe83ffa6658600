"""Visits of sites in Chromium, for browser.py: bytes and times as a visitor has them."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sitecodec import codecs, metrics
from sitecodec.encoding import images, sources
from sitecodec.encoding.conventional import Offsets, smallest
from sitecodec.encoding.task import Task
from sitecodec.facts.calibration import GRAPHICS_SCORE
from sitecodec.site import manifest
from sitecodec.visitors import worker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from sitecodec.facts.pixels import Pixels

EXAMPLE = Path(__file__).resolve().parent.parent / "example_site"
FOLDER = "assets/sitecodec"
VIEW_LIMIT = 50.0  # per cent
PICTURES = 24
VISITS = 5

REPORT = """async () => {
  const { active } = (await navigator.serviceWorker.getRegistration()) || {};
  return active && new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => resolve(data);
    active.postMessage({ sitecodec: "report" }, [channel.port2]);
  });
}"""
# Down the page, as a reader goes: lazy images load in the width that they are shown in.
_READ = """async () => {
  for (let y = 0; y < document.body.scrollHeight; y += innerHeight / 2) {
    scrollTo(0, y);
    await new Promise((done) => setTimeout(done, 250));
  }
}"""
_SEEN = """async () => {
  const inside = (image) => {
    const { top, bottom } = image.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  };
  const images = Array.from(document.images).filter(inside);
  await Promise.all(images.map((image) =>
    image.complete || new Promise((done) => (image.onload = image.onerror = done))));
  return [performance.now(), images.length];
}"""


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
    seen: dict[str, list[tuple[str, int]]] = {}
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
                page.evaluate(_READ)
                page.wait_for_function(
                    "Array.from(document.images).every((i) => !i.currentSrc || i.complete)",
                    timeout=120_000,
                )
                page.wait_for_timeout(1500)
            seen[name] = [
                (path, size)
                for path, size in log
                if path.startswith(FOLDER) and not path.endswith((".js", ".bin"))
            ]
            context.close()
    totals = {name: sum(size for _, size in files) for name, files in seen.items()}
    totals["AVIF"] = sum(
        size if path.endswith(".avif") else as_avif(site, path) for path, size in seen["without"]
    )
    for name, title in (
        ("AVIF", "as AVIF only"),
        ("without", "without the worker"),
        ("with", "with the worker"),
    ):
        yield f"example_site, image bytes {title}", totals[name] / 1e3, "kB", None
    for name, title in (("AVIF", "AVIF only"), ("without", "no worker")):
        share = 100 * totals["with"] / max(1, totals[name])
        yield f"second view against {title}", share, "%", VIEW_LIMIT if name == "AVIF" else None


def as_avif(site: Path, path: str) -> int:
    """Bytes of the AVIF that a build of AVIF only would show instead of a file of flat graphics.

    It scores what such files have to, or where no AVIF does it is of quality 80, which scores less.
    """
    entry = manifest.read(site, FOLDER).by_file()[path]
    width = next(file.width for file in entry.files if file.path == path)
    source = sources.load((site / entry.path).read_bytes(), entry.path, 10**8)
    assert isinstance(source, sources.Source)
    pixels = source.pixels
    if width < source.width:
        pixels = images.resized(pixels, width)
    with metrics.against(pixels) as score:
        task = Task(pixels, score, True, GRAPHICS_SCORE)
        found = smallest(task, math.inf, Offsets()).encoded
    return found.size if found else len(images.avif(pixels, 80))


def window_rows(
    browser: Browser, site: Path, pixels: Pixels
) -> Iterator[tuple[str, float, str, float | None]]:
    """How soon what is in the window is there, at the end of a page of many pictures.

    Visits of a page that says what is near, and of one that does not, turn about. Each has pictures
    of its own: what one has said must not serve the other.
    """
    (site / FOLDER).mkdir(parents=True)
    bodies = {"index": "", "deaf": ""}
    for n in range(PICTURES):
        part = np.ascontiguousarray(np.roll(pixels, 37 * n, 1)[n : n + 507])
        payload, avif = codecs.get("web").encode(part, 50), images.avif(part, 45)
        for number, name in enumerate(bodies):
            stem = f"{FOLDER}/{name}-{256 * number + n:012x}-{part.shape[1]}w"
            (site / f"{stem}.slat").write_bytes(payload)
            (site / f"{stem}.avif").write_bytes(avif)
            bodies[name] += f"<p><img src={stem}.avif width=760 height=507>"
    worker.write(site, FOLDER)
    head = '<!doctype html><link rel=icon href="data:,">'
    script = f"<script defer src={worker.registration(FOLDER)[0]}></script>"
    for name, body in bodies.items():
        text = head + (script if name == "index" else "") + body
        (site / f"{name}.html").write_text(text)
    with serving(site, stored=False) as (url, _):
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{url}index.html")
        wait_until_prepared(page)
        times: dict[tuple[str, str], list[float]] = {}
        for visit in range(VISITS + 1):
            for name in sorted(bodies, reverse=visit % 2 == 1):
                for title, seconds in (
                    ("scrolled to meanwhile", _scrolled(page, f"{url}{name}.html")),
                    ("loaded again there", _loaded_again(page)),
                ):
                    times.setdefault((title, name), []).append(seconds)
        for (title, name), measured in sorted(times.items()):
            order = {"index": "window first", "deaf": "order of request"}[name]
            middle = statistics.median(measured[1:])
            yield f"end of {PICTURES} pictures, {title}, {order}", middle, "ms", None


def _scrolled(page: Page, url: str) -> float:
    """Milliseconds from a scroll to the end of a page that still loads until what it shows."""
    page.goto("about:blank")
    page.goto(url, wait_until="commit")
    page.wait_for_function(
        f"document.images.length === {PICTURES} && document.images[0].naturalWidth > 0"
    )
    began = page.evaluate("(scrollTo(0, document.body.scrollHeight), performance.now())")
    ended = page.evaluate(_SEEN)[0]
    page.wait_for_function("Array.from(document.images).every((i) => i.complete)")
    return float(ended - began)


def _loaded_again(page: Page) -> float:
    """Milliseconds from a reload at the end of a page until what is in the window is there."""
    page.reload(wait_until="commit")
    page.wait_for_load_state("domcontentloaded")
    page.wait_for_function("scrollY > 900")
    ended = page.evaluate(_SEEN)[0]
    page.wait_for_function("Array.from(document.images).every((i) => i.complete)")
    return float(ended)


def worker_seconds() -> float:
    """CPU time of the threads of service workers; 0 where the system does not tell (not Linux).

    Only of browsers that this process has started.
    """
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[place.parent] = place.read_text().rpartition(")")[2].split()[1]
    total = 0.0
    for process in parents:
        parent = str(process.name)
        while parent not in ("0", str(os.getpid())):
            parent = parents.get(Path("/proc", parent), "0")
        for name in process.glob("task/[0-9]*/comm") if parent != "0" else ():
            with contextlib.suppress(OSError):
                if name.read_text().startswith("ServiceWorker"):
                    total += int(name.with_name("schedstat").read_text().split()[0]) / 1e9
    return total


def wait_until_prepared(page: Page) -> None:
    for _ in range(100):
        told: dict[str, Any] | None = page.evaluate(REPORT)
        if told and told["prepared"]:
            return
        page.wait_for_timeout(300)
    raise SystemExit("the worker did not get ready")


@contextmanager
def answering(root: Path, handler: type[SimpleHTTPRequestHandler]) -> Iterator[str]:
    """The folder's URL, as long as a handler of this class answers for it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serving(root: Path, *, stored: bool = True) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The folder's URL, and a list of (path, size) to which every answer is added.

    Unless `stored`, browsers are told to keep nothing themselves.
    """
    log: list[tuple[str, int]] = []

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {".avif": "image/avif"}

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            file = root / path
            log.append((path, file.stat().st_size if file.is_file() else 0))
            super().do_GET()

        def end_headers(self) -> None:
            # As GitHub Pages does. Unsaid, browsers guess from the age of files, which are new.
            self.send_header("Cache-Control", "max-age=600" if stored else "no-store")
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with answering(root, Handler) as url:
        yield url, log

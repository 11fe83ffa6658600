"""What a visitor pays and gains: image bytes, time to the largest image, and the break-even.

Three sites are measured: photographs (24 of Kodak as JPEG, quality 90) and screenshots (24 PNG
files that Chromium draws), on six pages each, and example_site. A page of each is opened in
Chromium, as the second page of a visit, in four forms: plain, built without the worker, built with
the worker, and the same after the browser has put the worker to sleep. The server answers after a
delay and at a rate that all requests share, as a slow mobile connection does.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import visiting
from PIL import Image
from playwright.sync_api import sync_playwright

from sitecodec import codecs
from sitecodec.report import report
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from sitecodec.training import screens

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

KODAK = Path(__file__).resolve().parents[2] / "shared" / "data" / "kodak"
PAGES, ON_A_PAGE = 6, 4
CONTENT = 760
FIRST_SCREEN = 100_000  # numbers of screenshots that no model was trained on
DELAY, RATE = 0.15, 1.6e6 / 8  # seconds, bytes a second: Lighthouse's "slow 4G"
ROUNDS = 7
WINDOWS = {"desktop": (1280, 900, 1.0), "mobile": (412, 823, 1.75)}

_LARGEST = """() => new Promise((resolve) => {
  let last = 0;
  let what = "";
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) [last, what] = [entry.startTime, entry.url];
  }).observe({ type: "largest-contentful-paint", buffered: true });
  setTimeout(() => resolve([last, what,
    performance.getEntriesByType("navigation")[0].responseStart]), 1500);
})"""


@dataclass(frozen=True)
class Forms:
    """The folders of one site as it is plain, and built without and with the worker."""

    plain: Path
    without: Path
    worker: Path
    first: str
    second: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kodak", type=Path, default=KODAK, help="folder of photographs")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--keep", type=Path, help="folder for the sites and what was encoded")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        place = options.keep or Path(made)
        place.mkdir(parents=True, exist_ok=True)
        sites = {
            "photographs": handmade(place / "photographs", photographs(options.kodak)),
            "screenshots": handmade(place / "screenshots", screenshots(place)),
            "example_site": example(place / "example"),
        }
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        print(f"Chromium {browser.version}, load average {os.getloadavg()[0]:.1f}", flush=True)
        for name, forms in sites.items():
            found[name] = accounted(forms) | {
                window: viewed(browser, forms, window, options.rounds) for window in WINDOWS
            }
            print(json.dumps({name: found[name]}, indent=1), flush=True)
        browser.close()
        found["the pixels of flat payloads"] = same_pixels(sites["screenshots"].worker)
        print(json.dumps(found["the pixels of flat payloads"]))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def photographs(folder: Path) -> Iterator[tuple[str, Image.Image, dict[str, Any]]]:
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".png", ".webp"))[:24]:
        with Image.open(path) as image:
            yield f"{path.stem}.jpg", image.convert("RGB"), {"quality": 90}


def screenshots(folder: Path) -> Iterator[tuple[str, Image.Image, dict[str, Any]]]:
    browser = next(found for name in screens.BROWSERS if (found := shutil.which(name)))
    for number in range(FIRST_SCREEN, FIRST_SCREEN + PAGES * ON_A_PAGE):
        yield f"{number}.png", screens.render(number, browser), {"optimize": True}


def handmade(folder: Path, pictures: Iterator[tuple[str, Image.Image, dict[str, Any]]]) -> Forms:
    """A site of pages with ON_A_PAGE pictures each, whose content is CONTENT wide."""
    plain = folder / "plain"
    if not plain.exists():
        plain.mkdir(parents=True)
        bodies = [""] * PAGES
        for number, (name, image, options) in enumerate(pictures):
            image.save(plain / name, **options)
            bodies[number // ON_A_PAGE] += f'<h2>{name}</h2><p><img src="{name}" alt="">'
        style = f"main{{max-width:{CONTENT}px;margin:auto}}img{{max-width:100%;height:auto}}"
        for number, body in enumerate(bodies):
            (plain / f"page{number}.html").write_text(
                f"<!doctype html><meta name=viewport content='width=device-width'>"
                f"<link rel=icon href='data:,'><title>{number}</title><style>{style}</style>"
                f"<main><h1>Page {number}</h1>{body}</main>"
            )
    settings = Settings(store=folder / "store", widths=(CONTENT // 2, CONTENT, 2 * CONTENT))
    for name, choice in (("without", "never"), ("worker", "always")):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(plain, folder / name)
        print(rewrite_site(folder / name, replace(settings, browser=choice)).problems)
    return Forms(plain, folder / "without", folder / "worker", "page0.html", "page1.html")


def example(folder: Path) -> Forms:
    if not folder.exists():
        ignored = shutil.ignore_patterns("site", ".cache")
        shutil.copytree(visiting.EXAMPLE, folder, ignore=ignored)
    subprocess.run([sys.executable, folder / "prepare.py"], check=True, stdout=subprocess.DEVNULL)
    text = (folder / "mkdocs.yml").read_text(encoding="utf-8")
    for name, choice in (("plain", "never"), ("without", "never"), ("worker", "always")):
        config = folder / f"{name}.yml"
        config.write_text(text.replace("browser: always", f"browser: {choice}"), encoding="utf-8")
        switch = {"SITECODEC": "off" if name == "plain" else "on", "NO_MKDOCS_2_WARNING": "1"}
        command = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", config, "-d", name]
        subprocess.run(command, check=True, env=os.environ | switch)
    return Forms(
        *(folder / n for n in ("plain", "without", "worker")), "credits.html", "index.html"
    )


def accounted(forms: Forms) -> dict[str, Any]:
    """The report's figures: bytes of all pages' images, and when a visit breaks even."""
    measured = report.measure(forms.worker, asset_dir=visiting.FOLDER)
    total, account = measured.total, measured.account
    return {
        "before": total.before,
        "first": total.first,
        "later": total.after,
        "cost": account.cost,
        "payloads": len(account.saved),
        "saved": sum(account.saved),
        "images_needed": account.images_needed,
        "pages_needed": account.cost / account.saved_by_page if account.saved_by_page else None,
    }


def same_pixels(site: Path) -> dict[str, int]:
    """Bytes of a site's payloads, and of lossless files of the very same pixels.

    All payloads of the site of screenshots are of flat graphics. JPEG XL is left out where the
    package `pillow-jxl-plugin` is not installed.
    """
    flat = codecs.get("flat")
    sizes = {"payloads": 0, "WebP": 0}
    kinds: dict[str, dict[str, Any]] = {"WebP": {"lossless": True, "method": 6, "quality": 100}}
    if importlib.util.find_spec("pillow_jxl"):
        importlib.import_module("pillow_jxl")
        kinds["JXL"] = {"lossless": True, "effort": 9}
        sizes["JXL"] = 0
    for path in sorted((site / visiting.FOLDER).glob("*.slat")):
        payload = path.read_bytes()
        sizes["payloads"] += len(payload)
        image = Image.fromarray(flat.decode(payload))
        for kind, options in kinds.items():
            stream = io.BytesIO()
            image.save(stream, kind, **options)
            sizes[kind] += stream.tell()
    return sizes


def viewed(browser: Browser, forms: Forms, window: str, rounds: int) -> dict[str, Any]:
    """Image bytes of `second`, and when its largest image is there, in each form."""
    rows: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name in ("plain", "without", "worker", "asleep"):
            folder = forms.worker if name == "asleep" else getattr(forms, name)
            with slowly(folder) as (url, log):
                width, height, density = WINDOWS[window]
                context = browser.new_context(
                    viewport={"width": width, "height": height}, device_scale_factor=density
                )
                try:
                    row = view(context, url, log, forms, worker=folder is forms.worker, name=name)
                finally:
                    context.close()
                rows.setdefault(name, []).append(row)
    return {
        name: {key: statistics.median(row[key] for row in each) for key in each[0]}
        for name, each in rows.items()
    }


def view(
    context: BrowserContext,
    url: str,
    log: list[tuple[str, int]],
    forms: Forms,
    *,
    worker: bool,
    name: str,
) -> dict[str, float]:
    page = context.new_page()
    page.goto(url + forms.first)
    if worker:
        # A page without pictures may register nothing.
        page.evaluate("navigator.serviceWorker.register('sitecodec-sw.js')")
        page.evaluate(
            "navigator.serviceWorker.ready.then(({ active }) =>"
            " active.postMessage({ sitecodec: 'prepare' }))"
        )
        visiting.wait_until_prepared(page)
    else:
        page.wait_for_timeout(500)
    if name == "asleep":
        session = context.new_cdp_session(page)
        session.send("ServiceWorker.enable")
        session.send("ServiceWorker.stopAllWorkers")
        page.wait_for_timeout(500)
    log.clear()
    before = visiting.worker_seconds()
    page.goto(url + forms.second)
    largest, _, answered = page.evaluate(_LARGEST)
    first_screen = sum(size for path, size in log if is_picture(path))
    page.evaluate(visiting._READ)
    page.wait_for_function(
        "Array.from(document.images).every((i) => !i.currentSrc || i.complete)", timeout=120_000
    )
    page.wait_for_timeout(500)
    spent = visiting.worker_seconds() - before
    return {
        "largest_ms": largest,
        "answered_ms": answered,
        "first_screen": first_screen,
        "image_bytes": sum(size for path, size in log if is_picture(path)),
        "worker_cpu_ms": 1e3 * spent if worker else 0.0,
    }


def is_picture(path: str) -> bool:
    return path.endswith((".jpg", ".png", ".webp", ".avif", ".slat"))


@contextmanager
def slowly(root: Path) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The folder over a connection of DELAY and RATE: its URL, and a list of (path, size)."""
    log: list[tuple[str, int]] = []
    line = threading.Lock()

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {
            ".avif": "image/avif",
            ".slat": "application/octet-stream",
        }
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            file = root / path
            log.append((path, file.stat().st_size if file.is_file() else 0))
            time.sleep(DELAY)
            super().do_GET()

        def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:
            while part := source.read(4096):
                with line:  # one part at a time: all requests share the rate
                    time.sleep(len(part) / RATE)
                outputfile.write(part)

        def end_headers(self) -> None:
            self.send_header("Cache-Control", "max-age=600")  # as GitHub Pages does
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with visiting.answering(root, Handler) as url:
        yield url, log


if __name__ == "__main__":
    sys.exit(main())

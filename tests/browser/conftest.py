"""Sites served to a real browser.

Their fallbacks are plain colours, so that what is on screen tells where it came from: the payload,
the AVIF (red) or the JPEG (blue).
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sitecodec import codecs, images, worker
from tests.conftest import encode, make_photo

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --force-color-profile=srgb"
).split()
FOLDER = "assets/sitecodec"
RED, BLUE = (200, 30, 30), (30, 30, 200)


@pytest.fixture(scope="session")
def chromium():
    """The browser, shared; each test has a profile of its own (`context`)."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium):
    context = chromium.new_context(viewport={"width": 800, "height": 600})
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context):
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
    return page


@dataclass
class Site:
    """A folder served at `http://127.0.0.1:port/prefix`, with what its server is to do wrong."""

    root: Path
    prefix: str
    port: int = 0
    log: list[str] = field(default_factory=list)
    """Paths asked for, in order, below the prefix."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every answer."""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Status and body in place of the file, by the end of the path."""
    delays: dict[str, float] = field(default_factory=dict)
    down: bool = False
    posted: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    def asked(self, suffix: str) -> list[str]:
        return [path for path in list(self.log) if path.endswith(suffix)]

    def add(self, name: str, pixels: np.ndarray, payload: bytes | None = None) -> str:
        """Write a payload of the picture and its coloured fallbacks; returns its <picture>."""
        height, width, _ = pixels.shape
        if payload is None:
            payload = codecs.get("web").encode(pixels, 50)
        stem = f"{name}-{hashlib.sha256(payload).hexdigest()[:12]}-{width}w"
        folder = self.root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}.slat").write_bytes(payload)
        (folder / f"{stem}.avif").write_bytes(fallback("AVIF", width, height))
        (folder / f"{stem}.jpg").write_bytes(fallback("JPEG", width, height))
        return (
            f'<picture><source type="image/x-sitecodec" srcset="{{up}}{FOLDER}/{stem}.slat">'
            f'<source type="image/avif" srcset="{{up}}{FOLDER}/{stem}.avif">'
            f'<img id="{name}" src="{{up}}{FOLDER}/{stem}.jpg" width="{width}" height="{height}">'
            "</picture>"
        )

    def page(self, path: str, body: str) -> None:
        """Write a page that registers the worker; `{up}` leads to the site's root."""
        worker.write(self.root, FOLDER)
        script, _ = worker.registration(FOLDER)
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * path.count("/")
        head = f'<!doctype html><title>t</title><link rel=icon href="data:,"><p>{path}</p>'
        tag = f'<script defer src="{{up}}{script}"></script>'
        place.write_text((head + tag + body).replace("{up}", up), encoding="utf-8")


def fallback(kind: str, width: int, height: int) -> bytes:
    colour = RED if kind == "AVIF" else BLUE
    picture = np.full((height, width, 3), colour, np.uint8)
    return images.avif(picture, 90) if kind == "AVIF" else encode(picture, "JPEG", quality=95)


class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".avif": "image/avif"}

    def __init__(self, *args: object, site: Site) -> None:
        self.site = site
        super().__init__(*args, directory=str(site.root))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.answer(super().do_GET)

    def do_HEAD(self) -> None:
        self.answer(super().do_HEAD)

    def answer(self, go_on: Callable[[], None]) -> None:
        site = self.site
        if site.down:
            self.close_connection = True
            self.connection.close()
            return
        del self.headers["If-Modified-Since"]  # its seconds are too coarse for tests
        path = self.path.partition("?")[0]
        if not path.startswith(site.prefix):
            self.send_error(404)
            return
        self.path = "/" + path[len(site.prefix) :]
        site.log.append(self.path[1:])
        for end, seconds in site.delays.items():
            if path.endswith(end):
                time.sleep(seconds)
        for end, (status, body) in site.answers.items():
            if path.endswith(end):
                self.send_response(status)
                self.send_header("Content-Type", self.guess_type(path))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)
                return
        go_on()

    def end_headers(self) -> None:
        for name, value in self.site.headers.items():
            self.send_header(name, value)
        super().end_headers()

    def do_POST(self) -> None:
        """A page that no driver can ask reports by itself."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.site.posted.append(body.decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Browsers hang up as they like."""


@contextlib.contextmanager
def serving(root: Path, prefix: str = "/") -> Iterator[Site]:
    root.mkdir(parents=True, exist_ok=True)
    # Else a browser would show again what it still has from the first visit.
    site = Site(root, prefix, headers={"Cache-Control": "no-store"})
    server = Server(("127.0.0.1", 0), partial(Handler, site=site))
    site.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(tmp_path):
    with serving(tmp_path / "site") as site:
        yield site


@pytest.fixture(scope="session")
def photo_payloads():
    """Small photographs with their payloads, encoded once: (pixels, payload)."""
    pictures = [make_photo(96, 128, seed) for seed in range(3)]
    return [(pixels, codecs.get("web").encode(pixels, 50)) for pixels in pictures]


_REPORT = """async () => {
  const found = await navigator.serviceWorker.getRegistration();
  if (!found?.active) return null;
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => resolve(data);
    found.active.postMessage({ sitecodec: "report" }, [channel.port2]);
    setTimeout(() => resolve(null), 3000);
  });
}"""

_PIXELS = """async (id) => {
  const image = document.getElementById(id);
  if (!image.complete) await new Promise((done) => (image.onload = image.onerror = done));
  if (!image.naturalWidth) return null;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { colorSpace: "srgb" });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let text = "";
  for (let i = 0; i < data.length; i += 8192)
    text += String.fromCharCode(...data.subarray(i, i + 8192));
  return [canvas.width, canvas.height, btoa(text)];
}"""


def report(page):
    """What the worker says of itself; None if there is none."""
    return page.evaluate(_REPORT)


def wait_until_prepared(page, seconds=30):
    """Wait until the worker has engine and model; returns its report."""
    return wait_for_report(page, lambda told: told["prepared"], seconds)


def wait_for_report(page, wanted, seconds=30):
    end = time.monotonic() + seconds
    pause = 100.0
    while time.monotonic() < end:
        told = report(page)
        if told and wanted(told):
            return told
        # Less and less often: a browser looks for a new version when the old one has rested.
        page.wait_for_timeout(pause)
        pause = min(2500, 1.4 * pause)
    raise AssertionError(f"the worker came to nothing: {report(page)}")


def pixels_of(page, name):
    """What an image shows, (height, width, 3) uint8; None if it is broken."""
    import base64

    shown = page.evaluate(_PIXELS, name)
    if shown is None:
        return None
    width, height, data = shown
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]


def shows(page, name, payload=None):
    """What an image shows, in a word: 'payload', 'avif', 'jpeg', 'broken' or 'something else'."""
    pixels = pixels_of(page, name)
    if pixels is None:
        return "broken"
    for word, colour in (("avif", RED), ("jpeg", BLUE)):
        if np.abs(pixels.astype(int) - colour).max() < 12:
            return word
    if payload is not None and np.array_equal(pixels, codecs.get("web").decode(payload)):
        return "payload"
    return "something else"

"""Sites served to a real browser.

Their fallbacks are plain colours, so that what is on screen tells where it came from: the payload,
the AVIF (red) or the JPEG (blue).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from sitecodec import codecs
from sitecodec.encoding import images
from sitecodec.payload import Header, pack, read_header
from sitecodec.visitors import worker
from tests.conftest import encode

FOLDER = "assets/sitecodec"
RED, BLUE = (200, 30, 30), (30, 30, 200)


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
    """Seconds until a file is sent, by the end of its path."""
    holds: dict[str, threading.Event] = field(default_factory=dict)
    """What has to happen before a file is sent, by the end of its path."""
    stalls: dict[str, threading.Event] = field(default_factory=dict)
    """What has to happen before the second half of a file is sent, by the end of its path."""
    down: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    def asked(self, suffix: str) -> list[str]:
        return [path for path in list(self.log) if path.endswith(suffix)]

    def add(self, name: str, payload: bytes) -> str:
        """Write a payload and its coloured fallbacks; returns its <picture>."""
        header = read_header(payload)
        stem = f"{name}-{hashlib.sha256(payload).hexdigest()[:12]}-{header.width}w"
        folder = self.root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}.slat").write_bytes(payload)
        (folder / f"{stem}.avif").write_bytes(fallback("AVIF"))
        (folder / f"{stem}.jpg").write_bytes(fallback("JPEG"))
        return (
            f'<picture><source type="image/x-sitecodec" srcset="{{up}}{FOLDER}/{stem}.slat">'
            f'<source type="image/avif" srcset="{{up}}{FOLDER}/{stem}.avif">'
            f'<img id="{name}" src="{{up}}{FOLDER}/{stem}.jpg" width="{header.width}"'
            f' height="{header.height}"></picture>'
        )

    def path(self, name: str, kind: str) -> Path:
        """The file of a picture: kind is 'slat', 'avif' or 'jpg'."""
        (path,) = (self.root / FOLDER).glob(f"{name}-*.{kind}")
        return path

    def address(self, name: str, kind: str = "avif") -> str:
        """The URL of a picture's fallback."""
        return f"{self.url}{FOLDER}/{self.path(name, kind).name}"

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

    def change(self, *changes: tuple[str, str]) -> None:
        """Serve the worker with changes (old, new) in its code; `$&` in the new is the old."""
        text = (self.root / worker.NAME).read_text("utf-8")
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new.replace("$&", old))
        self.answers[worker.NAME] = (200, text.encode())


def blank(width: int, height: int, body: bytes = b"", quality: float = 50.0) -> bytes:
    """A valid payload of any size, made of nothing."""
    return pack(Header("web", _model(), width, height, quality), body)


@functools.cache
def _model() -> int:
    return read_header(codecs.get("web").encode(np.zeros((16, 16, 3), np.uint8), 50)).model


@functools.cache
def fallback(kind: str) -> bytes:
    """A small file: what is on screen is as large as the page says."""
    picture = np.full((24, 32, 3), RED if kind == "AVIF" else BLUE, np.uint8)
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
        for end, event in site.holds.items():
            if path.endswith(end):
                event.wait(60)
        for end, event in site.stalls.items():
            if path.endswith(end):
                self.stall(event)
                return
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

    def stall(self, event: threading.Event) -> None:
        data = (self.site.root / self.path[1:]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        event.wait(60)
        self.wfile.write(data[len(data) // 2 :])

    def end_headers(self) -> None:
        for name, value in self.site.headers.items():
            self.send_header(name, value)
        super().end_headers()

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
    # Looks for its end ten times as often as by default: closing takes that long.
    poll = {"poll_interval": 0.05}
    threading.Thread(target=server.serve_forever, kwargs=poll, daemon=True).start()
    try:
        yield site
    finally:
        for event in (*site.holds.values(), *site.stalls.values()):
            event.set()
        server.shutdown()
        server.server_close()

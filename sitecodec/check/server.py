"""One loopback server for both sites: which of them is asked for, the host name says."""

from __future__ import annotations

import contextlib
import gzip
import io
import posixpath
import threading
from collections.abc import Iterator, Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from sitecodec.disk.folders import MOST_BYTES, plain
from sitecodec.facts.formats import content_type

SIDES = ("plain", "built")
"""The two sites; as names they are equally long, as pages may show their own address."""

_COMPRESSED = ("text/", "application/json", "application/xml", "image/svg+xml")


class _Handler(SimpleHTTPRequestHandler):
    """A folder as usual hosts serve it: 404.html, text compressed, and files kept by browsers."""

    protocol_version = "HTTP/1.1"
    folders: Mapping[str, Path]
    root: str

    def send_head(self) -> BinaryIO | io.BytesIO | None:
        name, _, rest = self.headers.get("Host", "").partition(".")
        path = urlsplit(self.path).path
        known = name in self.folders and rest.partition(":")[0] == "localhost"
        if not known or not path.startswith(self.root):
            return self._send(404, "text/plain", b"not part of the site\n")
        self.directory = str(self.folders[name])
        file = Path(self.translate_path("/" + path.removeprefix(self.root)))
        if file.is_dir():
            if not path.endswith("/"):
                self.send_response(301)
                self.send_header("Location", posixpath.basename(path) + "/")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            file /= "index.html"
        elif not file.exists() and not file.suffix:
            file = file.with_name(file.name + ".html")  # as most hosts do
        try:
            kind = content_type(file.name)
            real = file.resolve(strict=True)
            if not real.is_relative_to(self.folders[name]) or not real.is_file():
                raise FileNotFoundError(file)
            if real.stat().st_size > MOST_BYTES:
                return self._send_open(kind, real)
            return self._send(200, kind, plain(real))
        except OSError:
            missing = self.folders[name] / "404.html"
            page = missing.read_bytes() if missing.is_file() else b"not found\n"
            return self._send(404, "text/html", page)

    def _send_open(self, kind: str, file: Path) -> BinaryIO:
        """Send a file piece by piece."""
        opened = file.open("rb")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(file.stat().st_size))
        self.end_headers()
        return opened

    def _send(self, status: int, kind: str, data: bytes) -> io.BytesIO:
        self.send_response(status)
        # No charset: that is the page's own affair, as with most hosts.
        self.send_header("Content-Type", kind)
        if kind.startswith(_COMPRESSED) and "gzip" in self.headers.get("Accept-Encoding", ""):
            data = gzip.compress(data, 6, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        # Pictures come anew with each page, as for a first visitor: one that a browser has in its
        # memory it may take where it would have chosen another.
        kept = status == 200 and not kind.startswith(("image/", "text/html"))
        self.send_header("Cache-Control", "max-age=3600" if kept else "no-store")
        self.end_headers()
        return io.BytesIO(data)

    def log_message(self, *_: object) -> None:
        """Say nothing: the sites' own faults are for the check to find."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing: browsers hang up as they like."""


@contextlib.contextmanager
def serving(plain: Path, built: Path, root: str = "/") -> Iterator[Mapping[str, str]]:
    """Serve both sites below the URL path `root` ('/' or '/docs/'); gives the URL of each side.

    Both are `localhost` to a browser, so safe contexts, but of different origins.
    """
    folders = {side: folder.resolve() for side, folder in zip(SIDES, (plain, built), strict=True)}
    values = {"folders": folders, "root": root}
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), values))
    poll = {"poll_interval": 0.05}
    threading.Thread(target=server.serve_forever, kwargs=poll, daemon=True).start()
    try:
        yield {side: f"http://{side}.localhost:{server.server_port}{root}" for side in SIDES}
    finally:
        server.shutdown()
        server.server_close()

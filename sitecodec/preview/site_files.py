"""A site's pages and files over WSGI, with the preview around them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from werkzeug.exceptions import HTTPException
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response

from sitecodec.disk.folders import plain
from sitecodec.facts import formats
from sitecodec.preview.answers import text
from sitecodec.preview.host_header import foreign, is_loopback, is_own_host
from sitecodec.preview.inspector import Environ, application
from sitecodec.preview.preview import PREFIX, Preview
from sitecodec.site.files import below

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

_AT_ONCE = 1 << 24  # bytes; what is larger is sent piece by piece
_LATEST = 1 << 35  # seconds: dates have four digits for the year
_log = logging.getLogger("sitecodec")

_RELOAD = b"""<script>(() => {
  const url = "%sevents?what=pages&after=";
  const next = (after, pause) => setTimeout(() => fetch(url + after).then(
    response => response.ok ? response.json() : Promise.reject()).then(
    news => after >= 0 && news.serial !== after ? location.reload() : next(news.serial, 50),
  ).catch(() => next(-1, 3000)), pause);
  addEventListener("load", () => next(%d, 50));
})()</script>"""


def around(
    inner: WSGIApplication,
    preview: Preview,
    *,
    mount: str = "/",
    bound: str = "127.0.0.1",
    reload: bool = False,
) -> WSGIApplication:
    """A site's own WSGI app, with the preview under `/_sitecodec/` and decoded latents in pages.

    `mount` is the URL path that the site is served under. With `reload`, pages get a script that
    reloads them when more pictures are ready. On a server that only its own machine can reach
    (`bound`), who names another gets nothing: it would be a page elsewhere whose name leads here.
    """
    ours = application(preview, bound)
    alone = is_loopback(bound)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if alone and not is_own_host(environ.get("HTTP_HOST", ""), bound):
            return foreign()(environ, start_response)
        path = environ.get("PATH_INFO", "")
        if "\0" in path:  # no file's name, at which MkDocs' own server stops
            return text(404, "not found")(environ, start_response)
        if path.startswith(PREFIX) or path == PREFIX.rstrip("/"):
            return ours(environ, start_response)
        name = _page_name(path, mount)
        method = environ.get("REQUEST_METHOD")
        if method not in ("GET", "HEAD") or name is None:
            return inner(environ, start_response)
        environ = environ | {"REQUEST_METHOD": "GET"}  # what is said of a page depends on it
        held: list[Any] = []

        def start(
            status: str,
            headers: list[tuple[str, str]],
            exc_info: Any = None,  # noqa: ANN401 - as WSGI has it
        ) -> Callable[[bytes], object]:
            types = [v for n, v in headers if n.lower() == "content-type"]
            if status.startswith("200") and types and types[0].startswith("text/html"):
                held[:] = [status, headers]
                return lambda data: None
            return start_response(status, headers, exc_info)

        body = inner(environ, start)
        if not held:
            return body
        try:
            data = b"".join(body)
        finally:
            if hasattr(body, "close"):
                body.close()
        serial = preview.ledger.serial["pages"]
        try:
            data = preview.page(name, data)
        except Exception as error:  # a page without its pictures is better than none
            _log.warning("sitecodec: %s: %s", name, error)
            _log.debug("unexpected error", exc_info=True)
        if reload:
            end = data.rfind(b"</body>")
            script = _RELOAD % (PREFIX.encode(), serial)
            data = data[:end] + script + data[end:] if end >= 0 else data + script
        headers = [(n, v) for n, v in held[1] if n.lower() not in ("content-length", "etag")]
        start_response(held[0], [*headers, ("Content-Length", str(len(data)))])
        return [data] if method == "GET" else []

    return app


def site_app(site: Path, suffixes: tuple[str, ...] = (), root: str = "/") -> WSGIApplication:
    """A WSGI app that serves a folder's files, or those with one of the suffixes, below `root`."""
    index = _Index(Path(os.path.realpath(site)), suffixes)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.method not in ("GET", "HEAD"):
            return text(405, "only GET and HEAD")(environ, start_response)
        # The path's bytes, as the file system has them.
        path = os.fsdecode(environ.get("PATH_INFO", "").encode("latin-1", "replace"))
        if not path.startswith(root):
            response = text(404, "not found")
            if path == "/":
                response = Response(status=302, headers={"Location": quote(os.fsencode(root))})
            return response(environ, start_response)
        whole, path = path, path[len(root) - 1 :]
        file = index.find(path + "index.html" if path.endswith("/") else path)
        if file is None and not path.endswith("/") and index.find(path + "/index.html"):
            response = Response(status=302)
            response.headers["Location"] = quote(os.fsencode(whole)) + "/"
            return response(environ, start_response)
        if path.startswith("//") or file is None:
            return text(404, "not found")(environ, start_response)
        try:
            response = index.answer(file, environ)
        except OSError:
            response = text(404, "not found")
        except HTTPException as error:  # of a range that the file does not have
            return error(environ, start_response)
        return response(environ, start_response)

    return app


def _page_name(path: str, mount: str) -> str | None:
    """The path in the site of the page at a URL path; None if it cannot be one."""
    decoded = os.fsdecode(path.encode("latin-1", "replace"))
    if not decoded.startswith(mount):
        return None
    name = decoded[len(mount) :]
    if name == "" or name.endswith("/"):
        name += "index.html"
    return name if name.lower().endswith((".html", ".htm")) else None


class _Index:
    """The files of a folder by URL path. Looked through again, at most each second, on a miss."""

    def __init__(self, root: Path, suffixes: tuple[str, ...]) -> None:
        self._root = root
        self._suffixes = suffixes
        self._lock = threading.Lock()
        self._files: dict[str, Path] = {}
        self._looked = -1.0

    def find(self, path: str) -> Path | None:
        file = self._files.get(path)
        if file is None:
            with self._lock:
                if time.monotonic() - self._looked > 1:
                    if not self._root.is_dir():
                        _log.warning("sitecodec: %s is gone; build the site again", self._root)
                    self._files = dict(self._walk())
                    self._looked = time.monotonic()
                file = self._files.get(path)
        return file

    def answer(self, file: Path, environ: Environ) -> Response:
        """A file, if it is still one of the folder. Raises OSError."""
        real = Path(os.path.realpath(file, strict=True))
        if not real.is_relative_to(self._root) or not real.is_file():
            raise FileNotFoundError(file)
        kind = formats.content_type(file.name)
        status = real.stat()
        if status.st_size > _AT_ONCE and not kind.startswith("text/html"):
            changed = min(max(status.st_mtime, 0), _LATEST)
            response = send_file(
                real, environ, mimetype=kind, conditional=True, last_modified=changed
            )
            response.headers["Cache-Control"] = "no-cache"
            return response
        response = Response(plain(real), mimetype=kind)
        response.headers["Cache-Control"] = "no-cache"
        response.add_etag()
        response.make_conditional(environ)
        return response

    def _walk(self) -> Iterator[tuple[str, Path]]:
        # Hosts show none of these either, but for what a standard has there (RFC 8615).
        def shown(place: str) -> bool:
            name = os.path.basename(place)  # noqa: PTH119
            return name[0] != "." or name == ".well-known"

        for entry in below(self._root, shown):
            file = Path(entry.path)
            if entry.name.startswith("."):
                continue
            if self._suffixes and not entry.name.lower().endswith(self._suffixes):
                continue
            real = Path(os.path.realpath(file)) if entry.is_symlink() else file
            if real.is_relative_to(self._root) and os.path.isfile(real):  # noqa: PTH113
                yield "/" + file.relative_to(self._root).as_posix(), file  # no pipe, no device

"""The decode server: one WSGI app, the site around it, and waitress to run both.

What it answers comes from the store by content hash, from the list of the site's images, or from
the index of the site's files. No path from a URL is ever opened.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import mimetypes
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import jinja2
from werkzeug.exceptions import HTTPException
from werkzeug.http import unquote_etag
from werkzeug.wrappers import Request, Response

from sitecodec import markup, watch, worker
from sitecodec.errors import ModelError, SitecodecError, SiteError
from sitecodec.pictures import FORMATS, BusyError, UnavailableError
from sitecodec.preview import PREFIX, Preview
from sitecodec.preview_results import quick_quality
from sitecodec.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication
    from waitress.server import BaseWSGIServer

Environ: TypeAlias = dict[str, Any]

INSPECTOR = "inspector.html.jinja"
_PICTURE = re.compile(r"([0-9a-f]{64})\.(png|webp|jpg|avif)", re.ASCII)
_WIDTH = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::([0-9]{1,5}))?", re.ASCII)
_MOST_POST_BYTES = 1024
_MOST_LISTENERS = 48
_LISTEN_SECONDS = 20.0
# Each request that waits for a decode holds a thread; the rest answer those that need not wait.
_THREADS = 200
_log = logging.getLogger("sitecodec")

_RELOAD = b"""<script>(() => {
  const url = "%sevents?what=pages&after=";
  const next = (after, pause) => setTimeout(() => fetch(url + after).then(
    response => response.ok ? response.json() : Promise.reject()).then(
    news => after >= 0 && news.serial !== after ? location.reload() : next(news.serial, 50),
  ).catch(() => next(-1, 3000)), pause);
  addEventListener("load", () => next(%d, 50));
})()</script>"""


def application(preview: Preview, bound: str = "127.0.0.1") -> WSGIApplication:
    """The WSGI app for all URLs under `/_sitecodec/`.

    `bound` is the address that the server listens on: a request must name it, or this machine.
    """
    listeners = threading.Semaphore(_MOST_LISTENERS)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = _answer(preview, bound, listeners, environ)
        except HTTPException as error:
            response = _text(error.code or 400, error.name.lower())
        except Exception:
            _log.debug("unexpected error", exc_info=True)
            response = _text(500, "the preview stopped at this request; report it")
        return response(environ, start_response)

    return app


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
    reloads them when more pictures are ready.
    """
    ours = application(preview, bound)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(PREFIX) or path == PREFIX.rstrip("/"):
            return ours(environ, start_response)
        name = _page_name(path, mount)
        if environ.get("REQUEST_METHOD") != "GET" or name is None:
            return inner(environ, start_response)
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
        serial = preview.serial["pages"]
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
        return [data]

    return app


def site_app(site: Path, suffixes: tuple[str, ...] = (), root: str = "/") -> WSGIApplication:
    """A WSGI app that serves a folder's files, or those with one of the suffixes, below `root`."""
    index = _Index(Path(os.path.realpath(site)), suffixes)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.method not in ("GET", "HEAD"):
            return _text(405, "only GET and HEAD")(environ, start_response)
        # The path's bytes, as the file system has them.
        path = os.fsdecode(environ.get("PATH_INFO", "").encode("latin-1", "replace"))
        if not path.startswith(root):
            response = _text(404, "not found")
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
            return _text(404, "not found")(environ, start_response)
        try:
            data = file.read_bytes()
        except OSError:
            return _text(404, "not found")(environ, start_response)
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if file.suffix == ".wasm":
            kind = "application/wasm"
        response = Response(data, mimetype=kind)
        response.headers["Cache-Control"] = "no-cache"
        response.add_etag()
        return response.make_conditional(environ)(environ, start_response)

    return app


def guarded(app: WSGIApplication, bound: str) -> WSGIApplication:
    """The app for those who name this machine in their Host header; 403 for others."""

    def inner(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not is_own_host(environ.get("HTTP_HOST", ""), bound):
            return _foreign()(environ, start_response)
        return app(environ, start_response)

    return inner


def create_server(app: WSGIApplication, host: str, port: int) -> BaseWSGIServer:
    """A waitress server, bound to the address but not yet running. Raises SitecodecError."""
    import waitress

    logging.getLogger("waitress").setLevel(logging.ERROR)
    try:
        return waitress.create_server(
            app,
            host=host,
            port=port,
            threads=_THREADS,
            connection_limit=1000,
            backlog=1024,
            channel_timeout=60,
            max_request_body_size=1 << 16,
            max_request_header_size=1 << 15,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
    except (OSError, ValueError) as error:
        what = (getattr(error, "strerror", None) or str(error)).lower()
        raise SitecodecError(
            f"cannot listen on {host}:{port} ({what}); choose another --port"
        ) from error


def find_site(folder: Path) -> Path:
    """The built site in a project's folder. Raises SiteError if there is none."""
    for name in (".", "site", "public", "_site", "dist", "build", "output"):
        if (folder / name / "index.html").is_file():
            return folder / name
    raise SiteError("no built site here (no index.html); name its folder: sitecodec serve SITE_DIR")


def serve_site(
    site: Path, settings: Settings, host: str, port: int, *, echo: Callable[[str], None]
) -> None:
    """Serve a built site until Ctrl-C. Raises SitecodecError if the port is taken."""
    with warnings_to(echo):
        preview = Preview(settings)
        app = guarded(around(site_app(site), preview, bound=host, reload=True), host)
        server = create_server(app, host, port)
        url = url_of(host, server.effective_port)
        echo(f"{site} is at {url}, the inspector at {url}{PREFIX[1:]}; stop with Ctrl-C")
        preview.update(site, settings)
        try:
            server.run()
        finally:
            preview.close()
            server.close()


@contextmanager
def serving_images(
    folder: Path, settings: Settings, host: str, port: int, *, echo: Callable[[str], None]
) -> Iterator[Preview]:
    """The decode server and the inspector for the images of a folder, in a thread."""
    with warnings_to(echo):
        preview = Preview(settings)
        app = around(site_app(folder, watch.SUFFIXES), preview, bound=host)
        server = create_server(guarded(app, host), host, port)
        echo(f"the inspector is at {url_of(host, server.effective_port)}{PREFIX[1:]}")
        threading.Thread(target=server.run, name="sitecodec server", daemon=True).start()
        try:
            yield preview
        finally:
            preview.close()
            server.close()


@contextmanager
def warnings_to(echo: Callable[[str], None]) -> Iterator[None]:
    """Show the package's warnings as lines."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            echo(f"warning: {record.getMessage().removeprefix('sitecodec: ')}")

    handler = Handler(logging.WARNING)
    _log.addHandler(handler)
    try:
        yield
    finally:
        _log.removeHandler(handler)


def url_of(host: str, port: int) -> str:
    """The URL of a server's root, for people."""
    shown = "127.0.0.1" if host in ("", "0.0.0.0") else "::1" if host == "::" else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"


def is_own_host(header: str, bound: str) -> bool:
    """Whether a Host header names this machine: what a page at a rebound name cannot do.

    Loopback names and addresses, and `bound`. Of a server that is bound to more than the loopback,
    also its machine's name and every address.
    """
    match = _HOST.fullmatch(header.lower())
    if not match or (match[2] and not 0 < int(match[2]) < 65536):
        return False
    name = match[1].strip("[]").removesuffix(".")
    open_to_others = not _is_loopback(bound)
    own = {"localhost", bound.lower(), *((socket.gethostname().lower(),) if open_to_others else ())}
    if name in own:
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or open_to_others)


def _is_loopback(host: str) -> bool:
    address = _address(host.strip("[]"))
    return host.lower() == "localhost" or bool(address and address.is_loopback)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _answer(
    preview: Preview, bound: str, listeners: threading.Semaphore, environ: Environ
) -> Response:
    if not is_own_host(environ.get("HTTP_HOST", ""), bound):
        return _foreign()
    request = Request(environ)
    name = environ.get("PATH_INFO", "")[len(PREFIX) :]
    wanted = ("POST",) if name == "trial" else ("GET", "HEAD")
    if request.method not in wanted:
        response = _text(405, f"only {' and '.join(wanted)}")
        response.headers["Allow"] = ", ".join(wanted)
        return response
    try:
        if name == "":
            if not environ["PATH_INFO"].endswith("/"):
                return Response(status=308, headers={"Location": PREFIX})
            return _inspector(preview)
        if match := _PICTURE.fullmatch(name):
            return _picture(preview, request, match[1], match[2])
        if name == "images.json":
            return _json(_list(preview), environ)
        if name == "events":
            return _events(preview, listeners, request)
        if name == "trial":
            return _trial(preview, request)
    except BusyError as error:
        response = _text(503, str(error))
        response.headers["Retry-After"] = "1"
        return response
    except (UnavailableError, ModelError) as error:
        return _text(501, str(error))
    except SitecodecError as error:
        return _text(422 if name == "trial" else 500, str(error))
    return _text(404, "not found")


def _picture(preview: Preview, request: Request, digest: str, extension: str) -> Response:
    widths = request.args.getlist("w")
    if len(widths) > 1 or any(not _WIDTH.fullmatch(width) for width in widths):
        return _text(400, "w must be a number of pixels from 1 to 99999")
    width = int(widths[0]) if widths else None
    found = preview.pictures.find(digest, extension, width)
    if found is None:
        return _text(404, "no such payload; build the site again")
    if _has(request, found.tag):
        return _immutable(Response(status=304), found.tag)
    data = found.data or preview.pictures.get(digest, extension, width)
    if data is None:  # it went between the two looks
        return _text(404, "no such payload; build the site again")
    kind = FORMATS.get(extension, "image/avif")
    return _immutable(_safe(Response(data, content_type=kind)), found.tag)


def _has(request: Request, tag: str) -> bool:
    """Whether the client has the picture already."""
    return request.if_none_match.contains_weak(unquote_etag(f'"{tag}"')[0] or "")


def _immutable(response: Response, tag: str) -> Response:
    response.set_etag(tag)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def _inspector(preview: Preview) -> Response:
    folder = preview.settings.templates
    loader = jinja2.FileSystemLoader([*([folder] if folder else []), markup._builtin_folder()])
    template = jinja2.Environment(loader=loader, autoescape=True).get_template(INSPECTOR)
    nonce = secrets.token_urlsafe(16)
    response = Response(
        template.render(nonce=nonce, prefix=PREFIX, decoder_bytes=worker.account([], [], 1).cost),
        mimetype="text/html",
    )
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; img-src 'self' data:; connect-src 'self'; script-src 'nonce-{nonce}';"
        f" style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    return _safe(response)


def _list(preview: Preview) -> dict[str, object]:
    """What the inspector shows; sizes in bytes."""
    serial = preview.serial["images"]
    rows = []
    for item in preview.listed():
        row = asdict(item.result)
        row["path"] = item.path
        row["pages"] = item.pages
        row["tries"] = item.source is not None
        ours = item.result.reason not in ("remote", "outside the site")
        row["url"] = quote(os.fsencode(preview.root + item.path)) if ours else None
        rows.append(row)
    settings = preview.settings
    return {
        "serial": serial,
        "quality": quick_quality(settings.quality),
        "min_tile_score": settings.min_tile_score,
        "root": quote(os.fsencode(preview.root)),
        "images": rows,
    }


def _events(preview: Preview, listeners: threading.Semaphore, request: Request) -> Response:
    """Answer when something has changed, or after a while; the client asks again."""
    what, after = request.args.get("what", ""), request.args.get("after", "")
    if what not in preview.serial or not re.fullmatch(r"-?[0-9]{1,9}", after, re.ASCII):
        return _text(400, "what must be 'pages' or 'images', after a serial number")
    if not listeners.acquire(blocking=False):
        raise BusyError("too many pages listen; close some")
    try:
        serial = preview.wait(what, int(after), _LISTEN_SECONDS)
    finally:
        listeners.release()
    done, total = preview.progress()
    return _json({"serial": serial, "done": done, "total": total}, request.environ)


def _trial(preview: Preview, request: Request) -> Response:
    """The quality dial. Only our own page may ask: it costs time and writes to the store."""
    if not _same_origin(request):
        return _text(403, "not from this page's origin")
    if request.mimetype != "application/json":
        return _text(415, "send JSON")
    if request.content_length is None:
        return _text(411, "say how long the request is")
    if request.content_length > _MOST_POST_BYTES:
        return _text(413, f"at most {_MOST_POST_BYTES} bytes")
    wrong = _text(400, 'send {"image": path, "quality": 0 to 100, "score": true or false}')
    try:
        values = json.loads(request.get_data())
    except (ValueError, RecursionError):
        return wrong
    if not isinstance(values, dict):
        return wrong
    image, quality, score = (values.get(name) for name in ("image", "quality", "score"))
    if not isinstance(image, str) or isinstance(quality, bool):
        return wrong
    if not isinstance(quality, (int, float)) or not 0 <= quality <= 100:
        return wrong
    trial = preview.trial(image, round(float(quality), 2), score=score is True)
    if trial is None:
        return _text(404, "no such image on this site")
    return _json(asdict(trial), request.environ)


def _same_origin(request: Request) -> bool:
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return origin == f"{request.scheme}://{request.headers.get('Host')}" and site == "same-origin"


def _json(values: object, environ: Environ) -> Response:
    response = Response(json.dumps(values), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return _safe(response)


def _text(status: int, message: str) -> Response:
    response = Response(f"{message}\n", status=status, mimetype="text/plain")
    response.headers["Cache-Control"] = "no-store"
    return _safe(response)


def _safe(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _foreign() -> Response:
    return _text(403, "this server answers to the name of its own machine only")


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
                    self._files = dict(self._walk())
                    self._looked = time.monotonic()
                file = self._files.get(path)
        return file

    def _walk(self) -> Iterator[tuple[str, Path]]:
        for folder, folders, names in os.walk(self._root):
            if self._suffixes:
                folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                file = Path(folder, name)
                if self._suffixes and not name.lower().endswith(self._suffixes):
                    continue
                if file.is_symlink() and not Path(os.path.realpath(file)).is_relative_to(
                    self._root
                ):
                    continue
                if file.is_file():  # neither a pipe nor a device
                    yield "/" + file.relative_to(self._root).as_posix(), file

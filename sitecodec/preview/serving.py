"""The commands `serve` and `watch --serve`: the preview under waitress."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.errors import SitecodecError, SiteError
from sitecodec.preview.host_header import guarded
from sitecodec.preview.observing import SUFFIXES
from sitecodec.preview.preview import PREFIX, Preview
from sitecodec.preview.site_files import around, site_app
from sitecodec.settings import Settings
from sitecodec.terminal.printing import printable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from waitress.server import BaseWSGIServer

# Each request that waits for a decode holds a thread; the rest answer those that need not wait.
_THREADS = 200
_log = logging.getLogger("sitecodec")


def create_server(app: WSGIApplication, host: str, port: int) -> BaseWSGIServer:
    """A waitress server, bound to the address but not yet running. Raises SitecodecError."""
    import waitress

    from sitecodec.preview.requests import Channel

    logging.getLogger("waitress").setLevel(logging.ERROR)
    try:
        server = waitress.create_server(
            app,
            host=host,
            port=port,
            threads=_THREADS,
            connection_limit=1000,
            backlog=1024,
            # Requests that are begun and never ended must not hold all connections for long.
            channel_timeout=10,
            cleanup_interval=2,
            max_request_body_size=1 << 16,
            max_request_header_size=1 << 15,
            ident=None,
            asyncore_use_poll=True,  # select() stops at 1,024 open files
            clear_untrusted_proxy_headers=True,
        )
        # Of a name with several addresses there is a server for each.
        for one in (server, *getattr(server, "map", {}).values()):
            if hasattr(one, "channel_class"):
                one.channel_class = Channel
        return server
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
    preview = Preview(settings)
    app = around(site_app(folder, SUFFIXES), preview, bound=host)
    server = create_server(guarded(app, host), host, port)
    echo(f"the inspector is at {url_of(host, server.effective_port)}{PREFIX[1:]}")
    threading.Thread(target=server.run, name="sitecodec server", daemon=True).start()
    try:
        yield preview
    finally:
        preview.close()
        server.close()


@contextmanager
def warnings_to(warn: Callable[[str], None]) -> Iterator[None]:
    """Show the package's warnings; the same one, such as of a full disk, only once."""
    told: set[str] = set()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = printable(record.getMessage().removeprefix("sitecodec: "))
            if message not in told:
                told.add(message)
                warn(message)

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

"""The preview while a host serves: mounted in its server, or in one of our own."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sitecodec.hosts.host import Built

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from sitecodec.preview.preview import Preview

_PATIENCE = 2.0
"""Seconds after the first build in which the live-reload server should have been offered to us."""

_LOOK_SECONDS = 1.0
"""How often we look whether the docs folder is still there."""


class LiveServer(Protocol):
    """A host's own server: it watches the author's files, builds again, and reloads browsers."""

    @property
    def address(self) -> tuple[str, int]:
        """Name or number of the machine that it listens on, and the port."""
        ...

    @property
    def mount_path(self) -> str:
        """The URL path that it serves the site under."""
        ...

    @property
    def reload(self) -> Callable[[], None] | None:
        """What makes browsers reload without a build; None where it cannot: pages get a script."""
        ...

    def wrap(self, around: Callable[[WSGIApplication], WSGIApplication]) -> None:
        """Put an app around its own, before it starts."""
        ...

    def show_what_was_built(self) -> None:
        """Let pages be served after a build that failed: they wait for one that does not."""
        ...

    def watch_again(self, folder: Path) -> bool:
        """Have a folder that came back built, and watched; whether it can do so."""
        ...


class Serving:
    """The state that a host keeps between rebuilds while it serves; `log` is told of all."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._preview: Preview | None = None
        self._reload: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None
        self._own: Any = None
        self._server: LiveServer | None = None
        self._docs: Path | None = None
        self._stop = threading.Event()
        self._open = ExitStack()

    def begin(self, docs: Path, sources: Mapping[str, Path]) -> None:
        """A build begins; `sources` are the author's images by site path."""
        if self._docs is None:
            threading.Thread(target=self._look_after, name="sitecodec docs", daemon=True).start()
        self._docs = docs
        if self._preview:
            self._preview.touch(sources)

    def built(self, built: Built) -> None:
        """A build is done. Raises SettingsError for bad templates."""
        from sitecodec.preview.preview import Preview
        from sitecodec.preview.serving import warnings_to

        if self._preview is None:
            to_log = warnings_to(lambda line: self._log.warning("sitecodec: %s", line))
            self._open.enter_context(to_log)
            self._preview = Preview(built.settings, changed=self._changed)
        self._preview.update(
            built.site,
            built.settings,
            base_path=built.base_path or "/",
            sources=dict(built.sources),
            refused=dict(built.refused),
        )
        if self._server is None and self._own is None and self._timer is None:
            self._timer = threading.Timer(_PATIENCE, self._serve_ourselves)
            self._timer.daemon = True
            self._timer.start()

    def mount(self, server: LiveServer) -> None:
        """Put the preview around the app of the host's server, before it starts."""
        from sitecodec.preview.preview import PREFIX
        from sitecodec.preview.serving import url_of
        from sitecodec.preview.site_files import around

        preview = self._preview
        if preview is None:
            return
        self._server = server
        if self._timer:
            self._timer.cancel()
        self._close_own()
        self._reload = server.reload
        bound, port = server.address
        ours = functools.partial(
            around,
            preview=preview,
            mount=server.mount_path,
            bound=bound,
            reload=self._reload is None,
        )
        server.wrap(ours)
        self._log.info("sitecodec: inspector at %s%s", url_of(bound, port), PREFIX[1:])

    def close(self) -> None:
        """The host shuts down."""
        self._stop.set()
        if self._timer:
            self._timer.cancel()
        if self._preview:
            self._preview.close()
        self._close_own()
        self._open.close()

    def _look_after(self) -> None:
        """Say when the docs folder goes, of which the host says nothing, and build it once back."""
        gone = False
        while not self._stop.wait(_LOOK_SECONDS):
            docs = self._docs
            there = docs is None or docs.is_dir()
            if not there and not gone:
                self._log.warning(
                    "sitecodec: %s is gone; put it back. Until then the last build is shown", docs
                )
            elif there and gone and self._server and docs and not self._server.watch_again(docs):
                self._log.warning("sitecodec: %s is back; start the server again", docs)
            if not there and self._server:
                self._server.show_what_was_built()
            gone = not there

    def _changed(self) -> None:
        if self._reload:
            self._reload()

    def _serve_ourselves(self) -> None:
        """Live reload is off, so there is no server to mount in: start one of our own."""
        from sitecodec.errors import SitecodecError
        from sitecodec.preview.host_header import guarded
        from sitecodec.preview.serving import create_server, url_of
        from sitecodec.preview.site_files import around, site_app

        preview = self._preview
        if preview is None or preview.site is None or self._server is not None:
            return
        host = "127.0.0.1"
        try:
            inner = site_app(preview.site, root=preview.root)
            app = around(inner, preview, mount=preview.root, reload=True)
            self._own = create_server(guarded(app, host), host, 0)
        except SitecodecError as error:
            self._log.warning("sitecodec: %s", error)
            return
        self._log.warning(
            "sitecodec: live reload is off; the site with decoded latents is at %s",
            url_of(host, self._own.effective_port) + preview.root[1:],
        )
        threading.Thread(target=self._own.run, name="sitecodec server", daemon=True).start()

    def _close_own(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None

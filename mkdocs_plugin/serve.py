"""The preview inside `mkdocs serve`: mounted in its server, or in one of our own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sitecodec.preview.preview import Preview
    from sitecodec.settings import Settings

# A child of "mkdocs", as the plugin's own is.
log = logging.getLogger("mkdocs.plugins.sitecodec")

_PATIENCE = 2.0
"""Seconds after the first build in which the live-reload server should have been offered to us."""

_LOOK_SECONDS = 1.0
"""How often we look whether the docs folder is still there."""


class Serving:
    """What the plugin keeps from one rebuild to the next while it serves."""

    def __init__(self) -> None:
        self._preview: Preview | None = None
        self._reload: Callable[[], None] | None = None
        self._mounted = False
        self._timer: threading.Timer | None = None
        self._own: Any = None
        self._server: Any = None
        self._docs: Path | None = None
        self._stop = threading.Event()
        self._sources: dict[str, Path] = {}
        self._open = ExitStack()

    def begin(self, docs: Path, sources: dict[str, Path]) -> None:
        """A build begins; `sources` are the author's images by site path."""
        if self._docs is None:
            threading.Thread(target=self._look_after, name="sitecodec docs", daemon=True).start()
        self._docs = docs
        self._sources = sources
        if self._preview:
            self._preview.touch(sources)

    def built(
        self, site: Path, settings: Settings, base_path: str, refused: dict[str, str]
    ) -> None:
        """A build is done. Raises SettingsError for bad templates."""
        from sitecodec.preview.preview import Preview
        from sitecodec.preview.serving import warnings_to

        if self._preview is None:
            self._open.enter_context(warnings_to(lambda line: log.warning("sitecodec: %s", line)))
            self._preview = Preview(settings, changed=self._changed)
        self._preview.update(
            site, settings, base_path=base_path, sources=self._sources, refused=refused
        )
        if not self._mounted and self._own is None and self._timer is None:
            self._timer = threading.Timer(_PATIENCE, self._serve_ourselves)
            self._timer.daemon = True
            self._timer.start()

    def mount(self, server: Any, bound: str) -> None:  # noqa: ANN401 - of either host
        """Put the preview around the app of the live-reload server, before it starts."""
        from sitecodec.preview.preview import PREFIX
        from sitecodec.preview.serving import url_of
        from sitecodec.preview.site_app import around

        if self._preview is None:
            return
        self._mounted = True
        self._server = server
        if self._timer:
            self._timer.cancel()
        self._close_own()
        self._reload = _reloader(server)
        app = around(
            server.get_app(),
            self._preview,
            mount=getattr(server, "mount_path", "/"),
            bound=bound,
            reload=self._reload is None,
        )
        server.set_app(app)
        port = server.server_address[1]
        log.info("sitecodec: inspector at %s%s", url_of(bound, port), PREFIX[1:])

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
                log.warning(
                    "sitecodec: %s is gone; put it back, until then what was built is shown", docs
                )
            elif there and gone and self._server and docs:
                _watch_again(self._server, docs)
            if not there and self._server:
                _show_what_was_built(self._server)
            gone = not there

    def _changed(self) -> None:
        if self._reload:
            self._reload()

    def _serve_ourselves(self) -> None:
        """Live reload is off, so there is no server to mount in: start one of our own."""
        from sitecodec.errors import SitecodecError
        from sitecodec.preview.own_host import guarded
        from sitecodec.preview.serving import create_server, url_of
        from sitecodec.preview.site_app import around, site_app

        preview = self._preview
        if preview is None or preview.site is None or self._mounted:
            return
        host = "127.0.0.1"
        try:
            inner = site_app(preview.site, root=preview.root)
            app = around(inner, preview, mount=preview.root, reload=True)
            self._own = create_server(guarded(app, host), host, 0)
        except SitecodecError as error:
            log.warning("sitecodec: %s", error)
            return
        log.warning(
            "sitecodec: live reload is off; the site with decoded latents is at %s",
            url_of(host, self._own.effective_port) + preview.root[1:],
        )
        threading.Thread(target=self._own.run, name="sitecodec server", daemon=True).start()

    def _close_own(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None


_EPOCHS = ("_epoch_cond", "_rebuild_cond", "_visible_epoch", "_wanted_epoch")


def _show_what_was_built(server: Any) -> None:  # noqa: ANN401 - of either host
    """Let pages be served after a build that failed: they wait for one that does not."""
    if all(hasattr(server, name) for name in _EPOCHS):
        with server._rebuild_cond, server._epoch_cond:
            server._wanted_epoch = server._visible_epoch
            server._epoch_cond.notify_all()


def _watch_again(server: Any, folder: Path) -> None:  # noqa: ANN401 - of either host
    """Have a folder that came back built, and watched: the observer ended with what was there."""
    if not all(hasattr(server, name) for name in ("_rebuild_cond", "_want_rebuild")):
        log.warning("sitecodec: %s is back; start the server again", folder)
        return
    with suppress(KeyError):  # it was not watched
        server.unwatch(str(folder))
        server.watch(str(folder))
    with server._rebuild_cond:
        server._want_rebuild = True
        server._rebuild_cond.notify_all()


def _reloader(server: Any) -> Callable[[], None] | None:  # noqa: ANN401 - of either host
    """What makes the live-reload server reload its browsers without building again.

    Its own way is a new 'epoch' after each build. Another build would find nothing changed, so
    only the epoch is moved on; where a host has none, pages get a script of ours instead.
    """
    if not all(hasattr(server, name) for name in _EPOCHS):
        return None

    def reload() -> None:
        with server._rebuild_cond, server._epoch_cond:
            if server._visible_epoch != server._wanted_epoch:
                return  # a build is under way, after which browsers are reloaded anyway
            server._visible_epoch = server._wanted_epoch = server._visible_epoch + 1
            server._epoch_cond.notify_all()

    return reload

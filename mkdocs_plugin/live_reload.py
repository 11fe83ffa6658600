"""The live-reload server of MkDocs and ProperDocs, as `sitecodec.hosts.live_preview` wants one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_EPOCHS = ("_epoch_cond", "_rebuild_cond", "_visible_epoch", "_wanted_epoch")


@dataclass(frozen=True)
class LiveReload:
    """The server of either host, and the address that it is asked to listen on."""

    server: Any
    bound: str

    @property
    def address(self) -> tuple[str, int]:
        """Name or number of the machine that it listens on, and the port."""
        return self.bound, self.server.server_address[1]

    @property
    def mount_path(self) -> str:
        """The URL path that it serves the site under."""
        return str(getattr(self.server, "mount_path", "/"))

    @property
    def reload(self) -> Callable[[], None] | None:
        """What makes browsers reload without a build; None where the host has no epochs.

        Its own way is a new 'epoch' after each build. Another build would find nothing changed, so
        only the epoch is moved on.
        """
        return self._new_epoch if self._has(*_EPOCHS) else None

    def wrap(self, around: Callable[[WSGIApplication], WSGIApplication]) -> None:
        """Put an app around its own, before it starts."""
        self.server.set_app(around(self.server.get_app()))

    def show_what_was_built(self) -> None:
        """Let pages be served after a build that failed: they wait for one that does not."""
        if self._has(*_EPOCHS):
            with self.server._rebuild_cond, self.server._epoch_cond:
                self.server._wanted_epoch = self.server._visible_epoch
                self.server._epoch_cond.notify_all()

    def watch_again(self, folder: Path) -> bool:
        """Have a folder that came back built, and watched: the observer ended with it."""
        if not self._has("_rebuild_cond", "_want_rebuild"):
            return False
        with suppress(KeyError):  # it was not watched
            self.server.unwatch(str(folder))
            self.server.watch(str(folder))
        with self.server._rebuild_cond:
            self.server._want_rebuild = True
            self.server._rebuild_cond.notify_all()
        return True

    def _new_epoch(self) -> None:
        server = self.server
        with server._rebuild_cond, server._epoch_cond:
            if server._visible_epoch != server._wanted_epoch:
                return  # a build is under way, after which browsers are reloaded anyway
            server._visible_epoch = server._wanted_epoch = server._visible_epoch + 1
            server._epoch_cond.notify_all()

    def _has(self, *names: str) -> bool:
        return all(hasattr(self.server, name) for name in names)

"""The MkDocs plugin: hands the finished site to sitecodec.site.build.rewrite_site, and reports."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin, event_priority
from mkdocs.structure.files import Files, InclusionLevel

from mkdocs_plugin.config import SitecodecConfig, to_settings
from mkdocs_plugin.serve import Serving
from sitecodec.errors import SitecodecError
from sitecodec.progress import progress_bar
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from sitecodec.site.summary import table

if TYPE_CHECKING:
    from mkdocs.livereload import LiveReloadServer

# A child of "mkdocs", so that warnings count in strict mode.
log = logging.getLogger("mkdocs.plugins.sitecodec")

_IMAGES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".avif", ".svg", ".bmp")


class SitecodecPlugin(BasePlugin[SitecodecConfig]):  # type: ignore[no-untyped-call]
    """Compresses the images of a built site; `mkdocs serve` shows them as they will look."""

    def __init__(self) -> None:
        self._serving: Serving | None = None
        self._settings = Settings()
        self._dirty = False
        self._refused: dict[str, str] = {}

    def on_startup(self, *, command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
        """Remember whether this is the preview server, and whether old pages are kept."""
        self._serving = Serving() if command == "serve" else None
        self._dirty = dirty

    def on_config(self, config: MkDocsConfig) -> None:
        """Check the options. Raises PluginError."""
        folder = Path(config.config_file_path or "mkdocs.yml").resolve().parent
        forbidden = {"docs_dir": Path(config.docs_dir), "site_dir": Path(config.site_dir)}
        try:
            self._settings = to_settings(self.config, folder, forbidden)
        except SitecodecError as error:
            raise PluginError(f"sitecodec: {error}") from error

    def on_files(self, files: Files, *, config: MkDocsConfig) -> Files:
        """Note links out of the docs folder, which MkDocs would follow silently.

        Images that cannot be read, which MkDocs would stop at, are left out of the built site, so
        that they are reported with the page that names them.
        """
        self._refused = {}
        if self._serving:
            self._serving.begin(
                Path(config.docs_dir),
                {
                    file.dest_uri: Path(file.abs_src_path)
                    for file in files
                    if file.abs_src_path and file.src_uri.lower().endswith(_IMAGES)
                },
            )
        folder = config.docs_dir
        docs = os.path.realpath(folder)
        inside = functools.cache(lambda place: Path(os.path.realpath(place)).is_relative_to(docs))
        for file in files:
            if not file.src_uri.lower().endswith(_IMAGES):
                continue
            source = file.abs_src_path  # found out anew each time
            if source is None:
                continue
            if not os.access(source, os.R_OK):
                broken = Path(source).is_symlink() and not Path(source).exists()
                self._refused[file.dest_uri] = (
                    "is a broken link; mend or remove it"
                    if broken
                    else "cannot be read; check its permissions"
                )
                file.inclusion = InclusionLevel.EXCLUDED
            elif file.src_dir == folder:
                # Of a string, since every image passes here; folders are few.
                linked = os.path.islink(source)  # noqa: PTH114
                if not inside(source if linked else os.path.dirname(source)):  # noqa: PTH120
                    self._refused[file.dest_uri] = (
                        "is a link that leaves the docs folder; replace it by a copy"
                    )
        return files

    # After every plugin that adds or changes pages, before those that pack up the site.
    @event_priority(-75)
    def on_post_build(self, *, config: MkDocsConfig) -> None:
        """Rewrite the built site; one warning for each problem. Raises PluginError."""
        base_path = urlsplit(config.site_url or "").path or "/"
        try:
            if self._serving:
                site = Path(config.site_dir)
                self._serving.built(site, self._settings, base_path, self._refused)
                return
            with progress_bar("Encoding images") as progress:
                summary = rewrite_site(
                    Path(config.site_dir),
                    self._settings,
                    base_path=base_path,
                    refused=self._refused,
                    fresh=not self._dirty,
                    progress=progress,
                )
        except SitecodecError as error:
            raise PluginError(f"sitecodec: {error}") from error
        for problem in summary.problems:
            log.warning("sitecodec: %s", problem)
        for line in table(summary).splitlines():
            log.info("%s", line)

    # After every plugin that puts something around the server, so that its pages are final.
    @event_priority(-75)
    def on_serve(
        self,
        server: LiveReloadServer,
        *,
        config: MkDocsConfig,
        builder: Callable[..., None],
    ) -> LiveReloadServer:
        """Mount the preview in the live-reload server."""
        if self._serving:
            self._serving.mount(server, config.dev_addr.host)
        return server

    def on_shutdown(self) -> None:
        """Stop encoding."""
        if self._serving:
            self._serving.close()

"""The MkDocs plugin: hands the finished site to sitecodec.site.build.rewrite_site, and reports."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin, event_priority
from mkdocs.structure.files import Files, InclusionLevel

from sitecodec.errors import SitecodecError
from sitecodec.facts.formats import picture_suffixes
from sitecodec.hosts.host import Built, rewrite
from sitecodec.hosts.live_preview import Serving
from sitecodec.settings import Settings
from sitecodec.site.files import is_inside, repository
from sitecodec.terminal.printing import printable

from .config import SitecodecConfig, to_settings
from .live_reload import LiveReload

if TYPE_CHECKING:
    from mkdocs.livereload import LiveReloadServer

# A child of "mkdocs", so that warnings count in strict mode.
log = logging.getLogger("mkdocs.plugins.sitecodec")

_IMAGES = picture_suffixes()
_LONG_REFERENCE = re.compile(r"&#(?:([xX])([0-9a-fA-F]{1000,}+)|([0-9]{1000,}+));?")


def _shortened(reference: re.Match[str]) -> str:
    """The same character as browsers read it: of what is no character, the replacement."""
    digits = (reference[2] or reference[3]).lstrip("0")
    return f"&#{reference[1] or ''}{digits or '0'};" if len(digits) < 8 else "&#xFFFD;"


class SitecodecPlugin(BasePlugin[SitecodecConfig]):  # type: ignore[no-untyped-call]
    """Compresses the images of a built site; `mkdocs serve` shows them as they will look."""

    def __init__(self) -> None:
        self._serving: Serving | None = None
        self._settings = Settings()
        self._refused: dict[str, str] = {}
        self._sources: dict[str, Path] = {}

    def on_startup(self, *, command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
        """Remember whether this is the preview server."""
        self._serving = Serving(log) if command == "serve" else None

    def on_config(self, config: MkDocsConfig) -> None:
        """Check the options. Raises PluginError."""
        folder = Path(config.config_file_path or "mkdocs.yml").resolve().parent
        forbidden = {"docs_dir": Path(config.docs_dir), "site_dir": Path(config.site_dir)}
        try:
            self._settings = to_settings(self.config, folder, forbidden)
        except SitecodecError as error:
            raise PluginError(f"sitecodec: {error}") from error

    def on_files(self, files: Files, *, config: MkDocsConfig) -> Files:
        """Note links that leave the project, which MkDocs would follow silently.

        They may lead into the docs folder, that of the configuration file, and the repository.
        Images that cannot be read, and pipes and devices in place of images, are left out of the
        built site, so that they are reported with the page that names them: MkDocs would stop at
        them, or copy without end.
        """
        self._refused = {}
        self._sources = {
            file.dest_uri: Path(file.abs_src_path)
            for file in files
            if file.abs_src_path and file.src_uri.lower().endswith(_IMAGES)
        }
        if self._serving:
            self._serving.begin(Path(config.docs_dir), self._sources)
        folder = config.docs_dir
        docs = os.path.realpath(folder)
        project = os.path.dirname(os.path.realpath(config.config_file_path or docs))  # noqa: PTH120
        roots = (docs, project, repository(docs) or docs)

        @functools.cache
        def inside(place: str) -> bool:
            real = f"{os.path.realpath(place)}/"
            return any(is_inside(real, root) for root in roots)

        for file in files:
            if not file.src_uri.lower().endswith(_IMAGES):
                continue
            source = file.abs_src_path  # found out anew each time
            if source is None:
                continue
            if why := _unusable(source):
                self._refused[file.dest_uri] = why
                file.inclusion = InclusionLevel.EXCLUDED
            elif file.src_dir == folder:
                # Of a string, since every image passes here; folders are few.
                linked = os.path.islink(source)  # noqa: PTH114
                if not inside(source if linked else os.path.dirname(source)):  # noqa: PTH120
                    self._refused[file.dest_uri] = (
                        "is a link that leaves the project; replace it by a copy"
                    )
        return files

    @event_priority(100)
    def on_page_markdown(self, markdown: str, **_: object) -> str:
        """Shorten character references of thousands of digits, which stop Python-Markdown."""
        return _LONG_REFERENCE.sub(_shortened, markdown) if "&#" in markdown else markdown

    # After every plugin that adds or changes pages, before those that pack up the site.
    @event_priority(-75)
    def on_post_build(self, *, config: MkDocsConfig) -> None:
        """Rewrite the built site; one warning for each problem. Raises PluginError."""
        base_path = urlsplit(config.site_url or "").path or "/"
        site = Path(config.site_dir)
        built = Built(site, self._settings, base_path, self._refused, self._sources)
        try:
            if self._serving:
                self._serving.built(built)
            else:
                rewrite(built, log)
        except SitecodecError as error:
            raise PluginError(printable(f"sitecodec: {error}")) from error

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
            self._serving.mount(LiveReload(server, config.dev_addr.host))
        return server

    def on_shutdown(self) -> None:
        """Stop encoding."""
        if self._serving:
            self._serving.close()


def _unusable(source: str) -> str:
    """Why MkDocs cannot copy an image; '' if it can."""
    if not os.path.exists(source):  # noqa: PTH110 - of a string, as every image passes here
        return "is a broken link; mend or remove it"
    if not os.path.isfile(source):  # noqa: PTH113
        return "is not a file; remove it"
    return "" if os.access(source, os.R_OK) else "cannot be read; check its permissions"

"""A program that builds sites, called a host: what it says of a site, and what is done with it.

Another host is one module beside this one. It makes a `Built` when its site is finished and calls
`rewrite`; where it has a preview server, it keeps a `serving.Serving` between its builds.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sitecodec.settings import Settings
from sitecodec.site.summary import Summary, table
from sitecodec.terminal.progress import progress_bar


@dataclass(frozen=True)
class Built:
    """A site that a host has just built."""

    site: Path
    """The folder that it was built into."""

    settings: Settings

    base_path: str | None = None
    """The URL path that it is served under; None where the host does not know: pages may tell."""

    refused: Mapping[str, str] = field(default_factory=dict)
    """Images by site path that must not be read, and why."""

    sources: Mapping[str, Path] = field(default_factory=dict)
    """The author's images by site path, for previews that watch them."""


def rewrite(built: Built, log: logging.Logger) -> Summary | None:
    """Rewrite the site, with a bar on a terminal; problems and a table of what was done in the log.

    None where the variable SITECODEC=off asks for the site as the host made it, as
    `sitecodec check` does. Raises SiteError, SettingsError for bad templates, and what the codec
    raises if it cannot work at all.
    """
    if os.environ.get("SITECODEC") == "off":
        return None
    from sitecodec.site.build import rewrite_site

    with progress_bar("Encoding images") as progress:
        summary = rewrite_site(
            built.site,
            built.settings,
            base_path=built.base_path,
            refused=built.refused,
            progress=progress,
        )
    for problem in summary.problems:
        log.warning("sitecodec: %s", problem)
    for line in table(summary).splitlines():
        log.info("%s", line)
    return summary

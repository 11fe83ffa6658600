"""The site around a page: what all who look at its pages and images are given."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sitecodec.settings import Settings
from sitecodec.site.files import File
from sitecodec.site.findings import Findings
from sitecodec.site.layout import Layouts


class Surroundings(NamedTuple):
    """The site around a page that is looked at, and where all is gathered."""

    site: Path
    root: str
    """The URL path of the site."""

    settings: Settings
    known: dict[str, File | str]
    """The files that were looked for, or what is wrong with them, by site path."""

    findings: Findings
    layouts: Layouts

"""The images of a site that its author previews, before and after a build has rewritten it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sitecodec.disk.folders import plain
from sitecodec.page import themes
from sitecodec.settings import Settings
from sitecodec.site import assets, manifest, survey
from sitecodec.site.files import File, find
from sitecodec.site.layout import Layouts
from sitecodec.site.pages import names_in


def look_through(
    site: Path, root: str, settings: Settings, refused: Mapping[str, str]
) -> tuple[survey.Findings, dict[str, survey.File | str]]:
    """All images of a site's pages, and where their files are. Raises OSError."""
    findings = survey.Findings()
    files: dict[str, survey.File | str] = dict(refused)
    pages, _ = names_in(site, findings)
    layouts = Layouts(site, root, settings.markup)
    around = survey.Surroundings(site, root, settings, files, findings, layouts)
    for name in pages:
        try:
            survey.survey(around, name)
        except Exception as error:  # of whatever a page may hold
            findings.unexpected(name, "", error)
    if (site / settings.asset_dir).is_dir():
        _find_built(site, pages, settings, findings)
    return findings, files


def _find_built(
    site: Path, pages: list[str], settings: Settings, findings: survey.Findings
) -> None:
    """Find the sources of a site that was built: its manifest says of which each file is."""
    named: dict[str, list[str]] = {}
    for page in pages:
        with suppress(OSError):
            data = plain(site / page)
            theme = themes.of_page(data)
            findings.content_width = findings.content_width or (theme.width if theme else 0)
            for stem in assets.named_in(data):
                named.setdefault(stem, []).append(page)
    for entry in manifest.read(site, settings.asset_dir).entries:
        shown: set[str] = set()
        for file in entry.files:
            for stem in assets.named_in(os.fsencode(file.path)):
                shown.update(named.pop(stem, ()))
        if shown and isinstance(find(site, entry.path), File):
            findings.uses[entry.path] = sorted(shown)
    for stem, unknown in named.items():
        message = f"its source is not in {manifest.NAME}; build the site again"
        findings.problem(unknown[0], f"{settings.asset_dir}/…-{stem}", message)

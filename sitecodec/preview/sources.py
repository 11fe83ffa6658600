"""Which images a site has that its author previews, before and after a build has rewritten it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from sitecodec.encoding import jobs
from sitecodec.errors import SitecodecError
from sitecodec.settings import Settings
from sitecodec.site import assets, survey
from sitecodec.site.pages import names_in
from sitecodec.site.scans import content_width

_ENCODABLE = (".png", ".jpg", ".jpeg", ".webp", ".jfif", ".jpe")

Recall: TypeAlias = Callable[[Path, int], jobs.Outcome | None]
"""The outcome of a file for a content width, in pixels, as far as the store has it."""


def look_through(
    site: Path, root: str, settings: Settings, refused: Mapping[str, str], recall: Recall
) -> tuple[survey.Findings, dict[str, survey.File | str]]:
    """All images of a site's pages, and where their files are. Raises OSError."""
    findings = survey.Findings()
    files: dict[str, survey.File | str] = dict(refused)
    pages, _ = names_in(site, findings)
    for name in pages:
        survey.survey(site, name, root, settings, files, findings)
    if (site / settings.asset_dir).is_dir():
        _find_built(site, pages, settings, findings, recall)
    return findings, files


def _find_built(
    site: Path, pages: list[str], settings: Settings, findings: survey.Findings, recall: Recall
) -> None:
    """Find the sources of a site that was built: their outcomes lead to the files' names."""
    named: dict[str, list[str]] = {}
    for page in pages:
        with suppress(OSError):
            data = (site / page).read_bytes()
            findings.content_width = findings.content_width or content_width(data)
            for stem in assets.named_in(data):
                named.setdefault(stem, []).append(page)
    for path in _images_of(site, settings.asset_dir):
        with suppress(SitecodecError):
            outcome = recall(site / path, findings.content_width)
            if outcome and outcome.variants:
                shown: set[str] = set()
                for files in jobs.by_width(outcome):
                    shown.update(named.pop(assets.fingerprint(files), ()))
                if shown:
                    findings.uses[path] = sorted(shown)
    for stem, unknown in named.items():
        message = "source not found in the store"
        findings.problem(unknown[0], f"{settings.asset_dir}/…-{stem}", message)


def _images_of(site: Path, without: str) -> Iterator[str]:
    """Site paths of the files that may be sources."""
    for folder, folders, names in os.walk(site):
        here = Path(folder).relative_to(site).as_posix()
        if here == without:
            folders.clear()
            continue
        for name in names:
            if name.lower().endswith(_ENCODABLE):
                yield name if here == "." else f"{here}/{name}"

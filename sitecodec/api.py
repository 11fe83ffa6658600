"""The functions that other programs may build on: the names in `sitecodec.__all__`.

Their signatures change only with a new major version. All other modules may change at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.settings import Settings

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels
    from sitecodec.report.weight import Report
    from sitecodec.site.summary import Summary

__all__ = ["Settings", "build_site", "decode", "encode", "report_site"]

_SETTINGS = Settings()


def encode(
    pixels: Pixels, score: float = Settings.quality, *, effort: int = Settings.effort
) -> bytes:
    """Encode a picture to a payload (`.slat`) of the built-in model.

    `pixels` is sRGB, uint8, of shape (height, width, 3), or (height, width, 4) with straight alpha.
    `score` is the SSIMULACRA2 score to reach, up to 100. `effort`, 0 to 9, trades time for bytes;
    from 5 on it needs torch.
    Raises SettingsError if no quality reaches the score, and ModelError without the effort's torch.
    """
    from sitecodec.cli import web

    return web.encode(pixels, web.Aim(0.0, score=score), effort, "score")


def decode(payload: bytes) -> Pixels:
    """Decode a payload of any codec.

    Gives sRGB, uint8, of shape (height, width, 3), or (height, width, 4) where it has alpha.
    Raises PayloadError if it is none or is damaged, ModelError if its model is not installed.
    """
    from sitecodec import codecs

    return codecs.decode(payload)


def build_site(
    site: Path,
    settings: Settings = _SETTINGS,
    *,
    base_path: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Encode the images that a built site's pages show, and rewrite its pages to offer them.

    `base_path` is the URL path that the site is served under; without it, the first page's
    canonical link tells it. `progress` is called with the numbers of images done and in all. Images
    that cannot be taken are `problems` of the summary.
    Raises SiteError if the site cannot be read or written, SettingsError for bad templates.
    """
    from sitecodec.site.build import rewrite_site

    return rewrite_site(site, settings, base_path=base_path, progress=progress)


def report_site(
    site: Path,
    settings: Settings = _SETTINGS,
    *,
    base_path: str | None = None,
    device: str = "mobile",
    budgets: Iterable[str] = (),
) -> Report:
    """Weigh and audit every page of a built site.

    `base_path` is as for `build_site`. `device` is "mobile" or "desktop". `budgets` are written as
    "page=500kB" or "image=150kB".
    Raises SiteError if there are no pages, SettingsError for bad budgets.
    """
    from sitecodec.report.weight import measure

    asset_dir = settings.asset_dir
    return measure(site, asset_dir=asset_dir, base_path=base_path, device=device, budgets=budgets)

"""The plugin's options in mkdocs.yml: those of sitecodec.settings.Settings, with its defaults."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from mkdocs.config import base
from mkdocs.config import config_options as c

from sitecodec.errors import SettingsError
from sitecodec.settings import Settings, from_mapping


class SitecodecConfig(base.Config):  # type: ignore[no-untyped-call]
    """What stands under `sitecodec:` in the `plugins` of mkdocs.yml."""

    quality = c.Type((int, float, str), default=Settings.quality)
    """The score (SSIMULACRA2) to reach: up to 100, or low, medium, high."""

    min_tile_score = c.Type((int, float), default=Settings.min_tile_score)
    """What every part of an encoded image has to score at least."""

    codec = c.Type(str, default=Settings.codec)
    """What payloads are made with: web, or sd, which only the preview shows."""

    model = c.Type(str, default=Settings.model)
    """The codec's model: built in, or one that you have trained and added."""

    effort = c.Type(int, default=Settings.effort)
    """How hard to work on payloads, 0 to 9; from 5 on latents are refined, which needs torch."""

    widths = c.ListOfItems(c.Type(int), default=list(Settings.widths))
    """Widths in pixels to make of each image; without any, by the theme's content width."""

    exclude = c.ListOfItems(c.Type(str), default=list(Settings.exclude))
    """Globs of site paths, of images or of pages, whose images are left alone."""

    asset_dir = c.Type(str, default=Settings.asset_dir)
    """Folder of the built site that receives the encoded files."""

    min_bytes = c.Type(int, default=Settings.min_bytes)
    """Sources smaller than this are left alone."""

    max_pixels = c.Type(int, default=Settings.max_pixels)
    """Sources with more pixels than this are refused with a warning."""

    originals = c.Type(str, default=Settings.originals)
    """'keep', or 'drop' to remove encoded sources that nothing in the built site names."""

    placeholder = c.Type(str, default=Settings.placeholder)
    """What stands in an image's place while it loads: blur, colour or off."""

    store = c.Type(str, default=Settings.store.as_posix())
    """Folder of the store, relative to mkdocs.yml; not inside docs_dir or site_dir."""

    templates = c.Optional(c.Type(str))
    """Folder, relative to mkdocs.yml, whose picture.html.jinja replaces the built-in one."""

    workers = c.Type(int, default=Settings.workers)
    """Images encoded at once; 0 takes one for each processor."""

    browser = c.Type(str, default=Settings.browser)
    """Whether the site gets the service worker that decodes payloads: auto, always or never."""


def to_settings(config: SitecodecConfig, folder: Path, forbidden: dict[str, Path]) -> Settings:
    """The options as Settings; relative paths are taken from `folder`, that of mkdocs.yml.

    `forbidden` names the folders that the store must not be in. Raises SettingsError.
    """
    names = [field.name for field in fields(Settings)]
    settings = from_mapping({name: config[name] for name in names}, folder)
    for name, path in forbidden.items():
        if settings.store.resolve().is_relative_to(path.resolve()):
            raise SettingsError(
                f"store must not be inside {name} ({path}); choose a folder such as"
                f" {Settings.store.as_posix()!r} beside mkdocs.yml"
            )
    return settings

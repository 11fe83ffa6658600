"""The plugin's options in mkdocs.yml. They and their defaults are those of `Settings`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from mkdocs.config import base
from mkdocs.config import config_options as c

from sitecodec.errors import SettingsError
from sitecodec.settings import Settings, from_mapping


class SitecodecConfig(base.Config):  # type: ignore[no-untyped-call]
    """The options under `sitecodec:` in the `plugins` of mkdocs.yml."""

    quality = c.Type((int, float, str), default=Settings.quality)
    """The score (SSIMULACRA2) to reach, from 0 to 100, or low, medium or high."""

    min_tile_score = c.Type((int, float), default=Settings.min_tile_score)
    """The score that each part of 256x256 pixels must reach."""

    codec = c.Type(str, default=Settings.codec)
    """How payloads are made: web, or sd, which only the preview shows."""

    model = c.Type(str, default=Settings.model)
    """The model of the codec: a built-in one, or one that you have trained and added."""

    effort = c.Type(int, default=Settings.effort)
    """How hard a build works on payloads, from 0 to 9; from 5 on it needs torch."""

    widths = c.ListOfItems(c.Type(int), default=list(Settings.widths))
    """The widths in pixels to make of each image; without any, by the theme's content width."""

    exclude = c.ListOfItems(c.Type(str), default=list(Settings.exclude))
    """Globs of images or pages that stay as they are."""

    markup = c.Type(str, default=Settings.markup)
    """How pages offer the encoded files: auto, picture or img."""

    asset_dir = c.Type(str, default=Settings.asset_dir)
    """The folder of the built site that receives the encoded files."""

    min_bytes = c.Type(int, default=Settings.min_bytes)
    """Images with fewer bytes than this stay as they are."""

    max_pixels = c.Type(int, default=Settings.max_pixels)
    """Images with more pixels than this are not processed; a warning names them."""

    originals = c.Type(str, default=Settings.originals)
    """'keep', or 'drop' to remove encoded originals that nothing in the built site names."""

    placeholder = c.Type(str, default=Settings.placeholder)
    """The picture in an image's place while it loads: blur, colour or off."""

    store = c.Type(str, default=Settings.store.as_posix())
    """The folder of the store, relative to mkdocs.yml; not inside docs_dir or site_dir."""

    templates = c.Optional(c.Type(str))
    """A folder, relative to mkdocs.yml, whose picture.html.jinja replaces the built-in one."""

    workers = c.Type(int, default=Settings.workers)
    """The number of images to encode at once; 0 means one for each processor."""

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

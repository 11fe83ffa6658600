"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from sitecodec import settings

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=settings.CONFIG_NAME,
    show_default=True,
    help="Settings in TOML; the defaults where there is no such file.",
)

"""Options, types of arguments and functions for files that several commands share."""

from __future__ import annotations

import math
from pathlib import Path

import click

from sitecodec import settings
from sitecodec.disk.folders import plain
from sitecodec.errors import ImageError

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
NEW_FILE = click.Path(path_type=Path, dir_okay=False)

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the settings from this TOML file, or from an mkdocs.yml with the plugin. Without"
    " this"
    f" option: the first of {', '.join(settings.CONFIG_NAMES)} in the current folder.",
)
base_path_option = click.option(
    "--base-path",
    help="The URL path at which the site is served, such as /docs/. Without this option, the"
    " canonical URL of the first page tells it, or else it is /.",
)
host_option = click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on. With the default, only this machine can connect.",
)
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8001,
    show_default=True,
    help="The port to listen on; 0 takes any free one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


class Score(click.FloatRange):
    """A number in a range; NaN, which is neither below nor above it, is none."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number. Raises click.BadParameter."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


def read(path: Path) -> bytes:
    """A file's bytes. Raises ImageError, which names it, if they cannot be read."""
    try:
        return plain(path)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error


def write(path: Path, data: bytes) -> None:
    """Write a file. Raises ImageError, which names it, if that fails."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error

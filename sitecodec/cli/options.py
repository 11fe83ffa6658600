"""Options, types of arguments and ways with files that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from sitecodec import settings
from sitecodec.errors import ImageError

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
NEW_FILE = click.Path(path_type=Path, dir_okay=False)

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=settings.CONFIG_NAME,
    show_default=True,
    help="Settings in TOML; the defaults where there is no such file.",
)


def read(path: Path) -> bytes:
    """A file's bytes. Raises ImageError, which names it, if they cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error


def write(path: Path, data: bytes) -> None:
    """Write a file. Raises ImageError, which names it, if that fails."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error

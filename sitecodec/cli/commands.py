"""The command line: parse, call, print.

Exit status: 0 for success, 1 for problems found, 2 for wrong use.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

import click

import sitecodec
from sitecodec.cli import cache, check, models, payloads, sites
from sitecodec.errors import SettingsError, SitecodecError
from sitecodec.terminal.printing import printable


class _Commands(click.Group):
    """A group that reports an error in one line, without a stack trace."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run a command. A SitecodecError becomes its exit status."""
        _open_closed()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # names may hold what it has no bytes for
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.UsageError(printable(str(error))) from error
        except SitecodecError as error:
            raise click.ClickException(printable(str(error))) from error
        except OSError as error:  # of a disk that is full, a terminal that is gone
            if error.errno == errno.EPIPE:
                raise  # which click knows
            where = "" if error.filename is None else f" {printable(os.fsdecode(error.filename))}"
            what = (error.strerror or str(error)).lower()
            raise click.ClickException(
                f"cannot use{where or ' the output'}: {what}; free some space or check the"
                " permissions"
            ) from error


def _open_closed() -> None:
    """Standard streams that are closed, as some services start commands, lead nowhere.

    Else the next file that is opened would get the number of one, and the text of others.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(sitecodec.__version__)
def main() -> None:
    """Make the images of a static site smaller: AVIF, WebP and neural payloads, with fallbacks."""


for command in (
    *(sites.build, sites.report, sites.serve, sites.watch),
    *(payloads.encode, payloads.decode, payloads.info, payloads.bench),
    *(cache.cache, check.check, models.models, models.compare),
):
    main.add_command(command)

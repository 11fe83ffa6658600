"""The command line: parse, call, print.

Exit status: 0 done, 1 problems found, 2 wrong use.
"""

from __future__ import annotations

from typing import Any

import click

import sitecodec
from sitecodec.cli import cache, payloads, sd, sites
from sitecodec.errors import SettingsError, SitecodecError


class _Commands(click.Group):
    """Says what went wrong in one line, without a stack trace."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run a command; our errors become its exit status."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.UsageError(str(error)) from error
        except SitecodecError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(sitecodec.__version__)
def main() -> None:
    """Compress a static site's images into latent payloads with JPEG fallbacks."""


for command in (
    *(sites.build, sites.report, sites.serve, sites.watch),
    *(payloads.encode, payloads.decode, payloads.info, payloads.bench),
    *(cache.cache, sd.models, sd.compare),
):
    main.add_command(command)

"""The command that compares two built sites in a browser."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from sitecodec.cli.options import FILE, FOLDER, NEW_FILE, json_option, write
from sitecodec.errors import SiteError
from sitecodec.terminal.progress import progress_bar


@click.command()
@click.argument("plain", type=FOLDER, required=False)
@click.argument("built", type=FOLDER, required=False)
@click.option(
    "--mkdocs",
    type=FILE,
    help="Build the site of this mkdocs.yml without sitecodec and with it, and compare the two.",
)
@click.option(
    "--browser",
    type=click.Choice(["chromium", "firefox"]),
    default="chromium",
    show_default=True,
    help="The browser to use, as installed on this machine. Firefox must be 129 or newer, and"
    " cannot compare pages with scripts off.",
)
@click.option(
    "--base-path",
    help="The URL path at which the sites are served. Without this option, the canonical URL of the"
    " pages tells it.",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    help="Open this many pages, chosen at random. Without this option, all changed pages are"
    " opened.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Another number chooses another sample.",
)
@json_option
@click.option(
    "--html",
    "html_file",
    type=NEW_FILE,
    help="Also write an HTML page that shows both sides of every difference.",
)
def check(
    plain: Path | None,
    built: Path | None,
    mkdocs: Path | None,
    as_json: bool,
    html_file: Path | None,
    **wanted: object,
) -> None:
    """Compare a site with sitecodec and without it, page by page, in a browser.

    PLAIN is the folder that the site generator built. BUILT is the same folder after `sitecodec
    build`. The command exits with 1 if a page looks or works differently, or loads more bytes. It
    needs the extra `check`.

    \b
    Example: hugo -d plain && cp -r plain built && sitecodec build built
             sitecodec check plain built --html check.html
    Example: sitecodec check --mkdocs mkdocs.yml
    """
    from sitecodec.check import report, side_by_side, site

    if bool(plain) != bool(built) or bool(plain) == bool(mkdocs):
        raise click.UsageError("name two folders, PLAIN and BUILT, or --mkdocs mkdocs.yml")
    options = site.Wanted(**wanted, evidence=bool(html_file))  # type: ignore[arg-type]
    with contextlib.ExitStack() as stack:
        if mkdocs:
            plain, built = stack.enter_context(_mkdocs_builds(mkdocs))
        assert plain
        assert built
        progress = stack.enter_context(progress_bar("Looking"))
        result = site.check(plain, built, options, progress)
    click.echo(report.as_json(result) if as_json else report.table(result))
    if html_file:
        write(html_file, side_by_side.render(result))
    if result.faults:
        sys.exit(1)


@contextlib.contextmanager
def _mkdocs_builds(config: Path) -> Iterator[tuple[Path, Path]]:
    """The sites that MkDocs builds without the plugin and with it; they go when the block ends."""
    with tempfile.TemporaryDirectory(prefix="sitecodec-check-") as folder:
        sites = Path(folder) / "plain", Path(folder) / "built"
        for site, switch in zip(sites, ("off", "on"), strict=True):
            click.echo(f"building {config} with sitecodec {switch}", err=True)
            command = [sys.executable, "-m", "mkdocs", "build", "-q"]
            done = subprocess.run(
                [*command, "-f", str(config), "-d", str(site)],
                env=os.environ | {"SITECODEC": switch},
            )
            if done.returncode:
                raise SiteError(f"mkdocs could not build {config}; run mkdocs build and mend it")
        yield sites

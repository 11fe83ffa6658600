"""The commands for sites: build, report, serve and watch."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sitecodec import settings as settings_module
from sitecodec.cli.options import (
    FOLDER,
    NEW_FILE,
    base_path_option,
    config_option,
    host_option,
    json_option,
    port_option,
    write,
)
from sitecodec.settings import Settings
from sitecodec.terminal.printing import count
from sitecodec.terminal.progress import progress_bar


@click.command()
@click.argument("site_dir", type=FOLDER)
@config_option
@click.option(
    "--quality",
    help="The score that images must reach: a number from 0 to 100, or low (50), medium (65) or"
    " high (75). Without this option, the setting `quality` counts, which is 65 by default.",
)
@base_path_option
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with 1 if any image could not be processed. Use it in CI.",
)
def build(
    site_dir: Path, config: Path | None, quality: str | None, base_path: str | None, strict: bool
) -> None:
    """Make the images of a built site smaller. Changes the site in place.

    \b
    Example: hugo && sitecodec build public
    """
    from sitecodec.site import build as site
    from sitecodec.site import summary

    settings = _settings(config, quality)
    with progress_bar("Encoding images") as progress:
        result = site.rewrite_site(site_dir, settings, base_path=base_path, progress=progress)
    for problem in result.problems:
        click.echo(f"warning: {problem}", err=True)
    click.echo(summary.table(result))
    if strict and result.problems:
        number = count(len(result.problems), "image")
        raise click.ClickException(f"{number} could not be processed; mend or exclude them")


@click.command()
@click.argument("site_dir", type=FOLDER, required=False)
@config_option
@host_option
@port_option
def serve(site_dir: Path | None, config: Path | None, host: str, port: int) -> None:
    """Serve a built site with decoded payloads, and an inspector of its images.

    Without SITE_DIR, the command looks for a built site in these folders: ., site, public, _site,
    dist, build, output.

    \b
    Example: sitecodec serve public
    """
    from sitecodec.preview import serving

    folder = site_dir or serving.find_site(Path())
    with serving.warnings_to(_warn):
        serving.serve_site(folder, _settings(config), host, port, echo=click.echo)


@click.command()
@click.argument("site_dir", type=FOLDER)
@config_option
@base_path_option
@click.option(
    "--device",
    type=click.Choice(["mobile", "desktop"]),
    default="mobile",
    show_default=True,
    help="The kind of screen that the audits assume.",
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    help="The most bytes that a page's images or a single image may have: page=500kB or"
    " image=150kB. Repeat the option for several budgets.",
)
@json_option
@click.option(
    "--html", "html_file", type=NEW_FILE, help="Also write an HTML page that compares the images."
)
def report(
    site_dir: Path,
    config: Path | None,
    as_json: bool,
    html_file: Path | None,
    **how: Any,  # noqa: ANN401 - click's values: what `measure` takes
) -> None:
    """Report the weight of a built site's pages, and audit their images.

    The audits are Lighthouse's. The command exits with 1 if a page or an image is over a budget. In
    GitHub Actions, the table is also added to the summary of the step.

    \b
    Example: sitecodec report public --budget page=500kB --budget image=150kB
    """
    from sitecodec.report import report as reports

    settings = _settings(config)
    result = reports.measure(site_dir, asset_dir=settings.asset_dir, **how)
    click.echo(reports.as_json(result) if as_json else reports.table(result))
    if html_file:
        from sitecodec.report import page as report_page

        page = report_page.render(result, site_dir, settings)
        write(html_file, page)
    if step_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(step_summary).open("a", encoding="utf-8") as stream:
                stream.write(reports.markdown(result))
        except OSError as error:
            what = (error.strerror or str(error)).lower()
            _warn(f"cannot write the step's summary to {step_summary} ({what})")
    if result.over_budget:
        sys.exit(1)


@click.command()
@click.argument("folder", type=FOLDER, default=".")
@config_option
@click.option("--serve", "with_server", is_flag=True, help="Serve the inspector as well.")
@host_option
@port_option
def watch(folder: Path, config: Path | None, with_server: bool, host: str, port: int) -> None:
    """Encode the images of a folder whenever they change, so that the next build is quick.

    Name the widths in the settings: a folder of images does not tell how wide pages show them.

    \b
    Example: sitecodec watch docs --serve
    """
    from contextlib import nullcontext

    from sitecodec.preview import serving
    from sitecodec.preview import watch as watching

    settings = _settings(config)
    server: Any = nullcontext()
    if with_server:
        server = serving.serving_images(folder, settings, host, port, echo=click.echo)
    try:
        with serving.warnings_to(_warn), server as preview:
            watching.watch(
                folder,
                settings,
                echo=click.echo,
                progress=lambda: progress_bar("Encoding images"),
                listener=preview,
            )
    except KeyboardInterrupt:
        # At once: an interpreter that ends in order waits for the images in work.
        sys.stdout.flush()
        os._exit(0)


def _warn(message: str) -> None:
    click.echo(f"warning: {message}", err=True)


def _settings(config: Path | None, quality: str | None = None) -> Settings:
    settings = settings_module.load(config)
    if quality is None:
        return settings
    return replace(settings, quality=settings_module.quality_of(quality))

"""The commands for sites: build, report, serve and watch."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sitecodec import settings as settings_module
from sitecodec.cli.options import FOLDER, NEW_FILE, config_option, write
from sitecodec.progress import progress_bar
from sitecodec.settings import Settings


@click.command()
@click.argument("site_dir", type=FOLDER)
@config_option
@click.option(
    "--quality", help="Score to reach: 0-100, low, medium or high; overrides the setting."
)
@click.option("--base-path", default="/", show_default=True, help="URL path the site is served at.")
@click.option("--strict", is_flag=True, help="Exit with 1 if any image could not be taken.")
def build(site_dir: Path, config: Path, quality: str | None, base_path: str, strict: bool) -> None:
    """Rewrite a built site in place.

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
        raise click.ClickException(
            f"{len(result.problems)} images could not be taken; mend or exclude them"
        )


@click.command()
@click.argument("site_dir", type=FOLDER, required=False)
@config_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True)
def serve(site_dir: Path | None, config: Path, host: str, port: int) -> None:
    """Show a built site with decoded latents, and the inspector.

    Without SITE_DIR the built site is looked for here: ., site, public, _site, dist, build, output.

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
@click.option("--base-path", default="/", show_default=True, help="URL path the site is served at.")
@click.option(
    "--device", type=click.Choice(["mobile", "desktop"]), default="mobile", show_default=True
)
@click.option("--budget", "budgets", multiple=True, help="page=500kB or image=150kB; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", "html_file", type=NEW_FILE, help="Write a page that compares the images.")
def report(
    site_dir: Path,
    config: Path,
    base_path: str,
    device: str,
    budgets: tuple[str, ...],
    as_json: bool,
    html_file: Path | None,
) -> None:
    """Weigh a built site's pages and audit their images; exit with 1 when over a budget.

    In GitHub Actions the table is also added to the step's summary.

    \b
    Example: sitecodec report public --budget page=500kB --budget image=150kB
    """
    from sitecodec.report import report as reports

    settings = _settings(config)
    result = reports.measure(
        site_dir,
        asset_dir=settings.asset_dir,
        base_path=base_path,
        device=device,
        budgets=budgets,
    )
    click.echo(reports.as_json(result) if as_json else reports.table(result))
    if html_file:
        from sitecodec.report import page as report_page

        page = report_page.render(result, site_dir, settings)
        write(html_file, page)
    if step_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(step_summary).open("a", encoding="utf-8") as stream:
            stream.write(reports.markdown(result))
    if result.over_budget:
        sys.exit(1)


@click.command()
@click.argument("folder", type=FOLDER, default=".")
@config_option
@click.option("--serve", "with_server", is_flag=True, help="Run the inspector, too.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True)
def watch(folder: Path, config: Path, with_server: bool, host: str, port: int) -> None:
    """Encode a folder's images as they change, so that the next build finds them done.

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


def _settings(config: Path, quality: str | None = None) -> Settings:
    settings = settings_module.load(config)
    if quality is None:
        return settings
    return replace(settings, quality=settings_module.quality_of(quality))

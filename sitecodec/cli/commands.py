"""The command line: parse, call, print.

Exit status: 0 done, 1 problems found, 2 wrong use.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

import sitecodec
from sitecodec import settings as settings_module
from sitecodec.cli import cache as cli_cache
from sitecodec.cli import sd as cli_sd
from sitecodec.cli.options import config_option
from sitecodec.errors import ImageError, SettingsError, SitecodecError
from sitecodec.progress import progress_bar
from sitecodec.settings import Settings

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
NEW_FILE = click.Path(path_type=Path, dir_okay=False)


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


@main.command()
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


@main.command()
@click.argument("source", type=FILE)
@click.argument("output", type=NEW_FILE)
@click.option("--codec", type=click.Choice(["web", "sd"]), default="web", show_default=True)
@click.option(
    "--quality",
    type=click.FloatRange(0, 100),
    default=Settings.quality,
    show_default=True,
    help="The codec's own: 0 is smallest, 100 is best. (A build seeks it for a score.)",
)
@click.option("--model", default="", help="A model of `sitecodec models list`.")
@click.option("--preset", type=click.Choice(["rd", "seed"]), default="rd", help="sd: the coding.")
@click.option("--max-bytes", type=click.IntRange(min=1), help="The best of at most that size.")
@click.option(
    "--target-score",
    type=click.FloatRange(max=100),
    help="web: the smallest with that score (SSIMULACRA2), whatever its quality.",
)
@click.option(
    "--effort",
    type=click.IntRange(0, 9),
    default=Settings.effort,
    show_default=True,
    help="web: from 5 on latents are refined (needs torch): smaller, but slow.",
)
@click.option(
    "--tune",
    type=click.Choice(["score", "psnr"]),
    default="score",
    show_default=True,
    help="web: what to refine latents for.",
)
@click.option("--denoise/--no-denoise", default=None, help="sd: decode through the U-Net.")
@click.option("--refine", type=click.IntRange(0, 10_000), default=0, help="sd: gradient steps.")
@cli_sd.device_option
def encode(
    source: Path,
    output: Path,
    codec: str,
    quality: float,
    max_bytes: int | None,
    target_score: float | None,
    effort: int,
    tune: str,
    device: str,
    **options: Any,  # noqa: ANN401 - click's values
) -> None:
    """Encode one image to a payload.

    \b
    Example: sitecodec encode photo.jpg photo.slat --target-score 60
    """
    from sitecodec.cli import web as cli_web
    from sitecodec.encoding import sources

    picture = sources.load(_read(source), str(source), Settings.max_pixels, alpha=codec == "web")
    if isinstance(picture, sources.LeftAlone):
        raise ImageError(f"{source}: {picture.reason}: keep it in its own format")
    if target_score is not None and (max_bytes or codec == "sd"):
        raise click.UsageError("--target-score goes without --max-bytes, and with --codec web")
    if codec == "sd":
        sd = cli_sd.sd_codec(device=device, **options)
        payload = cli_sd.encode_sd(sd, picture.pixels, quality, max_bytes)
    elif any(options[name] for name in ("refine", "denoise")):
        raise click.UsageError("--denoise and --refine go with --codec sd")
    else:
        aim = cli_web.Aim(quality, max_bytes, target_score)
        payload = cli_web.encode(picture.pixels, aim, effort, tune, options["model"])
    _write(output, payload)
    pixels = picture.width * picture.height
    click.echo(
        f"{output}: {picture.width}x{picture.height}, {len(payload)} bytes,"
        f" {8 * len(payload) / pixels:.3f} bits per pixel"
    )


@main.command()
@click.argument("payload", type=FILE)
@click.argument("output", type=NEW_FILE)
@cli_sd.device_option
def decode(payload: Path, output: Path, device: str) -> None:
    """Decode a payload to a picture; its suffix says the format.

    \b
    Example: sitecodec decode photo.slat photo.png
    """
    from PIL import Image

    from sitecodec import codecs
    from sitecodec.payload import read_header

    data = _read(payload)
    name = read_header(data).codec
    codec = cli_sd.sd_codec(device=device) if name == "sd" else codecs.get(name)
    pixels = codec.decode(data)
    if pixels.shape[2] == 4 and output.suffix.lower() in (".jpg", ".jpeg"):
        raise click.UsageError(f"{output}: {payload} has transparency, a JPEG cannot; use .png")
    try:
        Image.fromarray(pixels).save(output)
    except ValueError as error:
        raise click.UsageError(f"{output}: unknown picture format; use .png") from error
    except OSError as error:
        raise ImageError(f"cannot write {output}: {error.strerror or error}") from error


@main.command()
@click.argument("payload", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(payload: Path, as_json: bool) -> None:
    """Say what a payload holds.

    \b
    Example: sitecodec info photo.slat
    """
    from sitecodec import models
    from sitecodec.errors import ModelError
    from sitecodec.payload import read_header

    data = _read(payload)
    header = read_header(data)
    try:
        name = cli_sd.model_of(data) if header.codec == "sd" else models.find(header.model)
    except ModelError:
        name = "not installed"
    values = {
        "codec": header.codec,
        "model": name,
        "fingerprint": f"{header.model:08x}",
        "width": header.width,
        "height": header.height,
        "quality": header.quality,
        "bytes": len(data),
        "bits_per_pixel": round(8 * len(data) / (header.width * header.height), 4),
    }
    if header.alpha is not None:
        values["alpha_bytes"] = header.alpha
    if header.codec == "sd":
        values |= cli_sd.describe(data)
    if as_json:
        click.echo(json.dumps(values))
        return
    for key, value in values.items():
        click.echo(f"{key.replace('_', ' '):<15} {value}")


@main.command()
@click.argument("images", nargs=-1, required=True, type=FILE)
@click.option("--json", "json_file", type=NEW_FILE, help="Write the figures to a file.")
@click.option("--plot", "plot_file", type=NEW_FILE, help="Draw the curves (.svg or .png).")
def bench(images: tuple[Path, ...], json_file: Path | None, plot_file: Path | None) -> None:
    """Compare JPEG, WebP, AVIF and the web codec on your own images.

    \b
    Example: sitecodec bench docs/images/*.jpg --plot curves.svg
    """
    from sitecodec import bench as benchmark

    with progress_bar("Measuring") as progress:
        results = benchmark.run(images, progress=progress)
    for problem in results.problems:
        click.echo(f"warning: {problem}", err=True)
    click.echo(benchmark.render_table(results))
    if json_file:
        benchmark.write_json(results, json_file)
    if plot_file:
        benchmark.plot(results, plot_file)
    if results.problems:
        sys.exit(1)


@main.command()
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


@main.command()
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
        _write(html_file, page)
    if step_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(step_summary).open("a", encoding="utf-8") as stream:
            stream.write(reports.markdown(result))
    if result.over_budget:
        sys.exit(1)


@main.command()
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
    import os
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


main.add_command(cli_cache.cache)
main.add_command(cli_sd.models)
main.add_command(cli_sd.compare)


def _warn(message: str) -> None:
    click.echo(f"warning: {message}", err=True)


def _settings(config: Path, quality: str | None = None) -> Settings:
    settings = settings_module.load(config)
    if quality is None:
        return settings
    return replace(settings, quality=settings_module.quality_of(quality))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error

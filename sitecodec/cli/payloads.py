"""The commands for single pictures and payloads: encode, decode, info and bench."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from sitecodec.cli import sd as cli_sd
from sitecodec.cli.options import FILE, NEW_FILE, read, write
from sitecodec.cli.sd import device_option
from sitecodec.errors import ImageError
from sitecodec.progress import progress_bar
from sitecodec.settings import Settings


@click.command()
@click.argument("source", type=FILE)
@click.argument("output", type=NEW_FILE)
@click.option("--codec", type=click.Choice(["web", "sd", "flat"]), default="web", show_default=True)
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
@device_option
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
    from sitecodec import codecs
    from sitecodec.cli import web as cli_web
    from sitecodec.encoding import sources

    picture = sources.load(read(source), str(source), Settings.max_pixels, alpha=codec != "sd")
    if isinstance(picture, sources.LeftAlone):
        raise ImageError(f"{source}: {picture.reason}: keep it in its own format")
    if target_score is not None and (max_bytes or codec != "web"):
        raise click.UsageError("--target-score goes without --max-bytes, and with --codec web")
    if codec == "flat" and max_bytes:
        raise click.UsageError("--max-bytes goes with a codec that loses: web or sd")
    if codec == "sd":
        sd = cli_sd.sd_codec(device=device, **options)
        payload = cli_sd.encode_sd(sd, picture.pixels, quality, max_bytes)
    elif any(options[name] for name in ("refine", "denoise")):
        raise click.UsageError("--denoise and --refine go with --codec sd")
    elif codec == "flat":
        try:
            payload = codecs.get("flat").encode(picture.pixels, quality)
        except ImageError as error:
            raise ImageError(f"{source}: {error}") from error
    else:
        aim = cli_web.Aim(quality, max_bytes, target_score)
        payload = cli_web.encode(picture.pixels, aim, effort, tune, options["model"])
    write(output, payload)
    pixels = picture.width * picture.height
    click.echo(
        f"{output}: {picture.width}x{picture.height}, {len(payload)} bytes,"
        f" {8 * len(payload) / pixels:.3f} bits per pixel"
    )


@click.command()
@click.argument("payload", type=FILE)
@click.argument("output", type=NEW_FILE)
@device_option
def decode(payload: Path, output: Path, device: str) -> None:
    """Decode a payload to a picture; its suffix says the format.

    \b
    Example: sitecodec decode photo.slat photo.png
    """
    from PIL import Image

    from sitecodec import codecs
    from sitecodec.payload import read_header

    data = read(payload)
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


@click.command()
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

    data = read(payload)
    header = read_header(data)
    try:
        name = "none needed"
        if header.codec != "flat":
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


@click.command()
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

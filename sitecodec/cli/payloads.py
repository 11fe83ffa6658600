"""The commands for single pictures and payloads: encode, decode, info and bench."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sitecodec.cli.models import device_option
from sitecodec.cli.options import FILE, NEW_FILE, Score, json_option, read, write
from sitecodec.errors import ImageError
from sitecodec.facts import families
from sitecodec.facts.families import Family
from sitecodec.settings import Settings
from sitecodec.terminal.progress import progress_bar

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels


@click.command()
@click.argument("source", type=FILE)
@click.argument("output", type=NEW_FILE)
@click.option(
    "--codec",
    type=click.Choice([family.name for family in families.ALL]),
    default="web",
    show_default=True,
    help="web for photographs, flat for pictures of up to 4,096 colours, sd for experiments with"
    " Stable Diffusion.",
)
@click.option(
    "--quality",
    type=Score(0, 100),
    default=Settings.quality,
    show_default=True,
    help="The codec's own quality: 0 gives the smallest file, 100 the best picture. This is not a"
    " score; see --target-score.",
)
@click.option(
    "--model",
    default="",
    help="The model to encode with, by its name in `sitecodec models list`. Without this option:"
    " the newest built-in model, or for sd the model that was added.",
)
@click.option(
    "--preset",
    type=click.Choice(["rd", "seed"]),
    default="rd",
    show_default=True,
    help="sd only: how latents are coded. rd keeps more of the picture, seed repeats the experiment"
    " of 2022.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    help="web and sd: encode at the highest quality that fits in this many bytes.",
)
@click.option(
    "--target-score",
    type=Score(max=100),
    help="web only: make the smallest file that reaches this score (SSIMULACRA2), as builds do."
    " Replaces --quality.",
)
@click.option(
    "--effort",
    type=click.IntRange(0, 9),
    default=Settings.effort,
    show_default=True,
    help="web only: how hard to work. From 5 on, files are smaller and take a minute or more; this"
    " needs torch.",
)
@click.option(
    "--tune",
    type=click.Choice(["score", "psnr"]),
    default="score",
    show_default=True,
    help="web only: what --effort 5 and higher improves: how pictures look, or PSNR.",
)
@click.option(
    "--denoise/--no-denoise",
    default=None,
    help="sd only: whether decoding uses the U-Net. Without this option: yes for the preset"
    " seed, no"
    " for rd.",
)
@click.option(
    "--refine",
    type=click.IntRange(0, 10_000),
    default=0,
    show_default=True,
    help="sd only: the number of gradient steps that improve the latents. 50 is slow and helps"
    " much.",
)
@device_option
def encode(source: Path, output: Path, **options: Any) -> None:  # noqa: ANN401 - click's values
    """Encode one image to a payload (.slat).

    \b
    Example: sitecodec encode photo.jpg photo.slat --target-score 60
    """
    from sitecodec.encoding import sources

    wanted = _Wanted(**options)
    alpha = wanted.family.has_alpha
    picture = sources.load(read(source), str(source), Settings.max_pixels, alpha=alpha)
    if isinstance(picture, sources.LeftAlone):
        raise ImageError(f"{source}: {picture.reason}: keep it in its own format")
    wanted.check()
    try:
        payload = _ENCODERS[wanted.codec](picture.pixels, wanted)
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error
    write(output, payload)
    pixels = picture.width * picture.height
    click.echo(
        f"{output}: {picture.width}x{picture.height}, {len(payload)} bytes,"
        f" {8 * len(payload) / pixels:.3f} bits per pixel"
    )


@dataclass(frozen=True)
class _Wanted:
    """The options of `encode`."""

    codec: str
    quality: float
    model: str
    preset: str
    max_bytes: int | None
    target_score: float | None
    effort: int
    tune: str
    denoise: bool | None
    refine: int
    device: str

    @property
    def family(self) -> Family:
        """What the codec can do."""
        return next(family for family in families.ALL if family.name == self.codec)

    def check(self) -> None:
        """Raises UsageError for options that do not go together."""
        if self.target_score is not None and (self.max_bytes or self.family is not families.WEB):
            raise click.UsageError("use --target-score with --codec web, and without --max-bytes")
        if self.max_bytes and self.family is families.FLAT:
            raise click.UsageError("use --max-bytes with --codec web or sd: flat keeps every pixel")
        if (self.refine or self.denoise) and self.family is not families.SD:
            raise click.UsageError("use --denoise and --refine with --codec sd")


def _encode_web(pixels: Pixels, wanted: _Wanted) -> bytes:
    from sitecodec.cli import web

    aim = web.Aim(wanted.quality, wanted.max_bytes, wanted.target_score)
    return web.encode(pixels, aim, wanted.effort, wanted.tune, wanted.model)


def _encode_sd(pixels: Pixels, wanted: _Wanted) -> bytes:
    from sitecodec.sd.codec import SdCodec

    codec = SdCodec(
        *(wanted.model, wanted.preset, wanted.denoise), refine=wanted.refine, device=wanted.device
    )
    if wanted.max_bytes is None:
        return codec.encode(pixels, wanted.quality)
    return codec.encode_to(pixels, wanted.max_bytes)


def _encode_flat(pixels: Pixels, wanted: _Wanted) -> bytes:
    from sitecodec.codecs.flat import FlatCodec

    return FlatCodec().encode(pixels)


_ENCODERS: dict[str, Callable[[Pixels, _Wanted], bytes]] = {
    "web": _encode_web,
    "sd": _encode_sd,
    "flat": _encode_flat,
}


@click.command()
@click.argument("payload", type=FILE)
@click.argument("output", type=NEW_FILE)
@device_option
def decode(payload: Path, output: Path, device: str) -> None:
    """Decode a payload to a picture. The suffix of OUTPUT chooses the format.

    \b
    Example: sitecodec decode photo.slat photo.png
    """
    from PIL import Image

    from sitecodec import codecs

    pixels = codecs.decode(read(payload), device)
    if pixels.shape[2] == 4 and output.suffix.lower() in (".jpg", ".jpeg"):
        raise click.UsageError(
            f"{output}: {payload} has transparency, which a JPEG cannot keep; use .png"
        )
    try:
        Image.fromarray(pixels).save(output)
    except ValueError as error:
        raise click.UsageError(f"{output}: unknown picture format; use .png") from error
    except OSError as error:
        raise ImageError(f"cannot write {output}: {error.strerror or error}") from error


@click.command()
@click.argument("payload", type=FILE)
@json_option
def info(payload: Path, as_json: bool) -> None:
    """Print what is in a payload: codec, model, size and quality.

    \b
    Example: sitecodec info photo.slat
    """
    from sitecodec import codecs
    from sitecodec.payload import read_header

    data = read(payload)
    header = read_header(data)
    described = dict(codecs.of_payload(data).describe(data))
    values = {
        "codec": header.codec,
        "model": described.pop("model"),
        "fingerprint": f"{header.model:08x}",
        "width": header.width,
        "height": header.height,
        "quality": header.quality,
        "bytes": len(data),
        "bits_per_pixel": round(8 * len(data) / (header.width * header.height), 4),
    }
    if header.alpha is not None:
        values["alpha_bytes"] = header.alpha
    values |= described
    if as_json:
        click.echo(json.dumps(values))
        return
    for key, value in values.items():
        click.echo(f"{key.replace('_', ' '):<15} {value}")


@click.command()
@click.argument("images", nargs=-1, required=True, type=FILE)
@click.option("--json", "json_file", type=NEW_FILE, help="Also write the figures to this file.")
@click.option(
    "--plot",
    "plot_file",
    type=NEW_FILE,
    help="Also draw the curves to this file (.svg or .png). Needs the extra `bench`.",
)
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

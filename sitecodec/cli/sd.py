"""The commands that know the codec `sd`: models and compare."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sitecodec.errors import ImageError

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels
    from sitecodec.codecs.sd import SdCodec

device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where the codec sd computes.",
)


@click.group()
def models() -> None:
    """Look after the models: those built in, and those added."""


@models.command()
@click.argument("name")
@click.option(
    "--from",
    "source",
    required=True,
    help="web: the folder of a training run. sd: a folder in diffusers' layout, a hub repository,"
    " or sd14, sd15, sd21, sdxl, taesd.",
)
@click.option("--revision", default="", help="The hub's branch, tag or commit.")
def add(name: str, source: str, revision: str) -> None:
    """Add a model: one you have trained for the codec web, or one for the codec sd.

    \b
    Example: sitecodec models add mine --from runs/mine
    Example: sitecodec models add sd15 --from sd15
    """
    from sitecodec.models import adding, own
    from sitecodec.sd import loading

    if own.is_one(Path(source)):
        own.add(name, Path(source))
        click.echo(f"{name}: take it into use with the setting  model: {name}")
        return
    loading.need_torch()
    model = adding.add(name, source, revision)
    at = f" at {model.revision[:12]}" if model.revision else ""
    parts = "autoencoder and U-Net" if model.denoises else "autoencoder"
    click.echo(f"{name}: {model.vae} from {model.source}{at}, {parts}")


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """List the models there are.

    \b
    Example: sitecodec models list
    """
    from sitecodec import models as web
    from sitecodec.models import registry

    rows = [
        {"name": name, "codec": "web", "class": "", "source": _origin(name)} for name in web.names()
    ]
    for name in registry.names():
        model = registry.read(name)
        rows.append({"name": name, "codec": "sd", "class": model.vae, "source": model.source})
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['name']:<12} {row['codec']:<4} {row['class']:<16} {row['source']}")


@models.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Say what is known of a model, and whether its files are whole.

    \b
    Example: sitecodec models show sd15
    """
    from sitecodec import models as web
    from sitecodec.errors import ModelError
    from sitecodec.models import registry

    if name in web.names():
        mark = f"{web.fingerprint(web.read(name, 'decoder')):08x}"
        values: dict[str, object] = {"name": name, "source": _origin(name), "fingerprint": mark}
        problem = ""
    else:
        model = registry.read(name)
        values = {
            "name": name,
            "source": model.source,
            "revision": model.revision or "-",
            "class": model.vae,
            "channels": model.channels,
            "stride": model.stride,
            "scaling factor": model.scaling,
            "U-Net": "yes" if model.denoises else "no",
            "fingerprint": f"{model.fingerprint(False):08x}",
        }
        if model.denoises:
            values["fingerprint with U-Net"] = f"{model.fingerprint(True):08x}"
        values["folder"] = str(registry.folder(name))
        try:
            registry.verify(model)
            problem = ""
        except ModelError as error:
            problem = str(error)
        values["files"] = model.files
    if as_json:
        click.echo(json.dumps(values))
    else:
        for key, value in values.items():
            if isinstance(value, dict):
                value = "".join(f"\n  {digest[:16]}  {path}" for path, digest in value.items())
            click.echo(f"{key:<23} {value}")
    if problem:
        click.echo(f"Error: {problem}", err=True)
        sys.exit(1)


def _origin(name: str) -> str:
    """Where a model of the codec web is from."""
    from sitecodec import models as web
    from sitecodec.models import own

    return "built in" if name in web.built_in() else str(own.path(name, "decoder").parent)


@models.command()
@click.argument("name")
def pull(name: str) -> None:
    """Fetch a model's files again where they are missing or damaged, as they were pinned.

    \b
    Example: sitecodec models pull sd15
    """
    from sitecodec.models import adding

    model = adding.pull(name)
    click.echo(f"{name}: {len(model.files)} files, whole")


@click.command()
@click.argument("image", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="PNG to write.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Page to write.")
@click.option("--model", default="", help="A model of the codec sd.")
@click.option(
    "--max-bytes",
    type=click.IntRange(min=100),
    help="Size to match; by default that of sd's seed preset, or 5000 without a model.",
)
@device_option
def compare(
    image: Path,
    output: Path | None,
    html: Path | None,
    model: str,
    max_bytes: int | None,
    device: str,
) -> None:
    """Show JPEG, WebP, AVIF, web and sd of one image side by side, at about the same bytes.

    \b
    Example: sitecodec compare photo.jpg --html photo.html
    """
    from sitecodec.bench import side_by_side
    from sitecodec.encoding import sources
    from sitecodec.settings import Settings

    try:
        source = sources.load(image.read_bytes(), str(image), Settings.max_pixels, alpha=False)
    except OSError as error:
        raise ImageError(f"cannot read {image}: {error.strerror or error}") from error
    if isinstance(source, sources.LeftAlone):
        raise ImageError(f"{image}: {source.reason}: keep it in its own format")
    shown = side_by_side.measure(source.pixels, model, max_bytes, device)
    picture = output or image.with_name(f"{image.stem}-compared.png")
    side_by_side.write_picture(source.pixels, shown, picture)
    if html:
        side_by_side.write_page(image.name, source.pixels, shown, html)
    click.echo(side_by_side.table(shown))


def sd_codec(
    model: str = "",
    preset: str = "rd",
    denoise: bool | None = None,
    refine: int = 0,
    device: str = "auto",
) -> SdCodec:
    """The codec sd of the command line's options."""
    from sitecodec.codecs.sd import SdCodec

    return SdCodec(model, preset, denoise, refine=refine, device=device)


def encode_sd(codec: SdCodec, pixels: Pixels, quality: float, max_bytes: int | None) -> bytes:
    """A payload at a quality, or the best one of at most `max_bytes`."""
    if max_bytes is None:
        return codec.encode(pixels, quality)
    return codec.encode_to(pixels, max_bytes)


def model_of(data: bytes) -> str:
    """The name of the model that an sd payload needs. Raises ModelError."""
    from sitecodec.models import registry
    from sitecodec.sd import container

    body = container.unpack(data)
    return registry.find(body.header.model, body.denoise).name


def describe(data: bytes) -> dict[str, str | int]:
    """What `info` says of an sd payload beside the header."""
    from sitecodec.sd import container

    body = container.unpack(data)
    return {
        "coding": ("palette", "grid")[body.coding],
        "latents": f"{body.columns}x{body.rows}x{body.channels}",
        "generative": "yes" if body.generative else "no",
        "denoise": "yes" if body.denoise else "no",
    }

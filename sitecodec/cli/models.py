"""The commands that know the codec `sd`: models and compare."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sitecodec.cli.options import json_option, read
from sitecodec.errors import ImageError
from sitecodec.facts import families

if TYPE_CHECKING:
    from sitecodec.sd.description import Model

device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="sd only: the processor to compute on. auto takes cuda if there is one, then mps, then"
    " cpu.",
)


@click.group()
def models() -> None:
    """List, add, check and repair models."""


@models.command()
@click.argument("name")
@click.option(
    "--from",
    "source",
    required=True,
    help="For the codec web: the folder of a training run. For sd: a folder in diffusers' layout, a"
    " hub repository, or one of sd14, sd15, sd21, sdxl and taesd.",
)
@click.option(
    "--revision",
    default="",
    help="The branch, tag or commit of a hub repository. Without this option: its main branch of"
    " today. Give a commit to get the same files everywhere.",
)
def add(name: str, source: str, revision: str) -> None:
    """Add a model that you have trained for the codec web, or a model for the codec sd.

    \b
    Example: sitecodec models add mine --from runs/mine
    Example: sitecodec models add sd15 --from sd15
    """
    from sitecodec.models import trained
    from sitecodec.sd import adding
    from sitecodec.sd.libraries import need_torch

    if trained.is_one(Path(source)):
        trained.add(name, Path(source))
        click.echo(f"{name}: added; to use it, set  model: {name}")
        return
    need_torch()
    model = adding.add(name, source, revision)
    parts = "autoencoder and U-Net" if model.denoises else "autoencoder"
    space = model.space
    click.echo(
        f"{name}: {space.vae} from {model.source}, {parts}; scaling factor {space.scaling:g},"
        f" stride {space.stride}, {space.channels} channels"
    )
    if model.revision and model.revision != revision:
        click.echo(f"{name}: to get the same files elsewhere, use  --revision {model.revision}")


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """List all models, built-in and added.

    \b
    Example: sitecodec models list
    """
    from sitecodec import models as web
    from sitecodec.sd import registry

    rows = [
        {"name": name, "codec": families.WEB.name, "class": "", "source": _origin(name)}
        for name in web.names()
    ]
    for name in registry.names():
        model = registry.read(name)
        rows.append(
            {
                "name": name,
                "codec": families.SD.name,
                "class": model.space.vae,
                "source": model.source,
            }
        )
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['name']:<12} {row['codec']:<4} {row['class']:<16} {row['source']}")


@models.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Describe a model, and check that its files are complete. Exits with 1 if not.

    \b
    Example: sitecodec models show sd15
    """
    from sitecodec import models as web
    from sitecodec.models.user_folder import folder
    from sitecodec.sd import registry

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
            "class": model.space.vae,
            "channels": model.space.channels,
            "stride": model.space.stride,
            "scaling factor": model.space.scaling,
            "shift factor": model.space.shift,
            "U-Net": "yes" if model.denoises else "no",
            "fingerprint": f"{model.fingerprint(False):08x}",
        }
        if model.denoises:
            values["fingerprint with U-Net"] = f"{model.fingerprint(True):08x}"
        values["folder"] = str(folder(name))
        problem = _problem(model)
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


def _problem(model: Model) -> str:
    """The fault of a model's files or description; '' if there is none."""
    from sitecodec.errors import ModelError
    from sitecodec.models.user_folder import folder
    from sitecodec.sd import libraries, loading, registry

    try:
        registry.verify(model)
    except ModelError as error:
        return str(error)
    try:
        libraries.need_torch()
    except ModelError:  # then nothing can be encoded under a wrong factor either
        return ""
    return loading.described_otherwise(model, folder(model.name))


def _origin(name: str) -> str:
    """The origin of a model of the codec web."""
    from sitecodec import models as web
    from sitecodec.models import trained

    return "built in" if name in web.built_in() else str(trained.path(name, "decoder").parent)


@models.command()
@click.argument("name")
def pull(name: str) -> None:
    """Repair a model: fetch missing and damaged files again, and renew its description.

    The files are those of the commit that was noted when the model was added.

    \b
    Example: sitecodec models pull sd15
    """
    from sitecodec.sd import adding

    model = adding.pull(name)
    factor = f"{model.space.scaling:g}"
    click.echo(f"{name}: all {len(model.files)} files are complete; scaling factor {factor}")


@click.command()
@click.argument("image", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The PNG file to write. Without this option: NAME-compared.png beside the image.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write an HTML page to this file.",
)
@click.option(
    "--model",
    default="",
    help="The model of the codec sd. Without this option: the one that was added, or no sd at all.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(min=100),
    help="The size that each file should have. Without this option: the size that the codec sd"
    " makes with the preset seed, or 5000 if no model was added.",
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
    """Show one image as JPEG, WebP, AVIF, web and sd, side by side at about the same size.

    \b
    Example: sitecodec compare photo.jpg --html photo.html
    """
    from sitecodec.bench import side_by_side
    from sitecodec.encoding import sources
    from sitecodec.settings import Settings

    source = sources.load(read(image), str(image), Settings.max_pixels, alpha=False)
    if isinstance(source, sources.LeftAlone):
        raise ImageError(f"{image}: {source.reason}: keep it in its own format")
    shown = side_by_side.measure(source.pixels, model, max_bytes, device)
    picture = output or image.with_name(f"{image.stem}-compared.png")
    side_by_side.write_picture(source.pixels, shown, picture)
    if html:
        side_by_side.write_page(image.name, source.pixels, shown, html)
    click.echo(side_by_side.table(shown))

"""`python -m sitecodec.training FOLDER --out RUN`: train a model on a folder of pictures."""

from __future__ import annotations

from pathlib import Path

import click

from sitecodec.errors import SitecodecError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--config", default="web-0", show_default=True, help="A built-in one, or a file.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option(
    "--from",
    "start",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Weights (.safetensors) to begin with, of the same shape.",
)
def main(folder: Path, out: Path, config: str, device: str, start: Path | None) -> None:
    """Train a model; call it again with the same arguments to go on after a stop.

    \b
    Example: python -m sitecodec.training photos --out runs/mine --device cuda
    """
    try:
        import torch
    except ImportError as error:
        raise click.ClickException(
            "training needs torch: pip install 'sitecodec[torch]'"
        ) from error
    from sitecodec.training import config as configs
    from sitecodec.training import run

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    path = configs.FOLDER / f"{config}.toml"
    try:
        settings = configs.load(path if path.exists() else Path(config))
        run.train(folder, out, settings, torch.device(device), start)
    except SitecodecError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()

"""Models of one's own for the codec `web`, made by sitecodec.training, in the registry's folder."""

from __future__ import annotations

from pathlib import Path

from sitecodec.disk.folders import plain
from sitecodec.errors import ModelError, SitecodecError
from sitecodec.models import user_folder

PARTS = ("decoder", "encoder")


def path(name: str, part: str) -> Path:
    """The path of a model's file, which need not exist. Raises ModelError for impossible names."""
    return user_folder.folder(name) / f"{name}.{part}.slm"


def names() -> list[str]:
    """The models there are, sorted."""
    folders = user_folder.root().glob("*/*.decoder.slm")
    return sorted(file.parent.name for file in folders if file == path(file.parent.name, "decoder"))


def is_one(source: Path) -> bool:
    """Whether a folder holds such a model, as a training run leaves it."""
    return any(source.glob("*.decoder.slm"))


def add(name: str, source: Path) -> None:
    """Copy a model from the folder of its training run, replacing one of that name.

    It is tried on a small picture first. Raises ModelError.
    """
    import numpy as np

    from sitecodec import engine
    from sitecodec.models import FOLDER

    target = user_folder.folder(name)
    if (FOLDER / f"{name}.decoder.slm").exists():
        raise ModelError(f"{name} is built in: choose another name for yours")
    if (target / user_folder.DESCRIPTION).exists():
        raise ModelError(f"{name} is a model of the codec sd: choose another name")
    found = sorted(file.name.removesuffix(".decoder.slm") for file in source.glob("*.decoder.slm"))
    if len(found) > 1:
        raise ModelError(f"{source} holds several models ({', '.join(found)}): leave one there")
    try:
        files = {part: plain(source / f"{found[0]}.{part}.slm") for part in PARTS}
        trial = engine.Models(files["decoder"], files["encoder"])
        picture = np.full((32, 32, 3), 128, np.uint8)
        engine.decode(engine.encode(picture, trial, 50), trial)
        target.mkdir(parents=True, exist_ok=True)
        for part, data in files.items():
            temporary = path(name, part).with_suffix(".tmp")
            temporary.write_bytes(data)
            temporary.replace(path(name, part))
    except OSError as error:
        raise ModelError(
            f"cannot add {source}: {error.filename or found[0]}:"
            f" {(error.strerror or str(error)).lower()}"
        ) from error
    except SitecodecError as error:
        raise ModelError(f"{source}: {error}") from error

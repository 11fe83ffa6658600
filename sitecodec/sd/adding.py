"""Adding models to the registry: from a folder or from the hub, file by file, tried once."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sitecodec import models as web
from sitecodec.errors import ModelError
from sitecodec.models.user_folder import DESCRIPTION, ENVIRONMENT, folder, root
from sitecodec.sd import description
from sitecodec.sd.description import Model
from sitecodec.sd.registry import ALIASES, EMPTY_PROMPT, names, read, verify
from sitecodec.sd.weights import Source, place, place_weights

_SCHEDULER = "scheduler/scheduler_config.json"


def add(name: str, source: str, revision: str = "") -> Model:
    """Fetch or copy a model into the registry, replacing one of that name.

    `source` is a folder in diffusers' layout, an alias or a hub repository. Raises ModelError.
    """
    target = folder(name)
    if name in web.names():
        raise ModelError(f"{name} is a model of the codec web: choose another name")
    local = Path(source)
    with _failures_said(source), _staged(target) as stage:
        if source not in ALIASES and local.is_dir():
            if revision:
                raise ModelError(f"{source}: a folder has no revisions; leave --revision out")
            _take(_Folder(local), stage, source)
            source, revision = str(local.resolve()), ""
        else:
            from sitecodec.sd.hub import Hub

            repository = Hub.open(ALIASES.get(source, source), revision)
            _take(repository, stage, source)
            source, revision = repository.name, repository.revision
        model = _describe(name, source, revision, stage)
        (stage / DESCRIPTION).write_text(description.render(model), encoding="utf-8")
    return model


def pull(name: str) -> Model:
    """Mend a model: its files, at the revision that was pinned, and its description.

    Whole files that an older version described otherwise are described anew, without a network.
    Raises ModelError.
    """
    from sitecodec.sd import loading

    if name in ALIASES and name not in names():
        return add(name, name)
    known = read(name)
    try:
        verify(known)
    except ModelError:
        model = add(name, known.source, known.revision)
        if model.files != known.files:
            raise ModelError(
                f"{name}: its source gives other files than when it was added; payloads made"
                " before need the old ones: bring them back, or encode again"
            ) from None
        return model
    if not loading.described_otherwise(known, folder(name)):
        return known
    with _failures_said(name):
        model = _describe(name, known.source, known.revision, folder(name))
        text = folder(name) / f".{DESCRIPTION}.tmp"
        text.write_text(description.render(model), encoding="utf-8")
        text.replace(folder(name) / DESCRIPTION)
    return model


class _Folder:
    """A folder as a place that models come from."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def paths(self) -> list[str]:
        """All files, relative, with forward slashes."""
        files = (path for path in self._path.rglob("*") if path.is_file())
        return sorted(path.relative_to(self._path).as_posix() for path in files)

    def get(self, path: str) -> Path:
        """The file on this machine."""
        return self._path / path


def _take(source: Source, stage: Path, name: str) -> None:
    """Copy what a model needs: small files first, so that one that does not fit costs little."""
    from sitecodec.sd import configurations, prompt

    paths = set(source.paths())
    # Small autoencoders stand alone, without the folder vae/.
    inner = "vae/" if "vae/config.json" in paths else ""
    if inner + "config.json" not in paths:
        raise ModelError(f"{name}: no vae/config.json: give a folder in diffusers' layout")
    place(source, inner + "config.json", stage / "vae" / "config.json")
    space, _ = configurations.autoencoder(stage / "vae", name)
    denoises = "unet/config.json" in paths
    if denoises:
        place(source, "unet/config.json", stage / "unet" / "config.json")
        unet = configurations.unet_config(stage / "unet", space.channels, name)
        if _SCHEDULER not in paths:
            raise ModelError(f"{name}: no {_SCHEDULER} beside unet/: add it")
        place(source, _SCHEDULER, stage / _SCHEDULER)
        configurations.scheduler(stage / "scheduler", name)
        if EMPTY_PROMPT in paths:
            place(source, EMPTY_PROMPT, stage / EMPTY_PROMPT)
        else:
            prompt.store_empty(source, unet, stage, name)
    place_weights(source, inner, stage / "vae", name)
    if denoises:
        place_weights(source, "unet/", stage / "unet", name)


def _describe(name: str, source: str, revision: str, stage: Path) -> Model:
    """The description of a model's files; loads the networks, so that a wrong file shows here."""
    from sitecodec.sd import configurations, loading

    files = {}
    for path in sorted(stage.rglob("*")):
        if path.is_file() and path.name != DESCRIPTION:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files[path.relative_to(stage).as_posix()] = digest
    space, _ = configurations.autoencoder(stage / "vae", name)
    return loading.probed(Model(name, source, revision, space, (), files), stage)


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A folder that takes the target's place if all goes well, else is removed."""
    stage = target.with_name(f".{target.name}.{os.getpid()}")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    try:
        yield stage
        if target.exists():
            target.rename(old)
        stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _failures_said(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or root()
        reason = (error.strerror or str(error)).lower()
        raise ModelError(
            f"cannot add {source}: {where}: {reason};"
            f" make room, or set {ENVIRONMENT} to another folder"
        ) from error

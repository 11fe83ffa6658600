"""Adding models to the registry: from a folder or from the hub, file by file, tried once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sitecodec.errors import ModelError
from sitecodec.models.registry import (
    ALIASES,
    DESCRIPTION,
    EMPTY_PROMPT,
    ENVIRONMENT,
    Model,
    folder,
    names,
    read,
    root,
    verify,
)

VAE_CLASSES = ("AutoencoderKL", "AutoencoderTiny")

_WEIGHTS = "diffusion_pytorch_model"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def add(name: str, source: str, revision: str = "") -> Model:
    """Fetch or copy a model into the registry, replacing one of that name.

    `source` is a folder in diffusers' layout, an alias or a hub repository. Raises ModelError.
    """
    target = folder(name)
    local = Path(source)
    with _failures_said(source), _staged(target) as stage:
        if source not in ALIASES and local.is_dir():
            if revision:
                raise ModelError(f"{source}: a folder has no revisions; leave --revision out")
            _take(_Folder(local), stage, source)
            source, revision = str(local.resolve()), ""
        else:
            from sitecodec.models.hub import Hub

            repository = Hub.open(ALIASES.get(source, source), revision)
            _take(repository, stage, source)
            source, revision = repository.name, repository.revision
        model = _describe(name, source, revision, stage)
        values = json.dumps(asdict(model), indent=1) + "\n"
        (stage / DESCRIPTION).write_text(values, encoding="utf-8")
    return model


def pull(name: str) -> Model:
    """Fetch a model's files again, at the revision that was pinned. Raises ModelError."""
    if name in ALIASES and name not in names():
        return add(name, name)
    known = read(name)
    try:
        verify(known)
    except ModelError:
        pass
    else:
        return known
    model = add(name, known.source, known.revision)
    if model.files != known.files:
        raise ModelError(
            f"{name}: its source gives other files than when it was added; payloads made before"
            " need the old ones: bring them back, or encode again"
        )
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


def _take(source: Any, stage: Path, name: str) -> None:  # noqa: ANN401 - a _Folder or a Hub
    """Copy what a model needs, and work out the empty prompt's embedding."""
    paths = set(source.paths())
    # Small autoencoders stand alone, without the folder vae/.
    inner = "vae/" if "vae/config.json" in paths else ""
    if inner + "config.json" not in paths:
        raise ModelError(f"{name}: no vae/config.json: give a folder in diffusers' layout")
    _copy(source, paths, inner, stage / "vae", name)
    kind = _json(stage / "vae" / "config.json").get("_class_name")
    if kind not in VAE_CLASSES:
        raise ModelError(
            f"{name}: its autoencoder is of the class {kind!r}; known: {', '.join(VAE_CLASSES)}"
        )
    if "unet/config.json" not in paths:
        return
    _copy(source, paths, "unet/", stage / "unet", name)
    if "scheduler/scheduler_config.json" not in paths:
        raise ModelError(f"{name}: no scheduler/scheduler_config.json beside unet/: add it")
    _place(source, "scheduler/scheduler_config.json", stage)
    if EMPTY_PROMPT in paths:
        _place(source, EMPTY_PROMPT, stage)
        return
    from sitecodec.sd import prompt

    prompt.store_empty(source, paths, stage, name)


def _copy(source: Any, paths: set[str], prefix: str, to: Path, name: str) -> None:  # noqa: ANN401
    """Copy a network's configuration and its weights, of which full precision is preferred."""
    to.mkdir(parents=True)
    shutil.copyfile(source.get(prefix + "config.json"), to / "config.json")
    for stem in (_WEIGHTS, f"{_WEIGHTS}.fp16"):
        if f"{prefix}{stem}.safetensors" in paths:
            shutil.copyfile(
                source.get(f"{prefix}{stem}.safetensors"), to / f"{_WEIGHTS}.safetensors"
            )
            return
    index = f"{prefix}{_WEIGHTS}.safetensors.index.json"
    if index in paths:
        shutil.copyfile(source.get(index), to / Path(index).name)
        for shard in sorted(set(_json(to / Path(index).name).get("weight_map", {}).values())):
            if Path(shard).name != shard or prefix + shard not in paths:
                raise ModelError(f"{name}: {prefix}{shard} is missing: download the model again")
            shutil.copyfile(source.get(prefix + shard), to / shard)
        return
    there = [p for p in paths if p.startswith(prefix) and p.endswith(_PICKLES)]
    hint = "only pickled weights, which are never opened" if there else "no weights"
    raise ModelError(f"{name}: {hint} in {prefix or './'}: provide {_WEIGHTS}.safetensors")


def _place(source: Any, path: str, stage: Path) -> None:  # noqa: ANN401
    (stage / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source.get(path), stage / path)


def _describe(name: str, source: str, revision: str, stage: Path) -> Model:
    """The description of staged files; loads the networks, so that a wrong file shows here."""
    from sitecodec.sd import loading

    files = {}
    for path in sorted(stage.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files[path.relative_to(stage).as_posix()] = digest
    config = _json(stage / "vae" / "config.json")
    blocks = config.get("block_out_channels") or config.get("encoder_block_out_channels") or ()
    model = Model(
        name=name,
        source=source,
        revision=revision,
        vae=config["_class_name"],
        channels=int(config.get("latent_channels", 4)),
        stride=2 ** max(len(blocks) - 1, 0),
        scaling=float(config.get("scaling_factor") or 1.0),
        shift=float(config.get("shift_factor") or 0.0),
        sensitivity=(),
        files=files,
    )
    return loading.probed(model, stage)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path.name}: not JSON; download the model again") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path.name}: not a JSON object; download the model again")
    return values


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

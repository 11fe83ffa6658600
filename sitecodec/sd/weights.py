"""A published network's files: its weights as safetensors, whole or in shards, never pickles."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Protocol

from sitecodec.errors import ModelError
from sitecodec.sd.configurations import read_json

_STEM = "diffusion_pytorch_model"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".onnx", ".pb")
_WHOLE = f"{_STEM}.safetensors"
_INDEX = f"{_STEM}.safetensors.index.json"
_BY_PREFERENCE = (
    _WHOLE,
    _INDEX,
    f"{_STEM}.fp16.safetensors",
    f"{_STEM}.safetensors.index.fp16.json",
    f"{_STEM}.fp16.safetensors.index.json",
)


class Source(Protocol):
    """A place that models come from: a folder or a hub repository."""

    def paths(self) -> list[str]:
        """All files, relative, with forward slashes."""
        ...

    def get(self, path: str) -> Path:
        """The file on this machine. Raises ModelError."""
        ...


def place(source: Source, path: str, to: Path) -> None:
    """Copy one file."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source.get(path), to)


def place_weights(source: Source, prefix: str, to: Path, name: str) -> None:
    """Copy the weights of the network in `prefix`; full precision is preferred to half.

    They get the names that diffusers looks for when it is asked for no variant. Raises ModelError.
    """
    paths = set(source.paths())
    found = next((file for file in _BY_PREFERENCE if prefix + file in paths), "")
    if not found:
        other = any(path.startswith(prefix) and path.endswith(_PICKLES) for path in paths)
        hint = "only pickled weights, which are never opened" if other else "no weights"
        raise ModelError(f"{name}: {hint} in {prefix or './'}: provide {_WHOLE}")
    if not found.endswith(".json"):
        place(source, prefix + found, to / _WHOLE)
        return
    place(source, prefix + found, to / _INDEX)
    for shard in _shards(to / _INDEX, name):
        if prefix + shard not in paths:
            raise ModelError(f"{name}: {prefix}{shard} is missing: download the model again")
        place(source, prefix + shard, to / shard)


def _shards(index: Path, name: str) -> list[str]:
    """The files that an index names. Raises ModelError."""
    files = read_json(index, name).get("weight_map")
    named = list(files.values()) if isinstance(files, dict) else []
    if not named or not all(isinstance(shard, str) and _is_plain(shard) for shard in named):
        raise ModelError(f"{name}: {index.name} names no files: download the model again")
    return sorted(set(named))


def _is_plain(shard: str) -> bool:
    """Whether a name is that of a safetensors file beside the index."""
    plain = PurePosixPath(shard).name == shard and "\\" not in shard
    return plain and shard.endswith(".safetensors")

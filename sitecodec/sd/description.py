"""The description of a model of the codec `sd` in `model.json`, and the checks of it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

VAE_CLASSES = ("AutoencoderKL", "AutoencoderTiny")


@dataclass(frozen=True)
class LatentSpace:
    """The latent space of an autoencoder."""

    vae: str
    """Class of the autoencoder."""

    channels: int
    stride: int
    """Pixels per latent, across and down."""

    scaling: float
    shift: float
    """Scaled latents, whose variance is about 1, are (z - shift) · scaling."""


@dataclass(frozen=True)
class Model:
    """A model of the registry."""

    name: str
    source: str
    """The hub repository or folder it came from."""

    revision: str
    """The hub's commit; '' for a folder."""

    space: LatentSpace

    sensitivity: tuple[float, ...]
    """Per channel, squared error in the picture per squared error in the scaled latent."""

    files: dict[str, str]
    """SHA-256 by path in the model's folder."""

    @property
    def denoises(self) -> bool:
        """Whether it has a U-Net."""
        return any(path.startswith("unet/") for path in self.files)

    def fingerprint(self, denoise: bool) -> int:
        """The number by which payloads name it: of the autoencoder's files, or of all files."""
        paths = sorted(p for p in self.files if denoise or p.startswith("vae/"))
        lines = "".join(f"{path} {self.files[path]}\n" for path in paths)
        # What is not in the files of a decoder, but changes its pictures.
        lines += f"{self.space.scaling!r} {self.space.shift!r}\n"
        return int.from_bytes(hashlib.sha256(lines.encode()).digest()[:4], "little")


def render(model: Model) -> str:
    """The text of `model.json`."""
    values = asdict(model)
    space = values.pop("space")
    return json.dumps(values | space, indent=1) + "\n"


def parse(text: str, name: str) -> Model:
    """The model that the folder `name` holds. Raises ValueError for anything unlike one."""
    try:
        values = json.loads(text)
        space = LatentSpace(
            _typed(values, "vae", str),
            _typed(values, "channels", int),
            _typed(values, "stride", int),
            _number(values["scaling"]),
            _number(values["shift"]),
        )
        sensitivity = tuple(_number(value) for value in _typed(values, "sensitivity", list))
        files = _typed(values, "files", dict)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a description: {error}") from error
    model = Model(
        _typed(values, "name", str),
        _typed(values, "source", str),
        _typed(values, "revision", str),
        space,
        sensitivity,
        files,
    )
    plausible = (
        model.name == name
        and space.vae in VAE_CLASSES
        and space.channels > 0
        and space.stride > 0
        and space.scaling > 0
        and len(sensitivity) in (0, space.channels)
        and all(isinstance(digest, str) and _is_inside(path) for path, digest in files.items())
    )
    if not plausible:
        raise ValueError("not a description: its values do not fit one another")
    return model


def _typed(values: dict[str, Any], key: str, kind: type) -> Any:  # noqa: ANN401 - what JSON holds
    value = values[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"not a description: {key}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a description: a number is none")
    return float(value)


def _is_inside(path: str) -> bool:
    """Whether a path stays in the model's folder."""
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not path.startswith("/") and "\\" not in path

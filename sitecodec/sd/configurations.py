"""Published configurations, as their classes read them: a key left out has the class's default.

Networks are made on torch's device `meta`, which knows shapes but holds no numbers. So a model
that does not fit is refused within a second, before gigabytes of weights are fetched.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sitecodec.engine import grid as coder
from sitecodec.errors import ModelError
from sitecodec.sd.container import MAX_STRIDE_LOG2, MIN_STRIDE_LOG2
from sitecodec.sd.description import VAE_CLASSES, LatentSpace
from sitecodec.sd.libraries import need_torch, one_line, quiet

_SIDE = 64  # pixels of the picture that is sent through an autoencoder
# Networks are as deep as a file says: these stop one that would never be made.
_MOST = 100_000
_MOST_LAYERS = 64
_LAYERS = re.compile(r"layers|_blocks$")


def autoencoder(folder: Path, name: str) -> tuple[LatentSpace, bool]:
    """The latent space of the autoencoder in `folder`, and whether it needs full precision.

    `name` is the model's, for errors. Raises ModelError.
    """
    torch = need_torch()
    kind, values = read_class(folder / "config.json", name)
    if kind not in VAE_CLASSES:
        raise ModelError(
            f"{name}: its autoencoder is of the class {kind!r:.60}; known: {', '.join(VAE_CLASSES)}"
        )
    try:
        with quiet(), torch.device("meta"):
            network = _class(kind).from_config(values)
            picture = torch.empty(1, 3, _SIDE, _SIDE)
            coded = network.encode(picture)
            latents = coded.latent_dist.mode() if hasattr(coded, "latent_dist") else coded.latents
            decoded = network.decode(latents).sample
    except Exception as error:  # configurations make diffusers and torch raise nearly anything
        raise _unusable(name, "vae/config.json", error) from error
    config = network.config
    _, channels, rows, columns = latents.shape
    fits = decoded.shape == picture.shape and rows == columns and _SIDE % rows == 0
    stride = _SIDE // rows
    if not fits or not 2**MIN_STRIDE_LOG2 <= stride <= 2**MAX_STRIDE_LOG2 or stride & (stride - 1):
        raise ModelError(
            f"{name}: its autoencoder makes {columns}x{rows} latents of {_SIDE}x{_SIDE} pixels;"
            f" known: a stride of 4, 8, 16 or 32"
        )
    if channels > coder.MAX_CHANNELS:
        raise ModelError(
            f"{name}: its latents have {channels} channels; payloads hold {coder.MAX_CHANNELS}"
        )
    if config.get("latents_mean") is not None or config.get("latents_std") is not None:
        raise ModelError(
            f"{name}: its latents are scaled channel by channel (latents_mean, latents_std), which"
            " is not known here: take a model with one scaling_factor"
        )
    scaling = _number(config.scaling_factor, "scaling_factor", name)
    if scaling <= 0:
        raise ModelError(f"{name}: its scaling_factor is {scaling:g}: download the model again")
    shift = _number(config.get("shift_factor") or 0.0, "shift_factor", name)
    return LatentSpace(kind, channels, stride, scaling, shift), bool(config.force_upcast)


def unet_config(folder: Path, channels: int, name: str) -> Mapping[str, Any]:
    """The whole configuration of a U-Net that denoises latents of `channels`. Raises ModelError."""
    torch = need_torch()
    kind, values = read_class(folder / "config.json", name)
    if kind != "UNet2DConditionModel":
        raise ModelError(
            f"{name}: its U-Net is of the class {kind!r:.60}; known: UNet2DConditionModel;"
            " leave unet/ out to add the autoencoder alone"
        )
    try:
        with quiet(), torch.device("meta"):
            config: Mapping[str, Any] = _class(kind).from_config(values).config
    except Exception as error:
        raise _unusable(name, "unet/config.json", error) from error
    if (config["in_channels"], config["out_channels"]) != (channels, channels):
        raise ModelError(
            f"{name}: its U-Net takes {config['in_channels']} channels, its autoencoder has"
            f" {channels}: take both from one model"
        )
    return config


def scheduler(folder: Path, name: str) -> Any:  # noqa: ANN401 - untyped
    """DDIM with the noise schedule that a published scheduler of any class has.

    Models are published with samplers of their makers' choice (PNDM, Euler); the experiment's is
    DDIM. The published class fills in what its file leaves out, since defaults differ between
    classes. Latents are never clipped, as in diffusers' own pipelines: clipping is for pixels.
    Raises ModelError.
    """
    torch = need_torch()
    import diffusers

    kind, values = read_class(folder / "scheduler_config.json", name)
    try:
        with quiet():
            made = _class(kind)
            if not issubclass(made, diffusers.SchedulerMixin):
                raise ValueError(f"{kind} is no scheduler")  # others may fetch, and read anything
            there = made.from_config(values)
            config = dict(there.config)
            config.pop("_use_default_values", None)
            ddim = diffusers.DDIMScheduler.from_config(
                config, clip_sample=False, thresholding=False
            )
            same = torch.allclose(there.alphas_cumprod, ddim.alphas_cumprod)
    except Exception as error:
        raise _unusable(name, "scheduler/scheduler_config.json", error) from error
    if not same:
        raise ModelError(
            f"{name}: its scheduler {kind} has a noise schedule that DDIM has not:"
            " leave unet/ out to add the autoencoder alone"
        )
    return ddim


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The object of a JSON file of a model. Raises ModelError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name}: {path.name} is not JSON: download the model again") from error
    if not isinstance(values, dict):
        raise ModelError(f"{name}: {path.name} is no JSON object: download the model again")
    return values


def read_class(path: Path, name: str) -> tuple[object, dict[str, Any]]:
    """The class that a configuration names, and the configuration. Raises ModelError."""
    values = read_json(path, name)
    for key, value in values.items():
        most = _MOST_LAYERS if _LAYERS.search(key) else _MOST
        longest = _MOST if "beta" in key else _MOST_LAYERS
        if not _is_bounded(value, most, longest):
            raise ModelError(f"{name}: the {key} of its {path.name} is too large: mend the file")
    return values.get("_class_name"), values


def _is_bounded(value: object, most: int, longest: int) -> bool:
    """Whether no number is larger, in lists neither, and no list is longer."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list):
        return len(value) <= longest and all(_is_bounded(v, most, longest) for v in value)
    return not isinstance(value, int | float) or not abs(value) > most


def _class(kind: object) -> Any:  # noqa: ANN401 - untyped
    """Diffusers' class of that name."""
    import diffusers

    found = getattr(diffusers, kind, None) if isinstance(kind, str) else None
    if not isinstance(found, type) or not hasattr(found, "from_config"):
        raise ValueError(f"no class {kind!r} in diffusers")
    return found


def _number(value: object, key: str, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ModelError(f"{name}: its {key} is no number: download the model again")
    return float(value)


def _unusable(name: str, file: str, error: Exception) -> ModelError:
    return ModelError(f"{name}: cannot use its {file} ({one_line(error)}): get the model again")

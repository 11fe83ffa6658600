"""Loading a model's networks: once per process and device, every file checked."""

from __future__ import annotations

import functools
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from sitecodec.errors import ModelError
from sitecodec.models.user_folder import folder as model_folder
from sitecodec.sd import configurations, registry
from sitecodec.sd.description import LatentSpace, Model
from sitecodec.sd.libraries import need_torch, one_line, quiet
from sitecodec.sd.networks import Networks

_PROBES = 4
_PROBE_SIDE = 192
_loading = threading.Lock()


def load(model: Model, device: str = "auto") -> Networks:
    """The networks of a model, loaded once per process and device. Raises ModelError."""
    with _loading:
        return _load(model.name, tuple(sorted(model.files.items())), pick_device(device))


def pick_device(wanted: str) -> str:
    """'cpu', 'cuda' or 'mps' for one of these or 'auto'. Raises ModelError."""
    torch = need_torch()
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(name for name, available in there.items() if available)
    if not there.get(wanted):
        raise ModelError(f"no device {wanted!r} here: give --device auto or cpu")
    return wanted


def described_otherwise(model: Model, folder: Path) -> str:
    """How a description differs from what its autoencoder says; '' where it does not.

    A model is described when it is added. One that an older version added may have a scaling
    factor that its class would not have taken. Raises ModelError.
    """
    space, _ = configurations.autoencoder(folder / "vae", model.name)
    return _difference(model, space)


def probed(model: Model, folder: Path) -> Model:
    """The model with its decoder's sensitivity, measured on a generated picture.

    The squared error in the picture, of pixels in -1…1, per squared error in a channel: the mean
    square of Jacobian-vector products with random signs (Hutchinson 1990). Loads and runs
    everything once, so files that do not fit their classes show. Raises ModelError.
    """
    torch = need_torch()
    networks = _build(model, folder, "cpu")
    generator = torch.Generator().manual_seed(0)
    pixels = _probe_picture(torch, generator)
    latents = torch.from_numpy(networks.encode(pixels)).permute(0, 3, 1, 2).requires_grad_()
    decoded = networks.to_picture(latents)
    total = torch.zeros(model.space.channels)
    for _ in range(_PROBES):
        signs = torch.randint(0, 2, decoded.shape, generator=generator) * 2.0 - 1
        (gradient,) = torch.autograd.grad(decoded, latents, signs, retain_graph=True)
        total += gradient.square().mean((0, 2, 3)) / _PROBES
    if not bool(torch.isfinite(total).all() and torch.isfinite(decoded).all()):
        raise ModelError(f"{model.name}: its autoencoder gives no finite numbers; it is damaged")
    if networks.unet is not None:
        _try_unet(networks)
    return replace(model, sensitivity=tuple(round(float(value), 6) for value in total))


def _probe_picture(torch: Any, generator: Any) -> Any:  # noqa: ANN401 - untyped
    """A (1, side, side, 3) uint8 picture with detail at all scales."""
    picture = torch.zeros(1, 3, _PROBE_SIDE, _PROBE_SIDE)
    cells = 3
    while cells < _PROBE_SIDE:
        noise = torch.randn(1, 3, cells, cells, generator=generator)
        size = (_PROBE_SIDE, _PROBE_SIDE)
        picture += torch.nn.functional.interpolate(noise, size, mode="bilinear") / cells**0.8
        cells *= 2
    return (picture.clamp(-1, 1) * 127.5 + 127.5).byte().permute(0, 2, 3, 1).numpy()


def _try_unet(networks: Networks) -> None:
    """One call of the U-Net. Raises ModelError where it wants more than a prompt, or is damaged."""
    import numpy as np

    name = networks.model.name
    try:
        noise = networks.predict_noise(1, np.zeros((8, 8, networks.model.space.channels), "f4"))
    except Exception as error:  # torch's shape errors, or what a U-Net of another task asks for
        raise ModelError(
            f"{name}: its U-Net cannot be run on latents alone ({one_line(error)}):"
            " leave unet/ out to add the autoencoder alone"
        ) from error
    if not np.isfinite(noise).all():
        raise ModelError(f"{name}: its U-Net gives no finite numbers; it is damaged")


@functools.lru_cache(maxsize=2)
def _load(name: str, files: tuple[tuple[str, str], ...], device: str) -> Networks:
    model = registry.read(name)
    if tuple(sorted(model.files.items())) != files:
        raise ModelError(f"the model {name!r} has changed while it was used: start again")
    registry.verify(model)
    return _build(model, model_folder(name), device)


def _build(model: Model, folder: Path, device: str) -> Networks:
    torch = need_torch()
    import diffusers

    space, wants_full = configurations.autoencoder(folder / "vae", model.name)
    if difference := _difference(model, space):
        raise ModelError(difference)
    # Half precision where it is known to hold: many autoencoders overflow, and say so.
    half = torch.float16 if device == "cuda" else torch.float32
    dtype = torch.float32 if wants_full else half
    vae = _network(getattr(diffusers, space.vae), folder / "vae", model.name, dtype).to(device)
    if not (folder / "unet").is_dir():
        return Networks(model, device, vae, None, None, {})
    from safetensors.torch import load_file

    scheduler = configurations.scheduler(folder / "scheduler", model.name)
    unet = _network(diffusers.UNet2DConditionModel, folder / "unet", model.name, half).to(device)
    try:
        prompt = load_file(folder / registry.EMPTY_PROMPT)
        fits = prompt["prompt"].shape[-1] == unet.config.cross_attention_dim
    except Exception as error:  # whatever a damaged file makes of it
        raise _damaged(model.name, "empty prompt", error) from error
    if not fits:
        raise ModelError(f"{model.name}: its empty prompt is of another model; add it again")
    return Networks(model, device, vae, unet, scheduler, prompt)


def _difference(model: Model, space: LatentSpace) -> str:
    if space == model.space:
        return ""
    told, found = vars(model.space), vars(space)
    what = ", ".join(
        f"{key} {told[key]} for {found[key]}" for key in told if told[key] != found[key]
    )
    return (
        f"the model {model.name!r} was added with {what}: run  sitecodec models pull {model.name}"
        "  and encode again"
    )


def _network(kind: Any, folder: Path, name: str, dtype: Any) -> Any:  # noqa: ANN401 - untyped
    """A network in evaluation mode, all of whose weights came from its file."""
    try:
        with quiet():
            network, report = kind.from_pretrained(
                folder,
                use_safetensors=True,
                local_files_only=True,
                low_cpu_mem_usage=False,
                torch_dtype=dtype,
                output_loading_info=True,
            )
    except Exception as error:  # diffusers and safetensors raise nearly anything
        raise _damaged(name, folder.name, error) from error
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if report.get(what):
            raise _damaged(
                name, folder.name, f"{what.replace('_', ' ')}: {next(iter(report[what]))}"
            )
    return network.eval().requires_grad_(False)


def _damaged(name: str, part: str, error: object) -> ModelError:
    return ModelError(f"{name}: cannot load its {part} ({one_line(error)}): get the model again")

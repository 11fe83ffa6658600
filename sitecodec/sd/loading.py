"""Loading a model's networks: once per process and device, every file checked."""

from __future__ import annotations

import functools
import json
import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from sitecodec.errors import ModelError
from sitecodec.models import registry
from sitecodec.models.registry import Model
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


def need_torch() -> Any:  # noqa: ANN401 - a module
    """The module torch. Raises ModelError that says what to install."""
    try:
        import diffusers  # noqa: F401
        import safetensors.torch  # noqa: F401
        import torch
    except ImportError as error:
        raise ModelError(
            "the codec 'sd' needs torch and diffusers: install them with"
            "  pip install 'sitecodec[torch]'"
        ) from error
    return torch


def probed(model: Model, folder: Path) -> Model:
    """The model with its decoder's sensitivity, measured on a generated picture.

    The squared error in the picture, of pixels in -1…1, per squared error in a channel: the mean
    square of Jacobian-vector products with random signs (Hutchinson 1990). Loads everything, so
    files that do not fit their classes show. Raises ModelError.
    """
    torch = need_torch()
    networks = _build(model, folder, "cpu")
    if networks.unet is not None and networks.unet.config.in_channels != model.channels:
        raise ModelError(
            f"{model.name}: its U-Net takes {networks.unet.config.in_channels} channels, its"
            f" autoencoder has {model.channels}: take both from one model"
        )
    generator = torch.Generator().manual_seed(0)
    picture = torch.zeros(1, 3, _PROBE_SIDE, _PROBE_SIDE)
    cells = 3
    while cells < _PROBE_SIDE:
        noise = torch.randn(1, 3, cells, cells, generator=generator)
        size = (_PROBE_SIDE, _PROBE_SIDE)
        picture += torch.nn.functional.interpolate(noise, size, mode="bilinear") / cells**0.8
        cells *= 2
    pixels = (picture.clamp(-1, 1) * 127.5 + 127.5).byte().permute(0, 2, 3, 1).numpy()
    latents = torch.from_numpy(networks.encode(pixels)).permute(0, 3, 1, 2).requires_grad_()
    decoded = networks.to_picture(latents)
    total = torch.zeros(model.channels)
    for _ in range(_PROBES):
        signs = torch.randint(0, 2, decoded.shape, generator=generator) * 2.0 - 1
        (gradient,) = torch.autograd.grad(decoded, latents, signs, retain_graph=True)
        total += gradient.square().mean((0, 2, 3)) / _PROBES
    if not bool(torch.isfinite(total).all() and torch.isfinite(decoded).all()):
        raise ModelError(f"{model.name}: its autoencoder gives no finite numbers; it is damaged")
    return replace(model, sensitivity=tuple(round(float(value), 6) for value in total))


@functools.lru_cache(maxsize=2)
def _load(name: str, files: tuple[tuple[str, str], ...], device: str) -> Networks:
    model = registry.read(name)
    if tuple(sorted(model.files.items())) != files:
        raise ModelError(f"the model {name!r} has changed while it was used: start again")
    registry.verify(model)
    return _build(model, registry.folder(name), device)


def _build(model: Model, folder: Path, device: str) -> Networks:
    torch = need_torch()
    import diffusers

    config = json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8"))
    # Half precision where it is known to hold: many autoencoders overflow, and say so.
    half = torch.float16 if device == "cuda" else torch.float32
    upcast = config.get("force_upcast", model.vae == "AutoencoderKL")
    dtype = torch.float32 if upcast else half
    vae = _network(getattr(diffusers, model.vae), folder / "vae", model.name, dtype).to(device)
    if not (folder / "unet").is_dir():
        return Networks(model, device, vae, None, None, {})
    from safetensors.torch import load_file

    unet = _network(diffusers.UNet2DConditionModel, folder / "unet", model.name, half).to(device)
    try:
        scheduler = diffusers.DDIMScheduler.from_pretrained(
            folder / "scheduler", local_files_only=True
        )
        prompt = load_file(folder / registry.EMPTY_PROMPT)
        fits = prompt["prompt"].shape[-1] == unet.config.cross_attention_dim
    except Exception as error:  # whatever a damaged file makes of them
        raise _damaged(model.name, "scheduler or empty prompt", error) from error
    if not fits:
        raise ModelError(f"{model.name}: its empty prompt is of another model; add it again")
    return Networks(model, device, vae, unet, scheduler, prompt)


def _network(kind: Any, folder: Path, name: str, dtype: Any) -> Any:  # noqa: ANN401 - untyped
    """A network in evaluation mode, all of whose weights came from its file."""
    quiet = logging.getLogger("diffusers")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
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
    finally:
        quiet.setLevel(level)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if report.get(what):
            raise _damaged(
                name, folder.name, f"{what.replace('_', ' ')}: {next(iter(report[what]))}"
            )
    return network.eval().requires_grad_(False)


def _damaged(name: str, part: str, error: object) -> ModelError:
    what = " ".join(str(error).split())[:100] or type(error).__name__
    return ModelError(f"{name}: cannot load its {part} ({what}): get the model again")

"""The networks of a model, through diffusers' own classes. Imports torch when called."""

from __future__ import annotations

import functools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitecodec.errors import ImageError, ModelError
from sitecodec.models import registry
from sitecodec.models.registry import Model
from sitecodec.sd import tiles

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from sitecodec.codecs import Pixels
    from sitecodec.sd.grid import Latents

STEPS, STRENGTH, ETA = 66, 0.04, 0.9
"""The seed experiment's denoising: an img2img-like end of a 66-step DDIM schedule."""

TILES = (96, 48)
"""Sides of tiles, in latents: the first that memory suffices for."""

_PROBES = 4
_PROBE_SIDE = 192
_loading = threading.Lock()


@dataclass(frozen=True)
class Networks:
    """A loaded model. Arrays go in and come out; what runs where is its own business."""

    model: Model
    device: str
    vae: Any
    unet: Any
    scheduler: Any
    prompt: dict[str, torch.Tensor]

    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Latents in scaled units, (N, rows, columns, C), of (N, H, W, 3) pictures.

        Pictures are extended to whole latents by reflection. The distribution's mean is taken, so
        that the same picture always gives the same latents.
        """
        import numpy as np

        stride = self.model.stride
        pads = [(0, -n % stride) for n in pictures.shape[1:3]]
        padded = np.pad(pictures, [(0, 0), *pads, (0, 0)], mode="reflect")
        if max(padded.shape[1:3]) <= TILES[0] * stride:
            with suppress(MemoryError), _memory_watched():
                return self._encode(padded)
        scale = Fraction(1, stride)
        return np.stack([self._tiled(self._encode, picture, stride, scale) for picture in padded])

    def decode(self, latents: Latents, height: int, width: int) -> Pixels:
        """The (height, width, 3) uint8 picture of (rows, columns, C) latents in scaled units."""
        import numpy as np

        picture = self._tiled(self._decode, latents, 1, Fraction(self.model.stride))
        picture = picture[:height, :width]
        picture += 1
        picture *= 127.5
        np.rint(picture, out=picture)
        return np.clip(picture, 0, 255, out=picture).astype(np.uint8)

    def denoise(self, latents: Latents, seed: int = 0) -> Latents:
        """Latents with the noise that quantisation left taken out, by the empty prompt.

        The last steps of the schedule, without adding noise first: the dithering is the noise.
        What eta adds is drawn on the CPU from `seed`, so that it is the same on every device.
        """
        import numpy as np
        import torch

        if self.unet is None:
            raise ModelError(
                f"the model {self.model.name!r} has no U-Net, which this payload needs:"
                " add one that has"
            )
        scheduler = self.scheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(STEPS)
        last = int(STEPS * STRENGTH) + int(scheduler.config.get("steps_offset", 0))
        generator = torch.Generator("cpu").manual_seed(seed)
        levels = 2 ** max(len(self.unet.config.block_out_channels) - 1, 0)
        pads = [(0, -n % levels) for n in latents.shape[:2]]
        sample = np.pad(latents, [*pads, (0, 0)], mode="symmetric")
        for step in scheduler.timesteps[-max(last, 1) :]:
            noise = self._tiled(functools.partial(self._predict, int(step)), sample, 1, Fraction(1))
            state = torch.from_numpy(sample).permute(2, 0, 1)[None]
            drawn = torch.randn(state.shape, generator=generator)
            state = scheduler.step(
                torch.from_numpy(noise).permute(2, 0, 1)[None],
                step,
                state,
                eta=ETA,
                variance_noise=drawn,
            ).prev_sample
            sample = np.ascontiguousarray(state[0].permute(1, 2, 0).numpy())
        return sample[: latents.shape[0], : latents.shape[1]]

    def to_picture(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, C, rows, columns) scaled latents to (N, 3, H, W) in -1…1, with gradients."""
        unscaled = latents / self.model.scaling + self.model.shift
        picture: torch.Tensor = self.vae.decode(unscaled.to(self.vae.dtype)).sample
        return picture.float()

    def _encode(self, pictures: NDArray[Any]) -> NDArray[np.float32]:
        import torch

        one = pictures.ndim == 3
        batch = torch.from_numpy(pictures[None] if one else pictures).permute(0, 3, 1, 2)
        with torch.inference_mode():
            batch = batch.to(self.device, self.vae.dtype) / 127.5 - 1
            coded = self.vae.encode(batch)
            mean = coded.latent_dist.mode() if hasattr(coded, "latent_dist") else coded.latents
            scaled = (mean.float() - self.model.shift) * self.model.scaling
            result: NDArray[np.float32] = scaled.permute(0, 2, 3, 1).cpu().contiguous().numpy()
        return result[0] if one else result

    def _decode(self, latents: Latents) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            grid = torch.from_numpy(latents).permute(2, 0, 1)[None].to(self.device)
            picture = self.to_picture(grid)[0].permute(1, 2, 0)
            result: NDArray[np.float32] = picture.cpu().contiguous().numpy()
        return result

    def _predict(self, step: int, latents: Latents) -> Latents:
        import torch

        with torch.inference_mode():
            dtype = self.unet.dtype
            grid = torch.from_numpy(latents).permute(2, 0, 1)[None].to(self.device, dtype)
            more: dict[str, Any] = {}
            if "pooled" in self.prompt:  # SDXL also wants the size: of the source, crop and target
                size = [float(n * self.model.stride) for n in latents.shape[:2]]
                times = torch.tensor([[*size, 0.0, 0.0, *size]])
                pooled = self.prompt["pooled"].to(self.device, dtype)
                times = times.to(self.device, dtype)
                more = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": times}}
            prompt = self.prompt["prompt"].to(self.device, dtype)
            noise = self.unet(grid, step, encoder_hidden_states=prompt, **more).sample
            result: Latents = noise[0].float().permute(1, 2, 0).cpu().contiguous().numpy()
        return result

    def _tiled(
        self,
        network: Callable[[Any], NDArray[np.float32]],
        grid: NDArray[Any],
        unit: int,
        scale: Fraction,
    ) -> NDArray[np.float32]:
        """Run over tiles; smaller ones where memory does not suffice."""
        for tile in TILES:
            if tile != TILES[0] and max(grid.shape[:2]) <= tile * unit:
                break
            try:
                with _memory_watched():
                    return tiles.run(network, grid, tile, unit, scale)
            except MemoryError:
                continue
        raise ImageError(
            "not enough memory for the networks, even in tiles: close other programs, scale the"
            " picture down or give --device cpu"
        )


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


@contextmanager
def _memory_watched() -> Iterator[None]:
    """Turns the ways in which torch runs out of memory into MemoryError."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise MemoryError from error
    except RuntimeError as error:
        if "memory" in str(error).lower():
            raise MemoryError from error
        raise

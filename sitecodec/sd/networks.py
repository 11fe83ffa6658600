"""The networks of a model, through diffusers' own classes. Imports torch when called."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sitecodec.errors import ImageError, ModelError
from sitecodec.sd import tiles
from sitecodec.sd.description import Model

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from sitecodec.facts.pixels import Pixels
    from sitecodec.sd.grid import Latents

STEPS, STRENGTH, ETA = 66, 0.04, 0.9
"""The seed experiment's denoising: an img2img-like end of a 66-step DDIM schedule."""

TILES = (96, 48)
"""Sides of tiles, in latents: the first that memory suffices for."""

# One picture at a time: the networks take all cores and gigabytes as it is.
_working = threading.RLock()


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

        stride = self.model.space.stride
        pads = [(0, -n % stride) for n in pictures.shape[1:3]]
        padded = np.pad(pictures, [(0, 0), *pads, (0, 0)], mode="reflect")
        with _working:
            return self._encode_all(padded)

    def _encode_all(self, padded: NDArray[np.uint8]) -> NDArray[np.float32]:
        import numpy as np

        stride = self.model.space.stride
        if max(padded.shape[1:3]) <= TILES[0] * stride:
            with suppress(MemoryError), _memory_watched():
                return self._encode(padded)
        scale = Fraction(1, stride)
        return np.stack([self._tiled(self._encode, picture, stride, scale) for picture in padded])

    def decode(self, latents: Latents, height: int, width: int) -> Pixels:
        """The (height, width, 3) uint8 picture of (rows, columns, C) latents in scaled units."""
        import numpy as np

        with _working:
            picture = self._tiled(self._decode, latents, 1, Fraction(self.model.space.stride))
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
            predict = functools.partial(self.predict_noise, int(step))
            with _working:
                noise = self._tiled(predict, sample, 1, Fraction(1))
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
        unscaled = latents / self.model.space.scaling + self.model.space.shift
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
            scaled = (mean.float() - self.model.space.shift) * self.model.space.scaling
            result: NDArray[np.float32] = scaled.permute(0, 2, 3, 1).cpu().contiguous().numpy()
        return result[0] if one else result

    def _decode(self, latents: Latents) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            grid = torch.from_numpy(latents).permute(2, 0, 1)[None].to(self.device)
            picture = self.to_picture(grid)[0].permute(1, 2, 0)
            result: NDArray[np.float32] = picture.cpu().contiguous().numpy()
        return result

    def predict_noise(self, step: int, latents: Latents) -> Latents:
        """The noise (or the velocity) that the U-Net predicts in (rows, columns, C) latents."""
        import torch

        with torch.inference_mode():
            dtype = self.unet.dtype
            grid = torch.from_numpy(latents).permute(2, 0, 1)[None].to(self.device, dtype)
            more: dict[str, Any] = {}
            if "pooled" in self.prompt:  # SDXL also wants the size: of the source, crop and target
                size = [float(n * self.model.space.stride) for n in latents.shape[:2]]
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

"""A stand-in for Stable Diffusion: a small autoencoder and denoiser, trained here on photographs.

`python benchmarks/stand_in.py --pictures PHOTOS --out stand-in` trains for an hour and a half on
one core and writes a model folder in diffusers' layout, for `sitecodec models add stand-in --from
stand-in` and then `benchmarks/experiment.py --model stand-in`. The classes, the latents' shape (8x,
4 channels), their scale (0.18215) and the noise schedule are those of Stable Diffusion 1.4; the
widths are a tenth. A second run with the same folder goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import sd_models

SCALING = 0.18215
TOKENS, PROMPT_WIDTH = 4, 16
NOISIEST = 80
"""The experiment denoises from t = 31; palettes may leave more noise than that step has."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument(
        "--minutes", type=float, default=70, help="processor time for the autoencoder"
    )
    parser.add_argument("--denoiser-minutes", type=float, default=15)
    parser.add_argument("--most", type=int, default=1500, help="pictures")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    data = pictures(arguments.pictures, arguments.most)
    vae = autoencoder(arguments.out)
    train_autoencoder(vae, data, arguments.minutes * 60)
    latents = normalise(vae, data)
    vae.save_pretrained(arguments.out / "vae")
    unet = denoiser(arguments.out)
    train_denoiser(unet, latents, arguments.denoiser_minutes * 60)
    unet.save_pretrained(arguments.out / "unet")
    sd_models.scheduler().save_pretrained(arguments.out / "scheduler")
    prompt = torch.zeros(1, TOKENS, PROMPT_WIDTH)
    save_file({"prompt": prompt}, arguments.out / "empty_prompt.safetensors")


def pictures(folder: Path, most: int) -> list[Tensor]:
    """uint8 (3, H, W) of the pictures that have at least 256 pixels a side."""
    made = []
    for path in sorted(folder.iterdir())[:most]:
        with Image.open(path) as image:
            if min(image.size) >= 256:
                pixels = torch.frombuffer(
                    bytearray(image.convert("RGB").tobytes()), dtype=torch.uint8
                )
                made.append(pixels.view(image.height, image.width, 3).permute(2, 0, 1))
    return made


def autoencoder(folder: Path) -> AutoencoderKL:
    if (folder / "vae").is_dir():
        return AutoencoderKL.from_pretrained(folder / "vae")
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 96),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        scaling_factor=SCALING,
    )


def denoiser(folder: Path) -> UNet2DConditionModel:
    if (folder / "unet").is_dir():
        return UNet2DConditionModel.from_pretrained(folder / "unet")
    return UNet2DConditionModel(
        sample_size=64,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(48, 96),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=8,
        cross_attention_dim=PROMPT_WIDTH,
    )


def train_autoencoder(vae: AutoencoderKL, data: list[Tensor], seconds: float) -> None:
    """Mean absolute and squared error, and as little of Kullback and Leibler as is published."""

    def loss(done: float) -> Tensor:
        # Small crops are cheaper; large ones give the normalisations the statistics of a picture.
        side, count = (64, 8) if done < 0.7 else (128, 3)
        batch = crops(data, count, side).float() / 127.5 - 1
        posterior = vae.encode(batch).latent_dist
        error = vae.decode(posterior.sample()).sample - batch
        edges = sum((error.diff(dim=axis)).abs().mean() for axis in (-1, -2)) / 2
        # Colours of areas, which edges would outvote.
        areas = 4 * functional.avg_pool2d(error, 8).square().mean()
        losses = (
            error.abs().mean(),
            error.square().mean(),
            edges,
            areas,
            1e-6 * posterior.kl().mean(),
        )
        return sum(losses, torch.zeros(()))

    for report in optimised(vae, loss, seconds, rate=2e-3):
        print("autoencoder", report, flush=True)


@torch.inference_mode()
def normalise(vae: AutoencoderKL, data: list[Tensor]) -> list[Tensor]:
    """Give latents the scale that the factor expects; the scaled latents of all pictures."""
    vae.eval()
    means = [vae.encode(picture(one)).latent_dist.mean[0] for one in data]
    flat = torch.cat([one.flatten(1) for one in means], 1)
    centre, spread = flat.mean(1), flat.std(1) * SCALING
    quant, after = vae.quant_conv, vae.post_quant_conv
    after.bias += after.weight[:, :, 0, 0] @ centre
    after.weight *= spread[None, :, None, None]
    quant.bias[:4] -= centre
    quant.bias[:4] /= spread
    quant.weight[:4] /= spread[:, None, None, None]
    quant.bias[4:] -= 2 * spread.log()  # the logarithms of variances
    each = (slice(None), None, None)
    return [(one - centre[each]) / spread[each] * SCALING for one in means]


def train_denoiser(unet: UNet2DConditionModel, latents: list[Tensor], seconds: float) -> None:
    schedule = sd_models.scheduler()
    prompt = torch.zeros(8, TOKENS, PROMPT_WIDTH)

    def loss(_: float) -> Tensor:
        clean = crops(latents, 8, 24)
        noise = torch.randn_like(clean)
        times = torch.randint(0, NOISIEST, (8,))
        noisy = schedule.add_noise(clean, noise, times)
        predicted = unet(noisy, times, encoder_hidden_states=prompt).sample
        return functional.mse_loss(predicted, noise)

    for report in optimised(unet, loss, seconds, rate=1e-3):
        print("denoiser", report, flush=True)
    unet.eval()


def optimised(
    network: nn.Module, loss: Callable[[float], Tensor], seconds: float, *, rate: float
) -> Iterator[str]:
    """Adam for so much processor time, with a rate that rises and falls; reports twice a minute."""
    network.train()
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    begun, reported = time.process_time(), time.monotonic()
    losses: list[float] = []
    steps = 0
    while (done := (time.process_time() - begun) / seconds) < 1:
        now = rate * min(1.0, done * 50 + 0.02) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = now
        value = loss(done)
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        steps += 1
        losses.append(value.item())
        if time.monotonic() - reported > 30:
            reported = time.monotonic()
            yield f"{done:.0%} step {steps}: loss {sum(losses) / len(losses):.4f}"
            losses.clear()


def picture(one: Tensor) -> Tensor:
    """(1, 3, H, W) in -1...1, of sides that are whole latents."""
    height, width = (side // 8 * 8 for side in one.shape[1:])
    return one[None, :, :height, :width].float() / 127.5 - 1


def crops(data: list[Tensor], count: int, side: int) -> Tensor:
    made = []
    for index in torch.randint(0, len(data), (count,)).tolist():
        height, width = data[index].shape[1:]
        top = int(torch.randint(0, height - side + 1, ()))
        left = int(torch.randint(0, width - side + 1, ()))
        made.append(data[index][:, top : top + side, left : left + side])
    return torch.stack(made)


if __name__ == "__main__":
    main()

"""Small models of the real diffusers classes, some trained for a minute on generated pictures."""

import json

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file

from tests.conftest import make_photo

TOKENS, WIDTH = 5, 16


def tiny(width=16, channels=4):
    return AutoencoderTiny(
        encoder_block_out_channels=(width,) * 4,
        decoder_block_out_channels=(width,) * 4,
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
        latent_channels=channels,
    )


def kl():
    """Stable Diffusion's architecture, small."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.18215,
    )


def unet(width=32):
    return UNet2DConditionModel(
        sample_size=32,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(width, width),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=8,
        cross_attention_dim=WIDTH,
    )


def scheduler():
    """Stable Diffusion's."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def save(folder, vae, denoiser=None):
    """A folder in diffusers' layout."""
    vae.save_pretrained(folder / "vae")
    if denoiser is not None:
        denoiser.save_pretrained(folder / "unet")
        scheduler().save_pretrained(folder / "scheduler")
        prompt = torch.zeros(1, TOKENS, WIDTH)
        save_file({"prompt": prompt}, folder / "empty_prompt.safetensors")
    return folder


def as_sdxl(folder):
    """Make a model's U-Net want what SDXL's wants."""
    path = folder / "unet" / "config.json"
    config = json.loads(path.read_text())
    config |= {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 6 * 4 + 8,
    }
    network = UNet2DConditionModel.from_config(config)
    network.save_pretrained(folder / "unet")
    (folder / "empty_prompt.safetensors").unlink()


def pictures(count, side=192):
    stack = np.stack([make_photo(side, side, seed=i) for i in range(count)])
    return torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 127.5 - 1


def train(steps=300, denoising_steps=160):
    """A small autoencoder and a denoiser for its latents: under a minute on one core."""
    before = torch.get_rng_state()
    torch.manual_seed(0)
    torch.set_num_threads(1)  # on a busy machine two threads mostly wait for one another
    data = pictures(32)
    generator = torch.Generator().manual_seed(1)
    vae = tiny()
    optimiser = torch.optim.Adam(vae.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in range(steps):
        batch = crops(data, 4, 48, generator)
        latents = vae.encode(batch).latents
        noisy = latents + 0.1 * torch.randn(latents.shape, generator=generator)
        decoded = vae.decode(noisy).sample
        spread = (latents.square().mean((0, 2, 3)) - 1).square().mean()
        loss = (decoded - batch).square().mean() + 1e-2 * spread
        advance(loss, vae, optimiser, schedule)
    vae.eval().requires_grad_(False)
    latents = vae.encode(data).latents
    vae.register_to_config(scaling_factor=float(1 / latents.std()))
    latents /= latents.std()

    denoiser, noise_schedule = unet(), scheduler()
    optimiser = torch.optim.Adam(denoiser.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=denoising_steps)
    prompt = torch.zeros(8, TOKENS, WIDTH)
    for _ in range(denoising_steps):
        clean = crops(latents, 8, 16, generator)
        noise = torch.randn(clean.shape, generator=generator)
        times = torch.randint(0, 50, (8,), generator=generator)
        predicted = denoiser(
            noise_schedule.add_noise(clean, noise, times), times, encoder_hidden_states=prompt
        ).sample
        advance((predicted - noise).square().mean(), denoiser, optimiser, schedule)
    torch.set_rng_state(before)
    return vae, denoiser


def crops(data, count, side, generator):
    index = torch.randint(0, len(data), (count,), generator=generator)
    top, left = torch.randint(0, data.shape[-1] - side + 1, (2,), generator=generator).tolist()
    return data[index, :, top : top + side, left : left + side]


def advance(loss, network, optimiser, schedule):
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    schedule.step()

"""One step's loss, and the measurement of a model on whole pictures."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sitecodec.training import architecture, quantise, score
from sitecodec.training.architecture import Weights
from sitecodec.training.config import Config, Stage

# 1 − MS-SSIM of 0.01 looks about as bad as a mean squared error of 1e-3.
MS_SSIM_SCALE = 0.1
# The price of a point of SSIMULACRA2 at a level's λ, in bits a pixel: the slope of AVIF's curve,
# from 0.002 at 0.1 bits a pixel to 0.05 at one.
SCORE_PRICE, SCORE_POWER = 0.41, 0.7
ANALYSIS, SYNTHESIS = architecture.analysis_ops(), architecture.synthesis_ops()


@dataclass(frozen=True)
class Loss:
    """A step's loss and what it is made of."""

    total: Tensor
    bits_per_pixel: float
    mse: float


def loss(weights: Weights, crops: Tensor, config: Config, stage: Stage, step: int) -> Loss:
    """The rate–distortion loss of (N, 3, H, W) crops in [0, 1], each at a level of its own.

    The rate is that of latents with uniform noise, which has a gradient; the picture is made from
    rounded latents, the gradient passed straight through (Ballé et al. 2017, Theis et al. 2017).
    """
    count, _, height, width = crops.shape
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    levels = torch.randint(len(config.lambdas), (count,), generator=generator).to(crops.device)
    autocast = torch.autocast(
        crops.device.type, torch.bfloat16, enabled=fast_bfloat16(crops.device)
    )
    weights = architecture.composed(quantise.straight_through(weights))
    with autocast, torch.set_grad_enabled(not stage.entropy_only):
        analysed = architecture.run(ANALYSIS, weights, architecture.to_colour(crops))[-1].float()
    gain = weights["log_gain"][levels].exp()[:, :, None, None]
    scaled = analysed * (gain.detach() if stage.entropy_only else gain)
    noise = torch.rand(scaled.shape, generator=generator).to(crops.device) - 0.5
    noisy = scaled + noise
    with autocast:
        prediction = architecture.predict(weights, noisy, weights["level_t"][levels])
    bits = architecture.code_length(prediction, noisy).sum((1, 2, 3)) / (height * width)
    if stage.entropy_only:
        return Loss(bits.mean(), float(bits.detach().mean()), 0.0)
    rounded = scaled + (scaled.round() - scaled).detach()
    latents = rounded * weights["log_inverse_gain"][levels].exp()[:, :, None, None]
    with autocast:
        decoded = architecture.run(SYNTHESIS, weights, latents)[-1].float()
    decoded = architecture.from_colour(decoded)
    mse = (decoded - crops).square().mean((1, 2, 3))
    distortion = stage.mse * mse
    if stage.ms_ssim:
        distortion = distortion + stage.ms_ssim * MS_SSIM_SCALE * (
            1 - score.ms_ssim(crops, decoded)
        )
    if stage.colour:
        distortion = distortion + stage.colour * _colour_error(crops, decoded)
    if stage.lattice:
        blocks = (decoded - crops).unflatten(3, (-1, 16)).unflatten(2, (-1, 16))
        distortion = distortion + stage.lattice * blocks.mean((2, 4)).square().mean((1, 2, 3))
    lambdas = torch.tensor(config.lambdas, device=crops.device)[levels]
    total = bits + lambdas * 255**2 * distortion
    if stage.score:
        lost = 100 - score.ssimulacra2(crops, decoded)
        total = total + stage.score * SCORE_PRICE * lambdas**SCORE_POWER * lost
    total = total.mean()
    return Loss(total, float(bits.detach().mean()), float(mse.detach().mean()))


def _colour_error(crops: Tensor, decoded: Tensor) -> Tensor:
    """The squared error of Cb and Cr over 4×4 pixels, (N)."""
    error = architecture.to_colour(decoded - crops + 0.5)[:, 1:]
    return F.avg_pool2d(error, 4).square().mean((1, 2, 3))


@dataclass(frozen=True)
class Score:
    """A level's means over pictures; `score` is SSIMULACRA2."""

    bits_per_pixel: float
    psnr: float
    ms_ssim: float
    score: float


@torch.no_grad()
def evaluate(weights: Weights, pictures: list[Tensor]) -> list[Score]:
    """Every level on (3, H, W) uint8 pictures: ideal code length and how good it looks."""
    from sitecodec import metrics

    weights = architecture.composed(quantise.straight_through(weights))
    rows: list[list[Score]] = [[] for _ in weights["level_t"]]
    device = weights["level_t"].device
    for picture in pictures:
        _, height, width = picture.shape
        source = architecture.pad_to_stride(picture[None].to(device) / 255)
        analysed = architecture.run(ANALYSIS, weights, architecture.to_colour(source))[-1]
        reference = picture.permute(1, 2, 0).numpy()
        for level, row in enumerate(rows):
            latents = torch.round(analysed * weights["log_gain"][level].exp().view(1, -1, 1, 1))
            prediction = architecture.predict(weights, latents, weights["level_t"][level])
            bits = architecture.ideal_bits(prediction, latents)
            latents = latents * weights["log_inverse_gain"][level].exp().view(1, -1, 1, 1)
            decoded = architecture.run(SYNTHESIS, weights, latents)[-1]
            decoded = architecture.from_colour(decoded)[0, :, :height, :width]
            pixels = (decoded.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            row.append(
                Score(
                    bits / (height * width),
                    metrics.psnr(reference, pixels),
                    metrics.ms_ssim(reference, pixels),
                    metrics.ssimulacra2(reference, pixels),
                )
            )
    return [
        Score(*(sum(values) / len(row) for values in zip(*map(astuple, row), strict=True)))
        for row in rows
    ]


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there, not merely possible."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and _amx_or_bf16()


def _amx_or_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())

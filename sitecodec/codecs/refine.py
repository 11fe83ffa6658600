"""Latents better than those the analysis gives, sought with gradients through the decoder.

The decoder stays as it is: visitors notice nothing but fewer bytes. Needs torch.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitecodec import engine, metrics
from sitecodec.errors import ModelError

if TYPE_CHECKING:
    import torch

    from sitecodec.codecs import Pixels
    from sitecodec.training.model_file import Decoder

STEPS = {5: 20, 6: 30, 7: 50, 8: 80, 9: 150}
"""Gradient steps of each effort that has any."""

SHARES = {"score": 0.7, "psnr": 0.0}
"""What can be tuned for: the share of SSIMULACRA2 in the objective. The rest is squared error,
which keeps a picture from flattering the metric."""

_RATE = 0.03  # Adam's learning rate, in quantisation steps
_HOT, _COLD = 0.5, 0.1  # temperatures of the rounding
_APART = 6.0  # qualities between which the price of bits is measured
_BLOCK, _MARGIN = 48, 3  # latents worked on at a time, and how many around them
_SMALLEST = 113  # sides that SSIMULACRA2 is defined for


@dataclass(frozen=True)
class _Prices:
    """What a bit has to buy: slopes of the picture's own rate-distortion curve, times shares."""

    score: float  # bits for a point of SSIMULACRA2
    error: float  # bits for a unit of mean squared error, of values in [0, 1]


@dataclass(frozen=True)
class _Block:
    """Latents to work on, by their window: rows and columns of latents, with a margin around."""

    rows: slice
    columns: slice
    free: tuple[slice, slice]
    """Those of the window that may change."""


def check_torch(effort: int) -> None:
    """Raises ModelError if the effort needs torch and it is not there."""
    if effort in STEPS:
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise ModelError(
                f"effort {effort} needs torch: pip install 'sitecodec[torch]', or take effort 4"
            ) from error


def refined(
    pixels: Pixels, models: engine.Models, quality: float, effort: int, tune: str = "score"
) -> bytes:
    """A payload of an (H, W, 3) uint8 picture at a quality of 0-100, its latents refined.

    Stochastic Gumbel annealing (Yang, Bamler and Mandt 2020): each latent is rounded up or down by
    chance, the chances follow the gradient of bits + price * distortion, and they harden as the
    temperature falls. Large pictures are worked on in blocks. Raises ModelError without torch.
    """
    check_torch(effort)
    if min(pixels.shape[:2]) < _SMALLEST:
        return engine.encode(pixels, models, quality)
    import numpy as np
    import torch

    from sitecodec.training import model_file

    # Builds encode an image on each processor; threads that wait for one another only slow that.
    torch.set_num_threads(1)
    height, width = pixels.shape[:2]
    prices = _prices(pixels, models, quality, SHARES[tune])
    decoder = model_file.read(models.decoder, quality)
    analysed = torch.from_numpy(engine.analyse(pixels, models)).permute(2, 0, 1)[None]
    latents = analysed * model_file.read_gains(models.encoder, quality).view(1, -1, 1, 1)
    source = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    generator = torch.Generator().manual_seed(0)
    torch.set_flush_denormal(True)  # gradients have many, and they are slow
    try:
        for block in _blocks(*latents.shape[2:]):
            _anneal(latents, source, block, decoder, prices, STEPS[effort], generator)
    finally:
        torch.set_flush_denormal(False)
    whole = latents[0].permute(1, 2, 0).round().numpy().astype(np.int16)
    return engine.code(whole, width, height, models, quality)


def _prices(pixels: Pixels, models: engine.Models, quality: float, share: float) -> _Prices:
    qualities = [max(0.0, quality - _APART), min(100.0, quality + _APART)]
    low, high = engine.encode_many(pixels, models, qualities)
    bits = 8 * (len(high) - len(low))
    decoded = [engine.decode(payload, models) for payload in (low, high)]
    scores = [metrics.ssimulacra2(pixels, picture) for picture in decoded]
    errors = [10 ** (-metrics.psnr(pixels, picture) / 10) for picture in decoded]
    return _Prices(
        share * bits / max(scores[1] - scores[0], 0.1),
        (1 - share) * bits / max(errors[0] - errors[1], 1e-7),
    )


def _blocks(rows: int, columns: int) -> list[_Block]:
    """Blocks of about equal size that cover all latents."""

    def parts(size: int) -> list[tuple[int, int, int, int]]:
        count = -(-size // _BLOCK)
        ends = [size * i // count for i in range(count + 1)]
        return [
            (max(0, a - _MARGIN), min(size, b + _MARGIN), a, b) for a, b in itertools.pairwise(ends)
        ]

    return [
        _Block(
            slice(top, bottom),
            slice(left, right),
            (slice(a - top, b - top), slice(c - left, d - left)),
        )
        for top, bottom, a, b in parts(rows)
        for left, right, c, d in parts(columns)
    ]


def _anneal(
    latents: torch.Tensor,
    source: torch.Tensor,
    block: _Block,
    decoder: Decoder,
    prices: _Prices,
    steps: int,
    generator: torch.Generator,
) -> None:
    """Changes the free latents of a block, (1, C, rows, columns), to whole numbers."""
    import torch

    from sitecodec.training import model_file
    from sitecodec.training.score import ssimulacra2
    from sitecodec.training.step import fast_bfloat16

    window = latents[:, :, block.rows, block.columns]
    target = source[
        :,
        :,
        block.rows.start * engine.STRIDE : block.rows.stop * engine.STRIDE,
        block.columns.start * engine.STRIDE : block.columns.stop * engine.STRIDE,
    ]
    height, width = target.shape[2:]
    weight = target[0, 0].numel() / source[0, 0].numel()
    fixed = window.round()
    free = window[:, :, block.free[0], block.free[1]].clone().requires_grad_()
    optimiser = torch.optim.Adam([free], lr=_RATE)
    bfloat16 = fast_bfloat16(latents.device)
    for step in range(steps):
        temperature = _HOT * (_COLD / _HOT) ** (step / steps)
        low = free.floor().detach()
        part = (free - low).clamp(1e-4, 1 - 1e-4)
        # Gumbel noise twice is logistic noise on the difference of the two logits.
        draw = torch.rand(free.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
        logit = torch.atanh(part) - torch.atanh(1 - part)
        up = torch.sigmoid((logit / temperature + draw.logit()) / temperature)
        rounded = fixed.clone()
        rounded[:, :, block.free[0], block.free[1]] = low + up
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            bits = model_file.bits(decoder, rounded).sum()
            picture = model_file.decoded(decoder, rounded)[:, :, :height, :width].float()
        loss = bits + weight * prices.error * (picture - target).square().mean()
        if prices.score:
            lost = 100 - ssimulacra2(target, picture)[0]
            loss = loss + weight * prices.score * lost
        optimiser.zero_grad()
        (loss / free[0, 0].numel()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    window[:, :, block.free[0], block.free[1]] = free.detach().round()

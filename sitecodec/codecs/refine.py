"""Latents better than those the analysis gives, sought with gradients through the decoder.

The decoder stays as it is: visitors notice nothing but fewer bytes. Needs torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitecodec import engine
from sitecodec.errors import ModelError

if TYPE_CHECKING:
    import torch

    from sitecodec.facts.pixels import Pixels
    from sitecodec.training.model_file import Decoder

STEPS = {5: 20, 6: 30, 7: 50, 8: 80, 9: 150}
"""Gradient steps of each effort that has any."""


@dataclass(frozen=True)
class Shares:
    """How much of what a bit has to buy is bought in each measure; they add up to one."""

    score: float
    """SSIMULACRA2."""
    structure: float
    """MS-SSIM of the luma."""
    error: float
    """Squared error, which keeps a picture from flattering the other measures."""
    colour: float
    """Squared error of Cb and Cr over 4×4 pixels, as coarse as eyes see colour."""


SHARES = {"score": Shares(0.3, 0.3, 0.3, 0.1), "psnr": Shares(0.0, 0.0, 1.0, 0.0)}
"""The shares of each objective that `--tune` offers."""

_RATE = 0.03  # Adam's learning rate, in quantisation steps
_HOT, _COLD = 0.5, 0.1  # temperatures of the rounding
_APART = 6.0  # qualities between which the price of bits is measured
_BLOCK, _MARGIN = 48, 3  # latents worked on at a time, and how many around them
_SMALLEST, _SMALLEST_STRUCTURE = 113, 176  # sides that SSIMULACRA2 and MS-SSIM are defined for


@dataclass(frozen=True)
class _Block:
    """Latents to work on, by their window: rows and columns of latents, with a margin around."""

    rows: slice
    columns: slice
    free: tuple[slice, slice]
    """The latents of the window that may change."""

    @property
    def pixels(self) -> tuple[slice, slice]:
        """The window in pixels."""
        side = engine.STRIDE
        return (
            slice(self.rows.start * side, self.rows.stop * side),
            slice(self.columns.start * side, self.columns.stop * side),
        )


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
    decoder = model_file.read(models.decoder, quality)
    analysed = torch.from_numpy(engine.analyse(pixels, models)).permute(2, 0, 1)[None]
    latents = analysed * model_file.read_gains(models.encoder, quality).view(1, -1, 1, 1)
    source = _tensor(pixels)
    prices = _prices(source, pixels, models, quality)
    generator = torch.Generator().manual_seed(0)
    torch.set_flush_denormal(True)  # gradients have many, and they are slow
    try:
        for block in _blocks(*latents.shape[2:]):
            worth = _worth(source[:, :, *block.pixels], prices, SHARES[tune])
            _anneal(latents, block, decoder, worth, STEPS[effort], generator)
    finally:
        torch.set_flush_denormal(False)
    whole = latents[0].permute(1, 2, 0).round().numpy().astype(np.int16)
    return engine.code(whole, width, height, models, quality)


Measures = dict[str, Callable[["torch.Tensor"], "torch.Tensor"]]


def _measures(reference: torch.Tensor) -> Measures:
    """The losses against a reference, (1, 3, H, W) in [0, 1], by the name of their share."""
    from torch.nn.functional import avg_pool2d

    from sitecodec.training import architecture, score

    smallest = min(reference.shape[2:])
    found: Measures = {"error": lambda shown: (shown - reference).square().mean()}

    def colour(shown: torch.Tensor) -> torch.Tensor:
        error = architecture.to_colour(shown - reference + 0.5)[:, 1:]
        return avg_pool2d(error, 4, ceil_mode=True).square().mean()

    found["colour"] = colour
    if smallest >= _SMALLEST:
        seen = score.ssimulacra2_against(reference)
        found["score"] = lambda shown: 100 - seen(shown)[0]
    if smallest >= _SMALLEST_STRUCTURE:
        structure = score.ms_ssim_against(reference)
        found["structure"] = lambda shown: 1 - structure(shown)[0]
    return found


def _prices(
    source: torch.Tensor, pixels: Pixels, models: engine.Models, quality: float
) -> dict[str, float]:
    """Bits for a unit of each measure: slopes of the picture's own rate-distortion curves."""
    import torch

    qualities = [max(0.0, quality - _APART), min(100.0, quality + _APART)]
    low, high = engine.encode_many(pixels, models, qualities)
    bits = 8 * (len(high) - len(low))
    shown = [_tensor(engine.decode(payload, models)) for payload in (low, high)]
    prices = {}
    with torch.no_grad():
        for name, measure in _measures(source).items():
            worse, better = (float(measure(picture)) for picture in shown)
            prices[name] = bits / max(worse - better, worse / 100, 1e-9)
    return prices


def _worth(
    target: torch.Tensor, prices: dict[str, float], shares: Shares
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The bits that a picture's faults are worth, for a window of the picture."""
    measures = {name: m for name, m in _measures(target).items() if getattr(shares, name)}
    together: float = sum(getattr(shares, name) for name in measures)
    height, width = target.shape[2:]

    def worth(shown: torch.Tensor) -> torch.Tensor:
        shown = shown[:, :, :height, :width]
        lost = [m(shown) * prices[n] * getattr(shares, n) for n, m in measures.items()]
        total: torch.Tensor = sum(lost[1:], lost[0])
        return total / together

    return worth


def _tensor(pixels: Pixels) -> torch.Tensor:
    import torch

    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


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
    block: _Block,
    decoder: Decoder,
    worth: Callable[[torch.Tensor], torch.Tensor],
    steps: int,
    generator: torch.Generator,
) -> None:
    """Changes the free latents of a block, (1, C, rows, columns), to whole numbers."""
    import torch

    from sitecodec.training import model_file
    from sitecodec.training.step import fast_bfloat16

    window = latents[:, :, block.rows, block.columns]
    weight = window[0, 0].numel() / latents[0, 0].numel()
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
            picture = model_file.decoded(decoder, rounded).float()
        loss = bits + weight * worth(picture)
        optimiser.zero_grad()
        (loss / free[0, 0].numel()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    window[:, :, block.free[0], block.free[1]] = free.detach().round()

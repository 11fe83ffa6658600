"""Latents changed so that what they decode to is nearer the source, at no more bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels
    from sitecodec.sd.grid import Latents
    from sitecodec.sd.networks import Networks

# Per latent, of log2(1 + |difference to its neighbours' mean| in steps): about what a bit costs.
_RATE = 0.35


def refine(
    networks: Networks, pixels: Pixels, latents: Latents, steps: tuple[float, ...], count: int
) -> Latents:
    """`count` gradient steps (Adam) on (rows, columns, C) latents through the decoder.

    The loss is the squared error of the decoded picture plus a price on differences between
    neighbouring latents, which stands for the coder's bits, weighted so that at the start a bit
    costs what quantisation makes it worth. Rounding is replaced by uniform noise (Ballé, Laparra
    and Simoncelli 2017). `steps` are the channels' quantisation steps.
    """
    import numpy as np
    import torch

    device = networks.device
    generator = torch.Generator().manual_seed(0)
    height, width = pixels.shape[:2]
    start = torch.from_numpy(latents).permute(2, 0, 1)[None].to(device)
    widths = torch.tensor(steps, device=device).reshape(1, -1, 1, 1)
    source = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].to(device)
    source = source.float() / 127.5 - 1
    grid = (start / widths).clone().requires_grad_()
    optimiser = torch.optim.Adam([grid], lr=0.05)

    def distortion(scaled: torch.Tensor) -> torch.Tensor:
        decoded = networks.to_picture(scaled)[..., :height, :width]
        return (decoded - source).square().mean()

    def rate(values: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(values, (1, 0, 1, 0), mode="replicate")
        around = (padded[..., 1:, :-1] + padded[..., :-1, 1:]) / 2
        return torch.log2(1 + (values - around).abs()).mean()

    with torch.no_grad():
        # What rounding costs now, over what it would save: dD/dR = 2 ln 2 D at high rate.
        noise = torch.rand(grid.shape, generator=generator).to(device) - 0.5
        cost = distortion(start + noise * widths) - distortion(start)
        price = _RATE * 1.386 * max(float(cost), 1e-6)
    best, least = start, float("inf")
    # Gradients of a mean over a picture are below what half precision holds; Adam does not care.
    scale = 2.0**14 if networks.vae.dtype == torch.float16 else 1.0
    for step in range(count + 1):
        noise = torch.rand(grid.shape, generator=generator).to(device) - 0.5
        loss = distortion((grid + noise) * widths) + price * rate(grid)
        if loss.item() < least:
            best, least = (grid * widths).detach(), loss.item()
        if step < count:
            optimiser.zero_grad()
            (loss * scale).backward()
            optimiser.step()
    refined: Latents = best[0].permute(1, 2, 0).cpu().contiguous().numpy()
    return refined

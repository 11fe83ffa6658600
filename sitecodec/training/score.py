"""Two scores with gradients: SSIMULACRA2, which the gate measures, and MS-SSIM.

SSIMULACRA2 is that of Sneyers 2023 (https://github.com/cloudinary/ssimulacra2), in the terms that
`sitecodec.engine.scores` keeps; scores are within 0.1 of those. Both measures are opened on a
reference, whose terms are then there for any number of pictures. Blurs are products with band
matrices, a block of pixels at a time, which is faster than convolutions of a single channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sitecodec.engine.scores import WEIGHTS

RADIUS, SIGMA = 5, 1.5
BLOCK = 64  # pixels blurred at a time, in both directions
C2 = 0.0009
BIAS = 0.0037930732552754493
OPSIN = torch.tensor(
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.5518098665095536],
    ]
)
SCALES = 1 + max(scale for _, scale in WEIGHTS)
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
FLOOR = 1e-18  # under fourth roots, whose slope at zero is infinite


Measure = Callable[[Tensor], Tensor]
"""Scores (N) of distorted pictures (N, 3, H, W) in [0, 1]."""


@dataclass(frozen=True)
class _Plane:
    """The parts of the score that depend on a plane of the reference, (N, H, W) each."""

    weights: tuple[float, ...]
    value: Tensor
    mean: Tensor
    energy: Tensor  # variance, and what keeps quotients tame
    edges: Tensor  # 1 + distance from the mean


def ssimulacra2(reference: Tensor, distorted: Tensor) -> Tensor:
    """Scores (N) of (N, 3, H, W) sRGB pictures in [0, 1], sides of 113 or more; float32."""
    return ssimulacra2_against(reference)(distorted)


def ssimulacra2_against(reference: Tensor) -> Measure:
    """`ssimulacra2` of any number of pictures beside the same reference."""
    scales = []
    with torch.no_grad():
        light = _linear(reference)
        for scale in range(SCALES):
            light = F.avg_pool2d(light, 2, ceil_mode=True) if scale else light
            planes = [plane for plane in range(3) if (plane, scale) in WEIGHTS]
            values = _xyb(light, planes)
            scales.append({p: _plane(v, WEIGHTS[p, scale]) for p, v in values.items()})

    def measure(distorted: Tensor) -> Tensor:
        light = _linear(distorted.clamp(0, 1))
        total = torch.zeros(len(distorted), device=distorted.device)
        for scale, seen in enumerate(scales):
            light = F.avg_pool2d(light, 2, ceil_mode=True) if scale else light
            for plane, value in _xyb(light, list(seen)).items():
                total = total + _lost(seen[plane], value)
        total = total * 0.9562382616834844
        total = (
            2.326765642916932 * total
            - 0.020884521182843837 * total**2
            + 6.248496625763138e-05 * total**3
        )
        return 100 - 10 * total.clamp_min(1e-4) ** 0.6276336467831387

    return measure


def ms_ssim(reference: Tensor, distorted: Tensor) -> Tensor:
    """Multi-scale SSIM (Wang, Simoncelli and Bovik 2003) of the luma of (N, 3, H, W) pictures.

    (N), 1 for identical pictures; sides of 176 or more.
    """
    return ms_ssim_against(reference)(distorted)


def ms_ssim_against(reference: Tensor) -> Measure:
    """`ms_ssim` of any number of pictures beside the same reference."""
    scales = []
    with torch.no_grad():
        x = _luma(reference)
        for scale in range(len(MS_SSIM_WEIGHTS)):
            x = F.avg_pool2d(x, 2) if scale else x
            mean, square = _blur(torch.cat([x, x * x], 1)).chunk(2, 1)
            scales.append((x, mean, square - mean * mean))

    def measure(distorted: Tensor) -> Tensor:
        y = _luma(distorted.clamp(0, 1))
        result = torch.ones(len(distorted), device=distorted.device)
        for scale, (x, mx, xx) in enumerate(scales):
            y = F.avg_pool2d(y, 2) if scale else y
            my, yy, xy = _blur(torch.cat([y, y * y, x * y], 1)).chunk(3, 1)
            contrast = (2 * (xy - mx * my) + 0.03**2) / (xx + (yy - my * my) + 0.03**2)
            if scale == len(scales) - 1:
                contrast = contrast * (2 * mx * my + 0.01**2) / (mx * mx + my * my + 0.01**2)
            inner = contrast[:, 0, RADIUS:-RADIUS, RADIUS:-RADIUS]
            result = result * inner.mean((1, 2)).clamp_min(1e-4) ** MS_SSIM_WEIGHTS[scale]
        return result

    return measure


def _luma(rgb: Tensor) -> Tensor:
    luma = torch.tensor([0.299, 0.587, 0.114], device=rgb.device).view(1, 3, 1, 1)
    return (rgb * luma).sum(1, keepdim=True)


def _linear(srgb: Tensor) -> Tensor:
    high = _power(((srgb + 0.055) / 1.055).clamp_min(0.05), 2.4)
    return torch.where(srgb <= 0.04045, srgb / 12.92, high)


def _xyb(linear: Tensor, planes: list[int]) -> dict[int, Tensor]:
    cones = 3 if 2 in planes else 2
    mixed = torch.einsum("oc,nchw->nohw", OPSIN[:cones].to(linear.device), linear) + BIAS
    roots = _power(mixed, 1 / 3) - BIAS ** (1 / 3)
    luma = 0.5 * (roots[:, 0] + roots[:, 1])
    xyb = {1: luma + 0.01}
    if 0 in planes:
        xyb[0] = 7 * (roots[:, 0] - roots[:, 1]) + 0.42
    if 2 in planes:
        xyb[2] = roots[:, 2] - luma + 0.55
    return xyb


def _plane(value: Tensor, weights: tuple[float, ...]) -> _Plane:
    mean, square = _blur(torch.stack([value, value * value], 1)).unbind(1)
    edges = 1 + (value - mean).abs()
    return _Plane(weights, value, mean, square - mean * mean + C2, edges)


def _lost(seen: _Plane, value: Tensor) -> Tensor:
    """The cost of a plane, (N): where structure differs, and where edges have appeared or gone."""
    both = torch.stack([value, value * value, seen.value * value], 1)
    mean, square, product = _blur(both).unbind(1)
    energy = seen.energy + square - mean * mean
    structure = 2 * (product - seen.mean * mean) + C2
    different = (1 - (1 - (seen.mean - mean).square()) * structure / energy).relu()
    total = _norms(different, seen.weights[:2])
    if any(seen.weights[2:]):
        edges = (1 + (value - mean).abs()) / seen.edges - 1
        total = total + _norms(edges.relu(), seen.weights[2:4])
        total = total + _norms((-edges).relu(), seen.weights[4:])
    return total


def _norms(error: Tensor, weights: tuple[float, ...]) -> Tensor:
    """The mean and the norm of degree four of an error map, times their weights (N)."""
    mean, fourth = weights
    total = torch.zeros(len(error), device=error.device)
    if mean:
        total = total + mean * error.mean((1, 2))
    if fourth:
        total = total + fourth * (error.square().square().mean((1, 2)) + FLOOR) ** 0.25
    return total


class _Power(torch.autograd.Function):
    """A power whose slope takes no second one."""

    @staticmethod
    def forward(ctx: Any, base: Tensor, exponent: float) -> Tensor:  # noqa: ANN401
        result = base**exponent
        ctx.save_for_backward(base, result)
        ctx.exponent = exponent
        return result

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        base, result = ctx.saved_tensors
        return slopes[0] * (result / base) * ctx.exponent, None


def _power(base: Tensor, exponent: float) -> Tensor:
    result: Tensor = _Power.apply(base, exponent)
    return result


class _Blur(torch.autograd.Function):
    """The Gaussian blur of (N, C, H, W): nothing beyond the sides, a mirror above and below."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401
        del ctx
        across = _across(F.pad(values, (RADIUS, RADIUS)))
        edges = across[:, :, :RADIUS].flip(2), across[:, :, -RADIUS:].flip(2)
        return _down(torch.cat([edges[0], across, edges[1]], 2))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:  # noqa: ANN401
        del ctx
        wide = _down(F.pad(slopes[0], (0, 0, 2 * RADIUS, 2 * RADIUS)))
        inner = wide[:, :, RADIUS:-RADIUS].clone()
        inner[:, :, :RADIUS] += wide[:, :, :RADIUS].flip(2)
        inner[:, :, -RADIUS:] += wide[:, :, -RADIUS:].flip(2)
        return _across(F.pad(inner, (RADIUS, RADIUS)))


def _blur(values: Tensor) -> Tensor:
    result: Tensor = _Blur.apply(values)
    return result


def _across(values: Tensor) -> Tensor:
    """Rows blurred, the RADIUS values at both ends used up."""
    *shape, width = values.shape
    rows = values.reshape(-1, width)
    parts = [rows[:, start:stop] @ band.T for start, stop, band in _blocks(width, values.device)]
    return torch.cat(parts, 1).view(*shape, -1)


def _down(values: Tensor) -> Tensor:
    """Columns blurred, likewise."""
    blocks = _blocks(values.shape[2], values.device)
    return torch.cat([band @ values[:, :, start:stop] for start, stop, band in blocks], 2)


def _blocks(size: int, device: torch.device) -> list[tuple[int, int, Tensor]]:
    """Stretches that a blur along `size` values is made of, with the matrix of each."""
    stops = [min(start + BLOCK + 2 * RADIUS, size) for start in range(0, size - 2 * RADIUS, BLOCK)]
    return [
        (index * BLOCK, stop, _band(stop - index * BLOCK - 2 * RADIUS, device))
        for index, stop in enumerate(stops)
    ]


@lru_cache(256)
def _band(size: int, device: torch.device) -> Tensor:
    """The Gaussian at each of some places that have margins, (size, size + 2·RADIUS)."""
    taps = torch.exp(-(torch.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
    matrix = torch.zeros(size, size + 2 * RADIUS)
    for place in range(size):
        matrix[place, place : place + 2 * RADIUS + 1] = taps / taps.sum()
    return matrix.to(device)

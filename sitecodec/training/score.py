"""What pictures look like, with gradients: SSIMULACRA2, which the gate measures, and MS-SSIM.

SSIMULACRA2 is that of Sneyers 2023 (https://github.com/cloudinary/ssimulacra2), in the terms that
`sitecodec.engine.scores` keeps; scores are within 0.1 of those. Blurs are products with band
matrices, which CPUs and GPUs do faster than convolutions of a single channel.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from sitecodec.engine.scores import WEIGHTS

RADIUS, SIGMA = 5, 1.5
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


def ssimulacra2(reference: Tensor, distorted: Tensor) -> Tensor:
    """Scores (N) of (N, 3, H, W) sRGB pictures in [0, 1], sides of 113 or more; float32."""
    reference, distorted = _linear(reference), _linear(distorted.clamp(0, 1))
    total = torch.zeros(reference.shape[0], device=reference.device)
    for scale in range(SCALES):
        if scale:
            reference, distorted = (
                F.avg_pool2d(light, 2, ceil_mode=True) for light in (reference, distorted)
            )
        planes = [plane for plane in range(3) if (plane, scale) in WEIGHTS]
        maps = _error_maps(_xyb(reference, planes), _xyb(distorted, planes))
        for index, plane in enumerate(planes):
            weights = WEIGHTS[plane, scale]
            for term, error in enumerate(maps):
                mean, fourth = weights[2 * term : 2 * term + 2]
                part = error[:, index]
                if mean:
                    total = total + mean * part.mean((1, 2))
                if fourth:
                    total = total + fourth * (part.square().square().mean((1, 2)) + FLOOR) ** 0.25
    total = total * 0.9562382616834844
    total = (
        2.326765642916932 * total
        - 0.020884521182843837 * total**2
        + 6.248496625763138e-05 * total**3
    )
    return 100 - 10 * total.clamp_min(1e-4) ** 0.6276336467831387


def ms_ssim(reference: Tensor, distorted: Tensor) -> Tensor:
    """Multi-scale SSIM (Wang, Simoncelli and Bovik 2003) of the luma of (N, 3, H, W) pictures.

    (N), 1 for identical pictures; sides of 176 or more.
    """
    luma = torch.tensor([0.299, 0.587, 0.114], device=reference.device).view(1, 3, 1, 1)
    x, y = ((picture * luma).sum(1, keepdim=True) for picture in (reference, distorted.clamp(0, 1)))
    result = torch.ones(reference.shape[0], device=reference.device)
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        mx, xx = _blur(torch.cat([x, x * x], 1)).chunk(2, 1)
        my, yy, xy = _blur(torch.cat([y, y * y, x * y], 1)).chunk(3, 1)
        contrast = (2 * (xy - mx * my) + 0.03**2) / ((xx - mx * mx) + (yy - my * my) + 0.03**2)
        if scale == len(MS_SSIM_WEIGHTS) - 1:
            contrast = contrast * (2 * mx * my + 0.01**2) / (mx * mx + my * my + 0.01**2)
        inner = contrast[:, 0, RADIUS:-RADIUS, RADIUS:-RADIUS]
        result = result * inner.mean((1, 2)).clamp_min(1e-4) ** weight
    return result


def _linear(srgb: Tensor) -> Tensor:
    high = ((srgb + 0.055) / 1.055).clamp_min(0.05) ** 2.4
    return torch.where(srgb <= 0.04045, srgb / 12.92, high)


def _xyb(linear: Tensor, planes: list[int]) -> Tensor:
    cones = 3 if 2 in planes else 2
    mixed = torch.einsum("oc,nchw->nohw", OPSIN[:cones].to(linear.device), linear) + BIAS
    roots = mixed ** (1 / 3) - BIAS ** (1 / 3)
    luma = 0.5 * (roots[:, 0] + roots[:, 1])
    xyb = [7 * (roots[:, 0] - roots[:, 1]) + 0.42, luma + 0.01]
    if cones == 3:
        xyb.append(roots[:, 2] - luma + 0.55)
    return torch.stack([xyb[plane] for plane in planes], 1)


def _error_maps(v1: Tensor, v2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where structure differs, where edges have appeared and where they have gone."""
    m1, s11 = _blur(torch.cat([v1, v1 * v1], 1)).chunk(2, 1)
    m2, s22, s12 = _blur(torch.cat([v2, v2 * v2, v1 * v2], 1)).chunk(3, 1)
    energy = (s11 - m1 * m1) + (s22 - m2 * m2) + C2
    structure = 2 * (s12 - m1 * m2) + C2
    different = (1 - (1 - (m1 - m2).square()) * structure / energy).relu()
    edges = (1 + (v2 - m2).abs()) / (1 + (v1 - m1).abs()) - 1
    return different, edges.relu(), (-edges).relu()


def _blur(values: Tensor) -> Tensor:
    height, width = values.shape[2:]
    across = _band(width, mirrored=False).to(values.device)
    down = _band(height, mirrored=True).to(values.device)
    return down @ (values @ across.T)


@lru_cache(32)
def _band(size: int, *, mirrored: bool) -> Tensor:
    """The (size, size) matrix of the Gaussian blur; beyond the ends is a mirror, or nothing."""
    taps = torch.exp(-(torch.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
    taps = taps / taps.sum()
    matrix = torch.zeros(size, size)
    for offset, tap in zip(range(-RADIUS, RADIUS + 1), taps, strict=True):
        source = torch.arange(size) + offset
        inside = (source >= 0) & (source < size)
        if mirrored:
            source = torch.where(source < 0, -1 - source, source)
            source = torch.where(source >= size, 2 * size - 1 - source, source)
        elif not bool(inside.all()):
            tap = tap * inside
            source = source.clamp(0, size - 1)
        matrix[torch.arange(size), source] += tap
    return matrix

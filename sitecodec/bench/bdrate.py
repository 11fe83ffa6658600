"""Bjøntegaard rates: how much larger one codec's files are at the quality of another's."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence

from sitecodec.errors import SitecodecError


def has_scipy() -> bool:
    """Whether the library that interpolates the curves is installed."""
    return importlib.util.find_spec("scipy") is not None


def bd_rate(
    anchor_points: Sequence[tuple[float, float]], points: Sequence[tuple[float, float]]
) -> float | None:
    """Bjøntegaard's rate difference of `points` to the anchor, in per cent; negative is smaller.

    Points are (rate, quality) in any order. The logarithm of the rate is interpolated over the
    quality by PCHIP and averaged where the two quality ranges overlap. Only points on which
    more rate buys more quality are used. None if a curve has fewer than two such points or the
    ranges do not overlap.

    Raises SitecodecError without scipy.
    """
    if not has_scipy():
        raise SitecodecError(
            "Bjøntegaard rates need scipy: install it with  pip install 'sitecodec[bench]'"
        )
    from scipy.interpolate import PchipInterpolator  # type: ignore[import-untyped, unused-ignore]

    curves = []
    for given in (anchor_points, points):
        curve = _rising(given)
        if len(curve) < 2:
            return None
        qualities = [quality for quality, _ in curve]
        curves.append((qualities, PchipInterpolator(qualities, [rate for _, rate in curve])))
    low = max(qualities[0] for qualities, _ in curves)
    high = min(qualities[-1] for qualities, _ in curves)
    if high <= low:
        return None
    anchor, tested = (float(curve.integrate(low, high)) for _, curve in curves)
    return (math.exp((tested - anchor) / (high - low)) - 1) * 100


def _rising(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """(quality, log rate), strictly rising in both; not usable points left out."""
    curve: list[tuple[float, float]] = []
    for rate, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not (rate > 0 and math.isfinite(rate) and math.isfinite(quality)):
            continue
        if not curve or (quality > curve[-1][0] and math.log(rate) > curve[-1][1]):
            curve.append((quality, math.log(rate)))
    return curve

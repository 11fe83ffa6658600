"""The search for the lowest quality that reaches a target score, in few encodes.

Qualities are numbered from 0. Scores rise with them along a curve that is typical of the encoder.
A search moves that curve through what it measures of the picture at hand and tries where the
curve meets the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sitecodec.facts.calibration import FAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Curve = NDArray[np.float64]
    """A score for each quality."""

MOST_TRIALS = 4


def curve(scores: Sequence[float]) -> Curve:
    """A curve through scores at equal distances from quality 0 to quality 100."""
    return np.interp(np.arange(101), np.linspace(0, 100, len(scores)), scores)


def first(typical: Curve, target: float) -> int:
    """The lowest quality at which the curve reaches the target, or the highest there is."""
    hopeful = np.flatnonzero(typical >= target)
    return int(hopeful[0]) if hopeful.size else len(typical) - 1


def moved(typical: Curve, scores: Mapping[int, float]) -> Curve:
    """The curve, moved through measured scores; between them by what is between their errors.

    Below the lowest one the error goes on as it began: flat graphics hardly lose by a lower
    quality, where photographs do.
    """
    measured = sorted(scores)
    errors = [scores[q] - float(typical[q]) for q in measured]
    if len(measured) > 1:
        slope = (errors[0] - errors[1]) / (measured[1] - measured[0])
        errors.insert(0, errors[0] + max(0.0, slope) * measured[0])
        measured.insert(0, 0 if measured[0] else -1)
    return typical + np.interp(np.arange(len(typical)), measured, errors)


def bracket(
    trial: Callable[[int], float], target: float, typical: Curve, grid: int
) -> dict[int, float]:
    """Scores on a grid, among them neighbours of which the upper one alone reaches the target.

    If even the lowest quality does, or not even the highest, that end is measured instead. Only
    multiples of `grid` and the highest quality are tried, so that other targets meet the same.
    """
    qualities = [*range(0, len(typical) - 1, grid), len(typical) - 1]
    scores: dict[int, float] = {}
    low, high = -1, len(qualities)  # has failed, has reached the target
    guess = typical
    while high - low > 1:
        place = int(np.argmin(np.abs(np.subtract(qualities, first(guess, target)))))
        place = min(max(place, low + 1), high - 1)
        scores[qualities[place]] = trial(qualities[place])
        reached = scores[qualities[place]] >= target
        low, high = (low, place) if reached else (place, high)
        guess = moved(typical, scores)
    return scores


def lowest_quality(
    trial: Callable[[int], float],
    target: float,
    typical: Curve,
    known: Mapping[int, float] | None = None,
) -> int:
    """The lowest of the tried qualities that reaches `target`, or the highest if that does not.

    Each trial is the lowest quality that the typical curve, moved through all measured points,
    predicts to reach the target, within what is still open. It ends when the quality below has
    failed or, by the curve's slope, would fail; or after four trials, six if far above the target.
    `known` are scores measured before.
    """
    scores = dict(known or {})
    failed = max((q for q, score in scores.items() if score < target), default=-1)
    top = len(typical) - 1
    reached = min((q for q, score in scores.items() if score >= target), default=top + 1)

    def done() -> bool:
        if reached > top:
            return False
        above = scores[reached] - target
        step = typical[reached] - typical[max(0, reached - 1)]
        most = MOST_TRIALS + (2 if above > FAR else 0)
        return bool(above < step) or len(scores) >= most

    while reached - failed > 1 and not done():
        predicted = moved(typical, scores) if scores else typical
        quality = min(max(first(predicted, target), failed + 1), reached - 1)
        scores[quality] = trial(quality)
        if scores[quality] >= target:
            reached = quality
        else:
            failed = quality
    return min(reached, top)


def largest_under(size: Callable[[int], int], limit: float, highest: int, typical: Curve) -> int:
    """The highest quality up to `highest` whose size is under the limit; -1 if there is none.

    Sizes rise with quality, their logarithm about as `typical` does, which is moved through the
    sizes of the nearest qualities that were asked for. One within a hundredth is near enough.
    """
    goal = np.log(limit)
    logs = {highest: np.log(size(highest))}
    low, high = -1, highest  # is under the limit, is not
    if logs[highest] < goal:
        return highest
    while high - low > 1 and not (low >= 0 and logs[low] > goal - 0.01):
        rise = 1.0
        if low >= 0:
            rise = max(typical[high] - typical[low], 1e-9) / max(logs[high] - logs[low], 1e-9)
        wanted = typical[high] + (goal - logs[high]) * rise
        middle = int(np.searchsorted(typical, wanted)) - 1
        middle = min(max(middle, low + 1), high - 1)
        logs[middle] = np.log(size(middle))
        low, high = (middle, high) if logs[middle] < goal else (low, middle)
    return low

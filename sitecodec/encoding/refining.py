"""The search for a payload of refined latents: like the gate's, but trials take half a minute."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitecodec.encoding import search
from sitecodec.encoding.task import Task
from sitecodec.encoding.trials import Encoded, Trial, encoded, measured, named
from sitecodec.facts import calibration

if TYPE_CHECKING:
    from sitecodec.codecs.protocol import Codec
    from sitecodec.facts.pixels import Pixels

_MOST_SAVED = 0.4
"""The largest part of a plain payload's bytes that refining has been seen to save at the same
score. Refining is not begun if it would have to save more."""

_MOST_WRONG = 0.1  # how much smaller another quality's file may be than one trial foretells
_MOST_TRIALS = 3


@dataclass(frozen=True)
class Plain:
    """The results for payloads that are not refined."""

    curve: search.Curve
    """The scores to expect of them."""

    sizes: search.Curve
    """How the logarithm of their size goes with quality."""

    size: float
    """The size of the payload that reaches the target, or would reach it."""


def smallest(
    task: Task, source: Pixels, codec: Codec, worth: float, plain: Plain
) -> Encoded | None:
    """The smallest refined payload of less than `worth` bytes that reaches the target, if any.

    `source` is the picture that is encoded. Where nothing that was ever seen could win, nothing is
    tried.
    """
    if codec.refiner is None or plain.size * (1 - _MOST_SAVED) >= worth:
        return None
    files: dict[int, bytes] = {}
    levels: dict[int, float] = {}
    best: tuple[int, Trial] | None = None
    last: tuple[int, Trial] | None = None
    failed, reached = -1, len(plain.curve)
    expected = plain.curve + calibration.REFINING_GAIN
    refiner = codec.refiner
    prefix = named(refiner.identity, source, task.target)

    def file(quality: int) -> bytes:
        if quality not in files:
            files[quality] = refiner.encode(source, quality)
        return files[quality]

    while reached - failed > 1 and len(levels) < _MOST_TRIALS:
        guess = search.moved(expected, levels) if levels else expected
        quality = min(max(search.first(guess, task.target), failed + 1), reached - 1)
        if (
            last
            and last[1].size * _ratio(plain.sizes, last[0], quality) * (1 - _MOST_WRONG) >= worth
        ):
            break
        name = f"{prefix}/{quality}"
        if name not in task.memo:
            task.memo[name] = measured(file(quality), task.score(codec.decode(file(quality))))
        trial = task.memo[name]
        last = quality, trial
        levels[quality] = task.level(trial)
        if levels[quality] >= task.target:
            reached, best = quality, (quality, trial)
            if levels[quality] - task.target < calibration.NEAR:
                break
        elif trial.size >= worth:
            return None
        else:
            failed = quality
    if best is None or best[1].size >= worth:
        return None
    quality, trial = best
    return encoded(file(quality), quality, trial)


def _ratio(sizes: search.Curve, low: int, high: int) -> float:
    """The size to expect at the quality `high`, by that at `low`."""
    return math.exp(float(sizes[high] - sizes[low]))

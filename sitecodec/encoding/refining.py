"""The search for a payload of refined latents: like the gate's, but trials take half a minute."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sitecodec.encoding import search
from sitecodec.encoding.trials import Encoded, Memo, Trial, measured, named

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels
    from sitecodec.codecs.web import WebCodec
    from sitecodec.encoding.conventional import Scorer

GAIN = 6.0
"""Points of score that refining brings at the same quality: a first guess."""

_MOST_SAVED = 0.4
"""Part of the bytes of a plain payload of the same score that refining has been seen to save, at
most. What needs more than that is not begun."""

_MOST_WRONG = 0.1  # how much smaller another quality's file may be than one trial foretells
_MOST_TRIALS = 3
_NEAR = 1.5  # so little above the target is not worth another trial


def smallest(
    source: Pixels,
    score: Scorer,
    codec: WebCodec,
    target: float,
    floor: float,
    worth: float,
    curve: search.Curve,
    sizes: search.Curve,
    plain: float,
    memo: Memo,
) -> Encoded | None:
    """The smallest refined payload of less than `worth` bytes that reaches the target, if any.

    `curve` is what is expected of payloads that are not refined, `sizes` how the logarithm of
    their size goes with quality, and `plain` the size of the one that reaches the target; `memo`
    is used and added to. Where nothing that was ever seen could win, nothing is tried.
    """
    if plain * (1 - _MOST_SAVED) >= worth:
        return None
    files: dict[int, bytes] = {}
    levels: dict[int, float] = {}
    best: tuple[int, Trial] | None = None
    last: tuple[int, Trial] | None = None
    failed, reached = -1, len(curve)
    expected = curve + GAIN
    prefix = named(f"{codec.identity}/effort {codec.effort}", source, target)

    def file(quality: int) -> bytes:
        if quality not in files:
            files[quality] = codec.refined(source, quality)
        return files[quality]

    while reached - failed > 1 and len(levels) < _MOST_TRIALS:
        guess = search.moved(expected, levels) if levels else expected
        quality = min(max(search.first(guess, target), failed + 1), reached - 1)
        if last and last[1].size * _ratio(sizes, last[0], quality) * (1 - _MOST_WRONG) >= worth:
            break
        name = f"{prefix}/{quality}"
        if name not in memo:
            memo[name] = measured(file(quality), score(codec.decode(file(quality))))
        trial = memo[name]
        last = quality, trial
        levels[quality] = trial.level(floor, target)
        if levels[quality] >= target:
            reached, best = quality, (quality, trial)
            if levels[quality] - target < _NEAR:
                break
        elif trial.size >= worth:
            return None
        else:
            failed = quality
    if best is None or best[1].size >= worth:
        return None
    quality, trial = best
    return Encoded(trial.size, trial.score, trial.worst_tile, file(quality), quality)


def _ratio(sizes: search.Curve, low: int, high: int) -> float:
    """The size to expect at the quality `high`, by that at `low`."""
    return math.exp(float(sizes[high] - sizes[low]))

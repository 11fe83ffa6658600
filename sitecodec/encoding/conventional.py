"""The conventional file of a score: an AVIF, sought by quick trials and made with care."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sitecodec import metrics
from sitecodec.encoding import images, search
from sitecodec.encoding.trials import Encoded, Memo, Trial, measured

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels

Scorer = Callable[["Pixels"], metrics.Scores]
"""What scores pictures against a source, as `metrics.against` yields it."""


def _quantiser(quality: int) -> int:
    return ((100 - quality) * 63 + 50) // 100


QUALITIES = tuple(q for q in range(101) if q == 0 or _quantiser(q) < _quantiser(q - 1))
"""The qualities at which AVIF files differ: libavif has 64 quantisers."""

# Mean scores of files to ship on Kodak pictures for quality 0, 10, ... 100. Only a prior: a search
# corrects it by what it measures on the picture at hand.
_CURVE = search.curve((-33.4, -6.3, 20.4, 39.2, 54.4, 67.0, 75.3, 80.2, 84.4, 88.7, 92.8))[
    list(QUALITIES)
]
# How fast the logarithm of the size rises with the score, on the same pictures.
_SLOPE = 0.027
# Trials at this speed cost a tenth of a file's; at the same quality they score a little less, and
# are larger: photographs by a tenth, graphics by half.
_QUICK, _SPEED = 9, 6
_LARGER = 1.7
_GRID = 6
_HOPELESS = 1.0  # what a quick trial at quality 100 may lack; there the speed tells little


@dataclass(frozen=True)
class Conventional:
    """The result of a search for an AVIF."""

    encoded: Encoded | None
    """None if none reaches the target, or none under the limit does."""

    level: float
    slope: float
    """How fast the logarithm of the size rises with the level."""

    offsets: tuple[float, float]
    """By what its scores differ from typical ones; by what they do more than quick trials'."""

    def size_at(self, level: float) -> float:
        """The size that an AVIF of exactly this level would have: qualities are coarse steps."""
        if self.encoded is None:
            return math.inf
        return self.encoded.size * math.exp(self.slope * (level - self.level))


def matching_avif(
    source: Pixels,
    score: Scorer,
    target: float,
    floor: float = -math.inf,
    limit: float = math.inf,
    hints: tuple[float, float] = (0.0, 0.0),
    memo: Memo | None = None,
) -> Conventional:
    """The AVIF of the lowest quality that scores at least `target`, with no tile under `floor`.

    The quality is sought by quick trials, on the picture's sample if it is large, and corrected by
    what files to ship score. Where all that reach the target are clearly over the limit of bytes
    none is made. `hints` are the offsets that the same picture had in another size.
    """
    memo = {} if memo is None else memo
    quick: dict[int, Trial] = {}
    files: dict[int, Encoded] = {}
    part = metrics.sample(source)

    with ExitStack() as stack:
        score_part = score if part is source else stack.enter_context(metrics.against(part))

        def quick_trial(step: int) -> float:
            name = f"avif/{_QUICK}/{QUALITIES[step]}"
            if name not in memo:
                data = images.avif(part, QUALITIES[step], _QUICK)
                memo[name] = measured(data, score_part(images.decode(data)))
            quick[step] = memo[name]
            return quick[step].level(floor, target)

        levels = search.bracket(quick_trial, target, _CURVE + hints[0], _GRID)

    top = max(levels)
    offset = quick[top].score + _slower(quick[top].score) + hints[1] - float(_CURVE[top])
    expected = {step: level + _slower(level) for step, level in levels.items()}
    too_large = (
        min(expected.values()) < target
        and _size_at(target, expected, quick) * source.size / part.size > limit * _LARGER
    )
    unreached = top == len(QUALITIES) - 1 and levels[top] < target - _HOPELESS
    if too_large or unreached:
        return Conventional(None, -math.inf, _SLOPE, (offset, hints[1]))

    def trial(step: int) -> float:
        data = images.avif(source, QUALITIES[step], _SPEED)
        scores = score(images.decode(data))
        quality = QUALITIES[step]
        files[step] = Encoded(len(data), scores.score, scores.worst_tile, data, quality)
        return files[step].level(floor, target)

    likely = search.moved(_CURVE, {step: level + hints[1] for step, level in expected.items()})
    best = search.lowest_quality(trial, target, likely)
    found = files[best]
    level = found.level(floor, target)
    return Conventional(
        found if level >= target else None,
        level,
        _slope(target, [(t.level(floor, target), t.size) for t in quick.values()]),
        (found.score - float(_CURVE[best]), hints[1] + level - float(likely[best])),
    )


def _slower(score: float) -> float:
    """What a file to ship scores more than a quick trial of that score: on photographs, to 1.5."""
    return min(max(0.075 * (95 - score), 0.3), 6.5)


def _size_at(target: float, levels: dict[int, float], trials: dict[int, Trial]) -> float:
    """The size at the target, between those of trials of these levels."""
    steps = sorted(levels, key=levels.__getitem__)
    sizes = [math.log(trials[step].size) for step in steps]
    return math.exp(float(np.interp(target, [levels[step] for step in steps], sizes)))


def _slope(target: float, points: list[tuple[float, int]]) -> float:
    """How fast the logarithm of the size rises around the target, by the nearest (level, size)."""
    near = sorted(points, key=lambda point: abs(point[0] - target))[:2]
    if len(near) < 2 or abs(near[0][0] - near[1][0]) < 0.5:
        return _SLOPE
    slope = math.log(near[0][1] / near[1][1]) / (near[0][0] - near[1][0])
    return min(max(slope, 0.01), 0.1)

"""The conventional file of a score: sought by quick trials and made with care."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sitecodec import metrics
from sitecodec.encoding import encoders, search
from sitecodec.encoding.encoders import Encoder
from sitecodec.encoding.task import Task
from sitecodec.encoding.trials import Encoded, Trial, encoded, measured
from sitecodec.facts import calibration
from sitecodec.facts.formats import Format

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels


_GRID = 6
_SURELY = 1.15  # what one file to ship foretells of the next is within a tenth
_LARGER = 1.7  # by so much the files of quick trials may be larger


@dataclass(frozen=True)
class Offsets:
    """The difference of a picture from typical ones, a good guess for its other sizes."""

    typical: float = 0.0
    """The score of its files minus the score of typical files of the same quality."""

    quick: float = 0.0
    """The score of its files minus the score that quick trials predict."""


@dataclass(frozen=True)
class Conventional:
    """The result of a search."""

    format: Format
    encoded: Encoded | None
    """None if none reaches the target, or none under the limit does."""

    level: float
    slope: float
    """How fast the logarithm of the size rises with the level."""

    offsets: Offsets

    def size_at(self, level: float) -> float:
        """The size that a file of exactly this level would have: qualities are coarse steps."""
        if self.encoded is None:
            return math.inf
        return self.encoded.size * math.exp(self.slope * (level - self.level))


def smallest(task: Task, limit: float, hints: Offsets, kind: Encoder | None = None) -> Conventional:
    """The file of the lowest quality that reaches what the task asks for.

    The quality is sought by quick trials, on the picture's sample if it is large, and corrected by
    what files to ship score. Where all that reach the target are clearly over the limit of bytes
    none is made. `hints` are the offsets that the same picture had in another size.
    """
    kind = kind or encoders.usual(task)
    if max(task.source.shape) > kind.format.largest_side:
        return Conventional(kind.format, None, -math.inf, calibration.SIZE_SLOPE, hints)
    quick = _look(task, kind, hints)
    found = quick.expected
    typical = quick.trials[quick.top].score + calibration.quick_gap(quick.trials[quick.top].score)
    typical += hints.quick - float(kind.curve[quick.top])
    unreached = quick.top == len(kind.qualities) - 1
    unreached = unreached and quick.levels[quick.top] < task.target - calibration.HOPELESS
    if unreached or (min(found.values()) < task.target and _too_large(task, kind, quick, limit)):
        return Conventional(
            kind.format, None, -math.inf, calibration.SIZE_SLOPE, Offsets(typical, hints.quick)
        )
    files: dict[int, Encoded] = {}

    def trial(step: int) -> float:
        data = kind.encode(task.source, kind.qualities[step], False)
        made = measured(data, task.score(encoders.decode(data)))
        files[step] = encoded(data, kind.qualities[step], made)
        return task.level(made)

    likely = search.moved(kind.curve, {step: found[step] + hints.quick for step in found})
    slope = _slope(task.target, [(quick.levels[s], t.size) for s, t in quick.trials.items()])
    begin = search.first(likely, task.target)
    levels = {begin: trial(begin)}
    size = files[begin].size * math.exp(slope * (task.target - levels[begin]))
    best = begin
    if size <= limit * _SURELY:
        best = search.lowest_quality(trial, task.target, likely, levels)
    level = task.level(files[best])
    return Conventional(
        kind.format,
        files[best] if level >= task.target and size <= limit * _SURELY else None,
        level,
        slope,
        Offsets(
            files[best].score - float(kind.curve[best]), hints.quick + level - float(likely[best])
        ),
    )


@dataclass(frozen=True)
class _Look:
    """The results of quick trials, by step of quality."""

    part: Pixels
    """The pixels that the trials were made of."""

    levels: dict[int, float]
    trials: dict[int, Trial]

    @property
    def top(self) -> int:
        return max(self.levels)

    @property
    def expected(self) -> dict[int, float]:
        """The levels of files to ship."""
        return {step: level + calibration.quick_gap(level) for step, level in self.levels.items()}


def _look(task: Task, kind: Encoder, hints: Offsets) -> _Look:
    part = metrics.sample(task.source)
    trials: dict[int, Trial] = {}
    with ExitStack() as stack:
        whole = part is task.source
        score = task.score if whole else stack.enter_context(metrics.against(part))

        def trial(step: int) -> float:
            name = f"{kind.name}/{kind.qualities[step]}"
            if name not in task.memo:
                data = kind.encode(part, kind.qualities[step], True)
                task.memo[name] = measured(data, score(encoders.decode(data)))
            trials[step] = task.memo[name]
            return task.level(trials[step])

        levels = search.bracket(trial, task.target, kind.curve + hints.typical, _GRID)
    return _Look(part, levels, trials)


def _too_large(task: Task, kind: Encoder, quick: _Look, limit: float) -> bool:
    """Whether all files that reach the target are clearly over the limit.

    Of a large picture the sample may be where all its detail is: one quick file of the whole tells.
    """
    size = _size_at(task.target, quick.expected, quick.trials)
    if quick.part is not task.source:
        size *= task.source.size / quick.part.size
        if size > limit * _LARGER:
            step = min(quick.levels, key=lambda step: abs(quick.levels[step] - task.target))
            whole = len(kind.encode(task.source, kind.qualities[step], True))
            size = _size_at(task.target, quick.expected, quick.trials)
            size *= whole / quick.trials[step].size
    return size > limit * _LARGER


def _size_at(target: float, levels: dict[int, float], trials: dict[int, Trial]) -> float:
    """The size at the target, between those of trials of these levels."""
    steps = sorted(levels, key=levels.__getitem__)
    sizes = [math.log(trials[step].size) for step in steps]
    return math.exp(float(np.interp(target, [levels[step] for step in steps], sizes)))


def _slope(target: float, points: list[tuple[float, int]]) -> float:
    """How fast the logarithm of the size rises around the target, by the nearest (level, size)."""
    near = sorted(points, key=lambda point: abs(point[0] - target))[:2]
    if len(near) < 2 or abs(near[0][0] - near[1][0]) < calibration.APART:
        return calibration.SIZE_SLOPE
    slope = math.log(near[0][1] / near[1][1]) / (near[0][0] - near[1][0])
    return min(max(slope, calibration.SLOPES[0]), calibration.SLOPES[1])

"""The payload of a score: the smallest that reaches it and is worth its bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sitecodec.encoding import search
from sitecodec.encoding.task import Task
from sitecodec.encoding.trials import TEXT, Encoded, Trial, encoded, measured, named
from sitecodec.facts import calibration

if TYPE_CHECKING:
    from collections.abc import Callable

    from sitecodec.codecs.protocol import Codec
    from sitecodec.facts.pixels import Pixels

CURVE = search.curve(calibration.PAYLOAD_SCORES)
"""The score to expect of each quality. Only a prior: a search corrects it by what it measures on
the picture at hand."""

SIZES = search.curve((-1.15, -0.91, -0.68, -0.45, -0.22, 0, 0.2, 0.38, 0.54, 0.68, 0.82))
"""The logarithm of the sizes on Kodak pictures, to within a tenth; a constant does not matter."""

_HEADROOM = 3  # a first guess a little high finds out in one trial whether the target is in reach


@dataclass(frozen=True)
class Found:
    """The result of a search for a payload."""

    reached: Encoded | None
    reason: str
    """The bad part that it has at any size that is worth it; '' if that is not the trouble."""

    predicted: float
    """The size that it has, or would need."""

    offset: float
    """Its score minus the score of typical payloads of its quality."""

    failed: Trial | None = None


@dataclass
class _Trials:
    """The payloads of one picture that were made so far, by quality."""

    task: Task
    source: Pixels
    codec: Codec
    encode: Callable[[float], bytes]
    files: dict[int, bytes] = field(default_factory=dict)
    made: dict[int, Trial] = field(default_factory=dict)
    levels: dict[int, float] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)

    def file(self, quality: int) -> bytes:
        if quality not in self.files:
            self.files[quality] = self.encode(quality)
        return self.files[quality]

    def affordable(self, worth: float, highest: int) -> int:
        """The highest quality up to `highest` whose file is worth its bytes; -1 if none is."""
        return search.largest_under(lambda q: len(self.file(q)), worth, highest, SIZES)

    def trial(self, quality: int) -> float:
        """The level of a quality. A decoder that may invent detail is held to more than scores."""
        task, generative = self.task, self.codec.family.generative
        name = f"{named(self.codec.identity, self.source, task.target)}/{quality}"
        if name not in task.memo or generative:
            shown = self.codec.decode(self.file(quality))
            task.memo[name] = measured(self.file(quality), task.score(shown))
            if generative:
                self.faults[quality] = self.codec.fault(self.source, shown, task.floor)
        self.made[quality] = task.memo[name]
        self.levels[quality] = task.level(self.made[quality])
        if self.faults.get(quality):
            self.levels[quality] = min(self.levels[quality], task.target - calibration.FAULT)
        return self.levels[quality]

    def failed(self, quality: int) -> Found:
        """The result if this quality, the highest that is worth it, is not good enough."""
        trial = self.made[quality]
        reason = self.faults.get(quality) or bad_part(self.task, trial)
        if not reason and quality == 100:
            reason = f"scores {trial.score:.0f} at most"
        offset = trial.score - float(CURVE[quality])
        predicted = len(self.file(search.first(CURVE + offset, self.task.target)))
        return Found(None, reason, predicted, offset, trial)


def smallest(task: Task, source: Pixels, codec: Codec, worth: float, hint: float) -> Found:
    """The smallest payload of less than `worth` bytes that reaches the target.

    `source` is the picture that is encoded. Sizes are nearly free once it is analysed, scores are
    not. So the largest payload that is worth its bytes is scored first: if that fails, so would all
    smaller ones.
    """
    with codec.analysed(source) as encode:
        trials = _Trials(task, source, codec, encode)
        likely = CURVE + hint
        quality = trials.affordable(worth, min(100, search.first(likely, task.target) + _HEADROOM))
        if quality < 0:
            return Found(None, "", len(trials.file(search.first(likely, task.target))), hint)
        while trials.trial(quality) < task.target:
            risen = CURVE + trials.levels[quality] - CURVE[quality]
            better = max(min(100, search.first(risen, task.target) + _HEADROOM), quality)
            better = trials.affordable(worth, better)
            if better <= quality or len(trials.made) >= search.MOST_TRIALS:
                return trials.failed(quality)
            quality = better
        curve = CURVE + trials.made[quality].score - CURVE[quality]
        quality = search.lowest_quality(trials.trial, task.target, curve, trials.levels)
        best = trials.made[quality]
        found = encoded(trials.file(quality), quality, best)
        return Found(found, "", best.size, best.score - float(CURVE[quality]))


def bad_part(task: Task, failed: Trial) -> str:
    """The reason to reject a payload with a bad part, in words; '' if it has none."""
    if failed.text < TEXT:
        return f"text: {failed.text:.0%} alike"
    if failed.worst_tile < task.floor:
        return f"fine detail: worst tile {failed.worst_tile:.0f}"
    return ""

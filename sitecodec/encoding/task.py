"""The requirements for the files of one picture in one size, passed to every search."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sitecodec import lettering, metrics
from sitecodec.encoding import images
from sitecodec.encoding.trials import Memo, Trial
from sitecodec.facts.calibration import GRAPHICS_SCORE, GRAPHICS_TILE
from sitecodec.settings import Settings

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels

Scorer = Callable[["Pixels"], metrics.Scores]
"""A function that scores pictures against a source, as `metrics.against` yields it."""

_FLAT = 0.5  # share of pixels equal to their neighbour, above which a picture counts as graphics
_FLATTISH, _LETTERED = 0.3, 0.6  # or with so many, where so much of it looks like text


@dataclass(frozen=True)
class Task:
    """A picture in one size, and what its files are held to."""

    source: Pixels
    """(H, W, 3 or 4) uint8."""

    score: Scorer
    graphics: bool
    """Whether it is flat graphics or a screenshot."""

    target: float = 0.0
    """The score to reach."""

    floor: float = -math.inf
    """The score that the worst tile must reach."""

    limit: float = math.inf
    """Bytes of the author's file: what is not smaller is not worth it."""

    speed: int = 6
    """The speed at which final AVIFs are made."""

    memo: Memo = field(default_factory=dict)
    """Trials of this very picture: used, and added to."""

    def level(self, trial: Trial) -> float:
        """The level that is compared with the target: the score, or less if a part is bad."""
        return trial.level(self.floor, self.target)

    def reached(self, trial: Trial) -> bool:
        """Whether a file is good enough, in every part."""
        return self.level(trial) >= self.target


def is_graphics(pixels: Pixels) -> bool:
    """Whether a source is flat graphics or a screenshot, asked of its full size: others blur."""
    flatness = images.flatness(pixels)
    if flatness < _FLATTISH or flatness >= _FLAT:
        return flatness >= _FLAT
    return float(np.mean(lettering.text_like(metrics.over(pixels, 255)))) >= _LETTERED


def of_settings(
    source: Pixels, score: Scorer, settings: Settings, graphics: bool, limit: float, memo: Memo
) -> Task:
    """The task that the settings make of a picture."""
    target, floor = settings.quality, settings.min_tile_score
    if graphics:
        target, floor = max(target, GRAPHICS_SCORE), max(floor, GRAPHICS_TILE)
    speed = images.avif_speed(settings.effort)
    return Task(source, score, graphics, target, floor, limit, speed, memo)

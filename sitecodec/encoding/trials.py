"""What has been measured of a picture: trial encodes, remembered so that none is made twice.

A search asks for the same trials whatever is remembered, so its answer never depends on that; it
only comes sooner, as when a site's target changes.
"""

from __future__ import annotations

import json
import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels
    from sitecodec.metrics import Scores

VERSION = "3"
"""Part of the store keys: raised when a trial of the same name would be measured otherwise."""


@dataclass(frozen=True)
class Trial:
    """What a trial encode was like."""

    size: int
    score: float
    """SSIMULACRA2; of the picture's sample if it is large."""

    worst_tile: float
    """The lowest score of a part."""

    def level(self, floor: float, target: float) -> float:
        """What is compared with the target: the score, or less by what the worst tile lacks."""
        return min(self.score, target + self.worst_tile - floor)


@dataclass(frozen=True)
class Encoded(Trial):
    """A file that may be shipped, and the quality it was made with."""

    data: bytes
    quality: int


def named(encoder: str, source: Pixels, target: float) -> str:
    """What the names of an encoder's trials of a source begin with.

    Of one with transparency the target belongs to them: its alpha is eased for that.
    """
    return encoder + (f"/alpha {target:g}" if source.shape[2] == 4 else "")


def measured(data: bytes, scores: Scores) -> Trial:
    """The trial that gave this file with these scores."""
    return Trial(len(data), scores.score, scores.worst_tile)


Memo = dict[str, Trial]
"""Trials of one picture by name: the encoder and its settings."""

Memos = dict[int, Memo]
"""Those of a source's widths."""


def pack(memos: Memos) -> bytes:
    """The trials as bytes for the store."""
    widths = {
        str(width): {name: astuple(trial) for name, trial in memo.items()}
        for width, memo in memos.items()
    }
    return json.dumps(widths).encode()


def unpack(data: bytes | None) -> Memos:
    """The trials in bytes that `pack` wrote; none if it did not."""
    try:
        widths = json.loads(data or b"{}").items()
        return {
            int(width): {name: _trial(*values) for name, values in memo.items()}
            for width, memo in widths
        }
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return {}


def _trial(size: object, score: object, worst_tile: object) -> Trial:
    numbers = [float(v) for v in (score, worst_tile) if isinstance(v, (int, float))]
    if type(size) is not int or size <= 0 or len(numbers) < 2:
        raise ValueError("not a trial")
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not a score")
    return Trial(size, *numbers)

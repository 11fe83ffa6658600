"""The measurements of a picture: trial encodes, remembered so that none is made twice.

A search asks for the same trials whatever is remembered, so its answer never depends on that; it
only comes sooner, as when a site's target changes.
"""

from __future__ import annotations

import json
import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from sitecodec.facts.calibration import TEXT_POINTS

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels
    from sitecodec.metrics import Scores

MAGIC = b"SCT1"

VERSION = "4"
"""Part of the store keys: raised when a trial of the same name would be measured otherwise."""

TEXT = 0.93
"""How alike text has to be, in every part: letters are worn at 0.91 and clean at 0.95.

Bare edges in photographs look like text, too: 0.95 would cost them half their bytes again.
"""


@dataclass(frozen=True)
class Trial:
    """The result of a trial encode."""

    size: int
    score: float
    """SSIMULACRA2; of the picture's sample if it is large."""

    worst_tile: float
    """The lowest score of a part."""

    text: float
    """How alike the worst of what looks like text is: 1 for the same."""

    def level(self, floor: float, target: float) -> float:
        """The level to compare with the target: the score, or less if a part is bad."""
        text = math.log2((1 - TEXT) / max(1 - self.text, 1e-6)) * TEXT_POINTS
        return min(self.score, target + self.worst_tile - floor, target + text)


@dataclass(frozen=True)
class Encoded(Trial):
    """A file that may be shipped, and the quality it was made with."""

    data: bytes
    quality: int


def encoded(data: bytes, quality: int, trial: Trial) -> Encoded:
    """The file of which a trial was made."""
    return Encoded(trial.size, trial.score, trial.worst_tile, trial.text, data, quality)


def named(encoder: str, source: Pixels, target: float) -> str:
    """The prefix of the names of an encoder's trials of a source.

    Of one with transparency the target belongs to them: its alpha is eased for that.
    """
    return encoder + (f"/alpha {target:g}" if source.shape[2] == 4 else "")


def measured(data: bytes, scores: Scores) -> Trial:
    """The trial that gave this file with these scores."""
    return Trial(len(data), scores.score, scores.worst_tile, scores.text)


Memo = dict[str, Trial]
"""Trials of one picture by name: the encoder and its settings."""

Memos = dict[int, Memo]
"""The memos of a source's widths."""


def pack(memos: Memos) -> bytes:
    """The trials as bytes for the store."""
    widths = {
        str(width): {name: astuple(trial) for name, trial in memo.items()}
        for width, memo in memos.items()
    }
    return MAGIC + json.dumps(widths).encode()


def unpack(data: bytes | None) -> Memos:
    """The trials in bytes that `pack` wrote; none if it did not."""
    try:
        if data is None or not data.startswith(MAGIC):
            return {}
        widths = json.loads(data[len(MAGIC) :]).items()
        return {
            int(width): {name: _trial(*values) for name, values in memo.items()}
            for width, memo in widths
        }
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return {}


_MOST_BYTES = 1 << 40  # of a file


def _trial(size: object, score: object, worst_tile: object, text: object) -> Trial:
    numbers = [float(v) for v in (score, worst_tile, text) if isinstance(v, (int, float))]
    if type(size) is not int or not 0 < size < _MOST_BYTES or len(numbers) < 3:
        raise ValueError("not a trial")
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not a score")
    return Trial(size, *numbers)

"""Does this payload earn its place on the page?

It does if no part of it looks bad and the best conventional file of the same score is larger.
Finding out yields that conventional file, which ships beside or instead of the payload.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sitecodec import images, metrics
from sitecodec.settings import Settings

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels

CONVENTIONAL_SCORE = 60.0
"""What an AVIF must score that stands in for a payload with a bad part (text, graphics).

Between SSIMULACRA2's 'medium' (50) and 'high quality' (70): flaws show in a comparison, but
letters are clean. A score matched to the bad payload would be unreadable too.
"""

# Mean score of Pillow's AVIF at speed 6 on eight Kodak pictures, for quality 0, 10, ... 100. Only
# a prior: the search corrects it by what it measures on the picture at hand.
_TYPICAL_SCORES = (-28.8, -9.1, 12.0, 30.2, 47.8, 62.2, 72.5, 79.2, 84.0, 88.0, 92.8)
_TYPICAL = np.interp(np.arange(101), np.arange(0, 101, 10), _TYPICAL_SCORES)
_MOST_TRIALS = 4


@dataclass(frozen=True)
class Conventional:
    """An AVIF file, the quality it was made with and its score."""

    data: bytes
    quality: int
    score: float


@dataclass(frozen=True)
class Verdict:
    """The gate's decision on one payload."""

    reason: str
    """Why the payload is not used; '' if it is."""

    score: float
    """SSIMULACRA2 of the payload's picture (of its sample, if it is large)."""

    worst_tile: float
    """The lowest SSIMULACRA2 of a 256x256 part of the payload's picture."""

    avif: Conventional | None
    """The conventional file to ship; None if it is not smaller than the source, or has a bad part
    itself."""

    @property
    def kept(self) -> bool:
        """Whether the payload is used."""
        return not self.reason


def judge(
    source: Pixels, decoded: Pixels, payload_bytes: int, source_bytes: int, settings: Settings
) -> Verdict:
    """Decide on a payload of `payload_bytes` that decodes to `decoded`.

    `source` and `decoded` are (H, W, 3) uint8; `source_bytes` is the size of the author's file.
    """
    score = metrics.ssimulacra2(metrics.sample(source), metrics.sample(decoded))
    tile = metrics.worst_tile(source, decoded)
    bad_part = tile < settings.min_tile_score
    avif = matching_avif(source, max(score, CONVENTIONAL_SCORE) if bad_part else score)
    smaller = len(avif.data) < source_bytes
    # The same rule for the AVIF: a picture's score may hide that its text is lost.
    sound = metrics.worst_tile(source, images.decode(avif.data)) >= settings.min_tile_score
    if bad_part:
        reason = f"worst tile {tile:.1f} is under {settings.min_tile_score:g}"
    elif sound and payload_bytes >= len(avif.data):
        reason = f"AVIF is smaller: {_compare(len(avif.data), payload_bytes)}"
    else:
        reason = "" if payload_bytes < source_bytes else "already small"
    if reason and not smaller:
        reason = "already small"
    return Verdict(reason, score, tile, avif if smaller and sound else None)


def matching_avif(source: Pixels, target: float) -> Conventional:
    """The AVIF of the lowest quality whose score is at least `target`, or of quality 100.

    A large picture's quality is sought on its sample.
    """
    sample = metrics.sample(source)
    trials: dict[int, Conventional] = {}

    def trial(quality: int) -> float:
        data = images.avif(sample, quality)
        score = metrics.ssimulacra2(sample, images.decode(data))
        trials[quality] = Conventional(data, quality, score)
        return score

    quality = _lowest_quality(trial, target)
    if sample is source:
        return trials[quality]
    data = images.avif(source, quality)
    score = metrics.ssimulacra2(sample, metrics.sample(images.decode(data)))
    return Conventional(data, quality, score)


def _lowest_quality(trial: Callable[[int], float], target: float) -> int:
    """The lowest of the tried qualities that reaches `target`, or 100 if that does not.

    Each trial is the lowest quality that the typical curve, moved through all measured points,
    predicts to reach the target, within what is still open. It ends when the quality below has
    failed or, by the curve's slope, would fail; or after four trials if one reached the target.
    """
    scores: dict[int, float] = {}
    failed, reached = -1, 101
    while reached - failed > 1 and (len(scores) < _MOST_TRIALS or reached > 100):
        predicted = _TYPICAL
        if scores:
            known = sorted(scores)
            error = np.interp(np.arange(101), known, [scores[q] - _TYPICAL[q] for q in known])
            predicted = _TYPICAL + error
        hopeful = np.flatnonzero(predicted >= target)
        guess = int(hopeful[0]) if hopeful.size else 100
        quality = min(max(guess, failed + 1), reached - 1)
        scores[quality] = trial(quality)
        if scores[quality] >= target:
            reached = quality
            if quality and scores[quality] - target < _TYPICAL[quality] - _TYPICAL[quality - 1]:
                break
        else:
            failed = quality
    return min(reached, 100)


def _compare(small: int, large: int) -> str:
    """Two sizes, in kB unless that would show them as equal."""
    kilobytes = [f"{size / 1000:.1f} kB" for size in (small, large)]
    if kilobytes[0] == kilobytes[1]:
        return f"{small} B against {large} B"
    return f"{kilobytes[0]} < {kilobytes[1]}"

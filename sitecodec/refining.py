"""The search for a payload of refined latents: like the gate's, but trials take half a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sitecodec import search
from sitecodec.trials import Encoded, Memo, Trial, measured

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels
    from sitecodec.codecs.web import WebCodec
    from sitecodec.conventional import Scorer

GAIN = 6.0
"""Points of score that refining brings at the same quality: a first guess."""

_MOST_TRIALS = 3
_NEAR = 1.5  # so little above the target is not worth another trial


def smallest(
    source: Pixels,
    score: Scorer,
    codec: WebCodec,
    effort: int,
    target: float,
    floor: float,
    worth: float,
    curve: search.Curve,
    memo: Memo,
) -> Encoded | None:
    """The smallest refined payload of less than `worth` bytes that reaches the target, if any.

    `curve` is what is expected of payloads that are not refined; `memo` is used and added to.
    """
    files: dict[int, bytes] = {}
    levels: dict[int, float] = {}
    best: tuple[int, Trial] | None = None
    failed, reached = -1, len(curve)
    expected = curve + GAIN
    prefix = f"{codec.identity}/effort {effort}"
    if source.shape[2] == 4:  # its alpha depends on the target
        prefix += f"/alpha {target:g}"

    def file(quality: int) -> bytes:
        if quality not in files:
            files[quality] = codec.refined(source, quality, effort)
        return files[quality]

    while reached - failed > 1 and len(levels) < _MOST_TRIALS:
        guess = search.moved(expected, levels) if levels else expected
        quality = min(max(search.first(guess, target), failed + 1), reached - 1)
        name = f"{prefix}/{quality}"
        if name not in memo:
            memo[name] = measured(file(quality), score(codec.decode(file(quality))))
        trial = memo[name]
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

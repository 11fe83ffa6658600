"""Does this payload earn its place on the page?

The target is a score, not a quality: of the payload and of AVIF the smallest file is sought that
reaches it and has no bad part. The payload is used if it is clearly the smaller one. Finding out
yields the conventional file, which ships beside or instead of the payload.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sitecodec import images, metrics
from sitecodec.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sitecodec.codecs import Pixels
    from sitecodec.codecs.web import WebCodec

    Curve = NDArray[np.float64]

GRAPHICS_SCORE = 85.0
"""What lossy files of flat graphics and screenshots must score at least.

Most of such a picture is blank, and blank scores high: at 60 small letters were smeared beyond
reading. Near 'visually lossless' (90) they are clean, and files about as large as lossless ones.
"""

WORTH_IT = 0.95
"""A payload has to be at most this part of the best conventional file of its score."""

_FLAT = 0.5  # share of pixels equal to their neighbour, above which a picture counts as graphics


def _curve(scores: Sequence[float]) -> Curve:
    return np.interp(np.arange(101), np.linspace(0, 100, len(scores)), scores)


# Mean scores on Kodak pictures for quality 0, 10, ... 100: Pillow's AVIF at speed 6, and the model
# web-0. Only priors: a search corrects them by what it measures on the picture at hand.
_AVIF_CURVE = _curve((-28.8, -9.1, 12.0, 30.2, 47.8, 62.2, 72.5, 79.2, 84.0, 88.0, 92.8))
_SLAT_CURVE = _curve((-9.0, 6.5, 19.2, 30.0, 39.8, 48.2, 54.5, 59.4, 63.0, 65.8, 68.0))
# How fast the logarithm of an AVIF's size rises with its score, on the same pictures.
_AVIF_SLOPE = 0.027
_MOST_TRIALS = 4
_FAR = 4.0  # so much above the target is worth two trials more
_HEADROOM = 3  # a first guess a little high finds out in one trial whether the target is in reach


@dataclass(frozen=True)
class Encoded:
    """A file, the quality it was made with and how it looks."""

    data: bytes
    quality: int
    score: float
    """SSIMULACRA2 (of the picture's sample, if it is large)."""

    worst_tile: float
    """The lowest SSIMULACRA2 of a 256x256 part."""

    def level(self, floor: float, target: float) -> float:
        """What is compared with the target: the score, or less by what the worst tile lacks."""
        return min(self.score, target + self.worst_tile - floor)


@dataclass(frozen=True)
class Hints:
    """How far a picture's scores lie from the typical ones: a good guess for its other sizes."""

    avif: float = 0.0
    slat: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """The gate's decision on one picture."""

    reason: str
    """Why there is no payload; '' if there is one."""

    payload: Encoded | None
    """The payload, if it is used."""

    tried: Encoded | None
    """The payload, or what came nearest to one; its `worst_tile` is infinite where not measured."""

    avif: Encoded | None
    """The AVIF to ship: it reaches the target and is smaller than the source."""

    lossless: images.Lossless | None
    """A lossless file to ship instead of the AVIF, which it undercuts."""

    graphics: bool
    """Whether the picture is flat graphics or a screenshot rather than a photograph."""

    hints: Hints


def choose(
    source: Pixels,
    source_bytes: int,
    settings: Settings,
    codec: WebCodec,
    hints: Hints | None = None,
) -> Verdict:
    """Find the files to offer for a picture, each smaller than `source_bytes`.

    `source` is (H, W, 3) uint8; `hints` are those of the same picture in another size.
    """
    graphics = images.flatness(source) >= _FLAT
    hints = hints or Hints(avif=20.0 if graphics else 0.0)
    target = max(settings.quality, GRAPHICS_SCORE) if graphics else settings.quality
    floor = settings.min_tile_score
    avif = matching_avif(source, target, floor, hints.avif)
    lossless = images.lossless(source) if graphics else None
    if lossless and len(lossless.data) >= source_bytes:
        lossless = None
    # It may be that no AVIF of any quality is good enough.
    rival = math.inf if avif.level < target else avif.size_at(target)
    limit = min(rival, source_bytes, len(lossless.data) if lossless else math.inf)
    payload = _smallest_payload(source, codec, target, floor, limit * WORTH_IT, hints.slat)
    best = min(source_bytes - 1, len(lossless.data) - 1 if lossless else math.inf)
    shipped = avif.encoded if rival < math.inf and len(avif.encoded.data) <= best else None
    if shipped:
        lossless = None
    reason = payload.reason
    if not payload.reached:
        if shipped is None and lossless is None:
            reason = "already small"
        elif not reason:
            name, size = ("AVIF", rival) if lossless is None else _named(lossless)
            reason = _compare(name, size, payload.predicted)
    return Verdict(
        reason,
        payload.reached,
        payload.reached or payload.failed,
        shipped,
        lossless,
        graphics,
        Hints(avif.offset, payload.offset),
    )


def _named(lossless: images.Lossless) -> tuple[str, int]:
    return f"lossless {lossless.format.upper().replace('WEBP', 'WebP')}", len(lossless.data)


@dataclass(frozen=True)
class Conventional:
    """The result of a search for an AVIF."""

    encoded: Encoded
    level: float
    slope: float
    """How fast the logarithm of the size rises with the level."""

    offset: float

    def size_at(self, level: float) -> float:
        """The size that an AVIF of exactly this level would have: qualities are coarse steps."""
        return len(self.encoded.data) * math.exp(self.slope * (level - self.level))


def matching_avif(
    source: Pixels, target: float, floor: float = -math.inf, hint: float = 0.0
) -> Conventional:
    """The AVIF of the lowest quality that scores at least `target`, or of quality 100.

    No tile scores under `floor`, as far as quality 100 can. A large picture's quality is sought on
    its sample.
    """
    sample = metrics.sample(source)
    trials: dict[int, Encoded] = {}

    def trial(quality: int) -> float:
        trials[quality] = _measured(sample, images.avif(sample, quality), quality, target)
        return trials[quality].level(floor, target)

    quality = _lowest_quality(trial, target, _AVIF_CURVE + hint)
    found = trials[quality]
    level = found.level(floor, target)
    slope = _AVIF_SLOPE
    steps = [(t.level(floor, target) - level, t) for t in trials.values()]
    steps = [step for step in steps if abs(step[0]) > 0.5]
    if steps:
        step, near = min(steps, key=lambda item: abs(item[0]))
        slope = math.log(len(near.data) / len(found.data)) / step
    if sample is not source:
        found = _measured(source, images.avif(source, quality), quality, target)
        # The sample may lack the worst place of the whole.
        while found.worst_tile < floor and quality < 100:
            quality = min(100, quality + 8)
            found = _measured(source, images.avif(source, quality), quality, target)
    offset = trials[max(trials)].score - float(_AVIF_CURVE[max(trials)])
    return Conventional(found, found.level(floor, target), min(max(slope, 0.01), 0.1), offset)


@dataclass(frozen=True)
class _Payload:
    """The result of a search for a payload."""

    reached: Encoded | None
    reason: str
    """The bad part that it has at any size that is worth it; '' if that is not the trouble."""

    predicted: float
    """The size that it has, or would need."""

    offset: float
    failed: Encoded | None = None


def _smallest_payload(
    source: Pixels, codec: WebCodec, target: float, floor: float, worth: float, hint: float
) -> _Payload:
    """The smallest payload of less than `worth` bytes that reaches the target.

    Sizes are nearly free once the picture is analysed, scores are not. So the largest payload that
    is worth its bytes is scored first: if that fails, so would all smaller ones.
    """
    trials: dict[int, Encoded] = {}
    files: dict[int, bytes] = {}
    with codec.analysed(source) as encode:

        def size(quality: int) -> int:
            if quality not in files:
                files[quality] = encode(quality)
            return len(files[quality])

        def affordable(quality: int) -> int:
            """The highest quality up to this one that is worth its bytes; -1 if there is none."""
            low, high = (quality, quality + 1) if size(quality) < worth else (-1, quality)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if size(middle) < worth else (low, middle)
            return low

        def trial(quality: int) -> float:
            size(quality)
            shown = codec.decode(files[quality])
            trials[quality] = _scored(source, files[quality], shown, quality, target)
            return trials[quality].level(floor, target)

        curve = _SLAT_CURVE + hint
        quality = affordable(min(100, _first(curve, target) + _HEADROOM))
        while quality >= 0 and trial(quality) < target:
            failed = trials[quality]
            curve = _SLAT_CURVE + failed.score - _SLAT_CURVE[quality]
            better = _first(
                _SLAT_CURVE + failed.level(floor, target) - _SLAT_CURVE[quality], target
            )
            better = affordable(max(min(100, better + _HEADROOM), quality))
            if better <= quality or len(trials) >= _MOST_TRIALS:
                reason = _bad_part(source, codec, failed, floor)
                if not reason and quality == 100:
                    reason = f"scores {failed.score:.0f} at most"
                return _Payload(None, reason, size(_first(curve, target)), hint, failed)
            quality = better
        if quality < 0:
            return _Payload(None, "", size(_first(curve, target)), hint)
        curve = _SLAT_CURVE + trials[quality].score - _SLAT_CURVE[quality]
        known = {q: t.level(floor, target) for q, t in trials.items()}
        best = trials[_lowest_quality(trial, target, curve, known)]
        return _Payload(best, "", len(best.data), best.score - float(_SLAT_CURVE[best.quality]))


def _bad_part(source: Pixels, codec: WebCodec, failed: Encoded, floor: float) -> str:
    """What to say of a payload whose worst tile is under the floor; '' if it is not."""
    text = images.flatness(source) >= _FLAT / 2
    tile = failed.worst_tile
    if tile == math.inf and text:
        tile = metrics.worst_tile(source, codec.decode(failed.data))
    if tile >= floor:
        return ""
    return f"{'text' if text else 'fine detail'}: worst tile {tile:.0f}"


def _measured(source: Pixels, data: bytes, quality: int, target: float) -> Encoded:
    return _scored(source, data, images.decode(data), quality, target)


def _scored(source: Pixels, data: bytes, shown: Pixels, quality: int, target: float) -> Encoded:
    """The file and its scores; tiles of one that misses the target anyway are not looked at."""
    score = metrics.ssimulacra2(metrics.sample(source), metrics.sample(shown))
    tile = metrics.worst_tile(source, shown) if score >= target else math.inf
    return Encoded(data, quality, score, tile)


def _first(curve: Curve, target: float) -> int:
    """The lowest quality at which the curve reaches the target, or 100."""
    hopeful = np.flatnonzero(curve >= target)
    return int(hopeful[0]) if hopeful.size else 100


def _lowest_quality(
    trial: Callable[[int], float],
    target: float,
    typical: Curve,
    known: dict[int, float] | None = None,
) -> int:
    """The lowest of the tried qualities that reaches `target`, or 100 if that does not.

    Each trial is the lowest quality that the typical curve, moved through all measured points,
    predicts to reach the target, within what is still open. It ends when the quality below has
    failed or, by the curve's slope, would fail; or after four trials, six if far above the target.
    `known` are scores measured before.
    """
    scores = dict(known or {})
    failed = max((q for q, score in scores.items() if score < target), default=-1)
    reached = min((q for q, score in scores.items() if score >= target), default=101)

    def done() -> bool:
        if reached > 100:
            return False
        above = scores[reached] - target
        step = typical[reached] - typical[max(0, reached - 1)]
        most = _MOST_TRIALS + (2 if above > _FAR else 0)
        return bool(above < step) or len(scores) >= most

    while reached - failed > 1 and not done():
        predicted = typical
        if scores:
            predicted = typical + _errors(typical, scores)
        quality = min(max(_first(predicted, target), failed + 1), reached - 1)
        scores[quality] = trial(quality)
        if scores[quality] >= target:
            reached = quality
        else:
            failed = quality
    return min(reached, 100)


def _errors(typical: Curve, scores: dict[int, float]) -> Curve:
    """What the measured scores differ by from the curve, interpolated over all qualities.

    Below the lowest one the difference goes on as it began: flat graphics hardly lose by a lower
    quality, where photographs do.
    """
    measured = sorted(scores)
    errors = [scores[q] - float(typical[q]) for q in measured]
    if len(measured) > 1:
        slope = (errors[0] - errors[1]) / (measured[1] - measured[0])
        errors.insert(0, errors[0] + max(0.0, slope) * measured[0])
        measured.insert(0, 0 if measured[0] else -1)
    return np.interp(np.arange(101), measured, errors)


def _compare(name: str, conventional: float, payload: float) -> str:
    """Why a payload is not worth it, in kB unless that would show the sizes as equal."""
    small, large = sorted((conventional, payload))
    sizes = [f"{size / 1000:.1f} kB" for size in (small, large)]
    if sizes[0] == sizes[1]:
        sizes = [f"{small:.0f} B", f"{large:.0f} B"]
    relation = "is smaller" if conventional <= payload else "is hardly larger"
    return f"{name} {relation}: {' < '.join(sizes)}"

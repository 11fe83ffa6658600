"""Does this payload earn its place on the page?

The target is a score, not a quality: of the payload and of AVIF the smallest file is sought that
reaches it and has no bad part. The payload is used if it is clearly the smaller one. Finding out
yields the conventional file, which ships beside or instead of the payload.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sitecodec.codecs import alpha
from sitecodec.codecs.web import WebCodec
from sitecodec.encoding import images, palette, refining, search
from sitecodec.encoding.conventional import Scorer, matching_avif
from sitecodec.encoding.trials import Encoded, Memo, Trial, measured, named
from sitecodec.settings import REFINING, Settings

if TYPE_CHECKING:
    from sitecodec.codecs import Codec, Pixels

GRAPHICS_SCORE = 85.0
"""What files of flat graphics and screenshots must score at least, unless they are lossless.

Most of such a picture is blank, and blank scores high: at 60 small letters were smeared beyond
reading. Near 'visually lossless' (90) they are clean.
"""

WORTH_IT = 0.95
"""A payload has to be at most this part of the best conventional file of its score."""

_FLAT = 0.5  # share of pixels equal to their neighbour, above which a picture counts as graphics

# Mean scores of the model web-1 on Kodak pictures for quality 0, 10, ... 100. Only a prior: a
# search corrects it by what it measures on the picture at hand.
_SLAT_CURVE = search.curve((7.9, 20.5, 31.0, 40.3, 48.6, 55.6, 61.4, 65.5, 68.6, 70.7, 72.3))
# The logarithm of their sizes, to within a tenth, and a constant that does not matter.
_SLAT_SIZES = search.curve((-1.15, -0.91, -0.68, -0.45, -0.22, 0, 0.2, 0.38, 0.54, 0.68, 0.82))
# Where AVIFs score more than typical ones by so much, payloads do as well by half of what is over
# it: on photographs to within 3, where typical scores alone are 7 off.
_EASY, _EASIER = 2.0, 0.5
_FAULT = 5.0  # what invented text or skin lacks, in score: a guess at how much quality mends it
_HEADROOM = 3  # a first guess a little high finds out in one trial whether the target is in reach


@dataclass(frozen=True)
class Hints:
    """How far a picture's scores lie from the typical ones: a good guess for its other sizes."""

    avif: float = 0.0
    shipped: float = 0.0
    """The same of what files to ship score better than quick trials."""

    slat: float = 0.0
    """The same of payloads, beyond what the AVIF's offset lets expect."""


@dataclass(frozen=True)
class Verdict:
    """The gate's decision on one picture."""

    reason: str
    """Why there is no payload; '' if there is one."""

    payload: Encoded | None
    """The payload, if it is used: latents, or of flat graphics every pixel of `flat`."""

    tried: Trial | None
    """The payload, or what came nearest to one."""

    avif: Encoded | None
    """The AVIF to ship: it reaches the target and is smaller than the source."""

    flat: palette.Flat | None
    """The picture in few colours if it is flat graphics or a screenshot; None of a photograph, and
    of graphics with one in them."""

    lossless: images.Lossless | None
    """The file of those colours to ship instead of the AVIF, which it undercuts."""

    hints: Hints


def choose(
    source: Pixels,
    score: Scorer,
    source_bytes: int,
    settings: Settings,
    codec: Codec,
    hints: Hints | None = None,
    memo: Memo | None = None,
) -> Verdict:
    """Find the files to offer for a picture, each smaller than `source_bytes`.

    `source` is (H, W, 3 or 4) uint8; `score` scores pictures against it; `hints` are those of the
    same picture in another size. `memo` are trials of this very picture: they are used and added
    to.
    """
    memo = {} if memo is None else memo
    graphics = images.flatness(source) >= _FLAT
    hints = hints or (Hints(5.0, 3.0) if graphics else Hints())
    target = max(settings.quality, GRAPHICS_SCORE) if graphics else settings.quality
    floor = settings.min_tile_score
    flat = palette.flat(source, score, target, memo) if graphics else None
    lossless = flat.file if flat and len(flat.file.data) < source_bytes else None
    limit = float(min(source_bytes, len(lossless.data) if lossless else source_bytes))
    avif = matching_avif(source, score, target, floor, limit, (hints.avif, hints.shipped), memo)
    # It may be that no AVIF of any quality is good enough, or none small enough.
    rival = avif.size_at(target) if avif.encoded else math.inf
    limit = min(rival, limit)
    usual = (avif.offsets[0] - _EASY) * _EASIER
    likely = usual + hints.slat
    given = alpha.eased(source, target) if source.shape[2] == 4 else source
    every_pixel = palette.payload(flat) if flat and codec.name == "web" else None
    if every_pixel and every_pixel.size <= limit * WORTH_IT:
        payload = _Payload(every_pixel, "", every_pixel.size, likely)
    elif source.shape[2] == 4 and codec.name != "web":
        payload = _Payload(None, "has transparency", math.inf, likely)
    else:
        payload = _smallest_payload(
            given, score, codec, target, floor, limit * WORTH_IT, likely, memo
        )
    if isinstance(codec, WebCodec) and codec.effort >= REFINING and not graphics:
        refined = refining.smallest(
            given,
            score,
            codec,
            target,
            floor,
            min(limit * WORTH_IT, payload.reached.size if payload.reached else math.inf),
            _SLAT_CURVE + payload.offset,
            _SLAT_SIZES,
            payload.predicted,
            memo,
        )
        if refined:
            payload = replace(payload, reached=refined, reason="")
    best = min(source_bytes, len(lossless.data) if lossless else source_bytes)
    shipped = avif.encoded if avif.encoded and avif.encoded.size < best else None
    if shipped:
        lossless = None
    reason = payload.reason
    if not payload.reached:
        if shipped is None and lossless is None:
            reason = "already small"
        elif not reason:
            name, size = ("AVIF", rival)
            if flat and lossless:
                name, size = flat.name, len(lossless.data)
            reason = _compare(name, size, payload.predicted)
    return Verdict(
        reason,
        payload.reached,
        payload.reached or payload.failed,
        shipped,
        flat,
        lossless,
        Hints(*avif.offsets, payload.offset - usual),
    )


@dataclass(frozen=True)
class _Payload:
    """The result of a search for a payload."""

    reached: Encoded | None
    reason: str
    """The bad part that it has at any size that is worth it; '' if that is not the trouble."""

    predicted: float
    """The size that it has, or would need."""

    offset: float
    failed: Trial | None = None


def _smallest_payload(
    source: Pixels,
    score: Scorer,
    codec: Codec,
    target: float,
    floor: float,
    worth: float,
    hint: float,
    memo: Memo,
) -> _Payload:
    """The smallest payload of less than `worth` bytes that reaches the target.

    Sizes are nearly free once the picture is analysed, scores are not. So the largest payload that
    is worth its bytes is scored first: if that fails, so would all smaller ones. A decoder that may
    invent detail is held to more than scores.
    """
    generative = codec.name == "sd"
    prefix = named(codec.identity, source, target)
    faults: dict[int, str] = {}
    levels: dict[int, float] = {}
    trials: dict[int, Trial] = {}
    files: dict[int, bytes] = {}
    with codec.analysed(source) as encode:

        def file(quality: int) -> bytes:
            if quality not in files:
                files[quality] = encode(quality)
            return files[quality]

        def affordable(quality: int) -> int:
            return search.largest_under(lambda q: len(file(q)), worth, quality, _SLAT_SIZES)

        def trial(quality: int) -> float:
            name = f"{prefix}/{quality}"
            if name not in memo or generative:
                shown = codec.decode(file(quality))
                memo[name] = measured(file(quality), score(shown))
                faults[quality] = _invented(source, shown, floor) if generative else ""
            trials[quality] = memo[name]
            levels[quality] = trials[quality].level(floor, target)
            if faults.get(quality):
                levels[quality] = min(levels[quality], target - _FAULT)
            return levels[quality]

        curve = _SLAT_CURVE + hint
        quality = affordable(min(100, search.first(curve, target) + _HEADROOM))
        while quality >= 0 and trial(quality) < target:
            failed = trials[quality]
            curve = _SLAT_CURVE + failed.score - _SLAT_CURVE[quality]
            better = search.first(_SLAT_CURVE + levels[quality] - _SLAT_CURVE[quality], target)
            better = affordable(max(min(100, better + _HEADROOM), quality))
            if better <= quality or len(trials) >= search.MOST_TRIALS:
                reason = faults.get(quality) or _bad_part(source, failed, floor)
                if not reason and quality == 100:
                    reason = f"scores {failed.score:.0f} at most"
                predicted = len(file(search.first(curve, target)))
                offset = failed.score - float(_SLAT_CURVE[quality])
                return _Payload(None, reason, predicted, offset, failed)
            quality = better
        if quality < 0:
            return _Payload(None, "", len(file(search.first(curve, target))), hint)
        curve = _SLAT_CURVE + trials[quality].score - _SLAT_CURVE[quality]
        quality = search.lowest_quality(trial, target, curve, levels)
        best = trials[quality]
        found = Encoded(best.size, best.score, best.worst_tile, file(quality), quality)
        return _Payload(found, "", best.size, best.score - float(_SLAT_CURVE[quality]))


def _invented(source: Pixels, shown: Pixels, floor: float) -> str:
    """What is wrong with a generative decoder's picture, '' if nothing is."""
    from sitecodec.sd import gate

    return gate.judge(source, shown, floor).reason


def _bad_part(source: Pixels, failed: Trial, floor: float) -> str:
    """What to say of a payload whose worst tile is under the floor; '' if it is not."""
    if failed.worst_tile >= floor:
        return ""
    what = "text" if images.flatness(source) >= _FLAT / 2 else "fine detail"
    return f"{what}: worst tile {failed.worst_tile:.0f}"


def _compare(name: str, conventional: float, payload: float) -> str:
    """Why a payload is not worth it, in kB unless that would show the sizes as equal."""
    small, large = sorted((conventional, payload))
    sizes = [f"{size / 1000:.1f} kB" for size in (small, large)]
    if sizes[0] == sizes[1]:
        sizes = [f"{small:.0f} B", f"{large:.0f} B"]
    relation = "is smaller" if conventional <= payload else "is hardly larger"
    return f"{name} {relation}: {' < '.join(sizes)}"

"""Does this payload earn its place on the page?

The target is a score, not a quality: of the payload and of the conventional formats the smallest
file is sought that reaches it and has no bad part. The payload is used if it is clearly the smaller
one. Finding out yields the conventional file, which ships beside or instead of the payload.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sitecodec import metrics
from sitecodec.codecs import alpha
from sitecodec.codecs.flat import FlatCodec
from sitecodec.encoding import conventional, encoders, images, palette, payloads, refining
from sitecodec.encoding.conventional import Conventional, Offsets
from sitecodec.encoding.payloads import Found
from sitecodec.encoding.task import Task
from sitecodec.encoding.trials import Encoded, Trial
from sitecodec.facts import calibration
from sitecodec.facts.formats import Format
from sitecodec.facts.reasons import Reason
from sitecodec.payload import is_flat

if TYPE_CHECKING:
    from sitecodec.codecs.protocol import Codec
    from sitecodec.facts.pixels import Pixels

WORTH_IT = 0.95
"""A payload has to be at most this part of the best conventional file of its score."""


@dataclass(frozen=True)
class Hints:
    """How far a picture's scores lie from the typical ones: a good guess for its other sizes."""

    conventional: Offsets = field(default_factory=Offsets)
    slat: float = 0.0
    """The offset of payloads, beyond the one that the conventional file's offset predicts."""

    others: Mapping[str, Offsets] = field(default_factory=dict)
    """The offsets of formats that only some browsers show, by name."""


_MOST_RAISES = 3

_GRAPHICS = Hints(Offsets(*calibration.GRAPHICS_OFFSETS))


@dataclass(frozen=True)
class Judged:
    """The second judge's opinion, in just objectionable differences: 10 is the same picture."""

    payload: float
    file: float
    """Of what a page shows where there is no payload."""


@dataclass(frozen=True)
class Verdict:
    """The gate's decision on one picture."""

    reason: str
    """Why there is no payload; '' if there is one."""

    payload: Encoded | None
    """The payload, if it is used: latents, or of flat graphics every pixel of `flat`."""

    tried: Trial | None
    """The payload, or what came nearest to one."""

    format: Format
    """The format of the lossy file, which every current browser shows."""

    lossy: Encoded | None
    """The file to ship: it reaches the target and is smaller than the source."""

    others: tuple[Conventional, ...]
    """Files that only some browsers show, each smaller than those for all."""

    flat: palette.Flat | None
    """The picture in few colours if it is flat graphics or a screenshot; None of a photograph, and
    of graphics with one in them."""

    lossless: images.Lossless | None
    """The file of those colours to ship instead of the lossy one, which it undercuts."""

    hints: Hints

    judged: Judged | None = None
    """What the second judge says of `payload`, if it was asked."""


def choose(task: Task, codec: Codec, hints: Hints | None = None) -> Verdict:
    """Find the files to offer for a picture, each smaller than the author's.

    `hints` are those of the same picture in another size.
    """
    hints = hints or (_GRAPHICS if task.graphics else Hints())
    flat = palette.flat(task) if task.graphics else None
    lossless = flat.file if flat and len(flat.file.data) < task.limit else None
    limit = min(task.limit, len(lossless.data) if lossless else math.inf)
    found = conventional.smallest(task, limit, hints.conventional)
    # It may be that no file of any quality is good enough, or none small enough.
    rival = min(found.size_at(task.target), limit)
    usual = (found.offsets.typical - calibration.EASY) * calibration.EASIER
    payload = _payload(task, codec, flat, rival * WORTH_IT, usual + hints.slat)
    lossy = found.encoded if found.encoded and found.encoded.size < limit else None
    judged = None
    # What the page would show else. Of what has no conventional file at all, what came nearest.
    if file := lossy or (None if lossless else found.encoded):
        replaced = encoders.decode(file.data)
        worth = rival * WORTH_IT, usual + hints.slat
        payload, judged = _as_good(task, codec, payload, replaced, found.format.label, worth)
    others = _others(task, lossy.size if lossy else limit, hints)
    return Verdict(
        _reason(payload, flat if lossless else None, found, task),
        payload.reached,
        payload.reached or payload.failed,
        found.format,
        lossy,
        tuple(other for other in others if other.encoded),
        flat,
        None if lossy else lossless,
        Hints(
            found.offsets,
            payload.offset - usual,
            {other.format.name: other.offsets for other in others},
        ),
        judged,
    )


def _others(task: Task, limit: float, hints: Hints) -> list[Conventional]:
    """The search for each format that only some browsers show, for files under the limit."""
    found = []
    for encoder in encoders.others(task):
        offsets = hints.others.get(encoder.format.name, Offsets())
        other = conventional.smallest(task, limit, offsets, encoder)
        too_large = other.encoded and other.encoded.size >= limit
        found.append(replace(other, encoded=None) if too_large else other)
    return found


def _payload(
    task: Task, codec: Codec, flat: palette.Flat | None, worth: float, likely: float
) -> Found:
    """The smallest payload of less than `worth` bytes, of all kinds."""
    exact = palette.payload(flat) if flat and codec.family.browser_decodable else None
    if exact and exact.size <= worth:
        found = Found(exact, "", exact.size, likely)
    elif task.source.shape[2] == 4 and not codec.family.has_alpha:
        found = Found(None, "has transparency", math.inf, likely)
    else:
        found = payloads.smallest(task, _given(task), codec, worth, likely)
    if codec.refiner and not task.graphics:
        limit = min(worth, found.reached.size if found.reached else math.inf)
        plain = refining.Plain(payloads.CURVE + found.offset, payloads.SIZES, found.predicted)
        refined = refining.smallest(task, _given(task), codec, limit, plain)
        if refined:
            found = replace(found, reached=refined, reason="")
    return found


def _as_good(
    task: Task,
    codec: Codec,
    payload: Found,
    replaced: Pixels,
    label: str,
    worth: tuple[float, float],
) -> tuple[Found, Judged | None]:
    """The payload, if a second judge does not find it worse than the file it would replace.

    The model is trained for the metric that chooses, so that its payloads score more than they
    should. One that the judge finds worse is made again with so much more quality as it lacks, as
    long as it is worth its bytes. What no visitor sees is not asked about.
    """
    if not payload.reached or not codec.family.browser_decodable:
        return payload, None
    with metrics.judged_against(task.source) as judged:
        theirs = judged(replaced)
        for _ in range(_MOST_RAISES):
            data = payload.reached.data
            ours = judged(FlatCodec().decode(data) if is_flat(data) else codec.decode(data))
            lacks = theirs - calibration.JUDGE_SLACK - ours
            if lacks <= 0:
                return payload, Judged(ours, theirs)
            last = payload.reached
            if is_flat(data):
                break
            task = replace(task, target=task.target + lacks / calibration.JUDGE_POINT)
            payload = payloads.smallest(task, _given(task), codec, *worth)
            if not payload.reached:
                break
    reason = f"{label} looks better to a second judge: {theirs:.2f} > {ours:.2f}"
    return replace(payload, reached=None, reason=reason, failed=last), None


def _given(task: Task) -> Pixels:
    """The picture that is encoded: its alpha is eased."""
    if task.source.shape[2] == 3:
        return task.source
    return alpha.eased(task.source, task.target)


def _reason(payload: Found, flat: palette.Flat | None, found: Conventional, task: Task) -> str:
    """Why there is no payload; '' if there is one."""
    if payload.reached:
        return ""
    size = found.size_at(task.target)
    if size >= task.limit and flat is None:
        return Reason.ALREADY_SMALL
    if payload.reason:
        return payload.reason
    if flat and len(flat.file.data) <= size:
        return compared(flat.name, len(flat.file.data), payload.predicted)
    return compared(found.format.label, size, payload.predicted)


def compared(name: str, conventional: float, payload: float) -> str:
    """Why a payload is not worth it, in kB unless that would show the sizes as equal."""
    small, large = sorted((conventional, payload))
    sizes = [f"{size / 1000:.1f} kB" for size in (small, large)]
    if sizes[0] == sizes[1]:
        sizes = [f"{small:.0f} B", f"{large:.0f} B"]
    relation = "is smaller" if conventional <= payload else "is hardly larger"
    return f"{name} {relation}: {' < '.join(sizes)}"

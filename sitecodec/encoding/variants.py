"""One decoded source in, its variants out: every width, every format, by the gate's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sitecodec import codecs, metrics
from sitecodec.encoding import fallback, gate, images, palette, sources
from sitecodec.encoding.outcome import Outcome, Variant
from sitecodec.encoding.task import Task, is_graphics, of_settings
from sitecodec.facts import formats
from sitecodec.facts.formats import Format, Role
from sitecodec.facts.reasons import Reason
from sitecodec.settings import Settings

if TYPE_CHECKING:
    from sitecodec.encoding.trials import Encoded, Memos

_WORTH_IT = 0.9  # of what a browser would load else: a narrower file has to be smaller by a tenth


def encode(source: sources.Source, source_bytes: int, settings: Settings, memos: Memos) -> Outcome:
    """All variants of a source whose file has `source_bytes`.

    `memos` are trials made of it before, by width; they are used and added to.
    """
    codec = codecs.get(settings.codec, settings.model, settings.effort)
    graphics = is_graphics(source.pixels)
    variants: list[Variant] = []
    first: gate.Verdict | None = None
    hints: gate.Hints | None = None
    limits: dict[tuple[Format, ...], int] = {}  # by what a browser loads one file of
    for width in _widths(source.width, settings.widths):
        narrower = width < source.width
        pixels = images.resized(source.pixels, width) if narrower else source.pixels
        if pixels.shape[2] == 4:
            pixels = images.filled(pixels)
        memo = memos.setdefault(width, {})
        with metrics.against(pixels) as score:
            task = of_settings(pixels, score, settings, graphics, source_bytes, memo)
            verdict = gate.choose(task, codec, hints)
            added = _variants(task, verdict)
        hints = verdict.hints
        first = first or verdict
        kept = [v for v in added if len(v.data) <= limits.get(_part(v.format), source_bytes)]
        if all(Role.PAYLOAD in formats.named(v.format).roles for v in kept):
            continue  # nearly as large as the wider one, or no file that browsers could ask for
        variants += kept
        limits.update((_part(v.format), int(_WORTH_IT * len(v.data))) for v in kept)
    assert first is not None
    tried = (first.tried.score, first.tried.worst_tile) if first.tried else (None, None)
    reason = first.reason or ("" if variants else Reason.ALREADY_SMALL)
    return Outcome(source.width, source.height, source_bytes, tuple(variants), reason, *tried)


def _widths(source: int, wanted: tuple[int, ...]) -> list[int]:
    """The widths to make of a source, widest first; never wider than the source is."""
    narrower = sorted((width for width in wanted if width < source), reverse=True)
    whole = not wanted or source <= max(wanted)
    return [source, *narrower] if whole else narrower


def _part(name: str) -> tuple[Format, ...]:
    """The formats of which a browser loads one file: one `<source>`'s, or the `<img>`'s."""
    if formats.named(name) in formats.fallbacks():
        return formats.fallbacks()
    return formats.modern() if formats.named(name).everywhere else (formats.named(name),)


def _variants(task: Task, verdict: gate.Verdict) -> list[Variant]:
    """The files of one width, best first; none if none is smaller than the source."""
    height, width = task.source.shape[:2]

    def lossy(known: Format, file: Encoded | None, judge: float | None = None) -> list[Variant]:
        if file is None:
            return []
        return [Variant(known.name, width, height, file.data, file.score, file.quality, judge)]

    def exact(flat: palette.Flat, file: images.Lossless) -> Variant:
        return Variant(file.format.name, width, height, file.data, flat.trial.score, 0)

    judged = verdict.judged
    made = lossy(formats.SLAT, verdict.payload, judged.payload if judged else None)
    for other in verdict.others:
        made += lossy(other.format, other.encoded)
    made += lossy(verdict.format, verdict.lossy, judged.file if judged else None)
    flat = verdict.flat
    if flat and verdict.lossless and Role.FALLBACK not in verdict.lossless.format.roles:
        made.append(exact(flat, verdict.lossless))
    if not made and not verdict.lossless:
        return []
    if flat:
        shown_by_all = (file for file in flat.files if Role.FALLBACK in file.format.roles)
        made += [
            exact(flat, file)
            for file in shown_by_all
            if len(file.data) <= task.limit * fallback.WORTH_IT
        ]
    elif task.source.shape[2] == 3:  # a JPEG has no alpha
        made += lossy(formats.JPEG, fallback.jpeg(task))
    return made

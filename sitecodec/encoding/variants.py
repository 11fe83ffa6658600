"""One decoded source in, its variants out: every width, every format, by the gate's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sitecodec import codecs, metrics
from sitecodec.encoding import gate, images, sources
from sitecodec.encoding.conventional import Scorer
from sitecodec.encoding.outcome import FORMATS, Outcome, Variant
from sitecodec.settings import Settings

if TYPE_CHECKING:
    from sitecodec.codecs import Pixels
    from sitecodec.encoding.trials import Memos

# A JPEG takes the source's place as the fallback only if it is smaller by a tenth.
_WORTH_IT = 0.9


def encode(source: sources.Source, source_bytes: int, settings: Settings, memos: Memos) -> Outcome:
    """All variants of a source whose file has `source_bytes`.

    `memos` are trials made of it before, by width; they are used and added to.
    """
    codec = codecs.get(settings.codec, settings.model, settings.effort)
    variants: list[Variant] = []
    first: gate.Verdict | None = None
    form = ""
    hints: gate.Hints | None = None
    limits = dict.fromkeys(FORMATS, source_bytes)
    for width in _widths(source.width, settings.widths):
        narrower = width < source.width
        pixels = images.resized(source.pixels, width) if narrower else source.pixels
        if pixels.shape[2] == 4:
            pixels = images.filled(pixels)
        memo = memos.setdefault(width, {})
        with metrics.against(pixels) as score:
            verdict = gate.choose(pixels, score, source_bytes, settings, codec, hints, memo)
            form = form or _form(verdict)
            added = _variants(pixels, score, verdict, form, source_bytes, settings)
        hints = verdict.hints
        first = first or verdict
        kept = [v for v in added if len(v.data) <= limits[v.format]]
        if (variants or kept) and all(v.format == "slat" for v in kept):
            continue  # nearly as large as the wider one, or no file that browsers could ask for
        if not kept:
            break
        variants += kept
        limits.update((v.format, int(_WORTH_IT * len(v.data))) for v in kept)
    assert first is not None
    tried = (first.tried.score, first.tried.worst_tile) if first.tried else (None, None)
    reason = first.reason or ("" if variants else "already small")
    return Outcome(source.width, source.height, source_bytes, tuple(variants), reason, *tried)


def _widths(source: int, wanted: tuple[int, ...]) -> list[int]:
    """The widths to make of a source, widest first; never wider than the source is."""
    narrower = sorted((width for width in wanted if width < source), reverse=True)
    whole = not wanted or source <= max(wanted)
    return [source, *narrower] if whole else narrower


def _form(verdict: gate.Verdict) -> str:
    """The modern format of the widest file: 'avif', 'webp' or 'none'.

    The narrower ones share it, since browsers settle for a format before they look at widths.
    """
    if verdict.avif:
        return "avif"
    return "webp" if verdict.lossless and verdict.lossless.format == "webp" else "none"


def _variants(
    pixels: Pixels,
    score: Scorer,
    verdict: gate.Verdict,
    form: str,
    source_bytes: int,
    settings: Settings,
) -> list[Variant]:
    """The files of one width, best first; none if none is smaller than the source."""
    height, width = pixels.shape[:2]
    flat: dict[str, Variant] = {}
    if verdict.flat:
        for exact in verdict.flat.files:
            variant = Variant(exact.format, width, height, exact.data, verdict.flat.score, 0)
            flat[exact.format] = variant
    made: list[Variant] = []
    for name, file in (("slat", verdict.payload), ("avif", verdict.avif)):
        if file and name in ("slat", form):
            made.append(Variant(name, width, height, file.data, file.score, file.quality))
    if flat and form == "webp":
        made.append(flat["webp"])
    if not made and not verdict.lossless:
        return []
    # Another generation of loss must buy something; else the source itself is the fallback.
    limit = int(source_bytes * _WORTH_IT)
    fallbacks = [flat["png"]] if flat else []
    if pixels.shape[2] == 3:  # a JPEG has no alpha
        jpeg = images.jpeg_fallback(pixels, limit)
        smaller = not fallbacks or len(jpeg) < len(fallbacks[0].data)
        if smaller and score(images.decode(jpeg)).worst_tile >= settings.min_tile_score:
            fallbacks.append(Variant("jpeg", width, height, jpeg, None, 0))
    made += [v for v in fallbacks[-1:] if len(v.data) <= limit]
    return made

"""The outcome of a source: its variants, and how they are kept in the store."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

from sitecodec.errors import PayloadError
from sitecodec.facts import formats
from sitecodec.payload import read_header

MAGIC = b"SCO1"
_MAX_HEADER = 1 << 20
_MOST_PIXELS = 1 << 28  # also on a side
_MOST_BYTES = 1 << 40
_LONGEST_REASON = 500


class Variant(NamedTuple):
    """One encoded file of a source."""

    format: str
    """Its name in `formats`; WebP and PNG may be flat graphics in few colours."""

    width: int
    height: int
    data: bytes

    score: float | None
    """SSIMULACRA2 score against the source, None where it was not measured."""

    quality: float
    """The quality that the encoder was given; 0 where it was given none."""

    judge: float | None = None
    """ColorVideoVDP's just objectionable differences, 10 for the same picture; None where the
    second judge was not asked: it compares payloads with what they replace."""


class Outcome(NamedTuple):
    """The outcome of a source. Picklable."""

    width: int
    """Pixels, upright; 0 if the source was left alone without decoding it."""

    height: int
    source_bytes: int

    variants: tuple[Variant, ...]
    """Widest first, and of a width best first, as `formats.ALL` has them: the payload, then those
    of browsers' formats, the fallback last. None if the source is left alone entirely."""

    reason: str
    """Why there is no payload of the widest size; '' if there is one."""

    score: float | None = None
    """SSIMULACRA2 score of the payload, kept or not; None if none was made."""

    worst_tile: float | None = None
    """The lowest score of a part of the payload's picture; None if no payload was made."""


def by_width(outcome: Outcome) -> list[dict[str, Variant]]:
    """The variants of each width by format, widest first, without any not under the source."""
    widths: dict[int, dict[str, Variant]] = {}
    for variant in outcome.variants:
        if len(variant.data) < outcome.source_bytes:
            widths.setdefault(variant.width, {})[variant.format] = variant
    return list(widths.values())


def pack(outcome: Outcome) -> bytes:
    """An outcome as bytes for the store: magic, length-prefixed JSON header, the files."""
    variants = [v._asdict() | {"data": len(v.data)} for v in outcome.variants]
    head = json.dumps(outcome._asdict() | {"variants": variants}).encode()
    blobs = b"".join(variant.data for variant in outcome.variants)
    return MAGIC + len(head).to_bytes(4, "little") + head + blobs


def unpack(data: bytes) -> Outcome | None:
    """The outcome in `data`, or None if it is nothing that `pack` has written.

    The store may be written to by others: whatever a build does with an outcome that passes here
    must be right, but for the pictures.
    """
    size = int.from_bytes(data[4:8], "little")
    if data[:4] != MAGIC or len(data) < 8 or size > _MAX_HEADER:
        return None
    try:
        header = json.loads(data[8 : 8 + size])
        variants = []
        start = 8 + size
        for item in header["variants"]:
            end = start + _natural(item["data"], _MOST_BYTES)
            variants.append(
                Variant(
                    format=formats.named(item["format"]).name,
                    width=_natural(item["width"], _MOST_PIXELS),
                    height=_natural(item["height"], _MOST_PIXELS),
                    data=data[start:end],
                    score=_number(item["score"]),
                    quality=_number(item["quality"]) or 0.0,
                    judge=_number(item.get("judge")),
                )
            )
            start = end
        outcome = Outcome(
            width=_natural(header["width"], _MOST_PIXELS),
            height=_natural(header["height"], _MOST_PIXELS),
            source_bytes=_natural(header["source_bytes"], _MOST_BYTES),
            variants=tuple(variants),
            reason=_line(header["reason"]),
            # Entries of earlier versions lack these.
            score=_number(header.get("score")),
            worst_tile=_number(header.get("worst_tile")),
        )
        possible = start == len(data) and _is_possible(outcome)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, PayloadError):
        return None
    return outcome if possible else None


def _is_possible(outcome: Outcome) -> bool:
    """Whether the files are of one picture, and of their formats. Raises PayloadError."""
    kinds = [(-v.width, v.format) for v in outcome.variants]
    widths = [width for width, _ in kinds]
    return (
        outcome.width * outcome.height <= _MOST_PIXELS
        and widths == sorted(widths)
        and len(set(kinds)) == len(kinds)
        and all(_is_of(variant, outcome) for variant in outcome.variants)
    )


def _is_of(variant: Variant, outcome: Outcome) -> bool:
    size = variant.width, variant.height
    known = formats.named(variant.format)
    if not (1 <= variant.width <= outcome.width and known.is_of(variant.data)):
        return False
    if known is formats.SLAT:
        header = read_header(variant.data)
        if (header.width, header.height) != size:
            return False
    height = outcome.height * variant.width / outcome.width
    return abs(variant.height - max(1.0, height)) <= 1


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"not a score: {value!r}")
    return float(value)


def _natural(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError("not a size")
    return value


def _line(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST_REASON:
        raise ValueError("not a line of text")
    return value

"""What became of a source: its variants, and how they are kept in the store."""

from __future__ import annotations

import json
from typing import NamedTuple

FORMATS = ("slat", "avif", "webp", "png", "jpeg")
_MAGIC = b"SCO1"
_MAX_HEADER = 1 << 20


class Variant(NamedTuple):
    """One encoded file of a source."""

    format: str
    """'slat', 'avif', 'webp', 'png' or 'jpeg'; WebP and PNG are flat graphics in few colours."""

    width: int
    height: int
    data: bytes

    score: float | None
    """SSIMULACRA2 score against the source, None where it was not measured."""

    quality: float
    """The quality that the encoder was given; 0 where it was given none."""


class Outcome(NamedTuple):
    """What became of a source. Picklable."""

    width: int
    """Pixels, upright; 0 if the source was left alone without decoding it."""

    height: int
    source_bytes: int

    variants: tuple[Variant, ...]
    """Widest first, and of a width best first: 'slat', then 'avif' or 'webp', then the fallback
    ('jpeg' or 'png'), as far as they exist; none if left alone entirely."""

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
    return _MAGIC + len(head).to_bytes(4, "little") + head + blobs


def unpack(data: bytes) -> Outcome | None:
    """The outcome in `data`, or None if it is not exactly what `pack` writes."""
    size = int.from_bytes(data[4:8], "little")
    if data[:4] != _MAGIC or len(data) < 8 or size > _MAX_HEADER:
        return None
    try:
        header = json.loads(data[8 : 8 + size])
        variants = []
        start = 8 + size
        for item in header["variants"]:
            end = start + _natural(item["data"])
            variants.append(
                Variant(
                    format=FORMATS[FORMATS.index(item["format"])],
                    width=_natural(item["width"]),
                    height=_natural(item["height"]),
                    data=data[start:end],
                    score=None if item["score"] is None else float(item["score"]),
                    quality=float(item["quality"]),
                )
            )
            start = end
        outcome = Outcome(
            width=_natural(header["width"]),
            height=_natural(header["height"]),
            source_bytes=_natural(header["source_bytes"]),
            variants=tuple(variants),
            reason=str(header["reason"]),
            # Entries of earlier versions lack these.
            score=_number(header.get("score")),
            worst_tile=_number(header.get("worst_tile")),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return outcome if start == len(data) else None


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)):
        raise ValueError(f"not a score: {value!r}")
    return float(value)


def _natural(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"not a size: {value!r}")
    return value

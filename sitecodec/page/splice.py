"""Put other bytes in the place of some of a document's; touch nothing else."""

from __future__ import annotations

from collections.abc import Iterable


def splice(data: bytes, replacements: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Replace spans `(start, end, new bytes)`, which must not overlap; the rest stays as it is."""
    parts: list[bytes] = []
    position = 0
    for start, end, new in sorted(replacements):
        if not position <= start <= end <= len(data):
            raise ValueError(f"span {start}:{end} overlaps another or leaves the document")
        parts += (data[position:start], new)
        position = end
    return b"".join((*parts, data[position:]))

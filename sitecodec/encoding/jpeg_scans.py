"""JPEGs that would keep a decoder busy far longer than their pixels say."""

from __future__ import annotations

_MOST_SCANS = 500
"""As many as libjpeg-turbo's own tools take from files that nobody knows. Cameras and optimisers
write about ten."""

_FEW_SCANS = 64
_MOST_WORK = 10**10
"""Scans times pixels: some ten seconds."""

_MOST_SEGMENTS = 10_000
_SCAN = b"\xff\xda"


def excess(data: bytes, pixels: int) -> str:
    """The reason to leave a JPEG alone; '' for any other file that decodes as others of its size.

    Each scan goes over all pixels, though it may be a few bytes, and segments before the first one
    may be four bytes each.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return ""
    scans = data.count(_SCAN)  # which stands for nothing else where pixels are
    if scans > _MOST_SCANS or (scans > _FEW_SCANS and scans * pixels > _MOST_WORK):
        return f"a JPEG of {scans} scans"
    return "a JPEG of very many segments" if _has_many_segments(data) else ""


def _has_many_segments(data: bytes) -> bool:
    position = 2
    for _ in range(_MOST_SEGMENTS):
        start = data.find(b"\xff", position)
        if start < 0 or data.startswith(_SCAN, start):
            return False
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        position = start + (1 if data.startswith(b"\xff\xff", start) else 2 + length)
    return True

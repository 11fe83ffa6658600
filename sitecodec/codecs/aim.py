"""The quality that an aim asks for: a size not to be passed, or a score to be reached."""

from __future__ import annotations

from collections.abc import Callable

from sitecodec.errors import SettingsError

FINEST = 1
"""The smallest step of quality, in hundredths."""


def for_bytes(encode: Callable[[float], bytes], limit: int, step: int = FINEST) -> bytes:
    """The best payload of at most `limit` bytes, to within `step` hundredths of quality.

    Raises SettingsError if the smallest is larger than that.
    """
    best = encode(0)
    if len(best) > limit:
        raise SettingsError(
            f"the smallest payload of this picture has {len(best)} bytes: allow more than {limit},"
            " or make the picture smaller"
        )

    def fits(hundredths: int) -> bool:
        nonlocal best
        payload = encode(hundredths / 100)
        if len(payload) > limit:
            return False
        best = payload
        return True

    _last(fits, step)
    return best


def for_score(
    encode: Callable[[float], bytes],
    score: Callable[[bytes], float],
    target: float,
    step: int = FINEST,
) -> bytes:
    """The smallest payload that scores `target`, to within `step` hundredths of quality.

    Raises SettingsError if not even the largest does.
    """
    best = encode(100)
    highest = score(best)
    if highest < target:
        raise SettingsError(
            f"this picture scores {highest:.1f} at most as a payload: ask for less than {target:g}"
        )

    def falls_short(hundredths: int) -> bool:
        nonlocal best
        payload = encode(hundredths / 100)
        if score(payload) < target:
            return True
        best = payload
        return False

    if falls_short(0):
        _last(falls_short, step)
    return best


def _last(true: Callable[[int], bool], step: int) -> None:
    """Closes in on the last quality of 1…10000 hundredths for which `true` is."""
    low, high = 0, 10000
    while high - low > step:
        middle = (low + high) // 2
        low, high = (middle, high) if true(middle) else (low, middle)

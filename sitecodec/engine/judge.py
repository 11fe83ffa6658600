"""The second judge, by judge.c: ColorVideoVDP for still pictures, on a desk's full-HD screen.

Written from Mantiuk et al. 2024, with the constants of their package `cvvdp` 0.5.7 (MIT licence);
figures are those of that package to 0.001 (tests hold it), and the same on every machine. Where
a picture's columns and rows differ in being odd they are within 0.06: there the package mirrors
the last column as if it were a row. No model is trained for it, and no latent refined for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sitecodec import engine
from sitecodec.engine.scores import WASM

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BEST = 10.0
"""The figure of a picture that is the same; lower is worse, by one for a just objectionable
difference: three of four viewers would prefer the reference."""

SMALLEST = 16
"""Pixels of a side, at least."""

_BANDS = 8
_REST = (0.0036334486212581396, 1.6627724170684814, 4.11874532699585)
"""Weights, by channel, of what is left below all bands."""
_SUMMATION = 4.0  # the exponent over bands and over channels
_STILL = 0.577918291091919  # pictures that do not move are seen so much less sharply in time
_JOD_A, _JOD_EXPONENT, _JOD_LINEAR = 0.0439569391310215, 0.9302042722702026, 0.1
_TINY = 1e-5


@contextmanager
def opened(reference: NDArray[np.uint8]) -> Iterator[Callable[[NDArray[np.uint8]], float]]:
    """A judge of candidates for an (H, W, 3) uint8 sRGB picture with sides of 16 to 8,192 pixels.

    Raises EngineError for others.
    """
    import numpy as np

    height, width, _ = reference.shape
    with engine.session(WASM) as session:
        judge = session.call("sc_judge_open", session.put_array(reference, np.uint8), width, height)
        mark = session.call("sc_mark")

        def figure(candidate: NDArray[np.uint8]) -> float:
            data = session.put_array(candidate, np.uint8)
            size = _BANDS * 3 * 8
            means = session.call("sc_alloc", size)
            bands = session.call("sc_judge", judge, data, means)
            found = np.frombuffer(session.get(means, size), np.float64)
            session.call("sc_release", mark)
            return _figure(found.reshape(_BANDS, 3)[:bands])

        yield figure


def _figure(means: NDArray[np.float64]) -> float:
    """Just objectionable differences, from the mean squares of each band and channel."""
    import numpy as np

    seen = _norm(np.maximum(means, 0), 0.5)
    seen[-1] *= _REST
    seen = _norm(_norm(seen, _SUMMATION).sum(axis=0), 1 / _SUMMATION)
    total = float(_norm(_norm(seen, _SUMMATION).sum(), 1 / _SUMMATION)) * _STILL
    if total <= _JOD_LINEAR:
        return float(BEST - _JOD_A * _JOD_LINEAR ** (_JOD_EXPONENT - 1) * total)
    return float(BEST - _JOD_A * total**_JOD_EXPONENT)


def _norm(values: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """A power that is tame at zero."""
    result: NDArray[np.float64] = (values + _TINY) ** exponent - _TINY**exponent
    return result

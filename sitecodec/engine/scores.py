"""SSIMULACRA2 scores by score.c: a reference is opened once, any number of candidates is scored.

The metric is that of https://github.com/cloudinary/ssimulacra2 (Sneyers 2023) as the PyPI package
`ssimulacra2` computes it, in float32 and without the planes of scales that hardly count. Scores
are within 0.05 of that package's (tests hold it), and are the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sitecodec import engine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tile = tuple[int, int, int, int]
    """Left, top, right and bottom, in pixels."""

WASM = engine.WASM.with_name("score.wasm")

_SCALES = 5
# Of the metric's 108 weights those that matter, by plane (X, Y, B), scale and term: what has
# changed in structure, which edges have appeared and which have gone, as the mean and as the norm
# of degree four. The rest, of a sixth scale among others, are under 0.003 and together 0.01.
WEIGHTS: dict[tuple[int, int], tuple[float, ...]] = {
    (0, 1): (0, 1.1041726426657346, 0, 0, 0, 0),
    (0, 2): (0, 1.8422455520539298, 0, 11.441172603757666, 0, 0),
    (0, 3): (0, 1.8787594979546387, 0, 10.94906990605142, 0, 0),
    (0, 4): (0, 0, 0.9677937080626833, 0.9981766977854967, 0, 0),
    (1, 0): (0, 7.466890328078848, 0, 0, 0, 17.445833984131262),
    (1, 1): (0, 6.683678146179332, 0, 0, 0, 1.027889937768264),
    (1, 2): (225.20515300849274, 19.213238186143016, 0, 0, 0, 0),
    (1, 3): (176.39317598450694, 24.43300999870476, 0, 0.28520802612117757, 0, 0),
    (1, 4): (0, 34.77906344483772, 0, 44.835625328877896, 0, 0),
    (2, 3): (0, 8.826982764996862, 0, 23.19243343998926, 0, 0),
    (2, 4): (
        95.1080498811086,
        0,
        0.9863978034400682,
        171.2667255897307,
        0.9834382792465353,
        0.9807858872435379,
    ),
}


@contextmanager
def opened(reference: NDArray[np.uint8]) -> Iterator[Callable[..., list[float]]]:
    """A scorer of candidates for an (H, W, 3) uint8 sRGB picture with sides of 113 pixels or more.

    It takes a candidate of the same shape and the tiles to score, and gives a score for each; of a
    tile over the whole picture that is the metric itself, of others what their part of the
    picture's error maps says. Raises EngineError for a picture over about 50 megapixels.
    """
    import numpy as np

    height, width, _ = reference.shape
    with engine.session(WASM) as session:
        scorer = session.call(
            "sc_score_open", session.put_array(reference, np.uint8), width, height
        )
        mark = session.call("sc_mark")

        def score(candidate: NDArray[np.uint8], tiles: Sequence[Tile]) -> list[float]:
            places = np.array(tiles, np.int32).reshape(-1, 4)
            data = session.put_array(candidate, np.uint8)
            at = session.put(places.tobytes())
            size = len(places) * 3 * _SCALES * 6 * 8
            sums = session.call("sc_alloc", size)
            session.call("sc_score", scorer, data, at, len(places), sums)
            found = np.frombuffer(session.get(sums, size), np.float64)
            session.call("sc_release", mark)
            return [
                _score(of_tile, tile, width, height)
                for of_tile, tile in zip(found.reshape(-1, 3, _SCALES, 6), tiles, strict=True)
            ]

        yield score


def _score(sums: NDArray[np.float64], tile: Tile, width: int, height: int) -> float:
    """The score that the sums of a tile's error maps stand for."""
    total = 0.0
    for (plane, scale), weights in WEIGHTS.items():
        left, top = tile[0] >> scale, tile[1] >> scale
        right, bottom = (-(-end // (1 << scale)) for end in tile[2:])
        pixels = (right - left) * (bottom - top)
        for term, weight in enumerate(weights):
            mean = float(sums[plane, scale, term]) / pixels
            total += weight * (mean**0.25 if term % 2 else mean)
    total *= 0.9562382616834844
    # The published polynomial and power, fitted to viewers' judgements.
    total = (
        2.326765642916932 * total
        - 0.020884521182843837 * total**2
        + (6.248496625763138e-05 * total**3)
    )
    return 100.0 - 10.0 * math.pow(total, 0.6276336467831387) if total > 0 else 100.0

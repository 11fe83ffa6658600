"""The file that the `<img>` itself names: for browsers that know neither AVIF nor WebP.

It is held to what all files are, and takes the author's place only where that buys something.
"""

from __future__ import annotations

import functools

from sitecodec.encoding import images, search
from sitecodec.encoding.task import Task
from sitecodec.encoding.trials import Encoded, encoded, measured
from sitecodec.facts import calibration

WORTH_IT = 0.9
"""It has to be smaller than the author's file by a tenth: another loss must buy something."""

_HALF = 0.5  # of the author's bytes, over which it must not look worse than that file

# Lighthouse 13's image-delivery-insight does not flag a JPEG of at most 2/12 byte per pixel for its
# format. Where that is good enough, more is not spent.
_PIXELS_PER_BYTE = 6
_USUAL, _BEST = 80, 95
_MOST_TRIALS = 3
_HEADROOM = 2
_CURVE = search.curve(calibration.JPEG_SCORES)
# The logarithm of sizes on Kodak pictures for quality 0, 10, ... 100.
_SIZES = search.curve((-1.95, -1.08, -0.59, -0.32, -0.14, 0, 0.13, 0.32, 0.51, 0.92, 1.76))


def jpeg(task: Task) -> Encoded | None:
    """The JPEG of a picture without alpha that reaches what its task asks for, or None.

    The best one, to a hundredth, of quality 80 and 1/6 byte a pixel at most; where that is not good
    enough, a larger one. 4:2:0, of graphics 4:4:4.
    """
    height, width = task.source.shape[:2]
    chroma = "4:4:4" if task.graphics else "4:2:0"
    file = functools.cache(lambda q: images.jpeg(task.source, max(1, q), chroma))
    limit = task.limit * WORTH_IT
    line = min(limit, height * width // _PIXELS_PER_BYTE)
    quality = search.largest_under(lambda q: len(file(q)), line + 1, _USUAL, _SIZES)
    quality = max(1, quality)
    for _ in range(_MOST_TRIALS):
        data = file(quality)
        if len(data) > limit:
            return None
        trial = measured(data, task.score(images.decode(data)))
        if task.reached(trial):
            worse = trial.score < calibration.ALIKE and len(data) > task.limit * _HALF
            return None if worse else encoded(data, quality, trial)
        risen = _CURVE + task.level(trial) - _CURVE[quality]
        better = max(search.first(risen, task.target) + _HEADROOM, quality + 1)
        if better > _BEST:
            return None
        quality = better
    return None

"""Flat graphics in fewer colours: what is coded without loss takes fewer bytes the fewer they are.

Most colours of a screenshot are shades at the edges of letters, where nobody can tell one from
the next. They may move a little; the colours of areas stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from sitecodec.codecs.flat import FlatCodec
from sitecodec.encoding import images
from sitecodec.encoding.task import Task
from sitecodec.encoding.trials import Encoded, Trial, encoded, measured
from sitecodec.engine import flat as coder
from sitecodec.errors import ImageError
from sitecodec.payload import LOSSLESS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sitecodec.facts.pixels import Pixels

REACHES = (18, 14, 9, 5)
"""How far a colour may move, farthest first: levels of 255, for a grey."""

# From red, green and blue: luma, and blue and red less luma. Hue tells a link from its text, so the
# latter count a little more.
_SPACE = np.array(
    [[0.299, 0.587, 0.114], [-0.345, -0.678, 1.023], [0.809, -0.678, -0.131]], np.float32
)
_MOST_COLOURS = 1 << 14  # more are a photograph's
_MANY, _PIXELS = 1 << 11, 16  # so are so many, if there is one for so few pixels
_MOST_AREAS = 1 << 10  # more are a gradient's, which fewer colours would turn into bands
_WINDOW = 5  # pixels: what is calm so far around belongs to an area
_CALM = 12  # levels that it may differ by
_PATCH = 4  # so many calm pixels of a colour make it an area's


@dataclass(frozen=True)
class Flat:
    """Flat graphics as their files show them."""

    pixels: Pixels
    colours: int
    """How many there are; 0 if they are the source's own."""

    trial: Trial
    """The scores of these pixels."""

    files: tuple[images.Lossless, ...]
    """The lossless files of these pixels, smallest first."""

    @property
    def file(self) -> images.Lossless:
        """The smallest."""
        return self.files[0]

    @property
    def name(self) -> str:
        """The name of the file in reports."""
        label = self.file.format.label
        return f"{label} of {self.colours} colours" if self.colours else f"lossless {label}"


def flat(task: Task) -> Flat | None:
    """The picture of a task in as few colours as reach what it asks for, or in its own.

    None for one with the colours of a photograph, of which files without loss are large and slow to
    make.
    """
    source, memo = task.source, task.memo
    found = coder.counted(images.cleared(source))
    if len(found[0]) > max(_MANY, source.shape[0] * source.shape[1] // _PIXELS):
        return None
    counted = _counted(source, found)
    for reach in REACHES:
        pixels, colours = _with_fewer(counted, reach) if counted else (source, 0)
        if not colours:
            break
        name = f"colours/{reach}"
        if name not in memo:
            memo[name] = measured(bytes(colours), task.score(pixels))
        if task.reached(memo[name]):
            return Flat(pixels, colours, memo[name], images.lossless(pixels))
    return Flat(source, 0, Trial(source.size, 100.0, 100.0, 1.0), images.lossless(source))


def payload(found: Flat) -> Encoded | None:
    """The payload of every pixel of it, or None if those are too many, or of too many colours."""
    codec = FlatCodec()
    pixels = images.cleared(found.pixels)
    try:
        data = codec.encode(pixels)
    except ImageError:
        return None
    # Nothing ships that the engine has not been seen to decode.
    if not np.array_equal(codec.decode(data), pixels):
        return None
    return encoded(data, round(LOSSLESS), replace(found.trial, size=len(data)))


def fewer(pixels: Pixels, reach: float) -> tuple[Pixels, int]:
    """The picture with colours moved to a commoner one within `reach`, and how many are left.

    `pixels` is (H, W, 3 or 4) uint8, `reach` one of REACHES or the like. Colours of calm areas
    stay. A picture of too many colours, or of none to spare, comes back as it is, with 0.
    """
    counted = _counted(pixels, coder.counted(images.cleared(pixels)))
    return _with_fewer(counted, reach) if counted else (pixels, 0)


@dataclass(frozen=True)
class _Counted:
    """A picture and its colours."""

    pixels: Pixels
    colours: NDArray[np.uint8]
    """(N, 4)."""

    places: NDArray[np.intp]
    """The number of each pixel's colour, (H, W)."""

    counts: NDArray[np.intp]
    areas: NDArray[np.bool_]
    """The pixels that belong to an area."""


def _counted(
    pixels: Pixels, found: tuple[NDArray[np.uint8], NDArray[np.intp], NDArray[np.intp]]
) -> _Counted | None:
    """The picture with its colours, as `counted` has found them; None if there are too many."""
    colours, places, counts = found
    if len(colours) > _MOST_COLOURS:
        return None
    areas = np.bincount(places[_calm(pixels)], minlength=len(colours)) >= _PATCH
    if areas.sum() > _MOST_AREAS:
        return None
    return _Counted(pixels, colours, places, counts, areas)


def _with_fewer(counted: _Counted, reach: float) -> tuple[Pixels, int]:
    pixels, colours = counted.pixels, counted.colours
    points = colours.astype(np.float32)
    points[:, :3] = points[:, :3] @ _SPACE.T
    moved = _moved(points, counted.counts, counted.areas, reach)
    kept = len(np.unique(moved))
    if kept == len(colours):
        return pixels, 0
    shown = colours[moved, : pixels.shape[2]][counted.places]
    return np.ascontiguousarray(shown), kept


def _calm(pixels: Pixels) -> NDArray[np.bool_]:
    """The places where all pixels of a window are nearly equal."""
    calm = np.ones(pixels.shape[:2], np.bool_)
    for channel in np.moveaxis(pixels, 2, 0):
        image = Image.fromarray(np.ascontiguousarray(channel))
        most = np.asarray(image.filter(ImageFilter.MaxFilter(_WINDOW)))
        least = np.asarray(image.filter(ImageFilter.MinFilter(_WINDOW)))
        calm &= most - least <= _CALM
    return calm


def _moved(
    colours: NDArray[np.float32],
    counts: NDArray[np.intp],
    areas: NDArray[np.bool_],
    reach: float,
) -> NDArray[np.intp]:
    """For each colour the one that it becomes: commonest first, each takes those in its reach."""
    nearest = np.arange(len(colours))
    distances = np.full(len(colours), np.inf, np.float32)
    free = np.ones(len(colours), np.bool_)
    for place in np.lexsort((-counts, ~areas)):
        if not (free[place] or areas[place]):
            continue
        away = np.square(colours - colours[place]).sum(1)
        nearer = away < distances
        nearest[nearer], distances[nearer] = place, away[nearer]
        free &= away > reach**2
    return nearest

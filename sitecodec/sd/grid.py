"""Scalar quantisation of latents, with adaptive arithmetic coding by the engine.

Latents are (H, W, C) float32 in Stable Diffusion's scaled units, where their variance is about 1.
The grid coder's parameters (prediction weights and scales, docs/format.md) are fitted to each
picture by least squares on what has been quantised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sitecodec.engine import grid as coder
from sitecodec.errors import PayloadError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Latents: TypeAlias = NDArray[np.float32]
    _Integers: TypeAlias = NDArray[np.int64]

STEP_CODES_PER_OCTAVE = 16
STEP_ONE = 128
"""The step code of the step 1."""

RDO = 0.09
"""Price of a bit in squared steps; a uniform quantiser's slope at high rate is ln 2 / 6 = 0.116."""

_COARSEST, _FINEST = 0.9, -3.7  # log2 of the step at quality 0 and 100
_RIDGE = 1e-3
_CROSS_UNIT = 64
# For grids too small to pay for parameters of their own.
_DEFAULT_WEIGHTS = (32, 32, -8, 4, 0, 0)
_DEFAULT_PULL, _DEFAULT_BASE = 40, 0x60


@dataclass(frozen=True)
class Coded:
    """A grid as bytes."""

    steps: bytes
    """One step code for each channel."""

    parameters: bytes
    """The parameters of the coder; empty for the default ones."""

    body: bytes

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.steps) + len(self.parameters) + len(self.body)


def step_of(code: int) -> float:
    """The quantisation step of a step code, in scaled units: 2^((code - 128) / 16)."""
    return float(2.0 ** ((code - STEP_ONE) / STEP_CODES_PER_OCTAVE))


def step_codes(quality: float, sensitivity: tuple[float, ...], channels: int) -> bytes:
    """Step codes at a quality of 0-100.

    `sensitivity` is each channel's squared error in the picture per squared error in the latent:
    the steps that minimise the picture's error at a rate go with its inverse square root. Empty
    means that all are alike.
    """
    import math

    base = _COARSEST + (_FINEST - _COARSEST) * quality / 100
    if not sensitivity:
        sensitivity = (1.0,) * channels
    mean = sum(math.log2(max(s, 1e-12)) for s in sensitivity) / channels
    codes = []
    for value in sensitivity:
        offset = min(max((mean - math.log2(max(value, 1e-12))) / 2, -2.0), 2.0)
        codes.append(round(STEP_ONE + STEP_CODES_PER_OCTAVE * (base + offset)))
    return bytes(min(max(code, 0), 255) for code in codes)


def encode(latents: Latents, steps: bytes, rdo: float = RDO) -> Coded:
    """Quantise and code (H, W, C) latents; `rdo` 0 rounds to the nearest step.

    Latents beyond 128 steps are limited to that.
    """
    import numpy as np

    channels = latents.shape[2]
    in_steps = latents / np.array([step_of(code) for code in steps], np.float32)
    source = np.clip(np.rint(in_steps * coder.UNIT), -8192, 8128).astype(np.int16)
    plain = np.clip(np.rint(source / coder.UNIT), coder.VALUE_MIN, coder.VALUE_MAX).astype(np.int64)
    parameters = fit(source, plain)
    coded = Coded(steps, parameters, coder.encode(source, parameters, rdo)[0])
    if coded.size <= 16 * len(parameters):
        other = Coded(steps, b"", coder.encode(source, default_parameters(channels), rdo)[0])
        coded = other if other.size < coded.size else coded
    return coded


def decode(coded: Coded, height: int, width: int) -> Latents:
    """The (H, W, C) latents. Raises PayloadError."""
    import numpy as np

    channels = len(coded.steps)
    parameters = coded.parameters or default_parameters(channels)
    if len(parameters) != coder.parameters_size(channels):
        raise PayloadError("corrupt payload: its parameters are cut short; encode again")
    values = coder.decode(coded.body, parameters, height, width, channels)
    steps = np.array([step_of(code) for code in coded.steps], np.float32)
    return values.astype(np.float32) * np.float32(1 / coder.UNIT) * steps


def default_parameters(channels: int) -> bytes:
    """The coder's parameters where a payload carries none."""
    weights = bytes(weight & 255 for weight in _DEFAULT_WEIGHTS)
    one = bytes([_DEFAULT_BASE, _DEFAULT_PULL, 0]) + weights
    return b"".join(one + bytes(c) for c in range(channels))


def fit(source: NDArray[np.int16], values: _Integers) -> bytes:
    """The coder's parameters that suit a grid best, by least squares.

    `source` is what was to be coded, in 1/64 of a step, `values` what it is quantised to.
    """
    import numpy as np

    height, width, channels = values.shape
    errors = np.zeros((height * width, 0))
    parts = []
    for c in range(channels):
        around = neighbours(values[..., c]).reshape(-1, coder.NEIGHBOURS)
        wanted = source[..., c].reshape(-1) / coder.UNIT
        features = np.concatenate([around, errors, np.ones((len(around), 1))], axis=1)
        gram = features.T @ features
        gram[np.diag_indices_from(gram)] += _RIDGE * len(features) + 1e-9
        solved = np.linalg.solve(gram, features.T @ wanted)
        weights = np.clip(np.rint(solved[:-1] * 64), -128, 127).astype(np.int64)
        bias = int(np.clip(np.rint(solved[-1] * 16), -128, 127))
        predicted = bias / 16 + features[:, :-1] @ (weights / 64)
        predicted = np.clip(predicted, coder.VALUE_MIN, coder.VALUE_MAX)
        error = values[..., c].reshape(-1) - predicted
        pull = _pull(wanted - values[..., c].reshape(-1), -error)
        base = _base_code(64 * float(np.abs(error).mean()))
        parts.append(bytes(int(v) & 255 for v in (base, pull, bias, *weights)))
        errors = np.concatenate([errors, error[:, None]], axis=1)
    return b"".join(parts)


def neighbours(values: _Integers) -> _Integers:
    """(H, W, 6): the west, north, north-west, north-east, west-west and north-north neighbours.

    Where one is outside, a nearer one stands in; 0 at the first place.
    """
    import numpy as np

    west, north = np.zeros_like(values), np.zeros_like(values)
    west[:, 1:] = values[:, :-1]
    west[1:, 0] = values[:-1, 0]
    north[1:] = values[:-1]
    north[0] = west[0]
    north_west = north.copy()
    north_west[1:, 1:] = values[:-1, :-1]
    north_east = north.copy()
    north_east[1:, :-1] = values[:-1, 1:]
    west_west = west.copy()
    west_west[:, 2:] = values[:, :-2]
    north_north = north.copy()
    north_north[2:] = values[:-2]
    return np.stack([west, north, north_west, north_east, west_west, north_north], axis=-1)


def _base_code(mean: float) -> int:
    """The code of the scale next to a mean absolute error, in 1/64."""
    import math

    mean = max(mean, 1.0)
    exponent = min(math.floor(math.log2(mean)), 15)
    mantissa = min(round((mean * 0.5**exponent - 1) * 16), 15)
    return exponent << 4 | mantissa


def _pull(wanted: NDArray[np.float64], towards: NDArray[np.float64]) -> int:
    """How far, in 1/256, decoded values best move towards their predictions."""
    import numpy as np

    towards = np.clip(towards, -0.5, 0.5)
    power = float(towards @ towards)
    return int(np.clip(np.rint(256 * float(wanted @ towards) / power), 0, 255)) if power else 0

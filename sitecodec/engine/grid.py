"""The engine's coder for grids of small integers, such as Stable Diffusion's quantised latents.

docs/format.md, "Grid coding", says what the bytes mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sitecodec import engine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNIT = 64
"""Values come and go in 1/64 of a quantisation step."""

VALUE_MIN, VALUE_MAX = -128, 127
NEIGHBOURS = 6
MAX_CHANNELS = 16


def parameters_size(channels: int) -> int:
    """Bytes that the parameters of a grid take."""
    return channels * (3 + NEIGHBOURS) + channels * (channels - 1) // 2


def encode(
    source: NDArray[np.int16], parameters: bytes, rdo: float = 0.0
) -> tuple[bytes, NDArray[np.int8]]:
    """Code a (H, W, C) grid given in 1/64 of a step; also returns the values chosen.

    With `rdo`, the price of a bit in squared steps, a value may be rounded towards its prediction
    where that saves more bits than it costs error (greedy rate-distortion optimised quantisation).
    """
    import numpy as np

    height, width, channels = source.shape
    capacity = source.size * 4 + 1024
    with engine.session() as session:
        data = np.ascontiguousarray(source, np.int16).data.cast("B")
        chosen = session.call("sc_alloc", source.size)
        out = session.call("sc_alloc", capacity)
        size = session.call(
            "sc_grid_encode",
            session.put(parameters),
            len(parameters),
            session.put(data),
            width,
            height,
            channels,
            round(rdo * 65536),
            chosen,
            out,
            capacity,
        )
        values = np.frombuffer(session.get(chosen, source.size), np.int8)
        return session.get(out, size), values.reshape(source.shape)


def decode(
    body: bytes, parameters: bytes, height: int, width: int, channels: int
) -> NDArray[np.int16]:
    """The (H, W, C) grid in 1/64 of a step. Raises PayloadError where a value is out of range."""
    import numpy as np

    count = height * width * channels
    with engine.session() as session:
        values = session.call("sc_alloc", 2 * count)
        session.call(
            "sc_grid_decode",
            session.put(parameters),
            len(parameters),
            session.put(body),
            len(body),
            width,
            height,
            channels,
            values,
        )
        grid = np.frombuffer(session.get(values, 2 * count), np.int16)
        return grid.reshape(height, width, channels)

"""The engine's coder of pictures of few colours: pixels in, the body of a payload out, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sitecodec import engine
from sitecodec.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_COLOURS = 4096
MOST_PIXELS = 1 << 24
_LUMA = (299, 587, 114)  # in thousandths: the order must not depend on a machine's rounding


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """The body of a payload, after its header, for an (H, W, 3 or 4) uint8 picture.

    Raises ImageError for one of more than MOST_COLOURS colours or MOST_PIXELS pixels.
    """
    height, width, channels = pixels.shape
    if height * width > MOST_PIXELS:
        raise ImageError(f"over {MOST_PIXELS} pixels: scale the picture down, or use the codec web")
    indices, palette, background = _indexed(pixels)
    if len(palette) > MOST_COLOURS:
        raise ImageError(
            f"{len(palette)} colours, and the codec flat takes {MOST_COLOURS}: use the codec web"
        )
    capacity = 2 * height * width + 65536
    with engine.session() as session:
        body = session.call("sc_alloc", capacity)
        size = session.call(
            "sc_flat",
            session.put(indices.data.cast("B")),
            width,
            height,
            session.put(palette.data.cast("B")),
            len(palette),
            channels,
            background,
            body,
            capacity,
        )
        return session.get(body, size)


def decode(payload: bytes, max_pixels: int = 0) -> NDArray[np.uint8]:
    """The picture of a whole payload, (H, W, 3), or with alpha 4 channels. Raises PayloadError."""
    with engine.session() as session:
        return engine.read(session, 0, payload, max_pixels)


def counted(
    pixels: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.intp], NDArray[np.intp]]:
    """The colours of an (H, W, 3 or 4) uint8 picture, which of them each pixel has, how many do.

    Colours are (N, 4), the fourth 0 where there is no alpha; pixels (H, W).
    """
    import numpy as np

    height, width, channels = pixels.shape
    words = np.zeros((height, width, 4), np.uint8)
    words[..., :channels] = pixels
    found, places, counts = np.unique(words.view("<u4"), return_inverse=True, return_counts=True)
    return found.view(np.uint8).reshape(-1, 4), places.reshape(height, width), counts


def _indexed(
    pixels: NDArray[np.uint8],
) -> tuple[NDArray[np.uint16], NDArray[np.uint8], int]:
    """Indices, the colours that they stand for, and the commonest index.

    Colours are in order of luma: what differs little has similar indices.
    """
    import numpy as np

    colours, places, counts = counted(pixels)
    colours = colours[:, : pixels.shape[2]]
    order = np.argsort(colours[:, :3] @ np.array(_LUMA, np.uint32), kind="stable")
    ranks = np.empty(len(order), np.uint16 if len(order) <= MOST_COLOURS else np.uint32)
    ranks[order] = np.arange(len(order))
    indices = np.ascontiguousarray(ranks[places])
    return indices, np.ascontiguousarray(colours[order]), int(ranks[counts.argmax()])

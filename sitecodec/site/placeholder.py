"""What stands in an image's place until it is there: a colour or a blur, as CSS of its tag.

An opaque image, once it is there, covers its own background: nothing has to be removed, and no
script runs. Since the background takes no part in layout, nothing moves either. A transparent image
has no placeholder: it would show through.
"""

from __future__ import annotations

import base64
import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec import codecs
from sitecodec.errors import StoreError
from sitecodec.payload import read_header
from sitecodec.site import assets
from sitecodec.store import Store, key

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 190
"""Of the declarations; with the attribute around them, a tag grows by 200 bytes at most."""

_VERSION = "2"
_CELLS = 10  # pixels of a blur, on its longer side
_QUALITIES = (70, 55, 40, 30, 20, 10, 5, 0)
# Best first. A payload is decoded: its picture is what its latents hold, at any size.
_FORMATS = ("slat", "avif", "webp", "png", "jpeg")


def declarations(kind: str, site: Path, image: assets.Image, store: Store) -> str:
    """The CSS declarations for an encoded image of the site, at most MOST_BYTES long.

    They are empty for an image with transparency. `kind` is 'colour' or 'blur'. Computed once for
    each image, then remembered in the store. Raises OSError if the image's smallest file cannot be
    read.
    """
    names = [
        (name, size.files[name])
        for name in _FORMATS
        for size in image.sizes[::-1]
        if name in size.files
    ]
    data = (site / names[0][1]).read_bytes()
    name = key("placeholder", _VERSION, kind, data)
    known = store.get(name)
    if known is None:
        known = _compute(kind, data).encode("ascii")
        with contextlib.suppress(StoreError):  # whoever encoded it has told why
            store.put(name, known)
    return known.decode("ascii")


def _compute(kind: str, data: bytes) -> str:
    """The declarations for a payload or image file."""
    from PIL import Image

    if data.startswith(b"SLAT"):
        pixels = codecs.get(read_header(data).codec).decode(data)
        picture = Image.fromarray(pixels)
    else:
        picture = Image.open(io.BytesIO(data))
    if picture.has_transparency_data:
        return ""
    picture = picture.convert("RGB")
    return _colour(picture) if kind == "colour" else _blur(picture)


def _colour(picture: Image.Image) -> str:
    from PIL import Image

    red, green, blue = picture.resize((1, 1), Image.Resampling.BOX).tobytes()
    return f"background:#{red:02x}{green:02x}{blue:02x}"


def _blur(picture: Image.Image) -> str:
    """A picture of a few pixels, which browsers enlarge smoothly; the best that is short enough."""
    from PIL import Image

    scale = _CELLS / max(picture.size)
    size = max(2, round(picture.width * scale)), max(2, round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.BOX)
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=quality, method=6)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        css = f"background:url(data:image/webp;base64,{data})0/100% 100% content-box"
        if len(css) <= MOST_BYTES:
            return css
    return _colour(picture)

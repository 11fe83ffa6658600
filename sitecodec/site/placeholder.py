"""The placeholder of an image until it has loaded: a colour or a blur, as CSS of its tag.

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
from sitecodec.disk.store import Store, key
from sitecodec.errors import StoreError
from sitecodec.facts import formats
from sitecodec.site import assets

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 190
"""The most bytes of the declarations. With the attribute, a tag grows by 200 bytes at most."""

MAGIC = b"SCP1"

_VERSION = "3"
_CELLS = 10  # pixels of a blur, on its longer side
_QUALITIES = (70, 55, 40, 30, 20, 10, 5, 0)


def declarations(kind: str, site: Path, image: assets.Image, store: Store) -> str:
    """The CSS declarations for an encoded image of the site, at most MOST_BYTES long.

    They are empty for an image with transparency. `kind` is 'colour' or 'blur'. Computed once for
    each image, then remembered in the store. Raises OSError if the image's smallest file cannot be
    read.
    """
    # Best first. A payload is decoded: its picture is what its latents hold, at any size.
    files = (
        size.files[known.name]
        for known in formats.ALL
        for size in image.sizes[::-1]
        if known.name in size.files
    )
    data = (site / next(files)).read_bytes()
    name = key("placeholder", _VERSION, kind, data)
    made = store.get(name)
    if made is None or not is_made(made):
        made = MAGIC + _compute(kind, data)
        with contextlib.suppress(StoreError):  # whoever encoded it has told why
            store.put(name, made)
    return _css(made)


def is_made(entry: bytes) -> bool:
    """Whether an entry of the store is one of ours: nothing, a colour, or a small picture."""
    if not entry.startswith(MAGIC):
        return False
    picture = entry[len(MAGIC) :]
    if len(picture) in (0, 3):
        return True
    return picture[:4] == b"RIFF" and picture[8:12] == b"WEBP" and len(_css(entry)) <= MOST_BYTES


def _css(entry: bytes) -> str:
    """The declarations. Pages get them, so their text is none that a cache has kept."""
    picture = entry[len(MAGIC) :]
    if len(picture) <= 3:
        return f"background:#{picture.hex()}" if picture else ""
    data = base64.b64encode(picture).decode("ascii")
    return f"background:url(data:image/webp;base64,{data})0/100% 100% content-box"


def _compute(kind: str, data: bytes) -> bytes:
    """The colour or small picture that stands for a payload or image file."""
    from PIL import Image

    if formats.SLAT.is_of(data):
        pixels = codecs.decode(data)
    else:
        from sitecodec.encoding import encoders

        pixels = encoders.decode(data)
    picture = Image.fromarray(pixels)
    if picture.has_transparency_data:
        return b""
    picture = picture.convert("RGB")
    return _colour(picture) if kind == "colour" else _blur(picture)


def _colour(picture: Image.Image) -> bytes:
    from PIL import Image

    return picture.resize((1, 1), Image.Resampling.BOX).tobytes()


def _blur(picture: Image.Image) -> bytes:
    """A picture of a few pixels, which browsers enlarge smoothly; the best that is short enough."""
    from PIL import Image

    scale = _CELLS / max(picture.size)
    size = max(2, round(picture.width * scale)), max(2, round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.BOX)
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=quality, method=6)
        if is_made(MAGIC + buffer.getvalue()):
            return buffer.getvalue()
    return _colour(picture)

"""Adds goldens of flat pictures: payloads that must decode to the same pixels for ever.

Existing ones are never rewritten. Run as `python -m tests.goldens.make_flat` after adding to
PICTURES.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sitecodec.codecs.flat import FlatCodec
from tests.conftest import make_page

HERE = Path(__file__).parent
INDEX = HERE / "flat.json"


def cutout() -> np.ndarray:
    """Letters with soft edges, above black and below a colour, on nothing."""
    page = make_page(48, 64)
    pixels = np.dstack([np.zeros_like(page), 255 - page[..., 0]])
    pixels[24:, :, :3] = 0, 102, 204
    return pixels


PICTURES: dict[str, Callable[[], np.ndarray]] = {
    "flat-page.slat": lambda: make_page(120, 200),
    "flat-cutout.slat": cutout,
}


def main() -> None:
    known = json.loads(INDEX.read_text()) if INDEX.exists() else {}
    for name, make in PICTURES.items():
        if name in known:
            continue
        payload = FlatCodec().encode(make())
        (HERE / name).write_bytes(payload)
        pixels = FlatCodec().decode(payload)
        known[name] = {
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "channels": pixels.shape[2],
            "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
        }
    INDEX.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()

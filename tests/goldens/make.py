"""Adds goldens: payloads that must decode to the same pixels for ever.

Existing ones are never rewritten. Run as `python tests/goldens/make.py` after adding to CASES.
"""

import hashlib
import json
from itertools import product
from pathlib import Path

import numpy as np

from sitecodec.codecs.web import WebCodec

HERE = Path(__file__).parent
CASES = {
    "dot": (1, 1, 50.0),
    "sliver": (1, 70, 0.0),
    "odd": (37, 53, 33.33),
    "tile": (64, 64, 100.0),
    "noise": (48, 80, 75.0),
    "wide": (96, 320, 20.0),
    "photo": (272, 400, 60.0),
    "static": (40, 56, 100.0),
    "checker": (64, 96, 100.0),
    "cutout": (90, 120, 60.0),
    "feather": (70, 61, 35.0),
    "confetti": (33, 50, 80.0),
    "nothing": (20, 17, 50.0),
}
MODELS = {"": "web-0", "-1": "web-1"}
"""What the names of a model's goldens end with."""


def alpha(name: str, height: int, width: int) -> np.ndarray | None:
    """The alpha of a picture in integer arithmetic; None where it is opaque."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    inside = 1000 - ((2 * x - width) * 1100 // width) ** 2 // 1000
    inside -= ((2 * y - height) * 1100 // height) ** 2 // 1000
    planes = {
        "cutout": inside * 4,  # an edge of a pixel or two
        "feather": inside // 2,
        "confetti": (x * y * 37 + x * x * 11) % 256 * (x > width // 3) * ((x + y) // 7 % 2),
        "nothing": x * 0,
    }
    return planes[name].clip(0, 255).astype(np.uint8) if name in planes else None


def picture(name: str, height: int, width: int) -> np.ndarray:
    """A picture in integer arithmetic, the same everywhere: gradients, edges, texture."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    if name == "static":
        data = hashlib.shake_128(b"static").digest(height * width * 3)
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)
    if name == "checker":  # the largest latents there are
        return np.repeat(((x // 16 + y // 16) % 2 * 255)[..., None], 3, -1).astype(np.uint8)
    seed = sum(name.encode())
    noise = (x * 7919 + y * 104729 + seed * 31 + (x * y * (x + 3)) % 977) * 2654435761 % 2**32 >> 24
    if name == "noise":
        return np.stack([noise, np.roll(noise, 5), np.roll(noise, 9)], -1).astype(np.uint8)
    ramp = (x * 255 // max(width - 1, 1) + y * 127 // max(height - 1, 1)) * 2 // 3
    disc = ((x - width // 2) ** 2 + (y - height // 2) ** 2 < (min(width, height) // 3) ** 2) * 90
    stripes = ((x + 2 * y) // 5 % 2) * 40 * (y > height // 2)
    grain = noise // 16
    channels = [ramp + disc + grain, 255 - ramp + stripes + grain, 128 + disc - stripes + grain]
    colours = np.stack(channels, -1).clip(0, 255).astype(np.uint8)
    plane = alpha(name, height, width)
    return colours if plane is None else np.dstack([colours, plane])


def case_and_model(name: str) -> tuple[str, str]:
    """The case that a golden was made of, and the model it was made with."""
    case, _, number = name.removesuffix(".slat").partition("-")
    return case, MODELS[f"-{number}" if number else ""]


def main() -> None:
    index = HERE / "goldens.json"
    known = json.loads(index.read_text()) if index.exists() else {}
    for (case, (height, width, quality)), (end, model) in product(CASES.items(), MODELS.items()):
        name, codec = f"{case}{end}.slat", WebCodec(model)
        if name in known:
            continue
        payload = codec.encode(picture(case, height, width), quality)
        (HERE / name).write_bytes(payload)
        known[name] = {
            "width": width,
            "height": height,
            "quality": quality,
            "sha256": hashlib.sha256(codec.decode(payload).tobytes()).hexdigest(),
        }
    index.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Adds goldens of codec 1: payloads whose latents must decode to the same numbers for ever.

Existing ones are never rewritten. Run as `python -m tests.goldens.make_sd` after adding to CASES.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from sitecodec.payload import Header
from sitecodec.sd import container, grid, palette

HERE = Path(__file__).parent
# height and width in pixels, channels, quality (None: the seed's palette)
CASES = {
    "sd-dot": (1, 1, 4, 50),
    "sd-small": (40, 56, 4, 60),
    "sd-photo": (256, 384, 4, 55),
    "sd-fine": (128, 120, 4, 100),
    "sd-coarse": (264, 256, 4, 5),
    "sd-sixteen": (96, 64, 16, 70),
    "sd-seed": (256, 264, 4, None),
    "sd-seed-dot": (8, 8, 4, None),
}


def latents(name: str, rows: int, columns: int, channels: int) -> np.ndarray:
    """Latents with structure, in integer arithmetic but for one division."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.int64)
    planes = []
    for c in range(channels):
        noise = (x * 7919 + y * 104729 + c * 31 + len(name)) * 2654435761 % 2**32 >> 20
        ramp = (x * (c + 3) - y * (5 - c)) * 40 % 3001
        disc = ((x - columns // 2) ** 2 + (y - rows // 2) ** 2 < (rows // 3) ** 2) * 1700
        planes.append(noise - 2048 + (ramp - 1500) * (1 + c % 2) + (disc if c % 3 else -disc))
    if name == "sd-fine":
        planes[0][::9, ::7] *= 6
    return (np.stack(planes, -1) / 1500).astype(np.float32)


def make(name: str) -> bytes:
    height, width, channels, quality = CASES[name]
    values = latents(name, -(-height // 8), -(-width // 8), channels)
    header = Header("sd", 0x12345678, width, height, quality or 0)
    if quality is None:
        return container.pack(header, 8, palette.encode(values), True)
    return container.pack(
        header, 8, grid.encode(values, grid.step_codes(quality, (), channels)), False
    )


def main() -> None:
    index = HERE / "sd.json"
    known = json.loads(index.read_text()) if index.exists() else {}
    for name in CASES:
        if name not in known:
            data = make(name)
            (HERE / f"{name}.slat").write_bytes(data)
            decoded = container.unpack(data).latents()
            known[name] = hashlib.sha256(decoded.tobytes()).hexdigest()
    index.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()

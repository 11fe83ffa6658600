"""Picture files with changed bytes, read as a build reads them; nothing but pictures and one error.

The seeds are small files of every format and kind that browsers show. Bytes are changed, cut, put
in and moved; checksums of PNG files are made right again, so that what is wrong gets further. Each
mutant is loaded, and one in fifty encoded and decoded too. A fault is anything raised that is no
ImageError, a message of more than one line, a warning of Pillow's, and a picture that takes longer
than some seconds.
Seeded; exits 1 on a fault.
"""

from __future__ import annotations

import argparse
import collections
import io
import re
import struct
import sys
import tempfile
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from sitecodec.encoding import jobs, sources
from sitecodec.errors import ImageError
from sitecodec.settings import Settings
from tests import picture_files

_MOST_PIXELS = 100_000
_SLOW = 5.0  # seconds of CPU


def seeds() -> list[bytes]:
    """Small files of all kinds."""
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (16, 24, 4), np.uint8), "RGBA")
    made = [*picture_files.sound().values(), *picture_files.colours().values()]
    made += [*picture_files.directions().values()]
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"):
        image = noise.convert("L").convert("I;16") if mode == "I;16" else noise.convert(mode)
        for kind, options in _KINDS:
            buffer = io.BytesIO()
            try:
                image.save(buffer, kind, **options)
            except (OSError, ValueError):
                continue  # no such mode in that format
            made.append(buffer.getvalue())
    frames = [noise.convert("RGB").rotate(turn) for turn in (0, 90)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
        made.append(buffer.getvalue())
    return [data for data in dict.fromkeys(made) if len(data) < 20_000]


_KINDS: list[tuple[str, dict[str, object]]] = [
    *(("PNG", {}), ("PNG", {"compress_level": 0}), ("JPEG", {}), ("JPEG", {"progressive": True})),
    *(("WEBP", {}), ("WEBP", {"lossless": True}), ("GIF", {}), ("BMP", {}), ("AVIF", {})),
    ("TIFF", {}),
]


def mutant(rng: np.random.Generator, data: bytes) -> bytes:
    """The file with some bytes changed."""
    new = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(min(len(new), 200) if rng.random() < 0.5 else len(new)))
        count = int(rng.integers(1, 9))
        kind = int(rng.integers(6))
        if kind == 0:
            del new[at : at + count]
        elif kind == 1:
            new[at:at] = rng.bytes(count)
        elif kind == 2:
            other = int(rng.integers(len(new)))
            new[at:at] = new[other : other + 8 * count]
        elif kind == 3:
            new[at : at + 4] = rng.choice([b"\0\0\0\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\1"])
        elif kind == 4 and rng.random() < 0.3:
            del new[at:]
        else:
            new[at : at + 1] = rng.bytes(1)
        if not new:
            return b"\0"
    return _right_sums(bytes(new)) if new.startswith(b"\x89PNG") else bytes(new)


def _right_sums(data: bytes) -> bytes:
    """A PNG file with the checksums of all chunks that are whole made right."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        end = at + 8 + size
        if end + 4 > len(data):
            break
        parts += (data[at:end], struct.pack(">I", zlib.crc32(data[at + 4 : end])))
        at = end + 4
    return b"".join((*parts, data[at:]))


def one(seed: int, known: list[bytes], folder: Path) -> str:
    """What comes of the mutant of that seed."""
    rng = np.random.default_rng(seed)
    data = mutant(rng, known[int(rng.integers(len(known)))])
    start = time.process_time()
    try:
        source = sources.load(data, "x", _MOST_PIXELS)
        said = source.reason if isinstance(source, sources.LeftAlone) else "a picture"
        if seed % 50 == 0:
            place = folder / "x"
            place.write_bytes(data)
            outcome = jobs.encode_image(jobs.Job(place, Settings(min_bytes=0, quality=30)))
            said += f", encoded as {outcome.reason or 'a payload'}"
    except ImageError as error:
        said = str(error).replace(str(folder), "")
        if "\n" in said or len(said) > 300 or "unexpected" in said:
            return f"FAULT: {said[:300]!r}"
        said = re.sub(r"\d+", "…", said)[:60]
    except Exception as error:
        return f"FAULT: {type(error).__name__}: {error}"
    if (taken := time.process_time() - start) > _SLOW:
        return f"FAULT: {taken:.0f} s"
    return said


def main() -> int:
    """Read as many mutants as wanted; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    known = seeds()
    found: collections.Counter[str] = collections.Counter()
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.first, options.first + options.number):
            said = one(seed, known, Path(folder))
            if said.startswith("FAULT"):
                print(f"seed {seed}: {said}", flush=True)
            found[said] += 1
    for said, number in found.most_common(30):
        print(f"{number:8} {said}")
    faults = sum(number for said, number in found.items() if said.startswith("FAULT"))
    print(f"{options.number} mutants of {len(known)} files: {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

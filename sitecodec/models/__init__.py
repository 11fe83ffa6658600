"""The built-in models: a decoder file and an encoder file each (docs/model.md)."""

from __future__ import annotations

import functools
import struct
from pathlib import Path

from sitecodec.errors import ModelError

DEFAULT = "web-1"
FOLDER = Path(__file__).parent


@functools.cache
def read(name: str, part: str) -> bytes:
    """The file of a model's `part`, "decoder" or "encoder". Raises ModelError."""
    path = FOLDER / f"{name}.{part}.slm"
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model file {path.name}: reinstall sitecodec") from error


def names() -> list[str]:
    """The built-in models, oldest first."""
    return sorted(path.name.removesuffix(".decoder.slm") for path in FOLDER.glob("*.decoder.slm"))


def fingerprint(file: bytes) -> int:
    """The number by which payloads name a model: the checksum that ends its file."""
    return int(struct.unpack("<I", file[-4:])[0])


def find(wanted: int) -> str:
    """The name of the built-in model with that fingerprint. Raises ModelError."""
    for name in names():
        if fingerprint(read(name, "decoder")) == wanted:
            return name
    raise ModelError(
        f"the payload needs the model {wanted:08x}, which is not here:"
        f" update sitecodec, or encode the source again ({', '.join(names())} are built in)"
    )

"""The models of the codec `web`: a decoder file and an encoder file each (docs/model.md)."""

from __future__ import annotations

import functools
import struct
from pathlib import Path

from sitecodec.disk.folders import plain
from sitecodec.errors import ModelError

DEFAULT = "web-1"
FOLDER = Path(__file__).parent


@functools.cache
def read(name: str, part: str) -> bytes:
    """The file of a model's `part`, "decoder" or "encoder"; without a name, of the newest built in.

    Raises ModelError.
    """
    name = name or DEFAULT
    try:
        if name in built_in():
            return (FOLDER / f"{name}.{part}.slm").read_bytes()
        from sitecodec.models import trained

        return plain(trained.path(name, part))
    except FileNotFoundError as error:
        raise ModelError(
            f"no model {name!r} for the codec web (there: {', '.join(names())}):"
            f" run  sitecodec models add {name} --from FOLDER  with the folder of its training"
        ) from error
    except OSError as error:
        raise ModelError(f"cannot read the model {name}: {error.strerror or error}") from error


def names() -> list[str]:
    """All models there are: the built-in ones, oldest first, then the user's own."""
    from sitecodec.models import trained

    return [*built_in(), *trained.names()]


@functools.cache
def built_in() -> tuple[str, ...]:
    """The built-in models, oldest first."""
    found = (path.name.removesuffix(".decoder.slm") for path in FOLDER.glob("*.decoder.slm"))
    return tuple(sorted(found))


def fingerprint(file: bytes) -> int:
    """The number by which payloads name a model: the checksum that ends its file."""
    return int(struct.unpack("<I", file[-4:])[0])


def find(wanted: int) -> str:
    """The name of the model with that fingerprint. Raises ModelError."""
    for name in names():
        if fingerprint(read(name, "decoder")) == wanted:
            return name
    raise ModelError(
        f"the payload needs the model {wanted:08x}, which is not here:"
        f" update sitecodec, add the model, or encode the source again"
        f" (there: {', '.join(names())})"
    )

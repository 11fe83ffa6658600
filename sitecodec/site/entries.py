"""The kinds of entries in the store, and whether an entry is one that builds and previews write."""

from __future__ import annotations

import hashlib
import zlib

from sitecodec.disk import seal
from sitecodec.encoding import outcome, trials
from sitecodec.site import memory, placeholder
from sitecodec.visitors import installed

_GZIP = b"\x1f\x8b"


def is_sound(key: str, content: bytes) -> bool:
    """Whether the entry `key` may have this content, as far as the two of them show it."""
    if hashlib.sha256(content).hexdigest() == key:
        return True  # a file that the preview keeps
    kind = content[:4]
    if kind == outcome.MAGIC:
        return outcome.unpack(content) is not None
    if kind == trials.MAGIC:
        return bool(trials.unpack(content))
    if kind == memory.MAGIC:
        return not seal.is_forged(key, content)
    if kind == installed.MAGIC:
        return installed.unpack(content) is not None
    if kind == placeholder.MAGIC:
        return placeholder.is_made(content)
    return kind.startswith(_GZIP) and _is_gzip(content)


def _is_gzip(content: bytes) -> bool:
    reader = zlib.decompressobj(wbits=31)
    try:
        while content:
            reader.decompress(content, 1 << 20)
            content = reader.unconsumed_tail
    except zlib.error:
        return False
    return reader.eof and not reader.unused_data

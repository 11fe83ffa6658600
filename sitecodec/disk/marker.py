"""`CACHEDIR.TAG`, which marks a folder as a cache of ours (https://bford.info/cachedir/)."""

from __future__ import annotations

import errno
from pathlib import Path

from sitecodec.disk.folders import opened, real
from sitecodec.errors import StoreError

NAME = "CACHEDIR.TAG"
_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
_OWNER = b"created by sitecodec"
TEXT = (
    _SIGNATURE
    + b"\n# This file is a cache directory tag "
    + _OWNER
    + b".\n# For information about cache directory tags, see https://bford.info/cachedir/\n"
)
_MOST_BYTES = 4096
_NO_FILE = (errno.ELOOP, errno.EINVAL, errno.ENXIO)  # but a link, a pipe or a socket


def stands_in(folder: Path) -> bool:
    """Whether the marker is there. Raises StoreError if it is another program's."""
    try:
        with opened(real(folder)) as root:
            tag, _ = root.read(NAME, _MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno in _NO_FILE:
            return False
        raise StoreError(
            f"cannot read the store {folder}: {error.strerror or error};"
            " mend its permissions or set 'store' to another folder"
        ) from error
    if not tag.startswith(_SIGNATURE) or _OWNER not in tag:
        raise StoreError(f"{folder} is the cache of another program; set 'store' to another folder")
    return True

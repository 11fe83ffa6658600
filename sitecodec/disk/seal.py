"""The proof that this user has written an entry of the store.

Caches travel: between machines, branches, runners of CI. Whoever can write to one must not be able
to put text into pages. So entries that hold such text carry a keyed digest, whose key stays in a
folder of the user's own and never in the cache. Without such a folder there are no such entries.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
from pathlib import Path

from sitecodec.disk import places

_NAME = "secret"
_BYTES = 32
_PERSON = b"sitecodec seal"
_LENGTH = len(', "seal": " "}') + 4 * _BYTES
_log = logging.getLogger("sitecodec")


def sealed(key: str, text: bytes) -> bytes | None:
    """A JSON object, the content of the entry `key`, with a seal; None where there can be none."""
    secret = _secret()
    return text[:-1] + _trailer(secret, key, text) if secret else None


def unsealed(key: str, data: bytes) -> bytes | None:
    """The object as it was, of an entry with a seal of ours; None for any other."""
    secret = _secret()
    text = data[:-_LENGTH] + b"}"
    return text if secret and data[-_LENGTH:] == _trailer(secret, key, text) else None


def is_forged(key: str, data: bytes) -> bool:
    """Whether an entry says that we have sealed it, and we have not."""
    secret = _secret()
    if secret is None or not data[-_LENGTH:].startswith(_before(secret)):
        return False  # another user's, which nobody here reads
    return unsealed(key, data) is None


def _trailer(secret: bytes, key: str, text: bytes) -> bytes:
    digest = hashlib.blake2b(key.encode(), digest_size=_BYTES, key=secret, person=_PERSON)
    digest.update(text)
    return b'%s %s"}' % (_before(secret), digest.hexdigest().encode())


def _before(secret: bytes) -> bytes:
    """The text before the digest: it names the secret without revealing it."""
    name = hashlib.blake2b(secret, digest_size=_BYTES, person=_PERSON).hexdigest()
    return b', "seal": "%s' % name.encode()


def _secret() -> bytes | None:
    folder = places.of_user("state")
    return _read_or_make(folder) if folder else None


@functools.cache
def _read_or_make(folder: Path) -> bytes | None:
    place = folder / _NAME
    try:
        secret = _read(place)
        if len(secret) != _BYTES:  # none, or what a full disk has left of one
            folder.mkdir(parents=True, exist_ok=True)
            _make(place)
            secret = _read(place)  # of two that are made at once, the last
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        _log.warning(
            "cannot keep %s (%s), so each build reads all pages; give this user a home", place, what
        )
        return None
    return secret if len(secret) == _BYTES else None


def _read(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return b""


def _make(place: Path) -> None:
    """Write a secret, whole or not at all. Raises OSError."""
    temporary = place.with_name(f"{_NAME}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(_BYTES))
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

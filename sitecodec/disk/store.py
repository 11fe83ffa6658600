"""The store: a content-addressed cache of files that survives kills, full disks and bit rot.

Layout below the root: `CACHEDIR.TAG` (the marker, https://bford.info/cachedir/), `ab/cdef…` (an
entry, named by its key) and `tmp/` (entries being written). An entry is four magic bytes, the
SHA-256 of its key and content, and the content. It is written to `tmp/`, synced and renamed, so a
reader sees all of it or nothing; the checksum catches what the disk does to it later, and an entry
that stands in another's place. It keeps nobody out who may write here: see docs/security.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from sitecodec.disk import marker
from sitecodec.disk.folders import Folder, opened, real
from sitecodec.errors import StoreError

_MAGIC = b"SCS2"
_HEAD = len(_MAGIC) + 32
_KEY = re.compile(r"[0-9a-f]{64}\Z")
# Compiled where they are needed: not in a warm build.
_SHARD = r"[0-9a-f]{2}"
_REST = r"[0-9a-f]{62}"
_OWN_NAME = rf"{_SHARD}|tmp|{re.escape(marker.NAME)}"
_TEMPORARY = "tmp"
_DAY = 86_400.0
_MOST_BYTES = 1 << 30  # of an entry: a file without end would take all memory
# No writer holds a temporary file for longer than this: what is older was left by a killed one.
_ORPHAN_AGE = 3_600.0


class Usage(NamedTuple):
    """A number of entries and the bytes that they take on disk."""

    entries: int
    size: int


class Fetched(NamedTuple):
    """The content of an entry, and its SHA-256."""

    content: bytes
    checksum: bytes


def key(*parts: str | bytes) -> str:
    """The key of an entry made from `parts`: 64 hexadecimal digits (SHA-256).

    Each part is hashed with its type and length, so no two lists of parts run together.
    """
    hashed: list[bytes] = []
    for part in parts:
        raw, kind = (part.encode(), b"s") if isinstance(part, str) else (part, b"b")
        hashed += (kind, len(raw).to_bytes(8, "little"), raw)
    return hashlib.sha256(b"".join(hashed)).hexdigest()


class Store(NamedTuple):
    """The store in the folder `root`, which is made by the first `put`."""

    root: Path

    resolution: float = _DAY
    """Seconds within which further uses of an entry are not noted; a day's keeps a warm build from
    writing."""

    def get(self, key: str) -> bytes | None:
        """The content of an entry, or None. A damaged entry is removed and counts as missing."""
        found = self.fetch(key)
        return found.content if found else None

    def fetch(self, key: str) -> Fetched | None:
        """The bytes of an entry, with the checksum that was verified."""
        if not _KEY.match(key):
            return None
        try:
            with opened(f"{self.root}/{key[:2]}") as shard:
                raw, status = shard.read(key[2:], _MOST_BYTES)
                head, content = raw[:_HEAD], raw[_HEAD:]
                if head != _MAGIC + _checksum(key, content):
                    shard.remove(key[2:])
                    return None
                if time.time() - status.st_mtime > self.resolution:  # last use, for gc
                    shard.touch(key[2:])
        except OSError:
            return None
        return Fetched(content, head[len(_MAGIC) :])

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, whole or not at all.

        Raises StoreError if the folder cannot be written, is full, or belongs to something else.
        """
        if not _KEY.match(key):
            raise StoreError(f"not a key of the store: {key!r}; use sitecodec.disk.store.key")
        if len(data) > _MOST_BYTES - _HEAD:
            raise StoreError(f"an entry of {len(data)} bytes is too large; lower 'max_pixels'")
        self._claim()
        self._write(key[:2], key[2:], _MAGIC + _checksum(key, data) + data)

    def stats(self) -> Usage:
        """How many entries there are, and their size. Raises StoreError if it is not a store."""
        return _usage(list(self._entries()))

    def verify(
        self, is_sound: Callable[[str, bytes], bool] = lambda _key, _content: True
    ) -> tuple[str, ...]:
        """Read every entry; remove the damaged ones and return their keys.

        So are links, pipes and the like under the names of entries, and of folders the same.
        `is_sound` has a look at key and content besides. Raises StoreError if it is not a store.
        """
        bad = []
        for name in self._own_names():
            try:
                with opened(f"{self.root}/{name}") as shard:
                    keys = [name + i.name for i in shard.scan() if re.fullmatch(_REST, i.name)]
                    damaged = [key for key in keys if not _is_sound(shard, key, is_sound)]
                    bad += [key for key in damaged if shard.remove_any(key[2:])]
            except OSError:  # a link, perhaps
                with contextlib.suppress(OSError), opened(real(self.root)) as root:
                    bad += [name] if root.remove(name) else []
        self.sweep()
        return tuple(sorted(bad))

    def gc(self, *, max_bytes: int | None = None, max_age: float | None = None) -> Usage:
        """Remove entries unused for `max_age` seconds, then the oldest until `max_bytes` remain.

        Returns what was removed. Raises StoreError if the folder is not a store.
        """
        entries = sorted(self._entries(), key=lambda entry: (entry.used, entry.key))
        left = sum(entry.size for entry in entries)
        now = time.time()
        removed = []
        for entry in entries:
            too_old = max_age is not None and now - entry.used > max_age
            too_much = max_bytes is not None and left > max_bytes
            if (too_old or too_much) and self._remove(entry.key):
                removed.append(entry)
                left -= entry.size
        self.sweep()
        return _usage(removed)

    def clear(self) -> Usage:
        """Remove every entry and the store's own files, and nothing else; return what went.

        Raises StoreError if the folder is not a store.
        """
        names = self._own_names()
        entries = [entry for entry in self._entries() if self._remove(entry.key)]
        for name in names:  # links, pipes and folders under the names of entries
            with contextlib.suppress(OSError), opened(f"{self.root}/{name}") as shard:
                for item in shard.scan():
                    if re.fullmatch(_REST, item.name):
                        shard.remove_any(item.name)
        self.sweep(max_age=-1.0)
        with contextlib.suppress(OSError):
            with opened(real(self.root)) as root:
                for name in (*names, _TEMPORARY):
                    if not root.remove(name):  # as it does a link
                        root.remove_folder(name)  # if nothing else lies in it
                if any(os.path.lexists(f"{self.root}/{name}") for name in names):
                    return _usage(entries)  # what is left is still a store's
                root.remove(marker.NAME)
            self.root.rmdir()
        return _usage(entries)

    def sweep(self, max_age: float = _ORPHAN_AGE) -> int:
        """Remove temporary files older than `max_age` seconds, left by killed writers."""
        swept = 0
        now = time.time()
        with contextlib.suppress(OSError), opened(f"{self.root}/{_TEMPORARY}") as folder:
            for item in folder.scan():
                with contextlib.suppress(OSError):
                    ours = item.name.endswith(".tmp") and item.is_file(follow_symlinks=False)
                    if ours and now - item.stat(follow_symlinks=False).st_mtime > max_age:
                        swept += folder.remove(item.name)
        return swept

    def path(self, key: str) -> Path:
        """The path of a key's entry, whether or not it exists."""
        return self.root / key[:2] / key[2:]

    def _write(self, folder: str, name: str, data: bytes) -> None:
        """Write a file of the folder below the root, '' for the root itself. Raises StoreError."""
        import secrets  # which a build that writes nothing does without

        temporary = f"{os.getpid()}-{secrets.token_hex(8)}.tmp"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            root = real(self.root)
            with (
                opened(f"{root}/{_TEMPORARY}", make=True) as waiting,
                opened(f"{root}/{folder}" if folder else root, make=bool(folder)) as place,
            ):
                try:
                    waiting.write(temporary, data)
                    try:
                        waiting.move(temporary, place, name)
                    except OSError:
                        if not place.is_folder(name) or not place.remove_any(name):
                            raise
                        waiting.move(temporary, place, name)
                finally:
                    waiting.remove(temporary)  # gone already when all went well
        except OSError as error:
            raise StoreError(
                f"cannot write to the store {self.root}: {error.strerror or error};"
                " free some space or set 'store' to another folder"
            ) from error

    def _remove(self, key: str) -> bool:
        with contextlib.suppress(OSError), opened(f"{self.root}/{key[:2]}") as shard:
            return shard.remove_any(key[2:])
        return False

    def _claim(self) -> None:
        """Mark the folder as a store, unless something else lives there."""
        if marker.stands_in(self.root):
            return
        foreign = [item for item in self._names() if not re.fullmatch(_OWN_NAME, item)]
        if foreign:
            # A marker here would tell backup programs to skip the user's own files.
            raise StoreError(
                f"{self.root} holds other files, such as {min(foreign)!r};"
                " set 'store' to an empty or new folder"
            )
        self._write("", marker.NAME, marker.TEXT)

    def _entries(self) -> Iterator[_Entry]:
        for name in self._own_names():
            with contextlib.suppress(OSError), opened(f"{self.root}/{name}") as shard:
                for item in shard.scan():
                    if re.fullmatch(_REST, item.name) and item.is_file(follow_symlinks=False):
                        status = item.stat(follow_symlinks=False)
                        yield _Entry(name + item.name, status.st_size, status.st_mtime)

    def _own_names(self) -> list[str]:
        """The names of the folders of entries that there are.

        Raises StoreError if the folder is not a store.
        """
        names = self._names()
        if names and not marker.stands_in(self.root):
            raise StoreError(
                f"{self.root} is not a sitecodec store (no {marker.NAME});"
                " name the folder of the 'store' setting"
            )
        return [name for name in names if re.fullmatch(_SHARD, name)]

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.root)  # noqa: PTH208 - names are all that is wanted
        except OSError:
            return []


class _Entry(NamedTuple):
    key: str
    size: int
    used: float


def _checksum(key: str, content: bytes) -> bytes:
    digest = hashlib.sha256(bytes.fromhex(key))
    digest.update(content)
    return digest.digest()


def _is_sound(shard: Folder, key: str, is_sound: Callable[[str, bytes], bool]) -> bool:
    """Whether an entry is whole, its own, and what it should be."""
    try:
        raw, _ = shard.read(key[2:], _MOST_BYTES)
    except FileNotFoundError:
        return True  # another process removed it meanwhile
    except OSError:
        return False
    head, content = raw[:_HEAD], raw[_HEAD:]
    return head == _MAGIC + _checksum(key, content) and is_sound(key, content)


def _usage(entries: list[_Entry]) -> Usage:
    return Usage(len(entries), sum(entry.size for entry in entries))

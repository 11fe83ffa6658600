"""The store: a content-addressed cache of files that survives kills, full disks and bit rot.

Layout below the root: `CACHEDIR.TAG` (the marker, https://bford.info/cachedir/), `ab/cdef…` (an
entry, named by its key) and `tmp/` (entries being written). An entry is four magic bytes, the
SHA-256 of its content, and the content. It is written to `tmp/`, synced and renamed, so a reader
sees all of it or nothing; the checksum catches what the disk does to it later.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sitecodec.errors import StoreError

_MAGIC = b"SCS1"
_HEAD = len(_MAGIC) + 32
_TAG = "CACHEDIR.TAG"
_TAG_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
_TAG_OWNER = b"created by sitecodec"
_TAG_TEXT = (
    _TAG_SIGNATURE
    + b"\n# This file is a cache directory tag "
    + _TAG_OWNER
    + b".\n# For information about cache directory tags, see https://bford.info/cachedir/\n"
)
_KEY = re.compile(r"[0-9a-f]{64}\Z")
# Compiled where they are needed: not in a warm build.
_SHARD = r"[0-9a-f]{2}"
_REST = r"[0-9a-f]{62}"
_DAY = 86_400.0
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
        """The same, with the checksum that was found to be right."""
        if not _KEY.match(key):
            return None
        # Of a string, since a warm build does little else, and paths take longer than the system.
        place = f"{self.root}/{key[:2]}/{key[2:]}"
        try:
            with open(place, "rb", buffering=0) as file:  # noqa: PTH123
                used = os.fstat(file.fileno()).st_mtime
                head, content = file.read(_HEAD), file.read()
        except OSError:
            return None
        if not _is_intact(head, content):
            _unlink(Path(place))
            return None
        if time.time() - used > self.resolution:  # last use, for gc
            with contextlib.suppress(OSError):
                os.utime(place)
        return Fetched(content, head[len(_MAGIC) :])

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, whole or not at all.

        Raises StoreError if the folder cannot be written, is full, or belongs to something else.
        """
        if not _KEY.match(key):
            raise StoreError(f"not a key of the store: {key!r}; use sitecodec.store.key")
        self._claim()
        self._write(self.path(key), _MAGIC + hashlib.sha256(data).digest() + data)

    def stats(self) -> Usage:
        """How many entries there are, and their size. Raises StoreError if it is not a store."""
        return _usage(list(self._entries()))

    def verify(self) -> tuple[str, ...]:
        """Read every entry; remove the damaged ones and return their keys.

        Raises StoreError if the folder is not a store.
        """
        bad = []
        for entry in self._entries():
            try:
                raw = entry.path.read_bytes()
                intact = _is_intact(raw[:_HEAD], raw[_HEAD:])
            except FileNotFoundError:
                continue  # another process removed it meanwhile
            except OSError:
                intact = False
            if not intact:
                bad.append(entry.key)
                _unlink(entry.path)
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
            if (too_old or too_much) and _unlink(entry.path):
                removed.append(entry)
                left -= entry.size
        self.sweep()
        return _usage(removed)

    def clear(self) -> Usage:
        """Remove every entry and the store's own files, and nothing else; return what went.

        Raises StoreError if the folder is not a store.
        """
        entries = [entry for entry in self._entries() if _unlink(entry.path)]
        self.sweep(max_age=-1.0)
        for folder in [*self._shards(), self.root / "tmp"]:
            with contextlib.suppress(OSError):  # something else lies in it, so it stays
                folder.rmdir()
        _unlink(self.root / _TAG)
        with contextlib.suppress(OSError):
            self.root.rmdir()
        return _usage(entries)

    def sweep(self, max_age: float = _ORPHAN_AGE) -> int:
        """Remove temporary files older than `max_age` seconds, left by killed writers."""
        swept = 0
        now = time.time()
        for item in _scan(self.root / "tmp"):
            with contextlib.suppress(OSError):
                ours = item.name.endswith(".tmp") and item.is_file(follow_symlinks=False)
                if ours and now - item.stat(follow_symlinks=False).st_mtime > max_age:
                    swept += _unlink(Path(item.path))
        return swept

    def path(self, key: str) -> Path:
        """Where the entry of a key is, if it is there at all."""
        return self.root / key[:2] / key[2:]

    def _write(self, path: Path, data: bytes) -> None:
        import secrets  # which a build that writes nothing does without

        temporary = self.root / "tmp" / f"{os.getpid()}-{secrets.token_hex(8)}.tmp"
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(exist_ok=True)
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise StoreError(
                f"cannot write to the store {self.root}: {error.strerror or error};"
                " free some space or set 'store' to another folder"
            ) from error
        finally:
            _unlink(temporary)  # gone already when all went well

    def _claim(self) -> None:
        """Mark the folder as a store, unless something else lives there."""
        if self._marked():
            return
        foreign = [item.name for item in _scan(self.root) if not _is_own_name(item.name)]
        if foreign:
            # A marker here would tell backup programs to skip the user's own files.
            raise StoreError(
                f"{self.root} holds other files, such as {min(foreign)!r};"
                " set 'store' to an empty or new folder"
            )
        self._write(self.root / _TAG, _TAG_TEXT)

    def _marked(self) -> bool:
        """Whether the marker is there. Raises StoreError if it is another program's."""
        try:
            with (self.root / _TAG).open("rb") as file:
                tag = file.read(4096)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StoreError(
                f"cannot read the store {self.root}: {error.strerror};"
                " mend its permissions or set 'store' to another folder"
            ) from error
        if not tag.startswith(_TAG_SIGNATURE) or _TAG_OWNER not in tag:
            raise StoreError(
                f"{self.root} is the cache of another program; set 'store' to another folder"
            )
        return True

    def _entries(self) -> Iterator[_Entry]:
        if not self._marked():
            if any(True for _ in _scan(self.root)):
                raise StoreError(
                    f"{self.root} is not a sitecodec store (no {_TAG});"
                    " name the folder of the 'store' setting"
                )
            return
        for shard in self._shards():
            for item in _scan(shard):
                with contextlib.suppress(OSError):
                    if re.fullmatch(_REST, item.name) and item.is_file(follow_symlinks=False):
                        status = item.stat(follow_symlinks=False)
                        yield _Entry(
                            shard.name + item.name,
                            Path(item.path),
                            status.st_size,
                            status.st_mtime,
                        )

    def _shards(self) -> list[Path]:
        return [
            Path(item.path)
            for item in _scan(self.root)
            if re.fullmatch(_SHARD, item.name) and item.is_dir(follow_symlinks=False)
        ]


class _Entry(NamedTuple):
    key: str
    path: Path
    size: int
    used: float


def _is_intact(head: bytes, content: bytes) -> bool:
    return head == _MAGIC + hashlib.sha256(content).digest()


def _usage(entries: list[_Entry]) -> Usage:
    return Usage(len(entries), sum(entry.size for entry in entries))


def _is_own_name(name: str) -> bool:
    return name in (_TAG, "tmp") or re.fullmatch(_SHARD, name) is not None


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as items:
            return list(items)
    except OSError:
        return []


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True

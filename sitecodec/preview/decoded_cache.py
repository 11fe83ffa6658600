"""Decoded pictures of payloads: decoded once, kept on disk, bounded in number, size and time."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sitecodec.disk.store import Store
from sitecodec.errors import SitecodecError, StoreError
from sitecodec.facts.formats import PNG, SLAT, Format
from sitecodec.payload import Header
from sitecodec.preview.picture_files import DECODED, compress, header_of, key_of

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels

CACHE_BYTES = 1 << 30
_WAITING = 128
_SPARE_BYTES = 64 << 20
# Pictures asked for again soon are answered from memory: each file opened or hashed gives way to
# other threads, and with many clients that waiting is most of an answer's time.
_RECENT_BYTES = 64 << 20
_RECENT_SECONDS = 10.0
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_log = logging.getLogger("sitecodec")


class BusyError(SitecodecError):
    """So much work is waiting that no more is taken on."""


@dataclass(frozen=True)
class Found:
    """The content of a URL."""

    tag: str
    """Identifies the bytes: 64 hexadecimal digits."""

    data: bytes | None
    """None while the payload is still to be decoded."""


class _Url(NamedTuple):
    """A parsed URL: the hash of the payload or file, the format, and the largest width."""

    digest: str
    format: Format
    width: int | None


_EntryStamp = tuple[int, int, int]


@dataclass(frozen=True)
class _Recent:
    """A picture in memory. It is good for as long as the store's entry is as it was."""

    found: Found
    stamp: _EntryStamp
    until: float


class Pictures:
    """The pictures that the decode server shows. Any number of threads may use it.

    Payloads (and AVIF files) are entries of `store` whose key is the SHA-256 of their content;
    decoded pictures are entries of a store of their own in the folder `cache`.
    """

    def __init__(
        self, store: Store, cache: Path, *, max_bytes: int = CACHE_BYTES, waiting: int = _WAITING
    ) -> None:
        self._store = store
        self._cache = Store(cache, resolution=1.0)
        self._max_bytes = max_bytes
        self._most_waiting = waiting
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(os.cpu_count() or 1)
        self._networks = threading.Lock()
        self._flights: dict[str, Future[bytes]] = {}
        self._waiting = 0
        self._used: int | None = None
        self._warned: set[str] = set()
        self._spare: OrderedDict[str, bytes] = OrderedDict()
        self._recent: OrderedDict[_Url, _Recent] = OrderedDict()
        self._recent_bytes = 0
        self._decodable: set[tuple[str, int]] = set()
        self.decoded = 0
        """How many payloads were decoded so far."""

    def keep(self, data: bytes) -> str:
        """Make a payload or an AVIF file available under its SHA-256, which is returned.

        Where the store cannot be written it is kept in memory, with a warning.
        """
        digest = hashlib.sha256(data).hexdigest()
        if self.file(digest) is None:
            try:
                self._store.put(digest, data)
            except StoreError as error:
                self._warn(error)
                with self._lock:
                    self._spare[digest] = data
                    while sum(map(len, self._spare.values())) > _SPARE_BYTES:
                        self._spare.popitem(last=False)
        return digest

    def file(self, digest: str) -> bytes | None:
        """The bytes that were kept under a SHA-256 (64 hexadecimal digits), or None."""
        if not _DIGEST.fullmatch(digest):
            return None
        data = self._spare.get(digest) or self._store.get(digest)
        # An entry of another kind has a key that is not its content's hash.
        return data if data and hashlib.sha256(data).hexdigest() == digest else None

    def decodes(self, payload: bytes) -> bool:
        """Whether this installation has what decodes a payload, by its header.

        A browser that is sent to a picture which then fails shows nothing: it takes the next source
        for a type that it does not know, not for an error.
        """
        header = header_of(payload)
        if header is None:
            return False
        from sitecodec import codecs

        wanted = header.codec, header.model
        if wanted not in self._decodable and codecs.of_payload(payload).can_decode(payload):
            self._decodable.add(wanted)
        return wanted in self._decodable

    def find(self, digest: str, known: Format, width: int | None = None) -> Found | None:
        """The content of a URL, without decoding; None if the store has nothing for it.

        A file whose own format is asked for (AVIF, WebP) is its own picture.
        """
        url = _Url(digest, known, width)
        stamp = self._stamp(digest)
        recent = self._recent.get(url)
        if recent and recent.stamp == stamp and time.monotonic() < recent.until:
            return recent.found
        data = self.file(digest)
        if data is None:
            return None
        found = None
        if known is not SLAT and known.is_of(data):
            found = Found(digest, data)
        elif known in DECODED and (header := header_of(data)):
            name = key_of(digest, header, known, width)
            found = Found(name, self._cache.get(name))
        if found and found.data is not None and stamp:
            self._note(url, found, stamp)
        return found

    def get(self, digest: str, known: Format, width: int | None = None) -> bytes | None:
        """The file of a payload's picture, scaled down to `width` pixels if it is wider.

        None if there is no such payload. However many ask at once, it is decoded once. Raises
        BusyError if too many wait already, ModelError where this installation lacks what would
        decode it, or what else the decoder raises.
        """
        payload = self.file(digest)
        header = header_of(payload) if payload else None
        if payload is None or header is None:
            return None
        name = key_of(digest, header, known, width)
        found = self._cache.get(name)
        if found is not None:
            return found
        with self._lock:
            if self._waiting >= self._most_waiting:
                raise BusyError("too many pictures are being decoded; ask again in a second")
            flight = self._flights.get(name)
            leads = flight is None
            if flight is None:
                flight = self._flights[name] = Future()
            self._waiting += 1
        try:
            if leads:
                self._fly(flight, name, payload, header, _Url(digest, known, width))
            return flight.result()
        finally:
            with self._lock:
                self._waiting -= 1

    def put(self, digest: str, pixels: Pixels) -> None:
        """Keep the PNG of a payload's pixels, which the caller has just decoded."""
        payload = self.file(digest)
        header = header_of(payload) if payload else None
        if header:
            self._remember(key_of(digest, header, PNG, None), compress(pixels, PNG, None))

    def _fly(
        self,
        flight: Future[bytes],
        name: str,
        payload: bytes,
        header: Header,
        url: _Url,
    ) -> None:
        """Do the work that `flight` stands for. An error is the waiters', and then forgotten."""
        try:
            with self._slots:
                # Another flight may have landed between our look at the cache and our start.
                data = self._cache.get(name)
                if data is None:
                    data = compress(self._decode(payload, header), url.format, url.width)
                    self._remember(name, data)
            if stamp := self._stamp(url.digest):  # where the disk is full, all there is of a cache
                self._note(url, Found(name, data), stamp)
            flight.set_result(data)
        except BaseException as error:
            flight.set_exception(error)
        finally:
            with self._lock:
                del self._flights[name]

    def _decode(self, payload: bytes, header: Header) -> Pixels:
        from sitecodec import codecs

        with self._networks if header.family.heavy else nullcontext():
            with self._lock:
                self.decoded += 1
            return codecs.decode(payload)

    def _stamp(self, digest: str) -> _EntryStamp | None:
        """A value that changes whenever a file of the store changes; None if there is no file."""
        if not _DIGEST.fullmatch(digest):
            return None
        try:
            status = self._store.path(digest).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _note(self, url: _Url, found: Found, stamp: _EntryStamp) -> None:
        """Hold a picture in memory for a while; then its file is read, and thereby used, again."""
        size = len(found.data or b"")
        if size > _RECENT_BYTES // 8:
            return
        with self._lock:
            before = self._recent.pop(url, None)
            self._recent_bytes += size - (len(before.found.data or b"") if before else 0)
            self._recent[url] = _Recent(found, stamp, time.monotonic() + _RECENT_SECONDS)
            while self._recent_bytes > _RECENT_BYTES:
                _, oldest = self._recent.popitem(last=False)
                self._recent_bytes -= len(oldest.found.data or b"")

    def _remember(self, name: str, data: bytes) -> None:
        """Put a picture into the cache; make room if there is too much in it."""
        try:
            self._cache.put(name, data)
            with self._lock:
                if self._used is None:
                    self._used = self._cache.stats().size
                else:
                    self._used += len(data)
                if self._used > self._max_bytes:
                    self._cache.gc(max_bytes=self._max_bytes * 9 // 10)
                    self._used = self._cache.stats().size
        except StoreError as error:
            self._warn(error)

    def _warn(self, error: StoreError) -> None:
        """Once for each kind: a full disk fails every time."""
        with self._lock:
            known = str(error) in self._warned
            self._warned.add(str(error))
        if not known:
            _log.warning("sitecodec: %s", error)

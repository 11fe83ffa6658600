"""One image in, its variants out; run over any `concurrent.futures.Executor`.

A job is a pure function of the source's bytes and the settings, so its outcome is kept in the
store. Answering from the store imports neither numpy nor Pillow nor the engine.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from sitecodec import codecs
from sitecodec.disk.folders import MOST_BYTES, plain
from sitecodec.disk.store import Store, key
from sitecodec.encoding.outcome import Outcome, Variant, by_width, pack, unpack
from sitecodec.errors import ImageError, SitecodecError, StoreError
from sitecodec.facts import calibration, formats
from sitecodec.facts.reasons import Reason
from sitecodec.settings import REFINING, Settings
from sitecodec.terminal.printing import size_text

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from sitecodec.encoding import trials

__all__ = ["Job", "Outcome", "Variant", "by_width", "encode_image", "encode_images", "recall"]

ENCODE_VERSION = "14"
"""Part of every store key: raised whenever this package would encode the same source otherwise."""

# Outcomes that wait to be consumed hold memory: so many jobs are in flight at once and no more.
_IN_FLIGHT = 32

_AT_ONCE = 1 << 20

_log = logging.getLogger("sitecodec")

_Kept = TypeVar("_Kept")


class Job(NamedTuple):
    """A source to encode. Picklable."""

    source: Path
    settings: Settings


def encode_image(job: Job) -> Outcome:
    """Encode one source, without the store.

    Raises ImageError if the source cannot be read, is damaged or is over the limits.
    """
    return _encode(job, _read(job.source), {})


def recall(job: Job, store: Store) -> Outcome | None:
    """The outcome of a job as far as that costs no encoding: from the store, or too small.

    Raises ImageError if the source cannot be read.
    """
    size, digest = _digest(job)
    return _stored(store, _key(digest, job.settings)) if digest else _too_small(size)


def encode_images(
    jobs: Iterable[Job],
    executor: Executor | Callable[[], Executor] | None,
    store: Store | None,
    recall: Callable[[str, bytes, Job], _Kept | None] | None = None,
    identity: Callable[[Settings], str] | None = None,
) -> Iterator[tuple[Job, Outcome | SitecodecError | _Kept]]:
    """Encode every job and yield each with its outcome or its error, as they are done.

    Outcomes come from the store where it has them and are put there where it has not; without a
    store everything is encoded. Sources of equal content are encoded once. Without an executor
    the work is done here, one image after the other; a function that makes one is called when
    there is something to encode. A store that cannot be written costs a warning in the log, not
    the outcome. `recall` is asked first, with the store key of each outcome and the SHA-256 of its
    source: what it knows is yielded in its place. `identity` is asked for that of the codec, where
    somebody remembers it.
    """
    asked: dict[str, _Asked] = {}
    codec_of = functools.cache(_identity)  # is read from files: once in a build
    for job in jobs:
        try:
            size, digest = _digest(job)
        except ImageError as error:
            yield job, error
            continue
        if not digest:
            yield job, _too_small(size)
            continue
        known = identity(job.settings) if identity else codec_of(*_coding(job.settings))
        name = _key(digest, job.settings, known)
        asked.setdefault(name, _Asked(digest, [])).jobs.append(job)

    new: list[list[Job]] = []
    for name, one in asked.items():
        kept = recall(name, one.digest, one.jobs[0]) if recall else None
        result = kept if kept is not None else _stored(store, name)
        if result is None:
            new.append(one.jobs)
        else:
            yield from ((job, result) for job in one.jobs)
    if new:
        pool = executor() if callable(executor) else executor
        writable = store
        for group, made in _worked(new, pool, store):
            writable = _keep(writable, made)
            yield from ((job, made[1]) for job in group)


class _Asked(NamedTuple):
    """The jobs of one content and one set of settings, and that content's SHA-256."""

    digest: bytes
    jobs: list[Job]


def _worked(
    groups: list[list[Job]], executor: Executor | None, store: Store | None
) -> Iterator[tuple[list[Job], _Result]]:
    """Encode the first job of each group, by the executor if there is one; as they are done."""
    if executor is None:
        yield from ((group, _work(group[0], store)) for group in groups)
        return
    pending: dict[Future[_Result], list[Job]] = {}
    try:
        for group in groups:
            while len(pending) >= _IN_FLIGHT:
                yield from _finished(pending)
            try:
                pending[executor.submit(_work, group[0], store)] = group
            except RuntimeError as error:  # it was shut down, or its processes have died
                yield group, ({}, _broken(group[0], error))
        while pending:
            yield from _finished(pending)
    finally:
        for future in pending:
            future.cancel()


_Result: TypeAlias = tuple[dict[str, bytes], Outcome | SitecodecError]
"""The data to keep in the store, by keys of the bytes that were really read, and their outcome."""


def _work(job: Job, store: Store | None) -> _Result:
    """The work of an executor. It never raises, so that one image cannot stop the others."""
    from sitecodec.encoding import trials

    try:
        data = _read(job.source)
        digest = hashlib.sha256(data).digest()
        measured = key("trials", trials.VERSION, calibration.METRIC, digest)
        memos = trials.unpack(store.get(measured) if store else None)
        outcome = _encode(job, data, memos)
        entries = {_key(digest, job.settings): pack(outcome)}
        if memos:
            entries[measured] = trials.pack(memos)
        return entries, outcome
    except SitecodecError as error:
        return {}, error
    except Exception as error:
        _log.debug("unexpected error in %s", job.source, exc_info=True)
        return {}, _broken(job, error)


def _encode(job: Job, data: bytes, memos: trials.Memos) -> Outcome:
    if len(data) < job.settings.min_bytes:
        return _too_small(len(data))
    # Imported here, so that a warm build does without numpy, Pillow and the engine.
    from sitecodec.encoding import sources, variants

    source = sources.load(data, str(job.source), job.settings.max_pixels)
    if isinstance(source, sources.LeftAlone):
        return Outcome(0, 0, len(data), (), source.reason)
    return variants.encode(source, len(data), job.settings, memos)


def _too_small(size: int) -> Outcome:
    return Outcome(0, 0, size, (), Reason.TOO_SMALL)


def _broken(job: Job, error: BaseException) -> ImageError:
    what = " ".join(f"{type(error).__name__} {error}".split())
    return ImageError(
        f"{job.source}: encoding stopped unexpectedly ({what}); exclude the image or report it"
    )


def _finished(pending: dict[Future[_Result], list[Job]]) -> Iterator[tuple[list[Job], _Result]]:
    """Wait for a job in flight; take what is done out of `pending`."""
    from concurrent.futures import FIRST_COMPLETED, wait

    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        group = pending.pop(future)
        error = future.exception()
        yield group, ({}, _broken(group[0], error)) if error else future.result()


def _stored(store: Store | None, name: str) -> Outcome | None:
    data = store.get(name) if store else None
    return unpack(data) if data is not None else None


def _keep(store: Store | None, result: _Result) -> Store | None:
    """Put what a job has found into the store; returns the store while it can be written to."""
    if store:
        try:
            for name, data in result[0].items():
                store.put(name, data)
        except StoreError as error:
            _log.warning("%s", error)
            return None
    return store


def identity(settings: Settings) -> str:
    """A text that changes whenever the codec of the settings would make other payloads."""
    return _identity(*_coding(settings))


def _coding(settings: Settings) -> tuple[str, str, int]:
    return settings.codec, settings.model, settings.effort


def _identity(codec: str, model: str, effort: int) -> str:
    return codecs.get(codec, model, effort).identity


def _key(digest: bytes, settings: Settings, identity: str = "") -> str:
    """The store key of a source: everything that its outcome depends on.

    `identity` is that of the codec, if it is known.
    """
    matters = _what_matters(settings)
    return key(
        "outcome",
        ENCODE_VERSION,
        digest,
        *matters,
        identity or _identity(*_coding(settings)),
    )


@functools.lru_cache(maxsize=16)
def _what_matters(settings: Settings) -> tuple[str, ...]:
    return (
        repr(float(settings.quality)),
        repr(float(settings.min_tile_score)),
        str(settings.min_bytes),
        str(settings.max_pixels),
        repr(settings.widths),
        str(settings.effort if settings.effort >= REFINING else 0),
        calibration.METRIC,
        *(known.name for known in formats.conventional()),
    )


def _digest(job: Job) -> tuple[int, bytes]:
    """Size of a source and a hash of its content; b'' for one that is too small.

    Raises ImageError if it cannot be read.
    """
    try:
        size = _status(job.source).st_size
        if size < job.settings.min_bytes:
            return size, b""
        if size > MOST_BYTES:
            raise ImageError(
                f"{job.source}: {size_text(size)} are more than any image that is read; make it"
                " smaller or exclude it"
            )
        with open(job.source, "rb", buffering=0) as file:  # noqa: PTH123 - for each image
            if size <= _AT_ONCE:  # many small files are faster without file_digest's buffer
                return size, hashlib.sha256(file.read()).digest()
            return size, hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise _unreadable(job.source, error) from error


def _status(source: Path) -> os.stat_result:
    status = os.stat(source)  # noqa: PTH116 - for each image
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise ImageError(f"{source}: not a file; remove the reference or put an image there")
    return status


def _read(source: Path) -> bytes:
    try:
        _status(source)
        return plain(source)
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Path, error: OSError) -> ImageError:
    what = (error.strerror or str(error)).lower()
    return ImageError(f"{source}: cannot be read ({what}); mend the path or its permissions")

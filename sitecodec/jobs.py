"""One image in, its variants out; run over any `concurrent.futures.Executor`.

A job is a pure function of the source's bytes and the settings, so its outcome is kept in the
store. Answering from the store imports neither numpy nor Pillow nor the engine.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec import codecs
from sitecodec.errors import ImageError, SitecodecError, StoreError
from sitecodec.settings import Settings
from sitecodec.store import Store, key

if TYPE_CHECKING:
    from sitecodec import gate
    from sitecodec.codecs import Pixels

ENCODE_VERSION = "3"
"""Part of every store key: raised whenever this package would encode the same source otherwise."""

_CODEC = "web"
_FORMATS = ("slat", "avif", "webp", "png", "jpeg")
_MAGIC = b"SCO1"
_MAX_HEADER = 1 << 20
# Outcomes that wait to be consumed hold memory: so many jobs are in flight at once and no more.
_IN_FLIGHT = 32

# A JPEG takes the source's place as the fallback only if it is smaller by a tenth.
_WORTH_IT = 0.9

_log = logging.getLogger("sitecodec")


@dataclass(frozen=True)
class Job:
    """A source to encode. Picklable."""

    source: Path
    settings: Settings


@dataclass(frozen=True)
class Variant:
    """One encoded file of a source."""

    format: str
    """'slat', 'avif', 'webp', 'png' or 'jpeg'; WebP and PNG are lossless."""

    width: int
    height: int
    data: bytes

    score: float | None
    """SSIMULACRA2 score against the source, None where it was not measured."""

    quality: float
    """The quality that the encoder was given; 0 where it was given none."""


@dataclass(frozen=True)
class Outcome:
    """What became of a source. Picklable."""

    width: int
    """Pixels, upright; 0 if the source was left alone without decoding it."""

    height: int
    source_bytes: int

    variants: tuple[Variant, ...]
    """Widest first, and of a width best first: 'slat', then 'avif' or 'webp', then the fallback
    ('jpeg' or 'png'), as far as they exist; none if left alone entirely."""

    reason: str
    """Why there is no payload of the widest size; '' if there is one."""

    score: float | None = None
    """SSIMULACRA2 score of the payload, kept or not; None if none was made."""

    worst_tile: float | None = None
    """The lowest score of a part of the payload's picture; None if no payload was made."""


def encode_image(job: Job) -> Outcome:
    """Encode one source, without the store.

    Raises ImageError if the source cannot be read, is damaged or is over the limits.
    """
    return _encode(job, _read(job.source))


def recall(job: Job, store: Store) -> Outcome | None:
    """The outcome of a job as far as that costs no encoding: from the store, or too small.

    Raises ImageError if the source cannot be read.
    """
    try:
        status = _status(job.source)
        if status.st_size < job.settings.min_bytes:
            return Outcome(0, 0, status.st_size, (), "too small")
        with job.source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise _unreadable(job.source, error) from error
    return _stored(store, _key(digest, job.settings))


def by_width(outcome: Outcome) -> list[dict[str, Variant]]:
    """The variants of each width by format, widest first, without any not under the source."""
    widths: dict[int, dict[str, Variant]] = {}
    for variant in outcome.variants:
        if len(variant.data) < outcome.source_bytes:
            widths.setdefault(variant.width, {})[variant.format] = variant
    return list(widths.values())


def run(
    jobs: Iterable[Job], executor: Executor | None, store: Store | None
) -> Iterator[tuple[Job, Outcome | SitecodecError]]:
    """Encode every job and yield each with its outcome or its error, as they are done.

    Outcomes come from the store where it has them and are put there where it has not; without a
    store everything is encoded. Sources of equal content are encoded once. Without an executor
    the work is done here, one image after the other. A store that cannot be written costs a
    warning in the log, not the outcome.
    """
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        try:
            status = _status(job.source)
            if status.st_size < job.settings.min_bytes:
                yield job, Outcome(0, 0, status.st_size, (), "too small")
                continue
            with job.source.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            yield job, _unreadable(job.source, error)
            continue
        except ImageError as error:
            yield job, error
            continue
        groups.setdefault(_key(digest, job.settings), []).append(job)

    writable = store
    pending: dict[Future[_Result], list[Job]] = {}
    try:
        for name, group in groups.items():
            outcome = _stored(store, name)
            if outcome is not None:
                yield from ((job, outcome) for job in group)
                continue
            if executor is None:
                result = _work(group[0])
                writable = _keep(writable, result)
                yield from ((job, result[1]) for job in group)
                continue
            while len(pending) >= _IN_FLIGHT:
                for group_done, result in _finished(pending):
                    writable = _keep(writable, result)
                    yield from ((job, result[1]) for job in group_done)
            try:
                pending[executor.submit(_work, group[0])] = group
            except RuntimeError as error:  # it was shut down, or its processes have died
                broken = _broken(group[0], error)
                yield from ((job, broken) for job in group)
        while pending:
            for group_done, result in _finished(pending):
                writable = _keep(writable, result)
                yield from ((job, result[1]) for job in group_done)
    finally:
        for future in pending:
            future.cancel()


_Result = tuple[str, Outcome | SitecodecError]
"""The store key of the bytes that were really read ('' for an error), and what came of them."""


def _work(job: Job) -> _Result:
    """What an executor runs: never raises, so that one image cannot stop the others."""
    try:
        data = _read(job.source)
        return _key(hashlib.sha256(data).digest(), job.settings), _encode(job, data)
    except SitecodecError as error:
        return "", error
    except Exception as error:
        _log.debug("unexpected error in %s", job.source, exc_info=True)
        return "", _broken(job, error)


def _broken(job: Job, error: BaseException) -> ImageError:
    what = " ".join(f"{type(error).__name__} {error}".split())
    return ImageError(
        f"{job.source}: encoding stopped unexpectedly ({what}); exclude the image or report it"
    )


def _finished(pending: dict[Future[_Result], list[Job]]) -> Iterator[tuple[list[Job], _Result]]:
    """Wait for a job in flight; take what is done out of `pending`."""
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        group = pending.pop(future)
        error = future.exception()
        yield group, ("", _broken(group[0], error)) if error else future.result()


def _stored(store: Store | None, name: str) -> Outcome | None:
    data = store.get(name) if store else None
    return unpack(data) if data is not None else None


def _keep(store: Store | None, result: _Result) -> Store | None:
    """Put an outcome into the store; returns the store while it can be written to."""
    name, outcome = result
    if store and isinstance(outcome, Outcome):
        try:
            store.put(name, pack(outcome))
        except StoreError as error:
            _log.warning("%s", error)
            return None
    return store


def _encode(job: Job, data: bytes) -> Outcome:
    if len(data) < job.settings.min_bytes:
        return Outcome(0, 0, len(data), (), "too small")
    # Imported here, so that a warm build does without numpy, Pillow and the engine.
    from sitecodec import gate, images
    from sitecodec.codecs.web import WebCodec

    settings = job.settings
    source = images.load(data, str(job.source), settings.max_pixels)
    if isinstance(source, images.LeftAlone):
        return Outcome(0, 0, len(data), (), source.reason)
    size = source.width, source.height
    variants: list[Variant] = []
    first: gate.Verdict | None = None
    hints: gate.Hints | None = None
    limits = dict.fromkeys(_FORMATS, len(data))
    for width in _widths(source.width, settings.widths):
        narrower = width < source.width
        pixels = images.resized(source.pixels, width) if narrower else source.pixels
        verdict = gate.choose(pixels, len(data), settings, WebCodec(), hints)
        hints = verdict.hints
        added = _variants(pixels, verdict, len(data), settings)
        first = first or verdict
        kept = [v for v in added if len(v.data) <= limits[v.format]]
        if variants and all(v.format == "slat" for v in kept):
            continue  # nearly as large as the wider one
        if not kept:
            break
        variants += kept
        limits.update((v.format, int(_WORTH_IT * len(v.data))) for v in kept)
    assert first is not None
    scores: tuple[float | None, float | None] = (None, None)
    if first.tried:
        tile = first.tried.worst_tile
        scores = first.tried.score, tile if math.isfinite(tile) else None
    return Outcome(*size, len(data), tuple(variants), first.reason, *scores)


def _widths(source: int, wanted: tuple[int, ...]) -> list[int]:
    """The widths to make of a source, widest first; never wider than the source is."""
    narrower = sorted((width for width in wanted if width < source), reverse=True)
    whole = not wanted or source <= max(wanted)
    return [source, *narrower] if whole else narrower


def _variants(
    pixels: Pixels, verdict: gate.Verdict, source_bytes: int, settings: Settings
) -> list[Variant]:
    """The files of one width, best first; none if none is smaller than the source."""
    from sitecodec import images, metrics

    height, width = pixels.shape[:2]
    made: list[Variant] = []
    for name, file in (("slat", verdict.payload), ("avif", verdict.avif)):
        if file:
            made.append(Variant(name, width, height, file.data, file.score, file.quality))
    lossless = verdict.lossless
    if lossless and lossless.format == "webp":
        made.append(Variant("webp", width, height, lossless.data, 100.0, 0))
    if not made and not lossless:
        return []
    # Another generation of loss must buy something; else the source itself is the fallback.
    limit = int(source_bytes * _WORTH_IT)
    fallbacks: list[Variant] = []
    if verdict.graphics:
        png = lossless if lossless and lossless.format == "png" else images.png(pixels)
        fallbacks.append(Variant("png", width, height, png.data, 100.0, 0))
    jpeg = images.jpeg_fallback(pixels, limit)
    if not fallbacks or len(jpeg) < len(fallbacks[0].data):
        shown = images.decode(jpeg)
        if metrics.worst_tile(pixels, shown) >= settings.min_tile_score:
            fallbacks.append(Variant("jpeg", width, height, jpeg, None, 0))
    made += [v for v in fallbacks[-1:] if len(v.data) <= limit]
    return made


def _key(digest: bytes, settings: Settings) -> str:
    """The store key of a source: everything that its outcome depends on."""
    return key(
        "outcome",
        ENCODE_VERSION,
        digest,
        repr(float(settings.quality)),
        repr(float(settings.min_tile_score)),
        str(settings.min_bytes),
        str(settings.max_pixels),
        repr(settings.widths),
        codecs.get(_CODEC).identity,
    )


def _status(source: Path) -> os.stat_result:
    status = source.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise ImageError(f"{source}: not a file; remove the reference or put an image there")
    return status


def _read(source: Path) -> bytes:
    try:
        _status(source)
        return source.read_bytes()
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Path, error: OSError) -> ImageError:
    what = (error.strerror or str(error)).lower()
    return ImageError(f"{source}: cannot be read ({what}); mend the path or its permissions")


def pack(outcome: Outcome) -> bytes:
    """An outcome as bytes for the store: magic, length-prefixed JSON header, the files."""
    header = asdict(outcome)
    for variant in header["variants"]:
        variant["data"] = len(variant["data"])
    head = json.dumps(header).encode()
    blobs = b"".join(variant.data for variant in outcome.variants)
    return _MAGIC + len(head).to_bytes(4, "little") + head + blobs


def unpack(data: bytes) -> Outcome | None:
    """The outcome in `data`, or None if it is not exactly what `pack` writes."""
    size = int.from_bytes(data[4:8], "little")
    if data[:4] != _MAGIC or len(data) < 8 or size > _MAX_HEADER:
        return None
    try:
        header = json.loads(data[8 : 8 + size])
        variants = []
        start = 8 + size
        for item in header["variants"]:
            end = start + _natural(item["data"])
            variants.append(
                Variant(
                    format=_FORMATS[_FORMATS.index(item["format"])],
                    width=_natural(item["width"]),
                    height=_natural(item["height"]),
                    data=data[start:end],
                    score=None if item["score"] is None else float(item["score"]),
                    quality=float(item["quality"]),
                )
            )
            start = end
        outcome = Outcome(
            width=_natural(header["width"]),
            height=_natural(header["height"]),
            source_bytes=_natural(header["source_bytes"]),
            variants=tuple(variants),
            reason=str(header["reason"]),
            # Entries of earlier versions lack these.
            score=_number(header.get("score")),
            worst_tile=_number(header.get("worst_tile")),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return outcome if start == len(data) else None


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)):
        raise ValueError(f"not a score: {value!r}")
    return float(value)


def _natural(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"not a size: {value!r}")
    return value

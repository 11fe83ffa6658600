"""The preview of one image: a first look, and the verdict of a build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sitecodec.disk.folders import plain
from sitecodec.encoding import jobs
from sitecodec.errors import ImageError
from sitecodec.facts import families, formats
from sitecodec.facts.calibration import BEYOND_SAVING, payload_quality
from sitecodec.facts.reasons import Reason
from sitecodec.payload import read_header
from sitecodec.preview.decoded_cache import Pictures
from sitecodec.settings import Settings
from sitecodec.site import assets
from sitecodec.site.offers import CONTENT_WIDTH
from sitecodec.visitors import break_even

SourceStamp: TypeAlias = tuple[int, int, int]
"""A value that changes whenever a file changes."""


@dataclass(frozen=True)
class Result:
    """The result for an image so far."""

    state: str
    """'waiting', 'quick' (decoded and shown, not yet judged), 'done', 'left alone', 'problem'."""

    source_bytes: int = 0
    width: int = 0
    height: int = 0
    payload: str = ""
    """SHA-256 of the payload that pages show; '' if there is none."""
    modern: str = ""
    """Name of the file that every current browser shows, an AVIF or WebP; '' if there is none."""
    modern_format: str = ""
    """The name of its format for readers."""
    payload_bytes: int | None = None
    modern_bytes: int | None = None
    fallback_bytes: int | None = None
    score: float | None = None
    worst_tile: float | None = None
    judge: float | None = None
    modern_judge: float | None = None
    """What the second judge says of the payload and of that file, in just objectionable
    differences; None if it was not asked."""
    quality: float | None = None
    saved: int | None = None
    """Bytes that the payload saves a visitor, at the width that pages show; None without one."""
    flat: bool = False
    """Whether the payload is of flat graphics, which need no model."""
    reason: str = ""

    @property
    def shown(self) -> str:
        """Name of the picture that stands before the author's; '' if none does."""
        return f"{self.payload}.png" if self.payload else self.modern


WAITING = Result("waiting")


@dataclass(frozen=True)
class Listed:
    """An image of the site in the inspector's list."""

    path: str
    source: Path | None
    """The file that its bytes come from; None if there is nothing to encode."""
    pages: tuple[str, ...]
    result: Result


def first_look(real: Path, settings: Settings, pictures: Pictures) -> Result:
    """Encode and decode once and look for a bad part: what shows at a glance.

    Raises ImageError.
    """
    from sitecodec import codecs, metrics
    from sitecodec.encoding import sources

    data = read(real)
    source = sources.load(data, str(real), settings.max_pixels)
    if isinstance(source, sources.LeftAlone):
        return Result("left alone", len(data), reason=source.reason)
    codec = codecs.get(families.WEB.name, settings.model)
    quality = payload_quality(settings.quality)
    payload = codec.encode(source.pixels, quality)
    decoded = codec.decode(payload)
    with metrics.against(source.pixels) as scores_of:
        scores = scores_of(decoded)
    if scores.worst_tile < settings.min_tile_score - BEYOND_SAVING:
        reason = f"worst tile {scores.worst_tile:.1f} is under {settings.min_tile_score:g}"
    else:
        reason = "" if len(payload) < len(data) else Reason.ALREADY_SMALL
    digest = ""
    if not reason:
        digest = pictures.keep(payload)
        pictures.put(digest, decoded)
    return Result(
        "quick",
        len(data),
        source.width,
        source.height,
        payload=digest,
        payload_bytes=len(payload) if digest else None,
        score=scores.score,
        worst_tile=scores.worst_tile,
        quality=quality,
        reason=reason,
    )


def verdict(outcome: jobs.Outcome, pictures: Pictures, settings: Settings, width: int) -> Result:
    """The result of a build for the image. Its files are put where the server finds them.

    `width` is how wide a page of the site shows an image, 0 where that is not known.
    """
    widths = jobs.by_width(outcome)
    sizes = [assets.described({}, variants) for variants in widths]
    saving = break_even.saving(sizes, width or CONTENT_WIDTH)
    files = widths[0] if widths else {}
    payload = files.get(formats.SLAT.name)
    best = next((known for known in formats.modern() if known.name in files), None)
    modern = files[best.name] if best else None
    fallback = next((files[f.name] for f in formats.fallbacks() if f.name in files), None)
    taken = bool(payload or modern)
    return Result(
        "done" if taken else "left alone",
        outcome.source_bytes,
        outcome.width,
        outcome.height,
        payload=pictures.keep(payload.data) if payload and pictures.decodes(payload.data) else "",
        modern=f"{pictures.keep(modern.data)}{best.suffix}" if best and modern else "",
        modern_format=best.label if best else "",
        payload_bytes=len(payload.data) if payload else None,
        modern_bytes=len(modern.data) if modern else None,
        fallback_bytes=len(fallback.data) if fallback and taken else None,
        score=outcome.score,
        worst_tile=outcome.worst_tile,
        judge=payload.judge if payload else None,
        modern_judge=modern.judge if payload and modern else None,
        quality=payload.quality if payload else None,
        # Visitors' browsers decode no others.
        saved=saving.bytes if saving and settings.family.browser_decodable else None,
        flat=payload is not None and not read_header(payload.data).family.has_models,
        reason=outcome.reason or ("" if taken else Reason.NOTHING_SMALLER),
    )


def stamp_of(path: Path) -> SourceStamp:
    """The file's stamp; zeros where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0, 0, 0
    # Permissions change no more than the ctime.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size


def read(path: Path) -> bytes:
    """The file. Raises ImageError."""
    try:
        return plain(path)
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise ImageError(f"{path}: cannot be read ({what}); mend the path") from error

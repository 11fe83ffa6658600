"""What the preview makes of one image: a first look, and the verdict of a build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sitecodec.encoding import jobs
from sitecodec.errors import ImageError
from sitecodec.payload import read_header
from sitecodec.preview.pictures import Pictures
from sitecodec.settings import Settings
from sitecodec.site import visits
from sitecodec.site.offers import CONTENT_WIDTH

Stamp: TypeAlias = tuple[int, int, int]
"""What changes when a file does."""

# A worst tile that lacks more than this, no higher quality will save: text, for one.
_TILE_MARGIN = 20.0


@dataclass(frozen=True)
class Result:
    """What became of an image so far."""

    state: str
    """'waiting', 'quick' (decoded and shown, not yet judged), 'done', 'left alone', 'problem'."""

    source_bytes: int = 0
    width: int = 0
    height: int = 0
    payload: str = ""
    """SHA-256 of the payload that pages show; '' if there is none."""
    avif: str = ""
    """Name of the AVIF, or of the WebP that is smaller; '' if there is neither."""
    payload_bytes: int | None = None
    avif_bytes: int | None = None
    jpeg_bytes: int | None = None
    score: float | None = None
    worst_tile: float | None = None
    quality: float | None = None
    saved: int | None = None
    """Bytes that the payload saves a visitor, at the width that pages show; None without one."""
    flat: bool = False
    """Whether the payload is of flat graphics, which need no model."""
    reason: str = ""

    @property
    def shown(self) -> str:
        """Name of the picture that stands before the author's; '' if none does."""
        return f"{self.payload}.png" if self.payload else self.avif


WAITING = Result("waiting")


@dataclass(frozen=True)
class Listed:
    """An image of the site in the inspector's list."""

    path: str
    source: Path | None
    """Where its bytes come from; None if there is nothing to encode."""
    pages: tuple[str, ...]
    result: Result


def quick_quality(target: float) -> float:
    """The codec's quality that reaches a score on a typical photograph; a build seeks it."""
    return min(100.0, max(0.0, 1.2 * target - 17))


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
    codec = codecs.get("web", settings.model)
    quality = quick_quality(settings.quality)
    payload = codec.encode(source.pixels, quality)
    decoded = codec.decode(payload)
    with metrics.against(source.pixels) as scores_of:
        scores = scores_of(decoded)
    if scores.worst_tile < settings.min_tile_score - _TILE_MARGIN:
        reason = f"worst tile {scores.worst_tile:.1f} is under {settings.min_tile_score:g}"
    else:
        reason = "" if len(payload) < len(data) else "already small"
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
    """What a build makes of the image, its files put where the server finds them.

    `width` is how wide a page of the site shows an image, 0 where that is not known.
    """
    widths = jobs.by_width(outcome)
    sizes = [
        (next(v.width for v in files.values()), {n: len(v.data) for n, v in files.items()})
        for files in widths
    ]
    files = widths[0] if widths else {}
    payload = files.get("slat")
    avif = files.get("avif") or files.get("webp")
    jpeg = files.get("jpeg") or files.get("png")
    taken = bool(payload or avif)
    return Result(
        "done" if taken else "left alone",
        outcome.source_bytes,
        outcome.width,
        outcome.height,
        payload=pictures.keep(payload.data) if payload and pictures.decodes(payload.data) else "",
        avif=f"{pictures.keep(avif.data)}.{avif.format}" if avif else "",
        payload_bytes=len(payload.data) if payload else None,
        avif_bytes=len(avif.data) if avif else None,
        jpeg_bytes=len(jpeg.data) if jpeg and taken else None,
        score=outcome.score,
        worst_tile=outcome.worst_tile,
        quality=payload.quality if payload else None,
        # Visitors' browsers decode no others.
        saved=visits.saving(sizes, width or CONTENT_WIDTH) if settings.codec == "web" else None,
        flat=payload is not None and read_header(payload.data).codec == "flat",
        reason=outcome.reason or ("" if taken else "nothing smaller"),
    )


def stamp_of(path: Path) -> Stamp:
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
        return path.read_bytes()
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise ImageError(f"{path}: cannot be read ({what}); mend the path") from error

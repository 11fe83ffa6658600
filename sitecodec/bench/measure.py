"""Encode, decode and score pictures with every codec at several qualities.

A curve is the mean over the pictures at each quality. Times are those of one thread working
alone; only the scores use all processors.
"""

from __future__ import annotations

import io
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitecodec.bench import bdrate, judges
from sitecodec.errors import ImageError, SitecodecError
from sitecodec.settings import Settings

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels

# Pillow's qualities that take photographs from about 0.1 to 1 bit per pixel; for `web` those of
# the levels its model was trained at.
_QUALITIES = {
    "jpeg": (5, 10, 15, 20, 30, 40, 50),
    "webp": (0, 5, 10, 20, 30, 45, 60),
    "avif": (10, 20, 30, 40, 50, 65),
    "avif-2": (10, 20, 30, 40, 50, 65),
    "avif-tuned": (8, 15, 22, 31, 40, 55),
    "avif@6": (8, 15, 22, 31, 40, 55),
    "jxl": (10, 25, 40, 55, 70, 80),
    "web": (0, 20, 40, 60, 80, 100),
    "web@0": (0, 20, 40, 60, 80, 100),
    "web@6": (0, 20, 40, 60, 80),
    "web@9": (0, 20, 40, 60, 80),
}

USUAL = ("jpeg", "webp", "avif", "avif-tuned", "web")
"""The codecs that every installation has and that are fast."""

ALL = tuple(_QUALITIES)
"""The same codecs, and AVIF at speed 2 and as builds make it (tuned for the score), JPEG XL (needs
the package `pillow-jxl-plugin`), payloads at effort 0, and refined ones at efforts 6 and 9 (need
torch; minutes per megapixel)."""


@dataclass(frozen=True)
class Point:
    """One quality of one codec: of one picture, or the mean over all."""

    quality: float
    bpp: float
    """Bits per pixel of the whole file."""
    psnr: float
    """PSNR in dB; infinite for a lossless result."""
    ms_ssim: float
    """The index, at most 1."""
    ssimulacra2: float
    encode_seconds: float
    """Per megapixel; the median over the pictures, as is decode_seconds."""
    decode_seconds: float
    butteraugli: float = math.nan
    """The 3-norm, 0 for the same picture; NaN where it was not asked."""
    cvvdp: float = math.nan
    """ColorVideoVDP, 10 for the same picture; likewise."""

    @property
    def butteraugli_db(self) -> float:
        """-log of it: higher is better."""
        return judges.quality("butteraugli", self.butteraugli)

    @property
    def ms_ssim_db(self) -> float:
        """-10 log10(1 - index): equal steps look about equal. Infinite for a lossless result."""
        return -10 * math.log10(1 - self.ms_ssim) if self.ms_ssim < 1 else math.inf


@dataclass(frozen=True)
class Results:
    """The results of a run."""

    curves: dict[str, tuple[Point, ...]]
    """The points of each codec, by rising quality; empty if no picture could be measured."""
    pictures: int
    pixels: int
    sampled: int
    """How many pictures were so large that two of their scores are those of a sample."""
    problems: tuple[str, ...]
    """A line for each picture that could not be measured."""
    missing: tuple[str, ...] = ()
    """A line for each judge that could not be asked, and for what could not be computed."""


@dataclass(frozen=True)
class _Codec:
    encode: Callable[[Pixels, float], bytes]
    decode: Callable[[bytes], Pixels]


def run(
    images: Sequence[Path],
    names: Sequence[str] = USUAL,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Results:
    """Measure codecs on PNG, JPEG or WebP files of opaque pictures.

    `progress` is called with the encodes done and their total. MS-SSIM and SSIMULACRA2 of a
    picture over a megapixel are those of `metrics.sample`. A picture that cannot be measured by
    all codecs becomes a problem and counts in no curve.
    """
    from sitecodec import metrics

    total = len(images) * sum(len(_QUALITIES[name]) for name in names)
    measured: list[dict[str, list[Point]]] = []
    problems = []
    pixels = sampled = 0
    if "jxl" in names:
        try:
            import pillow_jxl  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
        except ImportError as error:
            raise SitecodecError(
                "JPEG XL needs a plugin: install it with  pip install pillow-jxl-plugin"
            ) from error
    with ThreadPoolExecutor(os.cpu_count()) as executor, _one_avif_thread():
        codecs = {name: codec for name, codec in _codecs().items() if name in names}
        for number, path in enumerate(images):
            done = total // len(images) * number

            def step(trials: int, done: int = done) -> None:
                if progress:
                    progress(done + trials, total)

            try:
                picture = _load(path)
                measured.append(_measure(picture, codecs, executor, step))
            except (SitecodecError, OSError, ValueError, MemoryError) as error:
                problems.append(_problem(path, error))
            else:
                pixels += picture.shape[0] * picture.shape[1]
                sampled += metrics.sample(picture) is not picture
            step(total // len(images))
    curves = {
        name: tuple(_mean([p[name][i] for p in measured]) for i in range(len(_QUALITIES[name])))
        for name in codecs
        if measured
    }
    _, missing = judges.available()
    if not bdrate.has_scipy():
        missing += ("BD-rates left out: no scipy; pip install 'sitecodec[bench]'",)
    return Results(curves, len(measured), pixels, sampled, tuple(problems), missing)


def _load(path: Path) -> Pixels:
    from sitecodec.encoding import sources

    loaded = sources.load(path.read_bytes(), str(path), Settings().max_pixels, alpha=False)
    if isinstance(loaded, sources.LeftAlone):
        raise ImageError(f"{path}: {loaded.reason}; give opaque, still PNG, JPEG or WebP pictures")
    return loaded.pixels


def _codecs() -> dict[str, _Codec]:
    from sitecodec.codecs.web import WebCodec

    plain, web, finer, finest = (WebCodec(effort=effort) for effort in (0, Settings.effort, 6, 9))
    return {
        "jpeg": _Codec(
            lambda pixels, quality: _pillow(
                pixels, "JPEG", quality=int(quality), optimize=True, progressive=True
            ),
            _decode_pillow,
        ),
        "webp": _Codec(
            lambda pixels, quality: _pillow(pixels, "WEBP", quality=int(quality), method=6),
            _decode_pillow,
        ),
        "avif": _Codec(lambda pixels, quality: _avif(pixels, quality, 6), _decode_pillow),
        "avif-2": _Codec(lambda pixels, quality: _avif(pixels, quality, 2), _decode_pillow),
        "avif-tuned": _Codec(lambda pixels, quality: _built(pixels, quality, 3), _decode_pillow),
        "avif@6": _Codec(lambda pixels, quality: _built(pixels, quality, 6), _decode_pillow),
        "jxl": _Codec(
            lambda pixels, quality: _pillow(pixels, "JXL", quality=int(quality)),
            lambda data: _decode_pillow(data, ("JXL",)),
        ),
        "web": _Codec(web.encode, web.decode),
        "web@0": _Codec(plain.encode, plain.decode),
        "web@6": _Codec(finer.refined, finer.decode),
        "web@9": _Codec(finest.refined, finest.decode),
    }


def _built(pixels: Pixels, quality: float, effort: int) -> bytes:
    """An AVIF as builds make it at an effort."""
    from sitecodec.encoding import images

    return images.avif(pixels, int(quality), images.avif_speed(effort))


def _avif(pixels: Pixels, quality: float, speed: int) -> bytes:
    """An AVIF as Pillow makes it by default."""
    options = {"speed": speed, "subsampling": "4:2:0", "max_threads": 1}
    return _pillow(pixels, "AVIF", quality=int(quality), **options)


def _pillow(pixels: Pixels, format_name: str, **options: Any) -> bytes:  # noqa: ANN401
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format_name, **options)
    return buffer.getvalue()


def _decode_pillow(data: bytes, formats: tuple[str, ...] = ("JPEG", "WEBP", "AVIF")) -> Pixels:
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=formats) as image:
        return np.asarray(image.convert("RGB"))


@contextmanager
def _one_avif_thread() -> Iterator[None]:
    """Pillow has no argument for the threads of AVIF's decoder, only this global."""
    from PIL import AvifImagePlugin

    before = AvifImagePlugin.DEFAULT_MAX_THREADS
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    try:
        yield
    finally:
        AvifImagePlugin.DEFAULT_MAX_THREADS = before


def _measure(
    picture: Pixels,
    codecs: dict[str, _Codec],
    executor: ThreadPoolExecutor,
    step: Callable[[int], None],
) -> dict[str, list[Point]]:
    """The points of one picture by codec. Nothing is scored while something is timed."""
    megapixels = picture.shape[0] * picture.shape[1] / 1e6
    points: dict[str, list[Point]] = {name: [] for name in codecs}
    waiting: list[tuple[str, float, int, float, float, Pixels]] = []
    trials = 0

    def score_waiting() -> None:
        scores: list[Future[dict[str, float]]] = [
            executor.submit(_scores, picture, decoded) for *_, decoded in waiting
        ]
        for (name, quality, size, encode, decode, _), future in zip(waiting, scores, strict=True):
            bpp = size * 8 / (megapixels * 1e6)
            points[name].append(
                Point(quality, bpp, encode_seconds=encode, decode_seconds=decode, **future.result())
            )
        waiting.clear()
        step(trials)

    for name, codec in codecs.items():
        codec.decode(codec.encode(picture[:16, :16], 50))  # loads what is loaded once
        for quality in _QUALITIES[name]:
            start = time.perf_counter()
            data = codec.encode(picture, quality)
            middle = time.perf_counter()
            decoded = codec.decode(data)
            end = time.perf_counter()
            encode, decode = (middle - start) / megapixels, (end - middle) / megapixels
            waiting.append((name, quality, len(data), encode, decode, decoded))
            trials += 1
            # Not all at the end: the decoded pictures of a large one would fill the memory.
            if len(waiting) >= (os.cpu_count() or 1):
                score_waiting()
    score_waiting()
    return points


def _scores(reference: Pixels, decoded: Pixels) -> dict[str, float]:
    """PSNR, MS-SSIM, SSIMULACRA2 and what the judges say, by the fields of a point."""
    from sitecodec import metrics

    psnr = metrics.psnr(reference, decoded)
    reference, decoded = metrics.sample(reference), metrics.sample(decoded)
    asked, _ = judges.available()
    return {
        "psnr": psnr,
        "ms_ssim": metrics.ms_ssim(reference, decoded),
        "ssimulacra2": metrics.ssimulacra2(reference, decoded),
        **{name: judge(reference, decoded) for name, judge in asked.items()},
    }


def _mean(points: Sequence[Point]) -> Point:
    """Means of rate and quality, medians of times."""
    times = {
        name: statistics.median(getattr(p, name) for p in points)
        for name in ("encode_seconds", "decode_seconds")
    }
    means = {
        name: statistics.fmean(getattr(p, name) for p in points)
        for name in vars(points[0])
        if name not in times
    }
    return Point(**means, **times)


def _problem(path: Path, error: Exception) -> str:
    """One line that names the file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: {error.strerror.lower()}; check the name"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if str(path) in text else f"{path}: {text}"

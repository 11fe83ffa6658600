"""`sitecodec encode` for the built-in codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitecodec.codecs.web import WebCodec
    from sitecodec.facts.pixels import Pixels

REFINED_STEP = 100
"""Hundredths of quality to which an aim is met when every trial is refined."""


@dataclass(frozen=True)
class Aim:
    """A quality, or what the payload shall be like whatever its quality."""

    quality: float
    max_bytes: int | None = None
    score: float | None = None


def encode(pixels: Pixels, aim: Aim, effort: int, tune: str, model: str = "") -> bytes:
    """The payload of an (H, W, 3) uint8 picture that meets the aim, by a model or the usual one.

    Raises SettingsError if none does, and ModelError without the model or the effort's torch.
    """
    from sitecodec.codecs import refine
    from sitecodec.codecs.web import WebCodec

    codec = WebCodec(model, effort)
    if effort in refine.STEPS:
        return _met(
            pixels,
            codec,
            aim,
            lambda quality: codec.refined(pixels, quality, tune),
            REFINED_STEP,
        )
    with codec.analysed(pixels) as encoded:
        return _met(pixels, codec, aim, encoded, 1)


def _met(
    pixels: Pixels, codec: WebCodec, aim: Aim, encoded: Callable[[float], bytes], step: int
) -> bytes:
    from sitecodec import metrics
    from sitecodec.codecs import aim as aims

    if aim.max_bytes is not None:
        return aims.for_bytes(encoded, aim.max_bytes, step)
    if aim.score is None:
        return encoded(aim.quality)
    with metrics.against(pixels) as score:
        return aims.for_score(
            encoded, lambda data: score(codec.decode(data)).score, aim.score, step
        )

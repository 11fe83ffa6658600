"""The built-in codec: a small autoencoder, run by the engine. Needs no torch and no download."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitecodec import engine, models, payload
from sitecodec.codecs.protocol import Refiner
from sitecodec.errors import ModelError, PayloadError, SitecodecError
from sitecodec.facts import families
from sitecodec.facts.families import NOT_INSTALLED, Family
from sitecodec.settings import REFINING

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels


_ROUNDING = 2  # the least effort that rounds latents to what costs less
_STRENGTH = 400  # of that, where SSIMULACRA2 gains most on pictures held out from training


@dataclass(frozen=True)
class WebCodec:
    """Latents of a model. Encoding names it; decoding finds the one that a payload needs."""

    model: str = ""
    """Its name; without one, the newest that is built in."""

    effort: int = 0
    """From 2 on latents are rounded to what costs less, from 5 on `refined` seeks better ones:
    docs/model.md, "Effort"."""

    @property
    def family(self) -> Family:
        """What it can do."""
        return families.WEB

    @property
    def refiner(self) -> Refiner | None:
        """What refines its payloads; None at efforts that do not."""
        if self.effort < REFINING:
            return None
        return Refiner(f"{self.identity}/effort {self.effort}", self.refined)

    @property
    def identity(self) -> str:
        """Format, model and engine that decide the bytes."""
        parts = [
            models.fingerprint(models.read(self.model, part)) for part in ("decoder", "encoder")
        ]
        parts.append(zlib.crc32(engine.WASM.read_bytes()))
        strength = [str(self._strength)] if self._strength else []
        return "-".join([f"web{payload.VERSION}", *(f"{part:08x}" for part in parts), *strength])

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        """A payload of an (H, W, 3 or 4) uint8 sRGB picture at a quality of 0-100."""
        return self.encode_many(pixels, [quality])[0]

    def encode_many(self, pixels: Pixels, qualities: list[float]) -> list[bytes]:
        """Payloads of one picture at several qualities for little more than the price of one."""
        with self.analysed(pixels) as encode:
            return [encode(quality) for quality in qualities]

    @contextmanager
    def analysed(self, pixels: Pixels) -> Iterator[Callable[[float], bytes]]:
        """A context whose value makes a payload of the picture for each quality it is given."""
        colours, finish = _parts(pixels)
        with engine.analysed(colours, self._models(), self._strength) as encode:
            yield lambda quality: finish(encode(quality))

    def refined(self, pixels: Pixels, quality: float, tune: str = "score") -> bytes:
        """A payload whose latents were sought with gradients; efforts under 5 do not, and are fast.

        Raises ModelError without torch.
        """
        from sitecodec.codecs import refine

        if self.effort not in refine.STEPS:
            return self.encode(pixels, quality)
        colours, finish = _parts(pixels)
        return finish(refine.refined(colours, self._models(), quality, self.effort, tune))

    def decode(self, data: bytes) -> Pixels:
        """The picture of a payload, with a fourth channel if it has alpha.

        Raises PayloadError, or ModelError for a model not here.
        """
        header = payload.read_header(data)
        if header.family is not self.family:
            raise PayloadError(f"payload of the codec {header.codec!r}, not 'web'")
        name = models.find(header.model)
        return engine.decode(data, engine.Models(models.read(name, "decoder")))

    def fault(self, source: Pixels, shown: Pixels, floor: float) -> str:
        """Nothing: its decoder invents no detail."""
        return ""

    def can_decode(self, data: bytes) -> bool:
        """Whether the model of a payload is here."""
        try:
            models.find(payload.read_header(data).model)
        except SitecodecError:
            return False
        return True

    def describe(self, data: bytes) -> dict[str, str | int]:
        """The name of the model that a payload needs."""
        try:
            return {"model": models.find(payload.read_header(data).model)}
        except ModelError:
            return {"model": NOT_INSTALLED}

    @property
    def _strength(self) -> int:
        return _STRENGTH if self.effort >= _ROUNDING else 0

    def _models(self) -> engine.Models:
        return engine.Models(*(models.read(self.model, part) for part in ("decoder", "encoder")))


def _parts(pixels: Pixels) -> tuple[Pixels, Callable[[bytes], bytes]]:
    """The colours to encode, and what makes a payload of them one of the picture."""
    if pixels.shape[2] == 3:
        return pixels, lambda data: data
    from sitecodec.codecs import alpha

    section = engine.encode_alpha(pixels[..., 3])
    return alpha.filled(pixels), lambda data: payload.with_alpha(data, section)

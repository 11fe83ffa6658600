"""Stable Diffusion's latents as payloads. Needs the extra `torch` and a model that was added."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitecodec import engine, payload
from sitecodec.errors import ModelError, PayloadError, SettingsError, SitecodecError
from sitecodec.facts import families
from sitecodec.facts.families import NOT_INSTALLED, Family
from sitecodec.payload import Header
from sitecodec.sd import container, grid, palette, registry
from sitecodec.sd.description import Model
from sitecodec.sd.libraries import need_torch

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels
    from sitecodec.sd.grid import Latents
    from sitecodec.sd.networks import Networks

PRESETS = ("rd", "seed")
MAX_PIXELS = engine.MAX_PIXELS
_BATCH_PIXELS = 8 * 512 * 512
_SEARCH = 12


@dataclass(frozen=True)
class SdCodec:
    """The codec `sd`. Encoding uses `model`; decoding finds the one that a payload names."""

    model: str = ""
    """A name of the registry; '' takes the first alias there is, else the first model."""

    preset: str = "rd"
    """'seed' is Bühlmann's experiment of 2022; 'rd' is coded for rate and distortion."""

    denoise: bool | None = None
    """Whether decoding passes the latents through the U-Net; None: where the preset is 'seed' and
    the model has one."""

    rdo: float = grid.RDO
    """Price of a bit in squared steps, for 'rd'; 0 rounds to the nearest step."""

    refine: int = 0
    """Gradient steps on the latents through the decoder, for 'rd'."""

    device: str = "auto"

    def __post_init__(self) -> None:
        """Validate; raises SettingsError."""
        if self.preset not in PRESETS:
            raise SettingsError(f"unknown preset {self.preset!r}; known: {', '.join(PRESETS)}")

    @property
    def family(self) -> Family:
        """What it can do."""
        return families.SD

    @property
    def refiner(self) -> None:
        """Nothing that a build would use: `refine` is for single payloads."""
        return None

    @property
    def identity(self) -> str:
        """The identity of the bytes that this codec makes. Raises ModelError without a model."""
        model = self._model()
        denoise = self._denoises(model)
        parts = (self.preset, int(denoise), self.rdo, self.refine)
        code = zlib.crc32(engine.WASM.read_bytes())
        made_by = f"{model.fingerprint(denoise):08x}-{code:08x}"
        return f"sd{payload.VERSION}-{made_by}-" + "-".join(map(str, parts))

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        """A payload of an (H, W, 3) uint8 sRGB picture; `seed` has one quality only."""
        return self.encode_many([pixels], quality)[0]

    def encode_many(self, pictures: Sequence[Pixels], quality: float) -> list[bytes]:
        """Payloads of many pictures; those of equal size pass the network together."""
        return [
            self._code(picture, latents, quality)
            for picture, latents in zip(pictures, self.latents(pictures), strict=True)
        ]

    @contextmanager
    def analysed(self, pixels: Pixels) -> Iterator[Callable[[float], bytes]]:
        """A context whose value makes a payload of the picture for each quality it is given."""
        (latents,) = self.latents([pixels])
        yield lambda quality: self._code(pixels, latents, quality)

    def encode_to(self, pixels: Pixels, max_bytes: int) -> bytes:
        """The best payload of at most `max_bytes`.

        Raises PayloadError if the picture does not fit, which with `seed` is not for choosing.
        """
        (latents,) = self.latents([pixels])
        best = b""
        low, high = 0.0, 100.0
        for i in range(_SEARCH if self.preset == "rd" else 1):
            quality = (high, low)[i] if i < 2 else (low + high) / 2
            data = self._code(pixels, latents, round(quality, 2))
            if len(data) <= max_bytes:
                best, low = data, quality
                if quality == high:
                    break
            elif i == 1:
                break
            else:
                high = quality
        if not best:
            raise PayloadError(
                f"the picture does not fit {max_bytes} bytes with preset {self.preset!r}:"
                " allow more, or scale it down"
            )
        return best

    def latents(self, pictures: Sequence[Pixels]) -> list[Latents]:
        """The (rows, columns, C) latents of each (H, W, 3) picture, in scaled units."""
        import numpy as np

        networks = self._networks(self._model())
        result: list[Latents | None] = [None] * len(pictures)
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, picture in enumerate(pictures):
            groups.setdefault(picture.shape, []).append(i)
        for shape, members in groups.items():
            batch = max(_BATCH_PIXELS // (shape[0] * shape[1]), 1)
            for start in range(0, len(members), batch):
                part = members[start : start + batch]
                coded = networks.encode(np.stack([pictures[i] for i in part]))
                for i, latents in zip(part, coded, strict=True):
                    result[i] = latents
        return [latents for latents in result if latents is not None]

    def decode(self, data: bytes) -> Pixels:
        """The picture of a payload. Raises PayloadError, or ModelError for a model not here."""
        need_torch()  # to say so before what else is missing
        body = container.unpack(data)
        header = body.header
        if header.width * header.height > MAX_PIXELS:
            raise PayloadError("payload of a picture over the size limit")
        model = registry.find(header.model, body.denoise)
        if (body.channels, body.stride) != (model.space.channels, model.space.stride):
            raise PayloadError(
                f"corrupt payload: its latents do not fit the model {model.name!r}; encode again"
            )
        latents = body.latents()
        networks = self._networks(model)
        if body.denoise:
            latents = networks.denoise(latents)
        return networks.decode(latents, header.height, header.width)

    def fault(self, source: Pixels, shown: Pixels, floor: float) -> str:
        """What the decoder may have invented: text or skin that is not the source's."""
        from sitecodec.sd import invented

        return invented.judge(source, shown, floor).reason

    def can_decode(self, data: bytes) -> bool:
        """Whether the libraries and the model of a payload are here."""
        try:
            registry.find(payload.read_header(data).model, container.unpack(data).denoise)
        except SitecodecError:
            return False
        return all(importlib.util.find_spec(name) for name in ("torch", "diffusers"))

    def describe(self, data: bytes) -> dict[str, str | int]:
        """The model, and how latents are coded and decoded."""
        body = container.unpack(data)
        try:
            model = registry.find(body.header.model, body.denoise).name
        except ModelError:
            model = NOT_INSTALLED
        return {
            "model": model,
            "coding": ("palette", "grid")[body.coding],
            "latents": f"{body.columns}x{body.rows}x{body.channels}",
            "generative": "yes" if body.generative else "no",
            "denoise": "yes" if body.denoise else "no",
        }

    def _code(self, pixels: Pixels, latents: Latents, quality: float) -> bytes:
        model = self._model()
        denoise = self._denoises(model)
        height, width = pixels.shape[:2]
        header = Header(self.family.name, model.fingerprint(denoise), width, height, quality)
        if self.preset == "seed":
            if model.space.channels != palette.CHANNELS:
                raise SettingsError(
                    f"preset 'seed' needs a model of {palette.CHANNELS} channels,"
                    f" {model.name!r} has {model.space.channels}: use preset 'rd'"
                )
            return container.pack(header, model.space.stride, palette.encode(latents), denoise)
        steps = grid.step_codes(quality, model.sensitivity, model.space.channels)
        coded = grid.encode(latents, steps, self.rdo)
        plain = container.pack(header, model.space.stride, coded, denoise)
        if not self.refine:
            return plain
        return self._refined(pixels, latents, plain, coded, header)

    def _refined(
        self, pixels: Pixels, latents: Latents, plain: bytes, coded: grid.Coded, header: Header
    ) -> bytes:
        """A payload of refined latents, if it is no larger and its picture is nearer."""
        import numpy as np

        from sitecodec.sd.refine import refine

        model = self._model()
        networks = self._networks(model)
        widths = tuple(grid.step_of(code) for code in coded.steps)
        better = refine(networks, pixels, latents, widths, self.refine)
        denoise = self._denoises(model)

        def error(data: bytes) -> float:
            return float(np.square(self.decode(data).astype(np.float32) - pixels).mean())

        # Refined latents may cost more bits at the same steps: coarser ones pay for it.
        for up in range(9):
            steps = bytes(min(code + up, 255) for code in coded.steps)
            data = container.pack(
                header, model.space.stride, grid.encode(better, steps, self.rdo), denoise
            )
            if len(data) <= len(plain):
                return data if error(data) < error(plain) else plain
        return plain

    def _model(self) -> Model:
        return registry.read(self.model) if self.model else registry.default()

    def _denoises(self, model: Model) -> bool:
        if self.denoise is None:
            return self.preset == "seed" and model.denoises
        if self.denoise and not model.denoises:
            raise SettingsError(f"the model {model.name!r} has no U-Net: leave --denoise out")
        return self.denoise

    def _networks(self, model: Model) -> Networks:
        from sitecodec.sd import loading

        return loading.load(model, self.device)

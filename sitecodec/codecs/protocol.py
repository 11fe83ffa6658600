"""What every codec has: the form of it that the rest of sitecodec knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sitecodec.facts.families import Family

if TYPE_CHECKING:  # a warm build asks for identities only: it should not pay for numpy
    from sitecodec.facts.pixels import Pixels


@dataclass(frozen=True)
class Refiner:
    """What seeks better latents than an analysis gives, with gradients."""

    identity: str
    """Changes whenever the same input may give other bytes."""

    encode: Callable[[Pixels, int], bytes]
    """A payload of a picture at a quality of 0-100: takes half a minute or more."""


class Codec(Protocol):
    """A codec, as the rest of sitecodec sees it."""

    @property
    def family(self) -> Family:
        """What it can do."""
        ...

    @property
    def identity(self) -> str:
        """Changes whenever the same input may give other bytes; part of store keys."""
        ...

    @property
    def refiner(self) -> Refiner | None:
        """What refines its payloads, at its effort; None where nothing does."""
        ...

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        """A complete .slat payload for an uint8 picture at quality 0-100."""
        ...

    def analysed(self, pixels: Pixels) -> AbstractContextManager[Callable[[float], bytes]]:
        """A context whose value makes a payload of the picture for each quality it is given."""
        ...

    def decode(self, data: bytes) -> Pixels:
        """The picture of a payload. Raises PayloadError."""
        ...

    def fault(self, source: Pixels, shown: Pixels, floor: float) -> str:
        """What is wrong with a decoded picture though it scores well; '' if nothing is.

        `floor` is what the worst tile has to score.
        """
        ...

    def can_decode(self, data: bytes) -> bool:
        """Whether this installation has all that decodes a payload, which may be a bad one."""
        ...

    def describe(self, data: bytes) -> Mapping[str, str | int]:
        """What a payload holds beside its header: the name of its "model", for one.

        Raises PayloadError.
        """
        ...

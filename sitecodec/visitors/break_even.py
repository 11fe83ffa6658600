"""The cost and the savings of the service worker, and whether a site should include it.

The cost is engine, model and scripts, once; what is saved is, for each picture, the difference
between the file that a browser without the worker loads and the payload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from sitecodec.facts import formats

WORKER = "sitecodec-sw.js"
"""The worker's file, at the site's root."""

PAYLOAD_COST = 7
"""Bytes that each payload adds to it: a hash, which no compression makes smaller."""

PAGES_PER_VISIT = 3
"""Pages of an average visit, the first of which comes without latents. Two to four is what
operators of documentation sites and blogs report."""


class Width(Protocol):
    """One width of an image, and its files."""

    @property
    def width(self) -> int:
        """In pixels."""
        ...

    @property
    def bytes(self) -> Mapping[str, int]:
        """The size of the file of each format, by its name."""
        ...

    @property
    def flat(self) -> bool:
        """Whether there is a payload of flat graphics, which needs no model."""
        ...


_Width = TypeVar("_Width", bound=Width)


class Account(NamedTuple):
    """The cost and the savings of the worker, for a visitor, in bytes as transferred."""

    cost: int
    """Worker, registration, engine and model: once, and again when one of them changes."""

    model: bool
    """Whether a model is among them: flat graphics need none."""

    saved: tuple[int, ...]
    """For each image of the site with a payload: fallback less payload."""

    saved_by_page: float
    """The savings of the different images of a page, as the mean over all pages."""

    @property
    def images_needed(self) -> int | None:
        """The number of images of average saving that pay for the cost; None for never."""
        total = sum(self.saved)
        return -(-self.cost * len(self.saved) // total) if total > 0 else None

    @property
    def saved_by_visit(self) -> float:
        """The bytes that an average visit saves, at most those of all images together."""
        return min((PAGES_PER_VISIT - 1) * self.saved_by_page, float(sum(self.saved)))

    @property
    def gain(self) -> float:
        """How many bytes fewer an average first visit loads with the worker than without."""
        return self.saved_by_visit - self.cost

    @property
    def ahead(self) -> bool:
        """Whether an average first visit loads fewer bytes with the worker than without."""
        return self.gain > 0


class Saving(NamedTuple):
    """The bytes that an image's payload saves a visitor, at the width that pages show."""

    bytes: int
    flat: bool
    """Whether it is one of flat graphics, which needs no model."""


def shown(sizes: Sequence[_Width], content_width: int) -> _Width:
    """The width of an image that a page of `content_width` loads on a plain screen.

    It is the narrowest that fills the page, or the widest that there is. `sizes` are widest first.
    """
    return next((size for size in reversed(sizes) if size.width >= content_width), sizes[0])


def saving(sizes: Sequence[Width], content_width: int) -> Saving | None:
    """The saving of a payload for a page that shows an image this wide; None without a payload."""
    if not sizes:
        return None
    size = shown(sizes, content_width)
    made = size.bytes
    payload = made.get(formats.SLAT.name)
    other = next((made[known.name] for known in formats.together() if known.name in made), 0)
    return Saving(other - payload, size.flat) if payload is not None and other else None


def account(pages: Sequence[Mapping[str, int]], cost: int, *, model: bool = True) -> Account:
    """The account of a site: for each of its pages, what each image with a payload saves there.

    Images are named by any text that is the same on all pages. Pages without any belong to it: a
    visit may see them only. `cost` is that of the worker without payloads (`worker.cost`), and
    `model` whether a model is in it: payloads of flat graphics need none.
    """
    saved = {name: size for page in pages for name, size in page.items()}
    by_page = sum(sum(page.values()) for page in pages) / max(1, len(pages))
    return Account(cost + PAYLOAD_COST * len(saved), model, tuple(saved.values()), by_page)


def has_model(site: Path, folder: str) -> bool:
    """Whether a site as it was built has a model: without one, only flat graphics are decoded."""
    return any((site / folder).glob("model-*.bin"))


def sentence(account: Account) -> str:
    """Cost and after how many images a visit has it back, in words; '' if there are no payloads."""
    if not account.saved:
        return ""
    needed, number = account.images_needed, len(account.saved)
    have = f"{number} image has a payload" if number == 1 else f"{number} images have payloads"
    if needed is None:
        after = "no visitor breaks even"
    elif needed <= number:
        after = f"a visitor breaks even after {needed} of them"
    else:
        after = f"a visitor would need {needed} such images to break even"
    parts = "engine and model take" if account.model else "the engine takes"
    cost = f"{parts} {account.cost / 1e3:.0f} kB once"
    return f"{cost}; {have} at the width that pages show, and {after}"


def describe(account: Account, setting: str, *, included: bool) -> str:
    """The decision of a build and its reason, for the summary; '' if there is nothing to say."""
    why = sentence(account)
    if setting == "never" or not why:
        return ""
    if included:
        return f"service worker: included ({why})"
    return f"service worker: left out ({why}); 'browser: always' includes it"

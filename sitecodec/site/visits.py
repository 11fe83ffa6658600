"""What the service worker costs a visitor, what it saves, and whether a site is better off with it.

The cost is engine, model and scripts, once; what is saved is, for each picture, the difference
between the file that a browser without the worker loads and the payload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

WORKER = "sitecodec-sw.js"
"""The worker's file, at the site's root."""

PAYLOAD_COST = 7
"""Bytes that each payload adds to it: a hash, which no compression makes smaller."""

PAGES_PER_VISIT = 3
"""Pages of an average visit, the first of which comes without latents. Two to four is what
operators of documentation sites and blogs report."""


class Account(NamedTuple):
    """What the worker costs a visitor, and what it saves. All sizes are in bytes as transferred."""

    cost: int
    """Worker, registration, engine and model: once, and again when one of them changes."""

    model: bool
    """Whether a model is among them: flat graphics need none."""

    saved: tuple[int, ...]
    """For each image of the site with a payload: fallback less payload."""

    saved_by_page: float
    """The same, of the different images of a page, as the mean over all pages."""

    @property
    def images_needed(self) -> int | None:
        """After how many images of average saving a visit comes out ahead; None for never."""
        total = sum(self.saved)
        return -(-self.cost * len(self.saved) // total) if total > 0 else None

    @property
    def saved_by_visit(self) -> float:
        """What an average visit saves; no more than all images together."""
        return min((PAGES_PER_VISIT - 1) * self.saved_by_page, float(sum(self.saved)))

    @property
    def ahead(self) -> bool:
        """Whether an average first visit loads fewer bytes with the worker than without."""
        return self.saved_by_visit > self.cost


def saving(sizes: Sequence[tuple[int, Mapping[str, int]]], content_width: int) -> int | None:
    """What the payload saves a visitor whose page shows an image that wide; None without one.

    `sizes` are width and bytes by format of each width of an image, widest first.
    """
    if not sizes:
        return None
    # The narrowest that fills the page, or the widest that there is.
    _, files = next((size for size in reversed(sizes) if size[0] >= content_width), sizes[0])
    fallback = next((files[name] for name in ("avif", "webp", "jpeg", "png") if name in files), 0)
    return fallback - files["slat"] if "slat" in files and fallback else None


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
        after = "no visit comes out ahead"
    elif needed <= number:
        after = f"a visit comes out ahead after {needed} of them"
    else:
        after = f"a visit would come out ahead after {needed} such"
    parts = "engine and model take" if account.model else "the engine takes"
    cost = f"{parts} {account.cost / 1e3:.0f} kB once"
    return f"{cost}; {have} at the width that pages show, and {after}"


def describe(account: Account, setting: str, *, included: bool) -> str:
    """What a build decided and why, for its summary; '' where there is nothing to say."""
    why = sentence(account)
    if setting == "never" or not why:
        return ""
    if included:
        return f"service worker: included ({why})"
    return f"service worker: left out ({why}); 'browser: always' includes it"

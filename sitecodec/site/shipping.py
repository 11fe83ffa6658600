"""The payloads that a site ships: the ones that its visitors' browsers can load, and no others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from sitecodec.facts import formats
from sitecodec.settings import Settings
from sitecodec.site import assets
from sitecodec.visitors import break_even
from sitecodec.visitors.installed import Installed

Kinds: TypeAlias = Literal["none", "flat", "all"]
"""Payloads that are shipped: flat graphics need the engine alone, latents a model as well."""


class Shipping(NamedTuple):
    """The things that the visitors of a site get."""

    kinds: Kinds
    account: break_even.Account
    """The cost and savings of the worker that they get, or would get."""

    worker: bool
    """Whether the site has the service worker, which decodes payloads in browsers."""


def decide(
    site: Path,
    settings: Settings,
    shown: Sequence[Collection[str]],
    images: Mapping[str, assets.Image],
    content_width: int,
    codec: Callable[[], Installed],
) -> Shipping:
    """Decide which payloads of `images`, by site path, pay for the code that decodes them.

    `shown` are the images of each page, and `content_width` is how wide pages show them. A worker
    that an earlier run has put into the site stays, with all that it decodes: this run may have
    seen a part of the pages only.
    """
    if not settings.family.browser_decodable:  # the author's preview decodes these, and no browser
        return Shipping("all", break_even.account([], 0), worker=False)
    saved = {
        path: saving
        for path, image in images.items()
        if (saving := break_even.saving(image.sizes, content_width)) is not None
    }
    flat = {path: saving for path, saving in saved.items() if saving.flat}

    def account(savings: Mapping[str, break_even.Saving], *, model: bool) -> break_even.Account:
        pages = [{p: savings[p].bytes for p in paths if p in savings} for paths in shown]
        cost = (codec().cost if model else codec().engine_cost) if savings else 0
        return break_even.account(pages, cost, model=model)

    without = account(flat, model=False)
    whole = account(saved, model=True) if len(flat) < len(saved) else without
    wanted = _wanted(settings, without, whole, images, {path for page in shown for path in page})
    kinds: Kinds = max(wanted, _earlier(site, settings), key=("none", "flat", "all").index)
    described = without if kinds == "flat" else whole
    return Shipping("none" if settings.browser == "never" else kinds, described, kinds != "none")


def _wanted(
    settings: Settings,
    without: break_even.Account,
    whole: break_even.Account,
    images: Mapping[str, assets.Image],
    shown: Collection[str],
) -> Kinds:
    """The kinds that this run by itself would ship."""
    if settings.browser == "never":
        return "none"
    if settings.browser == "always":
        assets_shown = [size for path in shown if path in images for size in images[path].sizes]
        payloads = {size.flat for size in assets_shown if formats.SLAT.name in size.files}
        return "all" if False in payloads else "flat" if payloads else "none"
    best = max(without, whole, key=lambda account: account.gain)
    return "none" if not best.ahead else "all" if best.model else "flat"


def _earlier(site: Path, settings: Settings) -> Kinds:
    """The kinds that the worker decodes which the site has from an earlier run."""
    if settings.browser == "never" or not (site / break_even.WORKER).is_file():
        return "none"
    return "all" if break_even.has_model(site, settings.asset_dir) else "flat"


def loadable(images: Mapping[str, assets.Image], kinds: Kinds) -> dict[str, assets.Image]:
    """The images with the files that visitors can load; without those that have none left."""
    if kinds == "all":
        return dict(images)
    found = {}
    for path, image in images.items():
        sizes = tuple(_without_payload(size, kinds) for size in image.sizes)
        if kept := tuple(size for size in sizes if size.files):
            found[path] = image._replace(sizes=kept)
    return found


def _without_payload(size: assets.Asset, kinds: Kinds) -> assets.Asset:
    payload = formats.SLAT.name
    if payload not in size.files or (size.flat and kinds == "flat"):
        return size
    files = {name: file for name, file in size.files.items() if name != payload}
    lengths = {name: size.bytes[name] for name in files}
    return size._replace(files=files, bytes=lengths, flat=False)


def weight(site: Path, folder: str, scripts: Iterable[str]) -> tuple[int, int]:
    """How many files a build has added to a site, and their bytes: those of `folder`, and these."""
    files = [*(site / folder).glob("*"), *(site / name for name in scripts)]
    sizes = [path.stat().st_size for path in files if path.is_file()]
    return len(sizes), sum(sizes)

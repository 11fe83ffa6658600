"""Write encoded files and pages into a built site, and clear away what is no longer named."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from sitecodec.disk import writing
from sitecodec.encoding import jobs
from sitecodec.facts import formats
from sitecodec.payload import is_flat
from sitecodec.site import files


def _asset_in_address() -> str:
    """The pattern of the end of an encoded file's name. Patterns are compiled where needed only."""
    suffixes = "|".join(re.escape(known.suffix) for known in formats.ALL)
    return f"[0-9a-f]{{12}}-[0-9]+w(?:{suffixes})"


def _asset() -> str:
    return r"[A-Za-z0-9._-]+-" + _asset_in_address()


class Asset(NamedTuple):
    """One width of an encoded image: site paths by format, and the files' size in pixels."""

    files: Mapping[str, str]
    width: int
    height: int
    bytes: Mapping[str, int]
    scores: Mapping[str, float | None]

    flat: bool = False
    """Whether there is a payload of flat graphics, which needs no model."""

    judges: Mapping[str, float | None] = MappingProxyType({})
    """What the second judge says of the files that it was asked about."""


class Image(NamedTuple):
    """An encoded image: the size of its source in pixels, and its files, widest first."""

    width: int
    height: int
    sizes: tuple[Asset, ...]


def write(site: Path, folder: str, path: str, variants: Mapping[str, jobs.Variant]) -> Asset:
    """Write the variants of one width of the image at `path` into `folder`. Raises SiteError.

    They share a stem, which holds a hash over them all: a file never changes under its name, so it
    may be cached for ever, and from the fallback's URL follows the payload's.
    """
    digest = fingerprint(variants)
    stem = os.path.splitext(path.rpartition("/")[2])[0]  # noqa: PTH122 - of a string, for each
    stem = re.sub(r"[^A-Za-z0-9._]+", "-", stem).strip("-.")[:40] or "image"
    files = {}
    for name, variant in variants.items():
        files[name] = f"{folder}/{stem}-{digest}-{variant.width}w{formats.named(name).suffix}"
        writing.write_new(f"{site}/{files[name]}", variant.data)
    return described(files, variants)


def described(files: Mapping[str, str], variants: Mapping[str, jobs.Variant]) -> Asset:
    """One width of an image, whose variants are at the site paths `files`."""
    size = next((v.width, v.height) for v in variants.values())
    lengths = {name: len(variant.data) for name, variant in variants.items()}
    scores = {name: v.score for name, v in variants.items()}
    payload = variants.get(formats.SLAT.name)
    flat = payload is not None and is_flat(payload.data)
    judges = {name: v.judge for name, v in variants.items() if v.judge is not None}
    return Asset(files, *size, lengths, scores, flat, judges)


def fingerprint(variants: Mapping[str, jobs.Variant]) -> str:
    """The hash over all variants, by format, that the names of their files hold."""
    digest = hashlib.sha256()
    for name in sorted(variants):
        digest.update(f"{name} {len(variants[name].data)} ".encode())
        digest.update(variants[name].data)
    return digest.hexdigest()[:12]


def named_in(page: bytes) -> set[str]:
    """The fingerprints of all encoded files that a page names."""
    return {name[:12].decode() for name in re.findall(_asset_in_address().encode(), page)}


def may_name_asset(address: str) -> bool:
    """Whether an address or srcset may lead to an encoded file: a quick look at its digits."""
    return re.search(_asset_in_address(), address) is not None


def is_asset(path: str, folder: str) -> bool:
    """Whether a site path is one that an encoded file in the folder may have."""
    name = path.removeprefix(f"{folder}/")
    return name != path and re.fullmatch(_asset(), name) is not None


def sweep(
    site: Path, folder: str, pages: Iterable[str], written: set[str], *, payloads: bool
) -> int:
    """Remove encoded files of earlier builds that no page names any more; returns how many.

    With `payloads`, one stays while another file of its picture and width is named: style sheets
    name no payload, and the service worker finds it by that file's name.
    """
    assets = site / folder
    stale = [
        assets / name
        for name in (os.listdir(assets) if assets.is_dir() else ())  # noqa: PTH208 - of strings
        if f"{folder}/{name}" not in written and re.fullmatch(_asset(), name)
    ]
    if not stale:
        return 0
    named: set[bytes] = set()
    pattern = _asset_in_address().encode()
    for page in pages:
        try:
            found = re.findall(pattern, files.read(f"{site}/{page}")[0])
        except OSError:
            return 0  # it may name any of them
        named.update(found)
    if payloads:
        end = formats.SLAT.suffix.encode()
        named |= {name.rpartition(b".")[0] + end for name in named}
    removed = 0
    for path in stale:
        match = re.search(pattern, path.name.encode())
        if match and match[0] not in named:
            with contextlib.suppress(OSError):
                path.unlink()
                removed += 1
    return removed

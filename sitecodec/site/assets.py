"""Write encoded files and pages into a built site, and clear away what is no longer named."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sitecodec.encoding import jobs
from sitecodec.errors import SiteError
from sitecodec.payload import is_flat
from sitecodec.site import manifest

TEMPORARY = ".sitecodec-tmp"
"""How the names of files that are being written end."""

_SUFFIXES = {"slat": ".slat", "avif": ".avif", "webp": ".webp", "png": ".png", "jpeg": ".jpg"}
# Compiled where they are needed: not in a warm build.
_ASSET_IN_ADDRESS = r"[0-9a-f]{12}-[0-9]+w\.(?:jpg|png|webp|avif|slat)"
_ASSET = r"[A-Za-z0-9._-]+-" + _ASSET_IN_ADDRESS
_ASSET_IN_PAGE = _ASSET_IN_ADDRESS.encode()
_BINARY_MODE: int = getattr(os, "O_BINARY", 0)
_BINARY = frozenset(
    f".{suffix}"
    for suffix in "png jpg jpeg jpe jfif webp avif gif bmp ico slat woff woff2 ttf otf eot gz br"
    " wasm mp3 mp4 webm ogg pdf zip".split()
)


class Asset(NamedTuple):
    """One width of an encoded image: site paths by format, and the files' size in pixels."""

    files: Mapping[str, str]
    width: int
    height: int
    bytes: Mapping[str, int]
    scores: Mapping[str, float | None]

    flat: bool = False
    """Whether there is a payload of flat graphics, which needs no model."""


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
        files[name] = f"{folder}/{stem}-{digest}-{variant.width}w{_SUFFIXES[name]}"
        write_new(f"{site}/{files[name]}", variant.data)
    size = next((v.width, v.height) for v in variants.values())
    lengths = {name: len(variant.data) for name, variant in variants.items()}
    scores = {name: v.score for name, v in variants.items()}
    flat = "slat" in variants and is_flat(variants["slat"].data)
    return Asset(files, *size, lengths, scores, flat)


def fingerprint(variants: Mapping[str, jobs.Variant]) -> str:
    """The hash over all variants, by format, that the names of their files hold."""
    digest = hashlib.sha256()
    for name in sorted(variants):
        digest.update(f"{name} {len(variants[name].data)} ".encode())
        digest.update(variants[name].data)
    return digest.hexdigest()[:12]


def named_in(page: bytes) -> set[str]:
    """The fingerprints of all encoded files that a page names."""
    return {name[:12].decode() for name in re.findall(_ASSET_IN_PAGE, page)}


def may_name_asset(address: str) -> bool:
    """Whether an address or srcset may lead to an encoded file: a quick look at its digits."""
    return re.search(_ASSET_IN_ADDRESS, address) is not None


def overwrite(path: str, data: bytes) -> None:
    """Write over a file where it stands, unless it has another name too. Raises SiteError.

    A build that is stopped may leave a part of it: this is for pages that the same build has made.
    """
    try:
        with open(path, "r+b", buffering=0) as file:  # noqa: PTH123 - of a string, for each page
            if os.fstat(file.fileno()).st_nlink == 1:
                written = 0
                while written < len(data):
                    written += file.write(memoryview(data)[written:])
                file.truncate()
                return
    except PermissionError:  # that of the folder may do
        pass
    except OSError as error:
        raise _not_written(path, error) from error
    write_file(Path(path), data)


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, unless it has that content already. Raises SiteError."""
    # Of strings, since every page passes here, and paths take longer than the system.
    place, temporary = str(path), f"{path.parent}/.{path.name[:200]}{TEMPORARY}"
    try:
        try:
            status = os.stat(place)  # noqa: PTH116
            if status.st_size == len(data) and path.is_file() and path.read_bytes() == data:
                return
        except FileNotFoundError:
            status = None
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:  # noqa: PTH123
            file.write(data)
        if status:
            os.chmod(temporary, stat.S_IMODE(status.st_mode))  # noqa: PTH101
        os.replace(temporary, place)  # noqa: PTH105
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise _not_written(path, error) from error


def write_new(place: str, data: bytes | memoryview) -> None:
    """Write a file whose name tells its content, most often for the first time. Raises SiteError.

    No page names it yet, and the next build would see it if it were cut short: so it needs no
    other name while it is written, which is most of the time that this takes.
    """
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY_MODE, 0o666)
    except OSError:  # it is there, or its folder is not
        write_file(Path(place), bytes(data))
        return
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(place)  # noqa: PTH108 - of a string
        raise _not_written(place, error) from error


def _not_written(place: object, error: OSError) -> SiteError:
    return SiteError(
        f"cannot write {place}: {error.strerror}; free some space or check the permissions"
    )


def unnamed(site: Path, paths: Iterable[str]) -> list[str]:
    """Those of the site's files whose name no file of the site holds any more.

    All but pictures, fonts and the like is searched for the bare name, also behind URL and HTML
    escapes; a name that is not plain ASCII could be written in more ways, and counts as named.
    """
    from html import unescape
    from urllib.parse import unquote_to_bytes

    left = {
        path: PurePosixPath(path).name.lower().encode()
        for path in paths
        if path.isascii() and (site / path).is_file()
    }
    for place in sorted(site.rglob("*")):
        if not left:
            break
        if place.suffix.lower() in _BINARY or place.name == manifest.NAME or not place.is_file():
            continue
        data = place.read_bytes().lower()
        forms = [data]
        if b"%" in data:
            forms.append(unquote_to_bytes(data))
        if b"&" in data:
            forms += [unescape(form.decode("latin-1")).encode("utf-8") for form in forms]
        left = {p: name for p, name in left.items() if not any(name in form for form in forms)}
    return list(left)


def sweep(site: Path, folder: str, pages: Iterable[str], written: set[str]) -> int:
    """Remove encoded files of earlier builds that no page names any more; returns how many."""
    assets = site / folder
    stale = [
        assets / name
        for name in (os.listdir(assets) if assets.is_dir() else ())  # noqa: PTH208 - of strings
        if f"{folder}/{name}" not in written and re.fullmatch(_ASSET, name)
    ]
    if not stale:
        return 0
    named: set[bytes] = set()
    for page in pages:
        try:
            named.update(re.findall(_ASSET_IN_PAGE, (site / page).read_bytes()))
        except OSError:
            return 0  # it may name any of them
    removed = 0
    for path in stale:
        match = re.search(_ASSET_IN_PAGE, path.name.encode())
        if match and match[0] not in named:
            with contextlib.suppress(OSError):
                path.unlink()
                removed += 1
    return removed

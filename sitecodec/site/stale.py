"""Pages of earlier builds that still show the files of images which have changed since.

Generators leave pages unwritten whose text has not changed (`mkdocs build --dirty`), though their
images have. The manifest of the earlier build says which source each encoded file is of, and what
that held: pages that name files of another content get their author's tags back, and are then taken
like any other.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from sitecodec.disk import writing
from sitecodec.disk.folders import plain
from sitecodec.page import urls
from sitecodec.page.splice import splice
from sitecodec.site import assets, files, manifest
from sitecodec.site.files import File
from sitecodec.site.findings import Findings


def restore(site: Path, folder: str, names: Iterable[str], root: str, findings: Findings) -> None:
    """Give pages and style sheets that show old pictures the names of their sources back.

    `folder` is the site path of the encoded files. Where one cannot be, it is a problem.
    Raises SiteError if a page cannot be written.
    """
    old = manifest.read(site, folder)
    digest = cache(digest_of)  # a manifest may name a file again and again
    changed = [entry for entry in old.entries if _has_changed(site, entry, digest)]
    if not changed:
        return
    marks = {
        mark: entry.path
        for entry in changed
        for file in entry.files
        for mark in assets.named_in(os.fsencode(file.path))
    }
    # Images that were left alone have got a width and height all the same.
    sources = {entry.path: entry.path for entry in old.entries} | _sources(site, old)
    names_left = {_name_of(entry.path) for entry in changed if not entry.files}
    for name in names:
        place = site / name
        try:
            data = plain(place)
        except OSError:
            continue  # whoever visits it says so
        is_sized = b"data-sitecodec" in data and any(left in data for left in names_left)
        if not is_sized and assets.named_in(data).isdisjoint(marks):
            continue
        try:
            new = _restored(data, name, root, sources)
        except Exception as error:  # of whatever a page may hold
            findings.unexpected(name, "", error)
            continue
        if new != data:
            writing.write_file(place, new)
        for mark in sorted(assets.named_in(new) & marks.keys()):
            message = "shows the image as it was before it changed; build the page anew"
            findings.problem(name, marks[mark], message)


def _restored(data: bytes, name: str, root: str, sources: dict[str, str]) -> bytes:
    """A page or style sheet with its author's tags and styles, as far as sources are known."""
    from sitecodec.page import html, undo  # most builds find nothing old

    is_sheet = name.lower().endswith(".css")
    href = None if is_sheet else html.scan(data).base
    base = urls.base_of(name, href, root) or root

    def source_of(address: str) -> str | None:
        target = urls.resolve(address, base, root)
        if not isinstance(target, urls.Target) or target.path not in sources:
            return None
        path = sources[target.path]
        if path == target.path:
            return address
        return urls.to_url(path, base, root, rooted=target.rooted) + target.fragment

    if is_sheet:
        text = undo.css(data.decode("utf-8", "surrogateescape"), source_of)
        return text.encode("utf-8", "surrogateescape")
    return splice(data, undo.spans(data, source_of))


def _name_of(path: str) -> bytes:
    """The end of any address of a file, or all of it that is certain."""
    name = path.rpartition("/")[2]
    simple = re.fullmatch(r"[A-Za-z0-9._-]+", name)  # others may be written in many ways
    return (name if simple else name.rpartition(".")[2]).encode("utf-8", "surrogateescape")


def _sources(site: Path, old: manifest.Manifest) -> dict[str, str]:
    """The source of each encoded file that is of only one, by site paths."""
    found: dict[str, set[str]] = {}
    for entry in old.entries:
        source = files.find(site, entry.path)
        if isinstance(source, File) and files.pixels(source.real):
            for file in entry.files:
                found.setdefault(file.path, set()).add(entry.path)
    return {file: paths.pop() for file, paths in found.items() if len(paths) == 1}


def _has_changed(site: Path, entry: manifest.Entry, digest: Callable[[Path], str]) -> bool:
    """Whether a source is there and holds something else than it did."""
    file = files.find(site, entry.path)
    if not isinstance(file, File):
        return False  # it was dropped, or its page is about to tell
    if file.size != entry.bytes or not entry.digest:
        return file.size != entry.bytes
    try:
        return digest(file.real) != entry.digest
    except OSError:
        return False


def digest_of(place: Path) -> str:
    """The digest of a source's content, as the manifest has it. Raises OSError."""
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

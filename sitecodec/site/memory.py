"""The memory of a site's pages, so that the next build need not read them as HTML.

Most pages are the same from one build to the next. Finding their images and making their tags
takes most of the time of a build that has nothing to encode. The findings from a page depend on
its bytes, on the files at its images' addresses, on the settings and on our code. The replacements
in it also depend on its images' encoded files and on the templates. So all of these are
remembered, and a memory is valid only if they are the same. The memory is one entry of the store
for each site, read whole. It says which text goes into pages, so it counts only with a seal of
this user's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from sitecodec.disk import seal, writing
from sitecodec.disk.store import Store, key
from sitecodec.errors import StoreError
from sitecodec.page import templates
from sitecodec.page.urls import Root
from sitecodec.settings import Settings
from sitecodec.site import assets
from sitecodec.site.files import File
from sitecodec.site.findings import Findings
from sitecodec.site.rows import ImageRow
from sitecodec.terminal.printing import printable

MAGIC = b'{"pa'
"""The first bytes of an entry. Entries of other kinds begin with other bytes."""


CODE = (
    "css",
    "page",
    "site",
    "visitors",
    "encoding/outcome.py",
    "facts/formats.py",
    "facts/reasons.py",
    "terminal/printing.py",
)
"""The code that makes pages out of encoded files. What another version of it made is forgotten."""


class Record(NamedTuple):
    """The memory of a page, in plain values as JSON has them."""

    digest: str
    """The digest of its bytes."""

    findings: dict[str, Any]
    """The findings from it, as `pack` writes them."""

    shown: list[str] | None
    """The images that its tags show; None if nothing in the page may be changed at all."""

    sized: list[str]
    """The images in its content, whose sizes in pixels may matter."""

    offered: str = ""
    """The digest of what it was offered last; '' if it has not come to that."""

    spans: list[tuple[int, int, str]] | None = None
    """The replacements that were made; bytes that are not UTF-8 are surrogates."""


class Kept(NamedTuple):
    """The memory of an image, by the store key of its outcome."""

    path: str
    """The image's path in the site, after which its files are named."""

    checksum: str
    """The checksum of the outcome in the store."""

    image: assets.Image
    row: ImageRow

    starts: list[int]
    """The start of each of its files in the outcome."""


class Memory(NamedTuple):
    """The records of a site: of its pages by their paths, and of their images."""

    store: Store
    key: str
    """The entry that holds them; '' for none."""

    earlier: dict[str, Any]
    """The records of the last build, under "pages" and "images"."""

    pages: dict[str, Record | list[Any]]
    """The records of this build; unchanged ones stay as raw lists."""

    images: dict[str, Kept | list[Any]]

    def recall(
        self,
        name: str,
        digest: str,
        find: Callable[[str], File | str],
        state: Callable[[str], str],
        findings: Findings,
    ) -> Record | None:
        """The memory of a page, if everything that matters is unchanged.

        The findings from it are added to `findings`. `find` gives the places of its images, and
        `state` the hashes of its style sheets and scripts.
        """
        with contextlib.suppress(AttributeError, LookupError, TypeError, ValueError):
            values = self.earlier["pages"][name]
            record = Record(*values)
            looked, linked = record.findings["looked"].items(), record.findings["linked"].items()
            same = all(_state(find(path)) == was for path, was in looked)
            if record.digest == digest and same and all(state(p) == was for p, was in linked):
                findings.add(unpack(record.findings, name))
                self.pages[name] = values
                return record
        return None

    def write(self, name: str, path: str, site: Path, folder: str) -> Kept | None:
        """Write the files of the image at `path` into the site's `folder`.

        The store has the outcome under the key `name`.

        Returns what they are, if it is remembered and the store still has what they hold.
        Raises SiteError.
        """
        with contextlib.suppress(AttributeError, LookupError, TypeError, ValueError):
            values = self.earlier["images"][name]
            kept = Kept(*values)
            width, height, sizes = kept.image
            image = assets.Image(width, height, tuple(assets.Asset(*size) for size in sizes))
            kept = kept._replace(image=image, row=ImageRow(*kept.row))
            found = self.store.fetch(name) if kept.path == path else None
            if found and found.checksum.hex() == kept.checksum:
                for file, data in _files(kept, found.content):
                    if not assets.is_asset(file, folder):
                        return None
                    writing.write_new(f"{site}/{file}", data)
                self.images[name] = values
                return kept
        return None

    def note(
        self, name: str, path: str, image: assets.Image, row: ImageRow, files: Iterable[bytes]
    ) -> Kept:
        """Remember what became of an image and what its files hold, if the store has that."""
        kept = Kept(path, "", image, row, [])
        if found := self.store.fetch(name):
            starts = [found.content.find(data) for data in files]
            kept = kept._replace(checksum=found.checksum.hex(), starts=starts)
            if -1 not in starts:
                self.images[name] = kept
        return kept

    def keep(self) -> None:
        """Keep what was seen, if it is not what the store has. A store may refuse to."""
        values = {"pages": self.pages, "images": self.images}
        if self.key and values != self.earlier:
            data = seal.sealed(self.key, json.dumps(values).encode())
            if data is not None:
                with contextlib.suppress(StoreError):  # the images' outcomes have told
                    self.store.put(self.key, data)


def of_site(settings: Settings, root: Root, names: Iterable[str]) -> Memory:
    """The memory of the site at `root` whose pages and style sheets have these names."""
    store = Store(settings.store)
    package = Path(__file__).parent.parent
    places = [*(f"{package}/{name}" for name in CODE), f"{templates.builtin_folder()}"]
    if settings.templates:
        places.append(f"{settings.templates}")
    try:
        sources = _digest(places)
    except OSError:  # an installation without our sources
        return Memory(store, "", {}, {}, {})
    # Where the store is and how many work at once changes no page.
    matters = repr(replace(settings, store=Path(), workers=0, templates=None))
    name = key("site", sys.version, sources, matters, root, root.host, *map(_bytes, names))
    values = seal.unsealed(name, store.get(name) or b"")
    return Memory(store, name, json.loads(values) if values else {}, {}, {})


def pack(findings: Findings) -> dict[str, Any]:
    """The findings from one page, as plain values by the findings' names."""
    return {
        "looked": findings.looked,
        "rows": {path: [row.before, row.reason] for path, row in findings.rows.items()},
        "problems": [list(about) for about in findings.problems],
        "uses": list(findings.uses),
        "qualities": findings.qualities,
        "backgrounds": sorted(findings.backgrounds),
        "pinned": sorted(findings.pinned),
        "content_width": findings.content_width,
        "linked": findings.linked,
        "shown": findings.shown,
        "forms": [[*form, images] for form, images in findings.forms.items()],
    }


def unpack(values: Mapping[str, Any], page: str) -> Findings:
    """The findings that `pack` has packed.

    Raises ValueError, TypeError or LookupError for anything else.
    """
    rows = values["rows"].items()
    return Findings(
        rows={path: ImageRow(printable(path), size, reason=why) for path, (size, why) in rows},
        problems={(image, message): [page] for image, message in values["problems"]},
        uses={path: [page] for path in values["uses"]},
        qualities=values["qualities"],
        backgrounds=set(values["backgrounds"]),
        pinned=set(values["pinned"]),
        content_width=values["content_width"],
        looked=values["looked"],
        linked=values["linked"],
        shown=values["shown"],
        forms={(form, why): images for form, why, images in values["forms"]},
    )


def _files(kept: Kept, content: bytes) -> Iterator[tuple[str, memoryview]]:
    """Site path and content of each file of an image."""
    view = memoryview(content)
    sizes = ((f, size.bytes[n]) for size in kept.image.sizes for n, f in size.files.items())
    for (file, length), start in zip(sizes, kept.starts, strict=True):
        yield file, view[start : start + length]


def _state(file: File | str) -> int | str:
    """The relevant state of an address's target: the file's size, or its fault."""
    return file.size if isinstance(file, File) else file


def _digest(places: Iterable[str]) -> bytes:
    """A hash of files and of all that is in folders, but for what is hidden. Raises OSError."""
    parts: list[bytes] = []
    for place in places:
        found = [place]
        if os.path.isdir(place):  # noqa: PTH112 - of strings, for each build
            found = []
            for folder, folders, names in os.walk(place):
                folders[:] = (name for name in sorted(folders) if name[0] not in "._")
                found += (f"{folder}/{name}" for name in sorted(names))
        for path in found:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123
                parts += (_bytes(path[len(place) :]), hashlib.sha256(file.read()).digest())
    return hashlib.sha256(b"\0".join(parts)).digest()


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")

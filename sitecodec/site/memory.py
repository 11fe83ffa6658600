"""What a build remembers of a site's pages, so that the next one need not read them as HTML.

Most pages are the same from one build to the next, and finding their images and making their tags
takes most of the time of a build that has nothing to encode. What was found on a page depends on
its bytes, on what its images' addresses lead to, on the settings and on our code; what was put into
it, on its images' encoded files and the templates besides. So it is remembered with all of these,
and holds only if they are the same. It is one entry of the store for a site, read whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from sitecodec.errors import StoreError
from sitecodec.page import templates
from sitecodec.settings import Settings
from sitecodec.site import assets
from sitecodec.site.files import File, printable
from sitecodec.site.findings import Findings
from sitecodec.site.summary import ImageRow
from sitecodec.store import Store, key


class Record(NamedTuple):
    """What is remembered of a page: plain values, as JSON has them."""

    digest: str
    """That of its bytes."""

    findings: list[Any]
    """What was gathered from it, as `pack` has it."""

    shown: list[str] | None
    """The images whose tags may be replaced; None if nothing in the page may be changed at all."""

    sized: list[str]
    """The images in its content, whose sizes in pixels may matter."""

    offered: str = ""
    """The digest of what it was offered last; '' if it has not come to that."""

    spans: list[tuple[int, int, str]] | None = None
    """What was put where then; bytes that are not UTF-8 are surrogates."""


class Kept(NamedTuple):
    """What is remembered of an image, by the store key of its outcome."""

    path: str
    """The image's path in the site, after which its files are named."""

    checksum: str
    """That of the outcome in the store."""

    image: assets.Image
    row: ImageRow

    starts: list[int]
    """Where in the outcome each of its files begins."""


class Memory(NamedTuple):
    """The records of a site: of its pages by their paths, and of their images."""

    store: Store
    key: str
    """The entry that holds them; '' for none."""

    earlier: dict[str, Any]
    """Those of the last build, under "pages" and "images"."""

    pages: dict[str, Record | list[Any]]
    """Those of this one; as lists if they have not changed."""

    images: dict[str, Kept | list[Any]]

    def recall(
        self, name: str, digest: str, find: Callable[[str], File | str], findings: Findings
    ) -> Record | None:
        """What is remembered of a page, if all that matters is as it was.

        What was gathered from it is added to `findings`; `find` is asked where its images are.
        """
        with contextlib.suppress(AttributeError, LookupError, TypeError, ValueError):
            values = self.earlier["pages"][name]
            record = Record(*values)
            looked = record.findings[0].items()
            if record.digest == digest and all(_state(find(path)) == was for path, was in looked):
                findings.add(unpack(record.findings, name))
                self.pages[name] = values
                return record
        return None

    def write(self, name: str, path: str, site: Path) -> Kept | None:
        """Write the files of the image at `path`, whose outcome the store has under the key `name`.

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
                    assets.write_new(f"{site}/{file}", data)
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
            with contextlib.suppress(StoreError):  # the images' outcomes have told
                self.store.put(self.key, json.dumps(values).encode())


def of_site(settings: Settings, root: str, names: Iterable[str]) -> Memory:
    """What is remembered of the site at `root` whose pages and style sheets have these names."""
    store = Store(settings.store)
    package = Path(__file__).parent.parent
    code = ("page", "site", "encoding/outcome.py")
    places = [*(f"{package}/{name}" for name in code), f"{templates.builtin_folder()}"]
    if settings.templates:
        places.append(f"{settings.templates}")
    try:
        sources = _digest(places)
    except OSError:  # an installation without our sources
        return Memory(store, "", {}, {}, {})
    # Where the store is and how many work at once changes no page.
    matters = repr(replace(settings, store=Path(), workers=0, templates=None))
    name = key("site", sys.version, sources, matters, root, *map(_bytes, names))
    try:
        earlier = json.loads(store.get(name) or b"{}")
    except ValueError:
        earlier = {}
    return Memory(store, name, earlier if isinstance(earlier, dict) else {}, {}, {})


def pack(findings: Findings) -> list[Any]:
    """What was gathered from one page, as plain values."""
    return [
        findings.looked,
        {path: [row.before, row.reason] for path, row in findings.rows.items()},
        [list(about) for about in findings.problems],
        list(findings.uses),
        findings.qualities,
        sorted(findings.backgrounds),
        sorted(findings.pinned),
        findings.content_width,
    ]


def unpack(values: list[Any], page: str) -> Findings:
    """What `pack` has packed of the page. Raises ValueError or TypeError for anything else."""
    looked, rows, problems, uses, qualities, backgrounds, pinned, width = values
    return Findings(
        {path: ImageRow(printable(path), size, reason=why) for path, (size, why) in rows.items()},
        {(image, message): [page] for image, message in problems},
        {path: [page] for path in uses},
        qualities,
        set(backgrounds),
        set(pinned),
        width,
        looked,
    )


def _files(kept: Kept, content: bytes) -> Iterator[tuple[str, memoryview]]:
    """Site path and content of each file of an image."""
    view = memoryview(content)
    sizes = ((f, size.bytes[n]) for size in kept.image.sizes for n, f in size.files.items())
    for (file, length), start in zip(sizes, kept.starts, strict=True):
        yield file, view[start : start + length]


def _state(file: File | str) -> int | str:
    """What matters of what an address leads to: the file's size, or what is wrong with it."""
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

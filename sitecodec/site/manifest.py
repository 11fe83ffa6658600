"""The list that a build leaves beside the encoded files: of which source each is, and how it looks.

It is what `sitecodec report` knows of the sources, which a rewritten page does not name any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

NAME = "sitecodec.json"


class File(NamedTuple):
    """An encoded file; `path` is that in the site, `score` SSIMULACRA2 or None."""

    path: str
    width: int
    height: int
    bytes: int
    score: float | None


class Entry(NamedTuple):
    """An image of the site; without files if it was left alone."""

    path: str
    bytes: int
    reason: str
    files: tuple[File, ...] = ()


class Manifest(NamedTuple):
    """All images of a site."""

    entries: tuple[Entry, ...] = ()

    def by_file(self) -> dict[str, Entry]:
        """The entries by the site paths of their files; of equal sources, the first."""
        found: dict[str, Entry] = {}
        for entry in self.entries:
            for file in entry.files:
                found.setdefault(file.path, entry)
        return found


def read(site: Path, asset_dir: str) -> Manifest:
    """The manifest of a site; an empty one if there is none that can be read."""
    try:
        values = json.loads((site / asset_dir / NAME).read_text(encoding="utf-8"))
        entries = tuple(
            Entry(
                str(item["path"]),
                int(item["bytes"]),
                str(item["reason"]),
                tuple(File(**file) for file in item["files"]),
            )
            for item in values["images"]
        )
    except (OSError, ValueError, TypeError, KeyError):
        return Manifest()
    return Manifest(entries)


def merged(site: Path, old: Manifest, new: Iterable[Entry]) -> Manifest:
    """The new entries, and those of an earlier run whose files are still there."""
    entries = {entry.path: entry for entry in new}
    for entry in old.entries:
        kept = entry.files and all((site / file.path).is_file() for file in entry.files)
        if kept and not entries.get(entry.path, Entry("", 0, "")).files:
            entries[entry.path] = entry
    return Manifest(tuple(entries[path] for path in sorted(entries)))


def dump(manifest: Manifest) -> bytes:
    """The manifest as JSON."""
    # A line for each image.
    lines = []
    for path, size, reason, files in manifest.entries:
        made = [dict(zip(File._fields, file, strict=True)) for file in files]
        lines.append(json.dumps({"path": path, "bytes": size, "reason": reason, "files": made}))
    return ('{"version": 1, "images": [\n' + ",\n".join(lines) + "\n]}\n").encode()

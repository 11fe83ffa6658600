"""The list that a build leaves beside the encoded files: of which source each is, and how it looks.

It is what `sitecodec report` knows of the sources, which a rewritten page does not name any more.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sitecodec.disk.folders import plain
from sitecodec.site import files

NAME = "sitecodec.json"
_LONGEST = 4096
FORMS = ("picture", "img", "held", "unheld")
"""Markup with or without `<picture>`; space that is reserved for the image or is not."""


class File(NamedTuple):
    """An encoded file; `path` is that in the site, `score` SSIMULACRA2 or None."""

    path: str
    width: int
    height: int
    bytes: int
    score: float | None
    judge: float | None = None
    """ColorVideoVDP's just objectionable differences, where the second judge was asked."""


class Form(NamedTuple):
    """So many tags of an image are marked up in one of FORMS; `why`, where a reason is needed."""

    form: str
    why: str
    tags: int


class Entry(NamedTuple):
    """An image of the site; without files if it was left alone."""

    path: str
    bytes: int
    reason: str
    files: tuple[File, ...] = ()
    digest: str = ""
    """The SHA-256 of what the source held, in hexadecimal; '' if it is not known."""

    forms: tuple[Form, ...] = ()
    """How the tags of an encoded image are marked up."""


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
        values = json.loads(plain(site / asset_dir / NAME))
        items = list(values["images"])
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return Manifest()
    entries = {}
    for item in items:  # one that is not as it should be is left out, and no other
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):
            entry = _entry(item)
            entries[entry.path] = entry
    return Manifest(tuple(entries.values()))


def _entry(item: Any) -> Entry:  # noqa: ANN401 - of JSON
    """An image. Raises ValueError, TypeError, LookupError or AttributeError for anything else."""
    return Entry(
        _path(item["path"]),
        _number(item["bytes"]),
        str(item["reason"])[:_LONGEST],
        tuple(_file(**file) for file in item["files"]),
        str(item.get("digest", ""))[:64],
        tuple(_form(*form) for form in item.get("forms", ())),
    )


def _form(form: object, why: object, tags: object) -> Form:
    if form not in FORMS:
        raise ValueError("not a form")
    return Form(str(form), str(why)[:_LONGEST], _number(tags))


def _file(path: object, score: object, judge: object = None, **sizes: object) -> File:
    width, height, size = (_number(sizes[name]) for name in ("width", "height", "bytes"))
    return File(_path(path), width, height, size, _score(score), _score(judge))


def _score(value: object) -> float | None:
    if value is not None and (not isinstance(value, (int, float)) or not -1e4 < value < 1e4):
        raise ValueError("not a score")
    return value


def _path(value: object) -> str:
    """A site path: what leaves the site is none. A page's URL may stand in its place."""
    if not isinstance(value, str) or len(value) > _LONGEST or "\0" in value:
        raise ValueError("not a path")
    os.fsencode(value)  # or it is no name of a file
    parts = value.replace(os.sep, "/").split("/")
    if not parts[0] or ".." in parts:
        raise ValueError("not a path in the site")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 50:
        raise ValueError("not a size")
    return value


def merged(site: Path, old: Manifest, new: Iterable[Entry]) -> Manifest:
    """The new entries, and those of an earlier run, with the files that are still there."""
    entries = {entry.path: entry for entry in new}
    for entry in old.entries:
        now = entries.get(entry.path)
        known = now.files if now and entry.files else now
        if known:
            continue
        kept = entry._replace(files=_there(site, entry.files))
        # Those without files were left alone, on pages that are not read anew.
        if kept.files or (not entry.files and files.is_there(site, entry.path)):
            entries[entry.path] = kept
    return Manifest(tuple(entries[path] for path in sorted(entries)))


def _written(file: File) -> dict[str, object]:
    """A file's facts; of most there is no opinion of the second judge."""
    return {name: v for name, v in file._asdict().items() if name != "judge" or v is not None}


def _there(site: Path, made: Iterable[File]) -> tuple[File, ...]:
    return tuple(file for file in made if files.is_there(site, file.path))


def dump(manifest: Manifest) -> bytes:
    """The manifest as JSON."""
    # A line for each image.
    lines = []
    for entry in manifest.entries:
        made = [_written(file) for file in entry.files]
        values = {"path": entry.path, "bytes": entry.bytes, "reason": entry.reason, "files": made}
        more = {"digest": entry.digest, "forms": entry.forms}
        lines.append(json.dumps(values | {name: value for name, value in more.items() if value}))
    return ('{"version": 1, "images": [\n' + ",\n".join(lines) + "\n]}\n").encode()

"""The codec of this installation and the cost of its worker to visitors, remembered.

Both follow from files of the package, some megabytes of them, and take modules that a warm build
has no other need of. So the store remembers them under the stamps of all the package's files.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from sitecodec.disk.store import Store, key
from sitecodec.encoding import jobs
from sitecodec.errors import StoreError
from sitecodec.settings import Settings

MAGIC = b"SCI1"
_MOST_BYTES = 1 << 30
_PACKAGE = f"{Path(__file__).parent.parent}"


class Installed(NamedTuple):
    """The facts about its codec that a build needs."""

    identity: str
    """Part of the store keys of all outcomes."""

    cost: int
    """Bytes that a visitor loads once for the worker, not counting its list of payloads."""

    engine_cost: int
    """The cost without the model, which flat graphics do not need."""


def installed(settings: Settings, store: Store) -> Installed:
    """The codec that the settings name, and the worker for its model."""
    if not settings.family.browser_decodable:  # the preview alone shows those
        return Installed(jobs.identity(settings), 0, 0)
    if settings.model:  # perhaps the user's own, whose files are elsewhere
        return _found(settings, store)
    name = key("installed", _stamps(_PACKAGE), str(settings.effort))
    if found := unpack(store.get(name) or b""):
        return found
    found = _found(settings, store)
    with contextlib.suppress(StoreError):  # the images' outcomes tell
        store.put(name, MAGIC + json.dumps(found).encode())
    return found


def unpack(data: bytes) -> Installed | None:
    """The content of an entry of the store; None if it is not one of ours."""
    if not data.startswith(MAGIC):
        return None
    try:
        identity, *costs = json.loads(data[len(MAGIC) :])
    except (TypeError, ValueError, RecursionError):
        return None
    sizes = [c for c in costs if type(c) is int and 0 <= c <= _MOST_BYTES]
    if not isinstance(identity, str) or not identity.isascii() or len(costs) != 2 or sizes != costs:
        return None
    return Installed(identity, *sizes)


def _found(settings: Settings, store: Store) -> Installed:
    from sitecodec.visitors import worker

    costs = (worker.cost(0, store, model) for model in (settings.model, None))
    return Installed(jobs.identity(settings), *costs)


def _stamps(package: str) -> str:
    """A value that changes with any file of the package, except Python's compiled files.

    The time of change, which nothing but the system's clock sets, tells of files that were put in
    another's place with its date and size.
    """
    stamps = []
    for folder, folders, names in os.walk(package):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            status = os.stat(f"{folder}/{name}")  # noqa: PTH116 - of a string, for each build
            stamps.append((folder, name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return repr(stamps)

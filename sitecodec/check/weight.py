"""The files that pages load: their bytes, files that nothing shows, and files that come twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from sitecodec.facts.formats import picture_suffixes

ALLOWED = 1000
"""Bytes by which a page may grow: what markup takes, sent compressed."""


class Loaded(NamedTuple):
    """A request: URL, bytes as they were sent, and what asked for it (`img`, `link`, …)."""

    url: str
    bytes: int
    asked_by: str

    @property
    def path(self) -> str:
        """Its path, by which the two sites' are compared."""
        return urlsplit(self.url).path


def total(loaded: Iterable[Loaded]) -> int:
    """Bytes of all requests, each URL once."""
    return sum({one.url: one.bytes for one in loaded}.values())


def unshown(loaded: Sequence[Loaded], shown: Iterable[str]) -> dict[str, int]:
    """Pictures that were loaded and that nothing shows: bytes by path. `shown` are URLs."""
    paths = {urlsplit(url).path for url in shown}
    return {
        one.path: one.bytes
        for one in loaded
        if one.bytes and one.path.lower().endswith(picture_suffixes()) and one.path not in paths
    }


def repeated(loaded: Sequence[Loaded]) -> dict[str, int]:
    """Pictures that were asked for more than once: how often, by path."""
    pictures = [
        one for one in loaded if one.bytes and one.path.lower().endswith(picture_suffixes())
    ]
    counts = Counter(one.path for one in pictures)
    return {path: count for path, count in counts.items() if count > 1}

"""The quality dial: one image encoded at a quality of the author's choice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

from sitecodec.errors import ImageError
from sitecodec.facts import families
from sitecodec.preview.decoded_cache import BusyError, Pictures
from sitecodec.preview.results import SourceStamp, read, stamp_of
from sitecodec.settings import Settings

_REMEMBERED = 256
_WAITING = 4


@dataclass(frozen=True)
class Trial:
    """One encode at a quality of the author's choice."""

    payload: str
    payload_bytes: int
    score: float | None = None
    worst_tile: float | None = None


class Trials:
    """Encodes on demand: one at a time, few that wait, the last ones remembered."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._lock = threading.Lock()
        self._working = threading.Lock()
        self._waiting = 0
        self._known: OrderedDict[tuple[Path, SourceStamp, float], Trial] = OrderedDict()

    def run(self, real: Path, quality: float, settings: Settings, *, score: bool) -> Trial:
        """Encode a file at a quality 0-100, and score it if so asked.

        Raises BusyError if others wait for the same, ImageError for what cannot be encoded.
        """
        with self._lock:
            if self._waiting >= _WAITING:
                raise BusyError("another encode is under way; ask again in a second")
            self._waiting += 1
        try:
            with self._working:
                return self._try(real, quality, settings, score)
        finally:
            with self._lock:
                self._waiting -= 1

    def _try(self, real: Path, quality: float, settings: Settings, score: bool) -> Trial:
        name = (real, stamp_of(real), quality)
        known = self._known.get(name)
        if known and (known.score is not None or not score):
            return known
        trial = self._encode(real, quality, settings, score, known)
        self._known[name] = trial
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return trial

    def _encode(
        self, real: Path, quality: float, settings: Settings, score: bool, known: Trial | None
    ) -> Trial:
        from sitecodec import codecs, metrics
        from sitecodec.encoding import sources

        source = sources.load(read(real), str(real), settings.max_pixels)
        if isinstance(source, sources.LeftAlone):
            raise ImageError(f"it is left alone: {source.reason}")
        codec = codecs.get(families.WEB.name, settings.model)
        before = self._pictures.file(known.payload) if known else None
        payload = before or codec.encode(source.pixels, quality)
        trial = Trial(self._pictures.keep(payload), len(payload))
        if not score:
            return trial
        with metrics.against(source.pixels) as scores_of:
            scores = scores_of(codec.decode(payload))
        return replace(trial, score=scores.score, worst_tile=scores.worst_tile)

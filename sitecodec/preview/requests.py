"""Requests that waitress cannot read: each gets its answer, and nothing is printed."""

from __future__ import annotations

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.utilities import BadRequest


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Takes for a bad request what raises anything but waitress' own errors."""

    def received(self, data: bytes) -> int:
        """Take the next bytes of a request; returns how many it took."""
        try:
            taken: int = super().received(data)
        except Exception:  # an address of half a bracket, a length of thousands of digits
            self.error = BadRequest("the request cannot be read")
            self.completed = True
            return len(data)
        return taken


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose requests are read so."""

    parser_class = Parser

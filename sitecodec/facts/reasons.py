"""The reasons for which images stay as they are that code asks for, and not only readers."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason, as reports print it."""

    TOO_SMALL = "too small"
    """The file: there is nothing to gain."""

    ALREADY_SMALL = "already small"
    """The file, for its picture: none of ours is smaller."""

    NOTHING_SMALLER = "nothing smaller"
    REMOTE = "remote"
    """It is on another site."""

    OUTSIDE = "outside the site"

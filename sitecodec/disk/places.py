"""Folders of this user's, outside of any project."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal


def of_user(kind: Literal["share", "state"]) -> Path | None:
    """The folder for data or state of ours; None for a user without a home, as in containers."""
    if sys.platform == "win32":
        named, inner = os.environ.get("LOCALAPPDATA"), ""
    else:
        named = os.environ.get("XDG_DATA_HOME" if kind == "share" else "XDG_STATE_HOME")
        inner = f".local/{kind}"
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    if not named and not os.path.isabs(home):  # noqa: PTH117
        return None
    return (Path(named) if named else Path(home, inner)) / "sitecodec"

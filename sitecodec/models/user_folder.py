"""The folder of the models that a user has added, each in a folder of its name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sitecodec.disk import places
from sitecodec.errors import ModelError

ENVIRONMENT = "SITECODEC_MODELS"

DESCRIPTION = "model.json"
"""The file that a model of the codec `sd` has, and one of the codec `web` has not."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def root() -> Path:
    """The registry's folder: $SITECODEC_MODELS, or `sitecodec/models` in the user's data folder."""
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT])
    base = places.of_user("share")
    return (base or Path(os.devnull)) / "models"  # a user without a home has none


def folder(name: str) -> Path:
    """The folder of a model's files. Raises ModelError for an impossible name."""
    if not NAME.fullmatch(name):
        raise ModelError(f"not a model's name: {name!r}; use letters, digits, '-', '_' and '.'")
    return root() / name

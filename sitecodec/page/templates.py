"""The folder of the package's templates."""

from __future__ import annotations

from pathlib import Path


def builtin_folder() -> Path:
    """The package's templates: inside it in a wheel, beside it in an editable install."""
    package = Path(__file__).parent.parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"

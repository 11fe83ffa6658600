"""Imports point down the table of rooms in CONTRIBUTING.md, and every module has a room there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted([*ROOT.glob("sitecodec/**/*.py"), *ROOT.glob("mkdocs_plugin/*.py")])


def rooms(text: str) -> dict[str, int]:
    """The folders and files of each row of the table: the number of the row."""
    found = {}
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    for number, row in enumerate(rows):
        for name in re.findall(r"`([^`]+)`", row):
            found[name if (ROOT / name).exists() else f"sitecodec/{name}"] = number
    return found


ROOMS = rooms((ROOT / "CONTRIBUTING.md").read_text())


def room(path: str) -> str:
    """The room that a file is in; '' for none."""
    holding = (name for name in ROOMS if path == name or path.startswith(name.rstrip("/") + "/"))
    return max(holding, key=len, default="")


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Our own modules that a module imports when it runs, with the lines; not for types only."""
    tree = ast.parse(source)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if found := file_of(name):
                yield node.lineno, found


def file_of(name: str) -> str:
    """The file of a module of ours, or of the one that a name is in; '' for others."""
    parts = name.split(".")
    if parts[0] not in ("sitecodec", "mkdocs_plugin"):
        return ""
    for count in range(len(parts), 0, -1):
        for path in ("/".join(parts[:count]) + end for end in (".py", "/__init__.py")):
            if (ROOT / path).is_file():
                return path
    return ""


@pytest.mark.parametrize("module", [path.relative_to(ROOT).as_posix() for path in MODULES])
def test_imports_point_down(module):
    if module == "sitecodec/__init__.py":
        return
    assert room(module), f"{module} is in no room of CONTRIBUTING.md"
    floor = ROOMS[room(module)]
    for line, other in imported((ROOT / module).read_text()):
        if other == "sitecodec/__init__.py":
            continue
        above = ROOMS[room(other)] < floor
        assert not above, f"{module}:{line} imports {other}, which is in a room above"


def test_every_room_is_there():
    for name in ROOMS:
        assert (ROOT / name).exists(), name

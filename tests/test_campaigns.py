"""The campaigns of benchmarks/, for a moment each: they run, and find nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import hostile_images, hostile_names, hostile_pages


def test_mutants_of_pages(tmp_path: Path) -> None:
    assert hostile_pages.pages(tmp_path, random.Random(1), 200) == 0


def test_a_page_that_is_not_whole_is_noticed(tmp_path: Path) -> None:
    hostile_pages.make(tmp_path / "site")
    page = hostile_pages.PAGE
    assert hostile_pages._fault(tmp_path / "site", page, page[:-9]) == "is not whole"
    named = page.replace(b"a.png", b"assets/sitecodec/a-0123456789ab-9w.jpg")
    assert "names assets/" in hostile_pages._fault(tmp_path / "site", page, named)


def test_mutants_of_pictures(tmp_path: Path) -> None:
    known = hostile_images.seeds()
    assert len(known) > 200
    said = {hostile_images.one(seed, known, tmp_path) for seed in range(600)}
    assert "a picture" in said
    assert not [text for text in said if text.startswith("FAULT")]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux")
def test_hostile_names(tmp_path: Path) -> None:
    """Some of each kind, through build, report, its page, GitHub's summary and the server."""
    names = [hostile_names.NAMES[at] for at in range(0, len(hostile_names.NAMES), 5)]
    names += ["..\\x", "::error::x", "##[error]x", "<script>alert(1)<|script>"]
    names = [*dict.fromkeys(names)]
    site = hostile_names.make(tmp_path, names)
    assert hostile_names.commands(tmp_path, ["cp1252"]) == []
    assert hostile_names.pages(site, names) == []
    assert hostile_names.served(tmp_path, names) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize(("name", "number"), [("build", 3), ("watch", 1), ("serve", 1)])
def test_kills(name: str, number: int) -> None:
    # In a process without threads, of which forked ones would know nothing.
    command = [sys.executable, "-m", "benchmarks.hostile_kills", name, "--number", str(number)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{number} kills" in done.stdout


@pytest.mark.slow
def test_kills_of_the_plugin() -> None:
    test_kills("plugin", 3)

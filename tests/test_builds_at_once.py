"""Several builds of one site, by processes of their own; what killed ones leave."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sitecodec.disk import seal, writing
from sitecodec.encoding import jobs
from sitecodec.settings import Settings
from sitecodec.site import placeholder
from sitecodec.site.build import rewrite_site
from sitecodec.site.findings import Findings
from sitecodec.site.lock import held
from sitecodec.site.pages import names_in

PAGE = '<html><head><title>t</title></head><body><main><img src="a.png"></main></body></html>'
BUILD = "from sitecodec.cli.commands import main; main(['build', 'site'])"


@pytest.fixture
def site(tmp_path: Path, make: Any) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.png").write_bytes(make.file(make.photo(60, 90)))
    for number in range(40):
        (folder / f"{number}.html").write_text(PAGE)
    (tmp_path / "sitecodec.toml").write_text("browser = 'always'\nmin_bytes = 100\n")
    return folder


def settings(tmp_path: Path, **values: Any) -> Settings:
    return Settings(store=tmp_path / "store", min_bytes=100, workers=1, **values)


def build(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=-1, stderr=subprocess.STDOUT)


def is_whole(site: Path) -> bool:
    """Whether every page offers the encoded files, and all that pages name is there."""
    for page in site.glob("*.html"):
        data = page.read_text()
        named = re.findall(r"assets/sitecodec/[\w.-]+", data)
        whole = data.endswith("</main></body></html>") and named
        if not whole or not all((site / name).is_file() for name in named):
            return False
    return not [*site.rglob(f"*{writing.TEMPORARY}")]


def test_four_builds_of_one_site_leave_what_one_does(tmp_path: Path, site: Path) -> None:
    running = [build(tmp_path) for _ in range(4)]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert is_whole(site)
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    assert build(tmp_path).wait(60) == 0
    assert before == {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}


@pytest.mark.skipif(sys.platform == "win32", reason="locks of another kind")
def test_a_build_waits_for_the_one_at_work_and_says_so(tmp_path: Path, site: Path) -> None:
    with held(site) as alone:
        assert alone
        waiting = build(tmp_path)
        assert waiting.stdout
        line = waiting.stdout.readline()
        assert f"at work on {site}; waiting for it" in line
        assert not sys.platform.startswith("linux") or f"process {os.getpid()}" in line
        assert (site / "0.html").read_text() == PAGE
    assert waiting.wait(60) == 0
    assert is_whole(site)


def test_what_a_killed_build_left_goes_and_what_one_writes_stays(
    tmp_path: Path, site: Path
) -> None:
    left = site / f".1-0-0{writing.TEMPORARY}"
    left.write_bytes(b"half")
    names_in(site, Findings())  # as the preview does
    writing.clear([str(left)], alone=False)
    assert left.exists()
    rewrite_site(site, settings(tmp_path))
    assert not left.exists()


def test_an_image_that_fails_is_a_warning(
    tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised when its files are written, or something is made to stand for it."""

    def failing(*_: Any) -> Any:
        raise ZeroDivisionError("of\nnothing")

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "by_width", failing)
        summary = rewrite_site(site, settings(tmp_path))
        assert [(p.page, p.image) for p in summary.problems] == [("0.html", "a.png")]
        assert "ZeroDivisionError of nothing" in summary.problems[0].message
        assert (site / "0.html").read_text() == PAGE
    with monkeypatch.context() as patch:
        patch.setattr(placeholder, "declarations", failing)
        summary = rewrite_site(site, settings(tmp_path, placeholder="colour"))
        assert [(p.page, p.image) for p in summary.problems] == [("0.html", "a.png")]
        assert is_whole(site)


def test_a_secret_that_was_cut_short_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    place = tmp_path / "sitecodec/secret"
    place.parent.mkdir()
    place.write_bytes(b"half")
    sealed = seal.sealed("key", b'{"a": 1}')
    assert sealed
    assert seal.unsealed("key", sealed) == b'{"a": 1}'
    assert len(place.read_bytes()) == 32
    assert [path.name for path in place.parent.iterdir()] == ["secret"]

"""`sitecodec check` on small sites: each kind of difference is found, and nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from sitecodec.check import boxes, site
from sitecodec.check.windows import Window
from sitecodec.cli import main
from sitecodec.disk import folders
from tests.conftest import encode, make_photo, make_text

pytest.importorskip("playwright.async_api", reason="playwright is not installed")

PHOTO = make_photo(300, 400, 1)
HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title>'
    '<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">'
)
TEXT = "<p>Some text that stands below.</p>"
IMAGE = '<p><img id="i" src="photo.png" width="400" height="300"></p>'
MANY = "<main>" + 3 * IMAGE.replace('id="i"', "") + 10 * TEXT + "</main>"
HALF = '<p><img src="photo.png" width="200" height="150"></p>'
FETCHES = (
    '<script>new MutationObserver(() => { new Image().src = "bad.jpg" }).observe('
    "document.querySelector('img'), { attributes: true })</script>"
)
WINDOWS = (Window(600, pixels=True, paper=True), Window(600, 2), Window(600, scripts=False))

# What the built page has in place of IMAGE, where that is no worse.
GOOD = {
    "jpeg": IMAGE.replace("photo.png", "fine.jpg"),
    "picture": IMAGE.replace(
        "<img", '<picture style="display:contents"><source srcset="fine.jpg"><img'
    ),
    "lazy": IMAGE.replace("<img", '<img decoding="async" loading="lazy"'),
    "script": IMAGE + "<script>document.title = 'x'</script>",
}
# The plain page, the built one, the kind of difference and how the built side of it reads.
BAD = {
    "box": (IMAGE, IMAGE.replace("300", "200"), "box", "400x200"),
    "broken": (IMAGE, IMAGE.replace("photo.png", "missing.png"), "broken", "broken"),
    "small": (IMAGE, IMAGE.replace("photo.png", "small.png"), "blur", "200x150 for 400x300"),
    "bad": (IMAGE, IMAGE.replace("photo.png", "bad.jpg"), "shown", "score"),
    "dark": (IMAGE, IMAGE.replace("photo.png", "dark.png"), "shown", "colours shifted"),
    "turned": (IMAGE, IMAGE.replace("photo.png", "turned.png"), "shown", "colour"),
    "text": (IMAGE, IMAGE.replace("photo.png", "text.png"), "shown", "colours shifted"),
    "fit": (
        *(IMAGE, IMAGE.replace("<img", '<img style="object-fit:none;padding:0 0 5px"')),
        *("box", "400x305"),
    ),
    "covered": (IMAGE, IMAGE.replace("<img", '<img style="opacity:.3"'), "shown", "colours"),
    "preload": (IMAGE, IMAGE + "<link rel=preload as=image href=fine.jpg>", "unshown", "kB"),
    "console": (IMAGE, IMAGE + "<script>console.error('no')</script>", "console", ""),
    "red": (IMAGE, IMAGE + "<style>p { color: red }</style>", "shown", "differs"),
    "paper": (IMAGE, IMAGE + "<style>p ~ p { break-before: page }</style>", "paper", "2"),
    "leaving": (IMAGE, IMAGE + FETCHES, "leaving", "kB"),
    "off": (IMAGE, "<script>document.write(`" + IMAGE + "`)</script>", "box", "is missing"),
    "dense": (HALF, HALF.replace("photo", "small"), "blur", "200x150 for 200x150"),
    "cause": (MANY, MANY.replace('width="400"', 'width="300"', 1), "box", "300x300"),
}
PAGES = (
    {name: (IMAGE, built) for name, built in GOOD.items()}
    | {name: values[:2] for name, values in BAD.items()}
    | {"same": (IMAGE, IMAGE)}
)
FILES = {
    "photo.png": encode(PHOTO),
    "small.png": encode(PHOTO[::2, ::2].copy()),
    "fine.jpg": encode(PHOTO, "JPEG", quality=60),
    "bad.jpg": encode(PHOTO, "JPEG", quality=1),
    "dark.png": encode((PHOTO * 0.9).astype(np.uint8)),
    "turned.png": encode(PHOTO[::-1, ::-1].copy()),
    "text.png": encode(make_text(300, 400)),
}


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Both sites: a page for each case, and the pictures."""
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        pytest.skip("there is no Chromium here")
    folder = tmp_path_factory.mktemp("sites")
    for number, side in enumerate(("plain", "built")):
        (folder / side).mkdir()
        for name, pages in PAGES.items():
            (folder / side / f"{name}.html").write_text(HEAD + pages[number] + TEXT)
        for name, data in FILES.items():
            (folder / side / name).write_bytes(data)
    return folder / "plain", folder / "built"


@pytest.fixture(scope="module")
def result(sites):
    return site.check(*sites, site.Wanted(windows=WINDOWS))


def faults(result, page):
    return [one for one in result.faults if one.page == f"{page}.html"]


@pytest.mark.parametrize("page", GOOD)
def test_what_is_as_good_is_no_difference(result, page):
    assert faults(result, page) == []


@pytest.mark.parametrize("page", BAD)
def test_each_kind_of_difference_is_found(result, page):
    *_, kind, detail = BAD[page]
    listed = [(one.finding.kind, one.finding.built) for one in faults(result, page)]
    assert kind in {one for one, _ in listed}
    assert any(one == kind and detail in built for one, built in listed), listed


def test_the_window_is_named_that_shows_a_difference(result):
    dense = "600@2"
    assert [(one.finding.kind, one.windows) for one in faults(result, "dense")] == [
        ("blur", (dense,))
    ]
    assert {one.windows for one in faults(result, "off")} == {("600@1 no scripts",)}


def test_the_cause_is_named_and_not_all_that_it_moves(result):
    causes = [one for one in faults(result, "cause") if one.finding.kind == "box"]
    assert [one.finding.element for one in causes] == ["main p img"]


def test_a_column_that_is_stretched_is_no_cause():
    def page(high):
        return boxes.parse(
            [
                ["main", "", -1, 0, 0, 400, high],
                ["nav", "", 0, 0, 0, 100, high],
                ["div", "", 0, 100, 0, 300, high],
                ["img", "", 2, 100, 0, 200, high - 20],
            ]
        )

    found = boxes.compare(page(300), page(250))
    assert [cause.element for cause in found.causes] == ["main div img"]
    assert found.different == 4


def test_pages_that_are_the_same_are_not_looked_at(result):
    assert (result.pages, result.skipped) == (len(PAGES), 1)
    assert result.looked_at == len(PAGES) - 1


@pytest.mark.skipif(sys.platform == "win32", reason="names are bytes elsewhere")
def test_pages_of_any_name_and_pages_that_cannot_be_read(tmp_path, monkeypatch):
    both = [tmp_path / side for side in ("plain", "built")]
    for side in both:
        side.mkdir()
        (side / os.fsdecode(b"\xff.html")).write_text(f"<title>{side.name}</title><p>x")
        (side / "large.html").write_text("x" * 2000)
    monkeypatch.setattr(folders, "MOST_BYTES", 1000)
    result = site.check(*both, site.Wanted(windows=(Window(600),)))
    assert [(one.page, one.finding.built) for one in result.faults] == [
        ("large.html", "cannot be read")
    ]
    assert (result.pages, result.looked_at) == (2, 1)


def test_firefox_finds_the_same(tmp_path, sites):
    if not (shutil.which("firefox-esr") or shutil.which("firefox")):
        pytest.skip("there is no Firefox here")
    both = [tmp_path / side for side in ("plain", "built")]
    names = ("jpeg", "box", "small", "dark", "console")
    for of, to in zip(sites, both, strict=True):
        to.mkdir()
        for name in (*FILES, *(f"{name}.html" for name in names)):
            shutil.copy(of / name, to)
    windows = (Window(600, 2, pixels=True), Window(600, scripts=False))
    result = site.check(*both, site.Wanted("firefox", windows=windows))
    assert {(one.page, one.finding.kind) for one in result.faults} == {
        *(("box.html", "box"), ("small.html", "blur")),
        *(("dark.html", "shown"), ("console.html", "console")),
    }
    assert result.windows == windows[:1]  # it has scripts on


def test_the_command(tmp_path, sites):
    both = [tmp_path / side for side in ("plain", "built")]
    for of, to in zip(sites, both, strict=True):
        to.mkdir()
        for name in ("box.html", "photo.png"):
            shutil.copy(of / name, to)
    runner = CliRunner()
    page = tmp_path / "check.html"
    said = runner.invoke(main, ["check", *map(str, both), "--html", str(page)])
    assert said.exit_code == 1, said.output
    assert all(len(line) <= 80 for line in said.output.splitlines())
    assert "400x300 -> 400x200" in said.output
    assert page.read_text("utf-8").count("data:image/webp") >= 2


def test_the_command_s_json_and_its_use(tmp_path, sites):
    plain = str(sites[0])
    runner = CliRunner()
    said = runner.invoke(main, ["check", plain, plain, "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout)["differences"] == []
    assert runner.invoke(main, ["check", plain]).exit_code == 2
    assert runner.invoke(main, ["check"]).exit_code == 2
    said = runner.invoke(main, ["check", plain, str(tmp_path)])
    assert said.exit_code == 1
    assert "name two builds of one site" in said.output

"""Pages in encodings in which text may look like tags, and where pages say their encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import html5lib
import pytest

from sitecodec.page import encodings
from sitecodec.settings import Settings
from sitecodec.site.build import Summary, rewrite_site

META = '<meta charset="{}">'
HTTP = '<meta http-equiv="Content-Type" content="text/html; charset={}">'
IMAGE = '<main><img src="a.png" alt="図→小さな表示"><p>会社</p></main>'


@pytest.fixture
def site(tmp_path: Path, make: Any) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.png").write_bytes(make.file(make.photo(60, 90)))
    return folder


def build(site: Path, page: bytes) -> tuple[bytes, Summary]:
    place = site / "index.html"
    place.write_bytes(page)
    settings = Settings(store=site.parent / "store", min_bytes=100, workers=1)
    return (summary := rewrite_site(site, settings)) and (place.read_bytes(), summary)


@pytest.mark.parametrize("meta", [META, HTTP])
@pytest.mark.parametrize("name", ["iso-2022-jp", "iso-2022-kr", "hz-gb-2312", "utf-7"])
def test_pages_in_encodings_that_shift_stay_as_they_are(site: Path, meta: str, name: str) -> None:
    body = IMAGE if name == "iso-2022-jp" else '<main><img src="a.png" alt="中"></main>'
    coding = {"hz-gb-2312": "hz", "iso-2022-kr": "iso-2022-jp"}.get(name, name)
    text = f"<html><head>{meta.format(name)}<title>x</title></head><body>"
    page = text.encode() + f"{body}</body></html>".encode(coding)
    new, summary = build(site, page)
    assert new == page
    (problem,) = summary.problems
    assert name in problem.message


@pytest.mark.parametrize("coding", ["utf-16", "utf-32", "utf-16-be"])
def test_pages_with_two_bytes_a_letter_stay_as_they_are(site: Path, coding: str) -> None:
    page = f"\ufeff<html><head><title>x</title></head><body>{IMAGE}\u3c69\u6d67\u2073>".encode(
        coding
    )
    assert build(site, page)[0] == page


def test_an_encoding_that_browsers_guess(site: Path) -> None:
    page = f"<html><head><title>x</title></head><body>{IMAGE}</body></html>".encode("iso-2022-jp")
    assert build(site, page)[0] == page
    assert encodings.unreadable(b"<p>\x1b[31m red</p>") == ""


@pytest.mark.parametrize("coding", ["shift_jis", "gbk", "gb18030", "big5", "euc-jp", "euc-kr"])
def test_text_of_two_bytes_is_kept_where_it_is_only_text(site: Path, coding: str) -> None:
    text = IMAGE if coding in ("shift_jis", "euc-jp") else '<main><img src="a.png" alt="中"></main>'
    head = f"<html><head>{META.format(coding)}<title>x</title></head><body>"
    new, summary = build(site, f"{head}{text}</body></html>".encode(coding))
    assert not summary.problems
    root = html5lib.parse(new, transport_encoding=coding, namespaceHTMLElements=False)
    image = root.find(".//picture/img")
    assert image is not None
    assert image.get("alt") == text.split('"')[3]


def test_css_with_second_bytes_that_are_syntax_is_left_alone(site: Path) -> None:
    css = '<style>p::before{content:"表"}p{background:url(a.png)}</style>'
    page = f"<html><head>{META.format('shift_jis')}{css}</head><body>{IMAGE}".encode("shift_jis")
    new, summary = build(site, page)
    assert new == page
    assert "shift_jis" in summary.problems[0].message
    sheet = 'p::before{content:"表"}p{background:url(a.png)}'.encode("shift_jis")
    (site / "s.css").write_bytes(sheet)
    build(site, b'<html><head><link rel="stylesheet" href="s.css"></head><img src="a.png">')
    assert (site / "s.css").read_bytes() == sheet
    assert encodings.is_doubtful_css(b"/* \x95\\ */ p{}" + b"\xe9") is False


@pytest.mark.parametrize(
    "first",
    ['<link rel="stylesheet" href="s.css">', "<style>p{color:red}</style>", "<script></script>"],
)
@pytest.mark.parametrize("meta", [META.format("utf-8"), HTTP.format("utf-8")])
def test_the_encoding_stays_where_browsers_look_for_it(site: Path, first: str, meta: str) -> None:
    (site / "s.css").write_text("p{color:red}")
    head = f"<html><head>{first}<title>Grüße</title>{meta}</head><body>"
    new, summary = build(site, f"{head}{IMAGE}</body></html>".encode())
    assert summary.rewritten == 1
    assert new.count(meta.encode()) == 1
    assert new.find(meta.encode()) + len(meta) <= 1024
    assert new.find(b"data-sitecodec") < new.find(first.encode())
    assert build(site, new)[0] == new


@pytest.mark.parametrize(
    "text",
    [
        '<p style="background:url(a.png)">x</p><img src=a.png><meta charset=utf-8>',
        "<style>.q{background:url(a.png)}</style><img src=a.png><meta charset=utf-8>",
    ],
)
def test_an_encoding_is_not_moved_into_a_tag_or_a_style_sheet(site: Path, text: str) -> None:
    new, _ = build(site, text.encode())
    assert b"<p <meta" not in new
    assert b"<style><meta" not in new
    assert new.count(b"<meta charset=utf-8>") == 1


def test_an_encoding_that_stays_in_reach_is_not_moved() -> None:
    meta = b'<meta charset="utf-8">'
    data = b"<head><link>" + meta + b"</head>"
    assert encodings.kept_early(data, [(6, 6, b"x" * 9)]) == [(6, 6, b"x" * 9)]
    late = b"<head><link>" + b" " * 1020 + meta + b"</head>"
    assert encodings.kept_early(late, [(6, 6, b"x" * 9999)]) == [(6, 6, b"x" * 9999)]


@pytest.mark.parametrize(
    ("before", "wrapped"),
    [
        ('<p>icon <svg viewBox="0 0 1 1"><path d="M0 0"/>', False),
        ("<ul><li><math><mrow>", False),
        ("<table><tr><td><svg><tr>", False),
        ("<svg></head>", False),
        ("<svg/>", True),
        ("<svg><path/></svg>", True),
        ("<svg><foreignObject>", True),
        ("<div><svg><g></div>", True),
    ],
)
def test_no_picture_lands_in_an_svg_that_does_not_end(
    site: Path, before: str, wrapped: bool
) -> None:
    page = f"<html><head><title>t</title></head><body><main>{before}<img src=a.png></main>"
    new, _ = build(site, page.encode())
    root = html5lib.parse(new)
    names = [e.tag for e in root.iter() if isinstance(e.tag, str) and "picture" in e.tag]
    assert names == ["{http://www.w3.org/1999/xhtml}picture"] * wrapped
    image = root.find(".//{http://www.w3.org/1999/xhtml}img")
    assert image is not None
    assert wrapped or image.get("srcset")

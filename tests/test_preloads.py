"""`<link rel=preload as=image>` loads what the page shows, once (site/preloads.py)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sitecodec.page import html
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    store = tmp_path_factory.mktemp("store")
    return Settings(store=store, widths=(120, 240), browser="never")


@pytest.fixture
def site(tmp_path: Path, make: Any) -> Path:
    (tmp_path / "i").mkdir()
    for number, name in enumerate("ab"):
        (tmp_path / f"i/{name}.png").write_bytes(make.file(make.photo(160, 240, number)))
    (tmp_path / "i/small.png").write_bytes(make.file(make.photo(80, 120, 0)))
    return tmp_path


def built(site: Path, settings: Settings, head: str, body: str) -> str:
    page = site / "index.html"
    page.write_text(f"<html><head><title>t</title>{head}</head><body>{body}</body></html>")
    rewrite_site(site, settings)
    return page.read_text()


LINK = '<link rel="preload" as="image" href="i/a.png">'


def preload(text: str) -> dict[str, str]:
    (tag,) = html.preloads(text.encode())
    return {a.name: a.value for a in tag.attributes}


def best(text: str) -> dict[str, str | None]:
    """What a browser without the worker takes: the first source of a type that it knows."""
    for tag in html.scan(text.encode()).images[0].sources or ():
        if tag.get("type") != "image/x-sitecodec":
            return {name: tag.get(name) for name in ("type", "srcset", "sizes")}
    raise AssertionError


@pytest.mark.parametrize(
    "image",
    [
        '<img src="i/a.png">',
        '<img src="/i/a.png#only-light" width="100">',
        '<p><img src="i/b.png"></p><p>x</p><img src="i/a.png">',
        '<img src="i/small.png" srcset="i/a.png 2x" alt="">',
        '<picture><source srcset="i/a.png" media="(min-width:1px)"><img src="i/b.png"></picture>',
    ],
)
def test_the_link_names_what_is_shown(site: Path, settings: Settings, image: str) -> None:
    text = built(site, settings, LINK, image)
    values = preload(text)
    assert values["type"] == "image/avif"
    if "imagesrcset" in values:
        assert f'srcset="{values["imagesrcset"]}"' in text.replace("imagesrcset", "")
        assert "auto" not in values.get("imagesizes", "")
        assert "href" not in values  # old browsers would load it as well
    else:
        assert f'srcset="{values["href"]}"' in text
    assert "i/a.png" not in text.partition("</head>")[0]


def test_all_else_of_the_link_stays(site: Path, settings: Settings) -> None:
    link = (
        '<link  REL=\'preload\' media="(min-width: 600px)" imagesizes="50vw" fetchpriority=high'
        ' href=i/a.png as=image imagesrcset="i/a.png 240w, i/small.png 120w" />'
    )
    image = '<img src="i/a.png" srcset="i/a.png 240w, i/small.png 120w" sizes="50vw">'
    text = built(site, settings, link, image)
    values = preload(text)
    assert values["media"] == "(min-width: 600px)"
    assert values["fetchpriority"] == "high"
    found = best(text)
    assert values["imagesrcset"] == found["srcset"]
    assert values["imagesizes"] == found["sizes"] == "50vw"
    assert text.partition("</head>")[0].count("<link REL='preload' media=") == 1


def test_of_a_background(site: Path, settings: Settings) -> None:
    (site / "s.css").write_text("header{background:url(i/a.png)}")
    text = built(site, settings, '<link rel=preload as=image href="/i/a.png">', "<img src=i/b.png>")
    values = preload(text)
    assert values["type"] == "image/avif"
    assert values["href"].startswith("/assets/sitecodec/a-")
    assert values["href"][1:] in (site / "s.css").read_text()


@pytest.mark.parametrize(
    ("link", "body"),
    [
        (LINK, "<img src=i/b.png>"),  # a script may want it
        (LINK, '<img src="i/a.png" data-sitecodec="off"><img src="i/b.png">'),
        ('<link rel="preload" as="font" href="i/a.png">', '<img src="i/a.png">'),
        ('<link rel="preload" as="image" href="https://e.org/a.png">', '<img src="i/a.png">'),
        ('<link rel="preload" as="image" href="missing.png">', '<img src="i/a.png">'),
        ('<link rel="icon" href="i/a.png">', '<img src="i/a.png">'),
        (f"<!-- {LINK} --><template>{LINK}</template>", '<img src="i/a.png">'),
        (f"<noscript>{LINK}</noscript>", '<img src="i/a.png">'),
    ],
)
def test_other_links_stay(site: Path, settings: Settings, link: str, body: str) -> None:
    text = built(site, settings, link, body)
    assert link in text
    assert re.search(r"assets/sitecodec/[ab]-", text)


def test_twice_is_once_and_an_old_page_gets_its_link_back(
    site: Path, settings: Settings, make: Any
) -> None:
    text = built(site, settings, LINK, '<img src="i/a.png">')
    rewrite_site(site, settings)
    assert (site / "index.html").read_text() == text
    (site / "i/a.png").write_bytes(make.file(make.photo(160, 240, 7)))
    rewrite_site(site, settings)
    unwritten = (site / "index.html").read_text()
    assert unwritten == built(site, settings, LINK, '<img src="i/a.png">') != text

"""sitecodec.page.served: where a built site will be served."""

from __future__ import annotations

import re

import pytest

from sitecodec.page import served
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site

OWN = "https://example.org/docs/"


@pytest.mark.parametrize(
    ("canonical", "head", "path"),
    [
        ("", "", "/"),
        ("https://example.org", "", "/"),
        ("https://example.org/index.html", "", "/"),
        (OWN, "", "/docs/"),
        (OWN + "index.html", "", "/docs/"),
        ("https://example.org/a%20b/", "", "/a b/"),
        ("/docs/", "", "/"),
        ("https://[/docs/", "", "/"),
        (OWN, '<link rel=stylesheet href="site.css">', "/docs/"),
        (
            OWN,
            '<link rel=stylesheet href="/docs/site.css"><script src="/other.js"></script>',
            "/docs/",
        ),
        (OWN, '<link rel=stylesheet href="//cdn.example/x.css">', "/docs/"),
        (OWN, '<link rel=stylesheet href="/site.css">', "/"),
        (OWN, '<script src="/site.js"></script>', "/"),
    ],
)
def test_the_first_page_tells(tmp_path, canonical, head, path):
    link = f'<link rel="canonical" href="{canonical}">' if canonical else ""
    (tmp_path / "index.html").write_text(f"<!doctype html><head>{link}{head}</head>")
    assert served.root(tmp_path) == path


def test_an_address_that_each_reference_would_be_as_long_as(tmp_path):
    link = f'<link rel="canonical" href="https://example.org/{"a" * 100_000}/">'
    (tmp_path / "index.html").write_text(link)
    assert served.root(tmp_path) == "/"


def test_without_a_first_page_it_is_the_root(tmp_path):
    assert served.root(tmp_path) == "/"


@pytest.mark.parametrize("told", [None, "/docs/", "/"])
def test_a_build_takes_images_by_their_rooted_addresses(tmp_path, make, told):
    (tmp_path / "a.png").write_bytes(make.file(make.photo(96, 128, 1)))
    (tmp_path / "index.html").write_text(
        f'<head><link rel="canonical" href="{OWN}"></head><img src="/docs/a.png" alt="">'
    )
    rewrite_site(tmp_path, Settings(store=tmp_path / "store"), base_path=told)
    taken = b"<picture" in (tmp_path / "index.html").read_bytes()
    assert taken == (told != "/")


@pytest.mark.parametrize(
    ("told", "host"), [(None, "example.org"), ("/docs/", "example.org"), ("/", ""), ("/en/", "")]
)
def test_the_host_is_known_where_the_path_is_the_one_that_the_page_names(tmp_path, told, host):
    (tmp_path / "index.html").write_text(f'<link rel="canonical" href="{OWN}">')
    assert served.root(tmp_path, told).host == host


ADDRESSES = {
    "https://example.org/docs/i/a.png": True,
    "http://example.org/docs/i/a.png": True,
    "HTTPS://EXAMPLE.org/docs/i/a.png?v=2#x": True,
    "//example.org/docs/i/a.png": True,
    "https://example.org/i/a.png": False,  # not below the site's path
    "https://example.org.evil.example/docs/i/a.png": False,
    "https://example.org:8000/docs/i/a.png": False,
    "https://user@example.org/docs/i/a.png": False,
    "https:\\\\example.org/docs/i/a.png": False,
    "ftp://example.org/docs/i/a.png": False,
    "https://example.org/docs/../i/a.png": False,
}


@pytest.mark.parametrize(("address", "own"), ADDRESSES.items())
@pytest.mark.parametrize("page", ["index.html", "sub/page.html"])
def test_a_site_s_own_images_by_whole_addresses(tmp_path, make, address, own, page):
    """Pelican and Hugo write such; the markup works at another address too, as previews have."""
    head = f'<head><link rel="canonical" href="{OWN}"></head>'
    (tmp_path / "index.html").write_text(head)
    (tmp_path / "i").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "i/a.png").write_bytes(make.file(make.photo(96, 128, 1)))
    (tmp_path / page).write_text(f'{head}<img src="{address}" alt="">')
    rewrite_site(tmp_path, Settings(store=tmp_path / "store"))
    text = (tmp_path / page).read_text()
    assert ("<picture" in text) == own
    if own:
        sources = re.findall(r'(?:src|srcset)="([^" #]+)', text)
        assert sources
        for source in sources:
            assert (tmp_path / page).parent.joinpath(source).resolve().is_file(), source
    else:
        assert f'src="{address}"' in text


def test_the_page_for_errors_keeps_whole_addresses(tmp_path, make):
    (tmp_path / "a.png").write_bytes(make.file(make.photo(96, 128, 1)))
    text = '<link rel="canonical" href="https://e.org/"><img src="https://e.org/a.png" alt="">'
    for name in ("index.html", "404.html"):
        (tmp_path / name).write_text(text)
    rewrite_site(tmp_path, Settings(store=tmp_path / "store"))
    assert "<picture" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "404.html").read_text() == text

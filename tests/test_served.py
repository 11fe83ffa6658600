"""sitecodec.page.served: where a built site will be served."""

from __future__ import annotations

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
    assert served.base_path(tmp_path) == path


def test_an_address_that_each_reference_would_be_as_long_as(tmp_path):
    link = f'<link rel="canonical" href="https://example.org/{"a" * 100_000}/">'
    (tmp_path / "index.html").write_text(link)
    assert served.base_path(tmp_path) == "/"


def test_without_a_first_page_it_is_the_root(tmp_path):
    assert served.base_path(tmp_path) == "/"


@pytest.mark.parametrize("told", [None, "/docs/", "/"])
def test_a_build_takes_images_by_their_rooted_addresses(tmp_path, make, told):
    (tmp_path / "a.png").write_bytes(make.file(make.photo(96, 128, 1)))
    (tmp_path / "index.html").write_text(
        f'<head><link rel="canonical" href="{OWN}"></head><img src="/docs/a.png" alt="">'
    )
    rewrite_site(tmp_path, Settings(store=tmp_path / "store"), base_path=told)
    taken = b"<picture" in (tmp_path / "index.html").read_bytes()
    assert taken == (told != "/")

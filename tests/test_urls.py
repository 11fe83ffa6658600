"""sitecodec.page.urls: references as browsers resolve them, and URLs that lead back."""

from __future__ import annotations

import os
import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec.page.urls import Target, base_of, resolve, site_root, to_url


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("a.png", "blog/a.png"),
        ("./a.png", "blog/a.png"),
        ("../a.png", "a.png"),
        ("../../../a.png", "a.png"),  # browsers stop at the root
        ("%2e%2E/a.png", "a.png"),
        ("/a.png", "a.png"),
        ("a%20b%2520c.png", "blog/a b%20c.png"),
        ("a b;c,d(1).png", "blog/a b;c,d(1).png"),
        ("caf\u00e9.png", "blog/caf\u00e9.png"),
        ("caf%C3%A9.png", "blog/caf\u00e9.png"),
        ("a%3Fb%23c.png", "blog/a?b#c.png"),
        (" \n a.p\nng \t", "blog/a.png"),
        ("sub\\a.png", "blog/sub/a.png"),
        ("a.png?v=1&w=2", "blog/a.png"),
        ("1:1.png", "blog/1:1.png"),
        ("caf%E9.png", "blog/" + os.fsdecode(b"caf\xe9.png")),
        ("/%2Fetc/passwd", "etc/passwd"),
    ],
)
def test_references_into_the_site(reference: str, path: str) -> None:
    found = resolve(reference, "/blog/index.html")
    assert isinstance(found, Target)
    assert found.path == path
    assert found.rooted == reference.startswith("/")


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("https://example.com/a.png", "remote"),
        ("//example.com/a.png", "remote"),
        ("\\\\example.com\\a.png", "remote"),
        ("data:image/png;base64,AAAA", "inline data"),
        ("blob:x", "inline data"),
        ("c:\\a.png", "remote"),
        ("", "no file"),
        ("#only-dark", "no file"),
        ("?x", "no file"),
    ],
)
def test_references_elsewhere(reference: str, reason: str) -> None:
    assert resolve(reference, "/index.html") == reason


def test_the_fragment_is_kept_as_written() -> None:
    found = resolve("a.png?x#only-dark", "/index.html")
    assert found == Target("a.png", "#only-dark", rooted=False)


def test_sites_below_a_path() -> None:
    root = site_root("/my%20docs/v1")
    assert root == "/my docs/v1/"
    page = root + "blog/index.html"
    assert resolve("/my%20docs/v1/a.png", page, root) == Target("a.png", "", rooted=True)
    assert resolve("../a.png", page, root) == Target("a.png", "", rooted=False)
    assert resolve("/a.png", page, root) == "outside the site"
    assert resolve("../../a.png", page, root) == "outside the site"
    assert resolve("%2e%2e%2f..%2fx.png", page, root) == "outside the site"
    assert resolve("..%2fx.png", page, root) == "outside the site"
    assert to_url("a.png", page, root) == "../a.png"
    assert to_url("a.png", page, root, rooted=True) == "/my%20docs/v1/a.png"


@pytest.mark.parametrize("path", ["", "/", "//"])
def test_the_root_of_a_host(path: str) -> None:
    assert site_root(path) == "/"


@pytest.mark.parametrize(
    ("href", "base"),
    [
        (None, "/docs/blog/index.html"),
        ("/docs/", "/docs/"),
        ("/docs/x/y", "/docs/x/y"),
        ("../", "/docs/"),
        ("..", "/docs/"),
        ("sub/", "/docs/blog/sub/"),
        ("", "/docs/blog/index.html"),
        ("#x", "/docs/blog/index.html"),
        ("https://cdn.example.com/", None),
        ("//cdn.example.com/", None),
    ],
)
def test_base(href: str | None, base: str | None) -> None:
    assert base_of("blog/index.html", href, "/docs/") == base


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
PATHS = (
    st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda path: path.strip("/") == path)
)


@given(PATHS, PATHS, st.sampled_from(["/", "/docs/", "/a b/\u00e9/"]), st.booleans())
def test_urls_lead_back_to_any_path(path: str, page: str, root: str, rooted: bool) -> None:
    base = root + page
    url = to_url(path, base, root, rooted=rooted)
    assert not set(url) & set(" ,\"'<>&\\?#;")
    found = resolve(url, base, root)
    assert isinstance(found, Target)
    assert found.path == path


def test_names_that_are_not_utf8_lead_back_too() -> None:
    path = os.fsdecode(b"caf\xe9/\xff.png")
    found = resolve(to_url(path, "/\udce9/index.html"), "/\udce9/index.html")
    assert isinstance(found, Target)
    assert found.path == path


@pytest.mark.parametrize("root", ["/", "/docs/", "/a b/"])
@pytest.mark.parametrize("path", ["a.png", "x/a.png", "x/y/z ü%.png", "assets/q/a.png"])
@pytest.mark.parametrize("page", ["", "i.html", "x/", "x/y/i.html", "assets/q/i.html", "x/y/w/"])
def test_a_url_is_the_shortest_way(root: str, path: str, page: str):
    url = to_url(path, root + page, root)
    assert unquote(url) == posixpath.relpath(root + path, posixpath.dirname(root + page))
    assert resolve(url, root + page, root) == Target(path, "", rooted=False)

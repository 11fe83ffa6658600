"""sitecodec.visitors.host_notes: what a host's set-up still needs, or silence."""

from __future__ import annotations

import re

import pytest

from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from sitecodec.site.summary import table
from sitecodec.visitors import host_notes, worker

FOLDER = "assets/sitecodec"
GOOD = (
    "default-src 'none'; img-src 'self'; script-src 'self' 'wasm-unsafe-eval';"
    " connect-src 'self'; worker-src 'self'"
)
CACHED = f"/{FOLDER}/*\n  Cache-Control: public, max-age=31536000, immutable\n"


def told(site, base_path="/", **files):
    """The notes for a site of these files, with dots for underscores in front."""
    for name, text in files.items():
        (site / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return host_notes.notes(site, FOLDER, base_path)


def page(address="", head=""):
    link = f'<link rel="canonical" href="{address}">' if address else ""
    return f"<!doctype html><head>{link}{head}</head><p>x"


def headers(policy, more=CACHED):
    return f"/*\n  Content-Security-Policy: {policy}\n{more}"


def test_nothing_is_known_of_a_bare_site(tmp_path):
    assert told(tmp_path) == []
    assert told(tmp_path, index__html=page()) == []


@pytest.mark.parametrize(
    ("address", "base_path", "wanted"),
    [
        ("https://example.org/", "/", ""),
        ("http://localhost:8000/", "/", ""),
        ("http://127.0.0.1/", "/", ""),
        ("http://example.org/", "/", "need https"),
        ("https://me.github.io/project/", "/project/", ""),
        ("https://me.github.io/project/index.html", "/project/", ""),
        ("https://me.github.io/project/", "/", "pass --base-path /project/"),
        ("relative/only", "/", ""),
    ],
)
def test_the_address_that_pages_name(tmp_path, address, base_path, wanted):
    notes = told(tmp_path, base_path, index__html=page(address))
    assert len(notes) == bool(wanted)
    assert wanted in "".join(notes)


def test_a_domain_of_one_s_own_is_served_at_its_root(tmp_path):
    files = {"index__html": page("https://example.org/project/"), "CNAME": "example.org\n"}
    assert "https://example.org/" in told(tmp_path, "/project/", **files)[0]
    assert told(tmp_path, "/project/", CNAME="other.org") == []


def test_the_site_s_own_worker(tmp_path):
    (tmp_path / "app.js").write_text("document.addEventListener('click', () => {});")
    (tmp_path / worker.NAME).write_text("self.addEventListener('fetch', f);")
    assert told(tmp_path) == []
    (tmp_path / "sw.js").write_text("self.addEventListener('fetch', f);")
    (note,) = told(tmp_path)
    assert note.startswith("sw.js")
    line = re.search(r'importScripts\(".*"\);', note)
    (tmp_path / "sw.js").write_text(f"{line[0]}\nself.addEventListener('fetch', f);")
    assert told(tmp_path) == []


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (GOOD, []),
        ("frame-ancestors 'none'; upgrade-insecure-requests", []),
        ("script-src * 'unsafe-eval'", []),
        (GOOD.replace(" 'wasm-unsafe-eval'", ""), ["'wasm-unsafe-eval' in script-src"]),
        (GOOD.replace("connect-src 'self'; ", ""), ["'self' in connect-src"]),
        (GOOD.replace("img-src 'self'", "img-src data:"), ["'self' in img-src"]),
        (GOOD.replace("worker-src 'self'", "worker-src 'none'"), ["'self' in worker-src"]),
        ("script-src 'self' 'unsafe-eval'; child-src blob:", ["'self' in worker-src"]),
        (
            "script-src 'nonce-x' 'strict-dynamic' 'wasm-unsafe-eval' 'self'",
            ["worker-src", "registers the worker"],
        ),
        ("default-src 'self'", ["'wasm-unsafe-eval' in script-src"]),
        # Where it is served from is not known, so neither whether these are its own host.
        (GOOD.replace("'self'", "https://cdn.example.org"), []),
    ],
)
def test_policies(tmp_path, policy, wanted):
    notes = told(tmp_path, _headers=headers(policy))
    assert len(notes) == len(wanted)
    for note, part in zip(notes, wanted, strict=True):
        assert note.startswith("_headers: ")
        assert part in note
        assert "\n" not in note


def test_a_policy_that_names_the_site_s_own_host(tmp_path):
    policy = GOOD.replace("'self'", "https://example.org")
    files = {"_headers": headers(policy)}
    assert told(tmp_path, index__html=page("https://example.org/"), **files) == []
    notes = told(tmp_path, index__html=page("https://other.org/"), **files)
    assert len(notes) == 4
    assert told(tmp_path, _headers=headers(GOOD.replace("'self'", "*.example.org"))) == []


def test_a_policy_in_the_page(tmp_path):
    policy = "default-src 'self'; img-src data:"
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    (note,) = told(tmp_path, index__html=page(head=tag))
    assert note.startswith("index.html: its policy lacks 'self' in img-src")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (CACHED, []),
        ("/x\n  X-Frame-Options: DENY\n", ["never change under their names"]),
        (CACHED.replace("31536000", "600"), ["never change under their names"]),
        ("/*\n  Cache-Control: max-age=31536000\n", ["changes come late"]),
        (f"/{worker.NAME}\n  Cache-Control: no-cache\n{CACHED}", []),
    ],
)
def test_caching(tmp_path, text, wanted):
    notes = told(tmp_path, _headers=text)
    assert len(notes) == len(wanted)
    assert all(part in note for note, part in zip(notes, wanted, strict=True))


def test_expiry_by_type_is_not_read(tmp_path):
    text = "Header set X-Frame-Options DENY\nExpiresActive On\n"
    assert told(tmp_path, __htaccess=text) == []


@pytest.mark.parametrize("browser", ["always", "never"])
def test_a_build_says_it_with_a_worker_and_not_without(tmp_path, make, browser):
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.png").write_bytes(make.file(make.photo(80, 120, 0)))
    (site / "index.html").write_text(page("http://example.org/") + "<img src=a.png>")
    summary = rewrite_site(site, Settings(store=tmp_path / "store", browser=browser))
    lines = table(summary).splitlines()
    assert max(map(len, lines)) <= 80
    if browser == "never":
        assert summary.hosting == ()
    else:
        (note,) = summary.hosting
        assert "need https" in note
        assert any(line.startswith("host: the pages name http://example.org/") for line in lines)

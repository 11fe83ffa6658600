"""sitecodec.visitors.host_rules: what hosts' configuration files ask for."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from sitecodec.site import layout
from sitecodec.site.layout import Layouts
from sitecodec.visitors import host_rules, patterns


def found(site, path, name="x-a"):
    return [value for _, value in host_rules.values(host_rules.read(site), path, name)]


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def test_no_files_give_no_rules(site):
    assert host_rules.read(site) == []


def test_underscore_headers(site):
    (site / "_headers").write_text(
        "# all\n/*\n  X-A: one\n  ! X-B\n/blog/:year/index.html\n\tX-A: two: 2\n"
        "https://example.org/c\n  x-a: three\n\n  X-C\n"
    )
    assert found(site, "/") == ["one"]
    assert found(site, "/blog/2024/index.html") == ["one", "two: 2"]
    assert found(site, "/blog/2024/x/index.html") == ["one"]
    assert found(site, "/c") == ["one", "three"]
    assert host_rules.values(host_rules.read(site), "/", "x-a") == [("_headers", "one")]


@pytest.mark.parametrize("beside", [False, True])
def test_netlify(site, beside):
    place = site.parent if beside else site
    (place / "netlify.toml").write_text(
        '[[headers]]\nfor = "/assets/*"\n[headers.values]\nX-A = """\none,\ntwo"""\nX-B = "b"\n'
    )
    assert found(site, "/assets/x.js") == ["one, two"]
    assert found(site, "/other.js") == []


@pytest.mark.parametrize(
    ("source", "path", "applies"),
    [
        ("/(.*)", "/", True),
        ("/(.*)", "/a/b", True),
        ("/:path*", "/a/b", True),
        ("/:file(.*\\.js)", "/a.js", True),
        ("/:file(.*\\.js)", "/a.css", False),
        ("/:name.js", "/a.js", True),
        ("/:name.js", "/a/b.js", False),
        ("/a.js", "/abjs", False),
        ("/((?!api/).*)", "/a", True),
        ("/((?!api/).*)", "/api/a", False),
        ("/:path*/", "/a/b/", True),
        ("/" + "(a?)" * 60 + "b", "/" + "a" * 60, False),
        ("/(([a-z.]+)+)X", "/" + "a" * 200, False),
        ("/(a)(\\1)", "/ab", True),  # is not understood
        ("/" + "(a)" * 300, "/b", True),  # is too long
    ],
)
def test_vercel(site, source, path, applies):
    entry = {"source": source, "headers": [{"key": "X-A", "value": "v"}]}
    conditional = entry | {"has": [{"type": "host", "value": "other"}]}
    (site / "vercel.json").write_text(json.dumps({"headers": [entry, conditional]}))
    assert found(site, path) == ["v"] * applies


def test_htaccess(site):
    (site / ".htaccess").write_text(
        """
        # Header set X-A "comment"
        <IfModule mod_headers.c>
          Header always set X-A "one \\"quoted\\""
          <FilesMatch "\\.(avif|js)$">
            Header set X-A two
          </FilesMatch>
          <Files "only.js">
            Header append X-A \\
              three
          </Files>
        </IfModule>
        <If "%{HTTP_HOST} == 'x'">
          Header set X-A unknown
        </If>
        Header set X-A conditional env=SOME
        Header unset X-B
        """
    )
    assert found(site, "/") == ['one "quoted"']
    assert found(site, "/a/b.js") == ['one "quoted"', "two"]
    assert found(site, "/only.js") == ['one "quoted"', "two", "three"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vercel.json", "{"),
        ("vercel.json", "[]"),
        ("vercel.json", '{"headers": [{"source": "/(", "headers": [{"key": "a", "value": "b"}]}]}'),
        ("netlify.toml", "headers = 1"),
        ("netlify.toml", "[[headers]]"),
        (".htaccess", '<FilesMatch "(">\nHeader set X-A b\n</FilesMatch>'),
        ("_headers", "\x00\x00"),
        ("netlify.toml", ".".join("a" * 20_000) + " = 1"),
        ("netlify.toml", "x." + '"a ".' * 20_000 + "b = 1"),
        (".htaccess", '<FilesMatch "a{99999999999999999999}">\nHeader set X y\n</FilesMatch>'),
        ("vercel.json", '{"headers": [{"source": "/(.*)", "headers": [{"key": 5, "value": 7}]}]}'),
        ("vercel.json", '{"headers": [{"source": "/(a{99999999999999999999})", "headers": []}]}'),
    ],
)
def test_broken_files_are_their_host_s_matter(site, name, text):
    (site / name).write_text(text)
    (site / "_headers").write_text("/*\n  X-B: b\n")
    rules = host_rules.read(site)
    assert [rule.name for rule in rules if rule.name == "X-B"] == ["X-B"]
    assert host_rules.values(rules, "/a.js", "x-b")


def test_wildcards_without_end(site):
    (site / "_headers").write_text("/*" + "a*" * 15 + "b\n  X-A: one\n")
    assert found(site, "/" + "a" * 200) == []
    assert found(site, "/" + "a" * 200 + "b") == ["one"]


def test_wildcards_beside_each_other_are_one_and_many_are_taken_to_match(site):
    (site / "_headers").write_text(
        "/" + "*" * 400 + "b\n  X-A: one\n/" + "*a" * 30 + "\n  X-A: two\n"
    )
    assert found(site, "/xb") == ["one", "two"]
    assert found(site, "/xa") == ["two"]


def test_repetition_in_repetition(site):
    (site / ".htaccess").write_text(
        '<FilesMatch "^([a-z.]+)+X$">\nHeader set X-A one\n</FilesMatch>\n'
        '<FilesMatch "(?i)^(a{2,3}|b)+?\\.[^.]+$">\nHeader set X-A two\n</FilesMatch>\n'
    )
    assert found(site, "/" + "a" * 100) == []
    assert found(site, "/" + "a" * 100 + "X") == ["one"]
    assert found(site, "/aaBAA.js") == ["two"]
    assert found(site, "/aba.js") == []


def test_sections_and_rules_without_end(site):
    count = host_rules._MOST_RULES
    text = "<Files a.js>\n" * 3000 + "Header set X-A one\n" * 3000
    (site / ".htaccess").write_text(text)
    assert len(found(site, "/a.js")) == 3000
    assert len(found(site, "/b.js")) == 3000 - count


@pytest.mark.parametrize(
    "pattern",
    ["a*", "(a|ab)(c|bcd)*", "[^a]b?", "^a$|b", "(?:a|b){2}", "(a?){3}b", "a(?=b)b", "(?!a).+",
     "\\.a", ".a\\w", "((a)|b*)*c", "[]a]+", "", "a||b", "(?P<x>a)+?", "x{1,2}", "a{2,}"],
)  # fmt: skip
@pytest.mark.parametrize("whole", [True, False])
def test_patterns_match_as_in_python(pattern, whole):
    applies = patterns.regular(pattern, whole=whole)
    looks = re.compile(pattern).fullmatch if whole else re.compile(pattern).search
    for size in range(5):
        for signs in itertools.product("abc.", repeat=size):
            path = "".join(signs)
            assert applies(path) == (looks(path) is not None), path


def test_a_page_is_compared_with_so_many_policies_and_takes_the_rest_for_its_own(tmp_path):
    rules = "".join(f"/{n}.html\n  Content-Security-Policy: p{n}\n" for n in range(50))
    (tmp_path / "_headers").write_text(rules)
    found = Layouts(tmp_path, "/").policies("5.html")
    assert "p5" in found
    assert "p6" not in found
    assert len(found) == 1 + 50 - layout._MOST_POLICIES


def test_too_many_policies_for_each_page_to_read_allow_nothing(tmp_path):
    rules = "/*\n" + "".join(f"  Content-Security-Policy: img-src p{n}\n" for n in range(1000))
    (tmp_path / "_headers").write_text(rules)
    found = Layouts(tmp_path, "/").policies("5.html")
    assert len(found) == layout._MOST_POLICIES + 1
    assert found[-1] == "default-src 'none'"


@pytest.mark.parametrize("range", ["[!-\uffff]", r"[!-\uffff]", r"[\x21-\xff]"])
def test_ranges_that_take_long_to_compile_are_taken_to_match(range):
    assert patterns.regular(f"(?i)/{range}", whole=True) is patterns.everything

"""What a policy lets through (page/policy.py), with Chromium as the oracle in tests/browser."""

from __future__ import annotations

import pytest

from sitecodec.page import policy
from sitecodec.page.policy import Allowed

ALL = Allowed()
NONE = Allowed(*([False] * 6))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ALL),
        ("frame-ancestors 'none'", ALL),
        ("default-src 'none'", NONE),
        ("default-src 'self'", NONE._replace(style_file=True, script_file=True)),
        ("DEFAULT-SRC 'SELF' 'unsafe-inline' data:", ALL),
        ("style-src 'self'", ALL._replace(style=False, style_attributes=False)),
        ("style-src 'unsafe-inline'", ALL._replace(style_file=False)),
        ("style-src 'self' 'unsafe-inline'", ALL),
        (
            "style-src 'self' 'unsafe-inline' 'nonce-x'",
            ALL._replace(style=False, style_attributes=False),
        ),
        ("style-src-attr 'none'", ALL._replace(style_attributes=False)),
        ("style-src-elem 'self'", ALL._replace(style=False)),
        (
            "script-src 'nonce-abc' 'strict-dynamic' 'self'",
            ALL._replace(script=False, script_file=False),
        ),
        ("script-src https:", ALL._replace(script=False)),
        ("script-src cdn.example", ALL._replace(script=False, script_file=False)),
        ("img-src 'self'", ALL._replace(data_images=False)),
        ("img-src 'self' data:", ALL),
        ("img-src *", ALL._replace(data_images=False)),
        (
            "style-src 'self'; style-src 'unsafe-inline'",
            ALL._replace(style=False, style_attributes=False),
        ),
    ],
)
def test_what_is_let_through(text: str, expected: Allowed) -> None:
    assert policy.allowed([text]) == expected


def test_every_policy_counts() -> None:
    both = policy.allowed(["style-src 'self'", "script-src 'none'"])
    assert both == ALL._replace(
        style=False, style_attributes=False, script=False, script_file=False
    )


def test_hosts_count_where_the_address_is_known() -> None:
    text = "script-src docs.example"
    assert policy.allowed([text], "https://docs.example/a/").script_file
    assert not policy.allowed([text], "https://other.example/").script_file


def test_policies_of_a_page() -> None:
    page = (
        b'<META content="default-src &#39;self&#39;" HTTP-EQUIV=Content-Security-Policy>'
        b"<!-- <meta http-equiv=content-security-policy content=x> -->"
        b"<meta http-equiv=refresh content=1><meta name=content-security-policy content=y>"
        b"<meta http-equiv='content-security-policy' content=\"img-src a\">"
    )
    assert policy.in_page(page) == ["default-src 'self'", "img-src a"]

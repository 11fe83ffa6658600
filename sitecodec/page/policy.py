"""The things that a page's Content-Security-Policy allows (CSP Level 3).

A policy is its text. Where a page has several, each has to allow a thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from sitecodec.page.tokens import Tag, attributes_of, tags

_MENTIONED = re.compile(rb"content-security-policy", re.IGNORECASE)
# Beside one of these, 'unsafe-inline' does not count.
_PARTICULAR = ("'nonce-", "'sha256-", "'sha384-", "'sha512-", "'strict-dynamic'")

STYLE = ("style-src-elem", "style-src")
STYLE_ATTRIBUTE = ("style-src-attr", "style-src")
SCRIPT = ("script-src-elem", "script-src")
IMAGE = ("img-src",)


class Allowed(NamedTuple):
    """The additions to a page that its policies allow."""

    style: bool = True
    """`<style>` elements."""

    style_attributes: bool = True
    style_file: bool = True
    """Style sheets of the site's own."""

    script: bool = True
    """`<script>` elements that hold their text."""

    script_file: bool = True
    data_images: bool = True
    """Pictures in `data:` addresses."""

    restyling: bool = True
    """Changes to the author's own `<style>` elements, which a hash may pin."""


def allowed(policies: Iterable[str], address: str = "") -> Allowed:
    """The additions that the policies of a page allow; `address` is the page's own, if known."""
    found = Allowed()
    for policy in policies:
        found = Allowed(
            style=found.style and allows_inline(policy, STYLE),
            style_attributes=found.style_attributes and allows_inline(policy, STYLE_ATTRIBUTE),
            style_file=found.style_file and allows_self(policy, STYLE, address, unknown=False),
            script=found.script and allows_inline(policy, SCRIPT),
            script_file=found.script_file and allows_self(policy, SCRIPT, address, unknown=False),
            data_images=found.data_images and allows(policy, IMAGE, ("data:",)),
            restyling=found.restyling and not _pins(policy),
        )
    return found


def in_page(data: bytes) -> list[str]:
    """The policies that a page states itself."""
    if not _MENTIONED.search(data):
        return []
    found = []
    for start, end, name in tags(data, len(data), every=True):
        if name != "meta":
            continue
        tag = Tag(start, end, tuple(attributes_of(data, start, end)))
        if (tag.get("http-equiv") or "").strip().lower() == "content-security-policy":
            found.append(tag.get("content") or "")
    return found


def allows(policy: str, names: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether a policy lists one of these for the first of the directives that it has."""
    found = _sources(policy, names)
    return found is None or not set(found).isdisjoint(wanted)


def allows_inline(policy: str, names: Iterable[str]) -> bool:
    """Whether what stands in the page itself is let through."""
    found = _sources(policy, names)
    if found is None:
        return True
    return "'unsafe-inline'" in found and not any(s.startswith(_PARTICULAR) for s in found)


def allows_self(policy: str, names: Iterable[str], address: str, *, unknown: bool) -> bool:
    """Whether a policy lets the site's own files through; `unknown` where that is not known."""
    found = _sources(policy, names)
    if found is None:
        return True
    if "'strict-dynamic'" in found:
        return False  # hosts do not count beside it
    if not {"'self'", "*", "https:"}.isdisjoint(found):
        return True
    hosts = [s for s in found if not s.startswith("'") and not re.fullmatch(r"[a-z]+:", s)]
    own = urlsplit(address).hostname
    if hosts and (own is None or any("*" in host for host in hosts)):
        return unknown
    return any(own == (urlsplit(s if "//" in s else f"//{s}").hostname or "") for s in hosts)


def _pins(policy: str) -> bool:
    """Whether a policy names the hashes of style elements."""
    return any(s.startswith(_PARTICULAR[1:4]) for s in _sources(policy, STYLE) or ())


@lru_cache(maxsize=64)  # the pages of a site have the same
def _directives(policy: str) -> dict[str, list[str]]:
    """The directives of a policy; of equal ones the first counts, as the standard says."""
    found: dict[str, list[str]] = {}
    for part in policy.split(";"):
        words = part.split()
        if words:
            found.setdefault(words[0].lower(), [word.lower() for word in words[1:]])
    return found


def _sources(policy: str, names: Iterable[str]) -> list[str] | None:
    """The source list that is in force: the first of these directives, else default-src."""
    found = _directives(policy)
    return next((found[name] for name in (*names, "default-src") if name in found), None)

"""The address at which a built site will be served, as far as its first page tells."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from sitecodec.disk.folders import plain
from sitecodec.page.urls import site_root

_ROOTED = ("href", "src")
_LONGEST = 1000  # each reference of a page is resolved against it


def address(page: bytes) -> str:
    """The address that a page names as its own, by its canonical link; '' if it names none."""
    if b"canonical" not in page.lower():
        return ""
    from sitecodec.page.tokens import plain_tags  # which most builds of unchanged pages do without

    links = plain_tags(page, "link")
    named = (t.get("href") for t in links if "canonical" in (t.get("rel") or "").lower().split())
    href = next(named, None) or ""
    try:
        return href if urlsplit(href).hostname else ""
    except ValueError:
        return ""


def base_path(site: Path) -> str:
    """The URL path that a site is served under, from '/' to '/docs/'.

    That is where the first page says it is. A page whose style sheets and scripts have addresses
    that begin with a slash and lie elsewhere is not believed: it would not work there.
    """
    try:
        page = plain(site / "index.html")
    except OSError:
        return "/"
    named = urlsplit(address(page)).path
    root = site_root(named[: named.rfind("/") + 1])
    if root == "/" or len(root) > _LONGEST:
        return "/"
    from sitecodec.page.tokens import plain_tags

    rooted = [
        value
        for name in ("link", "script")
        for tag in plain_tags(page, name)
        for attribute in _ROOTED
        if (value := tag.get(attribute) or "").startswith("/") and not value.startswith("//")
    ]
    if rooted and not any(value.startswith(root) for value in rooted):
        return "/"
    return root

"""The address at which a built site will be served, as far as its first page tells."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from sitecodec.disk.folders import plain
from sitecodec.page.urls import LONGEST_BASE, Root, site_root

_ROOTED = ("href", "src")


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


def root(site: Path, told: str | None = None) -> Root:
    """Where a site is served: its URL path, from '/' to '/docs/', and its host if that is known.

    The path is what is `told`, or else where the first page says it is. A page whose style sheets
    and scripts have addresses that begin with a slash and lie elsewhere is not believed: it would
    not work there. Nor is its host if another path is told.
    """
    try:
        page = plain(site / "index.html")
    except OSError:
        page = b""
    named = urlsplit(address(page))
    said = site_root(named.path[: named.path.rfind("/") + 1], named.netloc)
    if len(said) > LONGEST_BASE or not _may_be_at(page, said):
        said = site_root("/")
    wanted = said if told is None else site_root(told)
    return said if wanted == said else wanted


def _may_be_at(page: bytes, root: str) -> bool:
    """Whether style sheets and scripts that a page names from the root on may lie below this."""
    if root == "/":
        return True
    from sitecodec.page.tokens import plain_tags

    rooted = [
        value
        for name in ("link", "script")
        for tag in plain_tags(page, name)
        for attribute in _ROOTED
        if (value := tag.get(attribute) or "").startswith("/") and not value.startswith("//")
    ]
    return not rooted or any(value.startswith(root) for value in rooted)

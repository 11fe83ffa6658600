"""Conversion between the URLs that pages write and paths inside the site."""

from __future__ import annotations

import os
import posixpath
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

from sitecodec.facts.reasons import Reason

_SCHEME = r"([a-zA-Z][a-zA-Z0-9+.-]*):"
_HOST = re.compile(r"(?:https?:)?//([^/\\?#]*)", re.IGNORECASE)
_STRIPPED = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans("", "", "\t\n\r")
LONGEST_BASE = 1000
"""Characters of the longest path that references are resolved against: each would be as long."""


class Target(NamedTuple):
    """The place in the site to which a reference points."""

    path: str
    """Decoded path below the site's folder, without a leading slash; not checked to exist."""

    fragment: str
    """The part from `#` on, as it was written; '' if there is none."""

    rooted: bool
    """Whether the reference began with a slash, so does not depend on the page's own URL."""


class Root(str):
    """The decoded URL path that a site is served under, from '/' to '/docs/'."""

    host: str = ""
    """The host of its address, with a port if it has one; '' if that is not known."""


def site_root(base_path: str, host: str = "") -> Root:
    """The root of the site at a URL path of a host."""
    inner = unquote(base_path).strip("/")
    root = Root(f"/{inner}/" if inner else "/")
    root.host = host.lower()
    return root


def resolve(reference: str, page: str, root: str = "/") -> Target | str:
    """Resolve a reference, as the URL standard's parser does (https://url.spec.whatwg.org).

    `page` is the decoded URL path it is relative to, `root` that of the site (see `site_root`).
    Where it does not point into the site, returns why in a few words instead: 'remote', 'inline
    data', 'outside the site', 'no file'.

    A whole address of the root's own host points into the site, too. It is not `rooted`: at another
    address, as of a preview of the site, what is built for it is only found beside the page.
    """
    text = reference.strip(_STRIPPED).translate(_REMOVED)
    whole = _at_own_host(text, page, root)
    if whole is not None:
        text = whole
    elif scheme := re.match(_SCHEME, text):
        return "inline data" if scheme[1].lower() in ("data", "blob") else Reason.REMOTE
    text, mark, fragment = text.partition("#")
    path = text.partition("?")[0].replace("\\", "/")
    if path.startswith("//"):
        return Reason.REMOTE
    if not path:
        return "no file"
    full = path if path.startswith("/") else _folder(page) + path
    decoded = os.fsdecode(unquote_to_bytes("/" + "/".join(_without_dots(full))))
    # An encoded slash is none to browsers, but it is to a file system.
    if not decoded.startswith(root) or ".." in decoded.split("/"):
        return Reason.OUTSIDE
    rooted = path.startswith("/") and whole is None
    return Target(decoded[len(root) :].lstrip("/"), mark + fragment, rooted)


def _at_own_host(text: str, page: str, root: str) -> str | None:
    """The path, with all after it, of an address at the site's own host; None for other addresses.

    The page for errors is shown at any address, so that nothing can be relative to its own.
    """
    host = root.host if isinstance(root, Root) else ""
    match = _HOST.match(text) if host and not page.endswith("/404.html") else None
    return text[match.end() :] if match and match[1].lower() == host else None


def base_of(page: str, href: str | None, root: str = "/") -> str | None:
    """The decoded URL path that a page's references are relative to; None if it is elsewhere.

    `page` is the page's path in the site, `href` that of its `<base>`.
    """
    own = root + page
    if href is None:
        return own
    text = href.strip(_STRIPPED).translate(_REMOVED).partition("#")[0].partition("?")[0]
    if re.match(_SCHEME, text) or text.replace("\\", "/").startswith("//"):
        return None
    text = text.replace("\\", "/")
    if len(text) > LONGEST_BASE:
        return None  # each reference would be as long
    if not text:
        return own
    full = text if text.startswith("/") else _folder(own) + text
    folder = text.endswith(("/", "/.", "/..")) or text in (".", "..")
    parts = "/" + "/".join(_without_dots(full))
    return unquote(parts.rstrip("/") + "/" if folder else parts)


def to_url(path: str, base: str, root: str = "/", *, rooted: bool = False) -> str:
    """The URL, encoded for src and srcset, of the file `path` in the site, relative to `base`."""
    if rooted:
        return _encoded(root + path)
    folder, _, name = path.rpartition("/")
    return _way(root + folder, posixpath.dirname(base)) + _encoded(name)


@lru_cache(maxsize=64)
def _way(folder: str, start: str) -> str:
    """How a URL leads from one folder to another: '' or with a last slash. Pages repeat it."""
    way = posixpath.relpath(folder, start)
    return "" if way == "." else _encoded(way) + "/"


def _folder(page: str) -> str:
    """The URL path, encoded and with its last slash, of the folder that a page is in."""
    return _encoded(page[: page.rindex("/") + 1])


def _encoded(path: str) -> str:
    return quote(os.fsencode(path), safe="/")


def _without_dots(path: str) -> list[str]:
    """The segments of an absolute, encoded path, '.' and '..' resolved as browsers do."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(segment)
    return kept

"""The needs of a host's set-up for visitors to get payloads: a line for each thing.

They come from the site's own files alone: its configuration for a host (host_rules.py), the address
that its pages name, a worker of its own. docs/visitors.md explains the requirements.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from sitecodec.disk.folders import plain
from sitecodec.facts import formats
from sitecodec.page import policy, served, urls
from sitecodec.visitors import host_rules, worker

_OWN_WORKER = re.compile(rb"addEventListener\(\s*[\"']fetch[\"']|\bonfetch\s*=|\bworkbox\b")
_MOST_SCRIPT = 500_000
_LONG = 30 * 86400  # seconds: what Lighthouse asks of files that never change
_SHORT = 86400


def notes(site: Path, folder: str, base_path: str = "/") -> list[str]:
    """The remaining tasks, a line each, for a site that the worker was written into.

    `folder` is the site path of the assets. Nothing in it says what cannot be known from here.
    """
    page = _read(site / "index.html")
    address = served.address(page)
    rules = host_rules.read(site)
    return [
        *_address_notes(site, address, base_path),
        *_own_worker_notes(site),
        *_policy_notes(page, rules, folder, address),
        *_cache_notes(site, rules, folder),
    ]


def _address_notes(site: Path, address: str, base_path: str) -> Iterator[str]:
    parts = urlsplit(address)
    if parts.scheme == "http" and not _is_local(parts.hostname or ""):
        yield (
            f"the pages name {address} as their address: service workers need https;"
            " over http, fallbacks show"
        )
    path, root = urls.site_root(parts.path.rpartition("/")[0]), urls.site_root(base_path)
    domain = _read(site / "CNAME").decode("utf-8", "replace").strip()
    if domain and path != "/" and parts.hostname == domain.lower():
        yield (
            f"CNAME: {domain} serves the site at its root, but its pages name {path};"
            f" set site_url to https://{domain}/"
        )
    elif parts.scheme and path != root:
        yield (
            f"the pages name {path} as their place, but addresses that begin with a slash were"
            f" taken from {root}; pass --base-path {path} (MkDocs: set site_url)"
        )


def _own_worker_notes(site: Path) -> Iterator[str]:
    """A worker of the site's own is at its root, or could not see all of it."""
    for place in sorted(site.glob("*.js")):
        if place.name == worker.NAME or place.stat().st_size > _MOST_SCRIPT:
            continue
        script = _read(place)
        if _OWN_WORKER.search(script) and worker.NAME.encode() not in script:
            yield (
                f"{place.name} looks like a service worker of the site's own, which has"
                f' precedence: begin it with importScripts("/{worker.NAME}");'
            )


def _policy_notes(
    page: bytes, rules: list[host_rules.Rule], folder: str, address: str
) -> Iterator[str]:
    name = "content-security-policy"
    for file, text in host_rules.values(rules, f"/{worker.NAME}", name):
        where = f"{file}: the policy for /{worker.NAME}"
        if not policy.allows(text, ("script-src",), ("'wasm-unsafe-eval'", "'unsafe-eval'")):
            yield f"{where} lacks 'wasm-unsafe-eval' in script-src"
        if not _allows_self(text, ("connect-src",), address):
            yield f"{where} lacks 'self' in connect-src"
    policies = {
        p: f"{file}: the policy for pages" for file, p in host_rules.values(rules, "/", name)
    }
    for text in policy.in_page(page):
        policies.setdefault(text, "index.html: its policy")
    for text, where in policies.items():
        chain = ("worker-src", "child-src", "script-src")
        if not _allows_self(text, chain, address):
            yield f"{where} lacks 'self' in worker-src"
        if not _allows_self(text, policy.IMAGE, address):
            yield f"{where} lacks 'self' in img-src: the pictures in /{folder}/ do not show"
        if not _allows_self(text, policy.SCRIPT, address):
            yield f"{where} does not let the script that registers the worker run (script-src)"


def _cache_notes(site: Path, rules: list[host_rules.Rule], folder: str) -> Iterator[str]:
    name = "cache-control"
    for file, value in host_rules.values(rules, f"/{worker.NAME}", name):
        if "immutable" in value.lower() or _age(value) > _SHORT:
            yield f"{file}: /{worker.NAME} is cached for long, so that changes come late; max-age=0"
    files = list(dict.fromkeys(rule.file for rule in rules))
    given = host_rules.values(rules, f"/{folder}/a-000000000000-1w{formats.AVIF.suffix}", name)
    if files and ".htaccess" in files and b"ExpiresActive" in _read(site / ".htaccess"):
        return  # by type, which is not read here
    if files and not any(_age(value) >= _LONG for _, value in given):
        yield (
            f"{files[0]}: files in /{folder}/ never change under their names;"
            " send Cache-Control: public, max-age=31536000, immutable"
        )


def _allows_self(text: str, names: tuple[str, ...], address: str) -> bool:
    return policy.allows_self(text, names, address, unknown=True)


def _age(value: str) -> int:
    """Seconds that a Cache-Control header gives; -1 if it gives none."""
    if match := re.search(r"\bmax-age\s*=\s*\"?(\d{1,12})", value, re.IGNORECASE):
        return int(match[1])
    return -1


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(place: Path) -> bytes:
    try:
        return plain(place)
    except OSError:
        return b""

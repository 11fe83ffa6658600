"""What a host's set-up still needs so that visitors get payloads: a line for each thing.

Said is only what the site's own files show: its configuration for a host (headers.py), the address
that its pages name, a worker of its own. docs/visitors.md explains the requirements.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

from sitecodec.page import urls
from sitecodec.site import headers, worker

_CANONICAL = re.compile(rb"<link\b[^>]*\brel=[\"']?canonical\b[^>]*>", re.IGNORECASE)
_POLICY = re.compile(
    rb"<meta\b[^>]*\bhttp-equiv=[\"']?content-security-policy\b[^>]*>", re.IGNORECASE
)
_ATTRIBUTE = r"\b{}\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))"
_OWN_WORKER = re.compile(rb"addEventListener\(\s*[\"']fetch[\"']|\bonfetch\s*=|\bworkbox\b")
_MOST_SCRIPT = 500_000
_LONG = 30 * 86400  # seconds: what Lighthouse asks of files that never change
_SHORT = 86400


def notes(site: Path, folder: str, base_path: str = "/") -> list[str]:
    """What is still to be done, a line each, for a site that the worker was written into.

    `folder` is the site path of the assets. Nothing in it says what cannot be known from here.
    """
    page = _read(site / "index.html")
    address = _address(page)
    rules = headers.read(site)
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
    page: bytes, rules: list[headers.Rule], folder: str, address: str
) -> Iterator[str]:
    name = "content-security-policy"
    for file, policy in headers.values(rules, f"/{worker.NAME}", name):
        where = f"{file}: the policy for /{worker.NAME}"
        if not _allows(policy, ("script-src",), ("'wasm-unsafe-eval'", "'unsafe-eval'")):
            yield f"{where} lacks 'wasm-unsafe-eval' in script-src"
        if not _allows_self(policy, ("connect-src",), address):
            yield f"{where} lacks 'self' in connect-src"
    policies = {p: f"{file}: the policy for pages" for file, p in headers.values(rules, "/", name)}
    for tag in _POLICY.findall(page):
        policies.setdefault(_attribute(tag, "content"), "index.html: its policy")
    for policy, where in policies.items():
        chain = ("worker-src", "child-src", "script-src")
        if not _allows_self(policy, chain, address):
            yield f"{where} lacks 'self' in worker-src"
        if not _allows_self(policy, ("img-src",), address):
            yield f"{where} lacks 'self' in img-src: the pictures in /{folder}/ do not show"
        if not _allows_self(policy, ("script-src-elem", "script-src"), address):
            yield f"{where} does not let the script that registers the worker run (script-src)"


def _cache_notes(site: Path, rules: list[headers.Rule], folder: str) -> Iterator[str]:
    name = "cache-control"
    for file, value in headers.values(rules, f"/{worker.NAME}", name):
        if "immutable" in value.lower() or _age(value) > _SHORT:
            yield f"{file}: /{worker.NAME} is cached for long, so that changes come late; max-age=0"
    files = list(dict.fromkeys(rule.file for rule in rules))
    given = headers.values(rules, f"/{folder}/a-000000000000-1w.avif", name)
    if files and ".htaccess" in files and b"ExpiresActive" in _read(site / ".htaccess"):
        return  # by type, which is not read here
    if files and not any(_age(value) >= _LONG for _, value in given):
        yield (
            f"{files[0]}: files in /{folder}/ never change under their names;"
            " send Cache-Control: public, max-age=31536000, immutable"
        )


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


def _allows(policy: str, names: Iterable[str], wanted: Iterable[str]) -> bool:
    sources = _sources(policy, names)
    return sources is None or not set(sources).isdisjoint(wanted)


def _allows_self(policy: str, names: Iterable[str], address: str) -> bool:
    """Whether a policy lets the site's own files through; true where that is not known."""
    sources = _sources(policy, names)
    if sources is None:
        return True
    if "'strict-dynamic'" in sources:
        return False  # hosts do not count beside it
    if not {"'self'", "*", "https:"}.isdisjoint(sources):
        return True
    hosts = [s for s in sources if not s.startswith("'") and not re.fullmatch(r"[a-z]+:", s)]
    own = urlsplit(address).hostname
    if hosts and (own is None or any("*" in host for host in hosts)):
        return True
    return any(own == (urlsplit(s if "//" in s else f"//{s}").hostname or "") for s in hosts)


def _age(value: str) -> int:
    """Seconds that a Cache-Control header gives; -1 if it gives none."""
    if match := re.search(r"\bmax-age\s*=\s*\"?(\d+)", value, re.IGNORECASE):
        return int(match[1])
    return -1


def _address(page: bytes) -> str:
    """What the first page names as the site's address: its canonical link."""
    tag = _CANONICAL.search(page)
    href = _attribute(tag[0], "href") if tag else ""
    try:
        return href if urlsplit(href).hostname else ""
    except ValueError:
        return ""


def _attribute(tag: bytes, name: str) -> str:
    text = tag.decode("utf-8", "replace")
    match = re.search(_ATTRIBUTE.format(name), text, re.IGNORECASE)
    return unescape(next((m for m in match.groups() if m), "")) if match else ""


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError:
        return b""

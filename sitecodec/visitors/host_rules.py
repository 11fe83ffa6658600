"""The response headers that a host's configuration files ask for.

Read as the hosts document them: `_headers` (Netlify, Cloudflare Pages), `netlify.toml`,
`vercel.json`, `.htaccess` (Apache). Parts that are not understood are left out, so that
notes never rest on a guess. A pattern that is too large or odd to be matched is taken to match.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sitecodec.disk import configuration_text
from sitecodec.visitors import patterns

_SET = re.compile(
    r"Header\s+(?:always\s+|onsuccess\s+)?(?:set|append|merge|add)\s+"
    r"([\w-]+):?\s+(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\"]+))\s*$",
    re.IGNORECASE,
)
_SECTION = re.compile(r"<\s*+(/?)\s*+(\w++)\s*+([^>]*+)>")
_MOST_BYTES = 1_000_000
_MOST_RULES = 1000
"""The most rules of a file whose paths are compared. Those after them are taken to apply."""

_MOST_NESTED = 20
_LONGEST = 500


@dataclass(frozen=True)
class Rule:
    """A header that a file asks for; `applies` takes a URL path below the site's root, as /a/b."""

    file: str
    applies: Callable[[str], bool]
    name: str
    value: str


def texts(site: Path) -> list[tuple[str, str, str]]:
    """Folder, name and text of all known files, in the site's folder and beside it."""
    found = []
    for folder, name in _PLACES:
        try:
            place = (site.parent if folder else site) / name
            if place.is_file() and place.stat().st_size <= _MOST_BYTES:
                found.append((folder, name, place.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return found


def read(site: Path) -> list[Rule]:
    """The rules of all known files, in the site's folder and, if they belong there, beside it."""
    rules: list[Rule] = []
    for _, name, text in texts(site):
        try:
            for number, (applies, key, value) in enumerate(_PARSERS[name](text)):
                if not isinstance(key, str) or not isinstance(value, str):
                    continue
                compared = applies if number < _MOST_RULES else patterns.everything
                rules.append(Rule(name, compared, key, value))
        except (ArithmeticError, ValueError, TypeError, AttributeError, LookupError):
            continue  # broken: its host says so
        except (RecursionError, re.error):
            continue  # broken: its host says so
    return rules


def values(rules: Iterable[Rule], path: str, name: str) -> list[tuple[str, str]]:
    """File and value of each rule for a header (its name in lower case) that applies to a path."""
    return [(r.file, r.value) for r in rules if r.name.lower() == name and r.applies(path)]


_Parsed = Iterator[tuple[Callable[[str], bool], str, str]]


def _headers(text: str) -> _Parsed:
    applies = None
    for line in text.splitlines():
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if line[0] not in " \t":
            # A whole URL may stand there as well, for one host name of several.
            applies = _splats(re.sub(r"^https?://[^/]+", "", bare))
        elif applies and ":" in bare and not bare.startswith("!"):
            name, _, value = bare.partition(":")
            yield applies, name.strip(), value.strip()


def _netlify(text: str) -> _Parsed:
    for entry in configuration_text.toml(text).get("headers", []):
        for name, value in entry["values"].items():
            yield _splats(entry["for"]), name, " ".join(str(value).split())


def _vercel(text: str) -> _Parsed:
    for entry in json.loads(text).get("headers", []):
        if "has" in entry or "missing" in entry:
            continue  # depends on the request
        applies = _vercel_source(entry["source"])
        for header in entry["headers"]:
            yield applies, header["key"], header["value"]


def _vercel_source(source: str) -> Callable[[str], bool]:
    """Patterns in parentheses are regular expressions; :name takes a segment, :name* any."""
    if len(source) > _LONGEST:
        return patterns.everything
    parts = re.split(r"(:\w+\*|:\w+(?:\([^()]*\))?|\((?:[^()]|\([^()]*\))*\))", source)
    if "(" not in source:
        return patterns.wildcards(["*" if p.endswith("*") and p[0] == ":" else p for p in parts])
    return patterns.regular("".join(_vercel_part(part) for part in parts), whole=True)


def _vercel_part(part: str) -> str:
    if part.startswith("("):
        return part
    if part.startswith(":"):
        own = part.partition("(")[2]
        return ".*" if part.endswith("*") else f"({own}" if own else "[^/]+"
    return re.escape(part)


def _htaccess(text: str) -> _Parsed:
    scopes: list[Callable[[str], bool]] = []
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        bare = line.strip()
        if section := _SECTION.fullmatch(bare):
            if section[1]:
                del scopes[-1:]
            else:
                known = len(scopes) < _MOST_NESTED
                scope = _scope(section[2].lower(), section[3].strip())
                scopes.append(scope if known else patterns.everything)
        elif setting := _SET.fullmatch(bare):
            value = (setting[2] or setting[3] or "").replace('\\"', '"')
            yield _all(tuple(scopes[:_MOST_NESTED])), setting[1], value


def _scope(kind: str, argument: str) -> Callable[[str], bool]:
    """The scope of a section of an .htaccess; an unknown section applies to nothing."""
    bare = argument.strip('"')
    if kind.startswith("if"):
        return lambda _: kind == "ifmodule"
    if kind == "filesmatch" or (kind == "files" and bare.startswith("~")):
        matches = patterns.regular(bare.lstrip("~ ").strip('"'), whole=False)
        return lambda path: matches(path.rpartition("/")[2])
    if kind == "files":
        if len(bare) > _LONGEST:
            return patterns.everything
        return lambda path: fnmatch.fnmatchcase(path.rpartition("/")[2], bare)
    return lambda _: False


def _all(scopes: tuple[Callable[[str], bool], ...]) -> Callable[[str], bool]:
    return lambda path: all(scope(path) for scope in scopes)


def _splats(pattern: str) -> Callable[[str], bool]:
    """`*` stands for anything, `:name` for what is between two slashes."""
    return patterns.wildcards(re.split(r"(\*|:[A-Za-z]\w*)", pattern))


_PARSERS: dict[str, Callable[[str], _Parsed]] = {
    "_headers": _headers,
    ".htaccess": _htaccess,
    "vercel.json": _vercel,
    "netlify.toml": _netlify,
}
# Two of them belong into the project's own folder, which most generators build the site in.
_PLACES = (
    *(("", name) for name in _PARSERS),
    ("..", "vercel.json"),
    ("..", "netlify.toml"),
)

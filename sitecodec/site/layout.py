"""The style sheets and scripts that a page's layout depends on, read once for all pages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sitecodec.disk.folders import plain
from sitecodec.page import urls
from sitecodec.site import files
from sitecodec.site.files import File
from sitecodec.site.page_layout import PageLayout

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from sitecodec.css.sheets import Sheet
    from sitecodec.css.styles import Styles
    from sitecodec.css.tree import Tree
    from sitecodec.site.scripts import Script
    from sitecodec.visitors.host_rules import Rule

_HARMLESS = re.compile(r"font|katex|mathjax|highlight|prism|pygments|icons?\b", re.IGNORECASE)
_HEADERS = "/headers"
_SECURITY = "content-security-policy"
_MOST_POLICIES = 30
"""Policies in the configuration for a host that each page is compared with. Others hold for all."""

_MOST_SCRIPT = 1_000_000
_MOST_IMPORTS = 50
_MOST_SHEETS = 1000
"""The most style sheets of a page. One that is imported several times counts each time."""

_MOST_RULES = 100_000
"""The most rules of a page's linked and imported style sheets, each counted where it is named."""

_MOST_KEPT = 16
_VALUE = "?"


Keyed: TypeAlias = "tuple[tuple[str, ...], Sheet]"
"""A style sheet, and what tells it from others."""


@dataclass
class Layouts:
    """The style sheets, scripts and images of a site, each read once while it does not change."""

    site: Path
    root: str
    markup: str = "auto"
    _states: dict[str, tuple[files.Stamp, str]] = field(default_factory=dict)
    _sheets: dict[tuple[str, ...], Sheet] = field(default_factory=dict)
    _scripts: dict[str, Script] = field(default_factory=dict)
    _styles: dict[tuple[object, ...], Styles] = field(default_factory=dict)
    _natural: dict[str, tuple[files.Stamp, tuple[int, int] | None]] = field(default_factory=dict)

    def is_like(self, other: Layouts) -> bool:
        """Whether another is of the same site, under the same settings."""
        mine, others = (self.site, self.root, self.markup), (other.site, other.root, other.markup)
        return mine == others

    def policies(self, name: str) -> list[str]:
        """The policies that the configuration for a host states for a page."""
        if not self.headers():
            return []
        from sitecodec.visitors import host_rules

        places = {
            f"/{name}",
            f"/{name.removesuffix('index.html')}",
            f"/{name.removesuffix('.html')}",
        }
        found = (host_rules.values(self._policies, place, _SECURITY) for place in sorted(places))
        return list(dict.fromkeys(value for values in found for _, value in values))

    def headers(self) -> dict[str, str]:
        """A hash of the configuration for hosts, under a name that no file has; empty for none."""
        digest = self.state(_HEADERS)
        return {_HEADERS: digest} if digest else {}

    def state(self, path: str) -> str:
        """A hash of what a style sheet or script reads; '' if there is none."""
        if path == _HEADERS:
            return self._configuration
        try:
            stamp = files.stamp(f"{self.site}/{path}")
        except (OSError, ValueError):
            return ""
        if path not in self._states or self._states[path][0] != stamp:
            data = self._read(path)
            digest = "" if data is None else hashlib.sha256(data).hexdigest()
            self._states[path] = stamp, digest
        return self._states[path][1]

    @cached_property
    def _configuration(self) -> str:
        from sitecodec.visitors import host_rules

        texts = host_rules.texts(self.site)
        return hashlib.sha256(repr(texts).encode()).hexdigest() if texts else ""

    @cached_property
    def _policies(self) -> list[Rule]:
        from sitecodec.visitors import host_rules, patterns

        found = [r for r in host_rules.read(self.site) if r.name.lower() == _SECURITY]
        compared, rest = found[:_MOST_POLICIES], found[_MOST_POLICIES:]
        others = {rule.value: replace(rule, applies=patterns.everything) for rule in rest}
        if len(others) > _MOST_POLICIES:  # each page would have to read all of them
            others = {"": replace(rest[0], applies=patterns.everything, value="default-src 'none'")}
        return [*compared, *others.values()]

    def natural(self, path: str) -> tuple[int, int] | None:
        """Width and height that browsers give an image of the site; None if they are not known."""
        from sitecodec.site import natural

        try:
            stamp = files.stamp(f"{self.site}/{path}")
        except (OSError, ValueError):
            return None
        if path not in self._natural or self._natural[path][0] != stamp:
            file = files.find(self.site, path)
            size = natural.size(file.real) if isinstance(file, File) else None
            self._natural[path] = stamp, size
        return self._natural[path][1]

    def page(self, base: str, data: bytes, content: tuple[str, int] | None) -> PageLayout:
        """Read a page's elements, style sheets and scripts."""
        from sitecodec.css import tree

        found = tree.tree(data)
        reading = _Reading(self, base, {}, [], count(), [_MOST_RULES])
        given = list(reading.sheets(found))
        scripts = _together(reading.scripts(found))
        styles = self._all(given, scripts.asks)
        styles.forget()
        strange = next((odd for _, sheet in given for odd in sheet.odd), "")
        unknown = [*reading.unknown, *([f"not understood: {strange}"] if strange else []), ""]
        more = (content, self.markup, reading.linked)
        return PageLayout(found, styles, scripts, unknown[0], *more)

    def sheet(self, path: str, media: str) -> Keyed:
        """A style sheet of the site."""
        key = (self.state(path), media)
        if key not in self._sheets:
            from sitecodec.page import encodings

            data = self._read(path) or b""
            self._parse(key, data.decode("utf-8-sig", "replace"))
            if encodings.is_doubtful_css(data):
                sheet = self._sheets[key]
                self._sheets[key] = sheet._replace(odd=(*sheet.odd, f"{path}, not in UTF-8"))
        return key, self._sheets[key]

    def inline(self, text: str, media: str) -> Keyed:
        """A style sheet in a page."""
        key = (f"<style>{text}", media)
        if key not in self._sheets:
            self._parse(key, text)
        return key, self._sheets[key]

    def script(self, path: str) -> Script:
        """A script of the site."""
        from sitecodec.site import scripts

        state = self.state(path)
        if state not in self._scripts:
            data = (self._read(path) or b"")[:_MOST_SCRIPT]
            self._scripts[state] = scripts.read(data.decode("utf-8", "replace"))
        return self._scripts[state]

    def _parse(self, key: tuple[str, str], text: str) -> None:
        from sitecodec.css import sheets

        self._sheets[key] = sheets.parse(text, key[1])

    def _all(self, given: list[Keyed], asked: tuple[str, ...]) -> Styles:
        key = (tuple(key for key, _ in given), asked)
        if key not in self._styles:
            from sitecodec.css.selectors import read
            from sitecodec.css.styles import Styles

            selectors = (selector for text in asked for selector in read(text))
            if len(self._styles) >= _MOST_KEPT:  # most sites' pages share them
                del self._styles[next(iter(self._styles))]
            self._styles[key] = Styles((sheet for _, sheet in given), selectors)
        return self._styles[key]

    def _read(self, path: str) -> bytes | None:
        file = files.find(self.site, path)
        try:
            return plain(file.real) if isinstance(file, File) else None
        except OSError:
            return None


class _Reading(NamedTuple):
    """Follows a page's links."""

    layouts: Layouts
    base: str
    linked: dict[str, str]
    """The files that were read, with their hashes."""

    unknown: list[str]
    """The style sheets that could not be read."""

    followed: Iterator[int]
    """Numbers the imports of the page."""

    spare: list[int]
    """How many rules its style sheets may still have."""

    def sheets(self, found: Tree) -> Iterator[Keyed]:
        """The style sheets of a page, in their order."""
        for element, text in found.texts.items():
            media = element.get("media") or ""
            if element.get("data-sitecodec") is not None:
                continue  # our own
            if element.tag == "style":
                yield from self._with_imports(self.layouts.inline(text, media), self.base, [])
            elif element.tag == "link" and _is_sheet(element) and media != "print":
                yield from self._linked(element.get("href") or "", self.base, media, [])

    def scripts(self, found: Tree) -> Iterator[Script]:
        """The scripts of a page, and its inline handlers."""
        from sitecodec.site import scripts

        read: set[str] = set()
        for element, text in found.texts.items():
            kind = (element.get("type") or "").lower()
            if element.tag != "script" or (kind and "javascript" not in kind and kind != "module"):
                continue
            if element.get("data-sitecodec") is not None:
                continue  # our own
            address = element.get("src")
            target = None if address is None else urls.resolve(address, self.base, self._root)
            if isinstance(target, urls.Target):
                if target.path not in read:
                    read.add(target.path)
                    self.linked[target.path] = self.layouts.state(target.path)
                    yield self.layouts.script(target.path)
            elif address is not None:
                yield scripts.Script(measures=scripts.read(address).measures)
            else:
                yield scripts.read(text)
        for element in found.root.iter():
            for name, value in element.attrib.items():
                if name.startswith("on"):
                    yield scripts.read(value)

    @property
    def _root(self) -> str:
        return self.layouts.root

    def _linked(self, address: str, base: str, media: str, above: list[str]) -> Iterator[Keyed]:
        target = urls.resolve(address, base, self._root)
        if isinstance(target, str):
            if not _HARMLESS.search(address):
                self.unknown.append(f"a style sheet from another site: {address.partition('?')[0]}")
            return
        self.linked[target.path] = self.layouts.state(target.path)
        if not self.linked[target.path] or target.path in above or len(above) > _MOST_IMPORTS:
            return  # nor does a browser find it
        keyed = self.layouts.sheet(target.path, media)
        if self._has_room(keyed[1]):
            yield from self._with_imports(keyed, self._root + target.path, [*above, target.path])

    def _with_imports(self, keyed: Keyed, base: str, above: list[str]) -> Iterator[Keyed]:
        # Of equal ones the last decides.
        imports = list(dict.fromkeys(reversed(keyed[1].imports)))[::-1]
        for address, layer, always in imports:
            if next(self.followed) >= _MOST_SHEETS:
                self.unknown.append(f"more than {_MOST_SHEETS} imports of style sheets")
                break
            for key, sheet in self._linked(address, base, "" if always else _VALUE, above):
                if not layer:
                    yield key, sheet
                elif self._has_room(sheet):
                    yield (*key, layer), sheet.within(layer)
        yield keyed

    def _has_room(self, sheet: Sheet) -> bool:
        """Whether there is room for a style sheet; once there is none, the rest is unknown."""
        size = 1 + len(sheet.rules) + len(sheet.layers) + len(sheet.imports)
        if size > self.spare[0]:
            self.unknown.append(f"more than {_MOST_RULES} rules in style sheets")
            self.spare[0] = 0
            return False
        self.spare[0] -= size
        return True


def _together(found: Iterable[Script]) -> Script:
    """The effects of several scripts."""
    from sitecodec.site.scripts import Script

    asks: dict[str, None] = {}
    walks: dict[str, None] = {}
    measures = False
    for script in found:
        asks |= dict.fromkeys(script.asks)
        walks |= dict.fromkeys(script.walks)
        measures = measures or script.measures
    return Script(tuple(asks), tuple(walks), measures)


def _is_sheet(link: Element) -> bool:
    relation = (link.get("rel") or "").lower().split()
    return "stylesheet" in relation or (
        "preload" in relation and (link.get("as") or "").lower() == "style"
    )

"""Parts of a page that a framework renders once more in the browser, from a program of its own.

React, Vue, Svelte and similar frameworks take a page over ("hydrate" it). They walk through the
elements, compare them with the ones that their program would make, and replace those that differ.
They would make an image in a `<picture>` again from the author's address. Browsers would then load
both files, and the console would show an error. These images are recognised by the text that each
framework writes into its pages, or by the element that a program takes over.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sitecodec.page.tokens import attributes_of, tags

# What frameworks write, by where: the name of an attribute or the id of the element they render
# into; the text of a script, or its id, on a page that is all theirs; a comment.
_ATTRIBUTES = {
    "data-reactroot": "React",
    "data-server-rendered": "Vue",
    "data-v-app": "Vue",
    "ng-version": "Angular",
    "ng-server-context": "Angular",
    "q:container": "Qwik",
    "data-hk": "Solid",
    "data-svelte-h": "Svelte",
    "data-fastboot": "Ember",
}
_IDS = {
    "__next": "Next.js",
    "___gatsby": "Gatsby",
    "__docusaurus": "Docusaurus",
    "__rspress_root": "Rspress",
    "__nuxt": "Nuxt",
    "__layout": "Nuxt",
    "svelte": "SvelteKit",
    "react-root": "React",
}
_SCRIPTS = {
    "__NEXT_DATA__": "Next.js",
    "__next_f": "Next.js",
    "___gatsby": "Gatsby",
    "__docusaurus": "Docusaurus",
    "__remixContext": "Remix",
    "__reactRouterContext": "React Router",
    "__VP_HASH_MAP__": "VitePress",
    "__VUEPRESS": "VuePress",
    "__NUXT": "Nuxt",
    "__sveltekit_": "SvelteKit",
    "_$HY": "Solid",
    "__FRSH_STATE": "Fresh",
    "__WAKU": "Waku",
    "vike_pageContext": "Vike",
    "__INITIAL_STATE__": "a framework",
    "__PRELOADED_STATE__": "a framework",
    "__APOLLO_STATE__": "a framework",
    "createSSRApp(": "Vue",
    "hydrateRoot(": "React",
}
_COMMENTS = {"<!--[-->": "Vue or Svelte", "<!--[!-->": "Svelte", "<!--$-->": "React"}
# These take over only what is inside them.
_ISLANDS = {"astro-island": "an Astro island", "ile-root": "an island", "is-land": "an island"}

_MARKS = re.compile(
    "|".join(map(re.escape, (*_ATTRIBUTES, *_IDS, *_SCRIPTS, *_COMMENTS, *_ISLANDS))).encode()
)

# Texts in the programs of frameworks that write nothing into their pages. Minifiers keep texts.
_PROGRAMS = {
    "Minified React error": "React",
    "react.element": "React",
    "hydrateRoot": "React",
    "__v_isVNode": "Vue",
    "__vccOpts": "Vue",
    "Hydration completed but contains mismatches": "Vue",
    "createSSRApp": "Vue",
    "hydration_mismatch": "Svelte",
    "_$HY": "Solid",
    "dangerouslySetInnerHTML": "Preact",
}
_PROGRAM = re.compile("|".join(map(re.escape, _PROGRAMS)))
_LOOKS_UP = re.compile(r"getElementById\(\s*[\"'`]([\w-]{1,100})[\"'`]|[\"'`]#([\w-]{1,100})[\"'`]")
_WHOLE = re.compile(r"(?:hydrate|hydrateRoot|render)\)?\((?:[^;()]{0,80},\s*)?document\b(?!\.get)")


class Owned(NamedTuple):
    """A part of a page, as offsets of its bytes, and the name of the framework."""

    start: int
    end: int
    by: str


class Program(NamedTuple):
    """A framework that a script brings along, and what it takes over."""

    by: str
    whole: bool
    """Whether it renders the whole page."""

    ids: tuple[str, ...]
    """The ids of elements that it looks up."""


def program(text: str) -> Program | None:
    """The framework in a script; None if there is none."""
    found = _PROGRAM.search(text)
    if not found:
        return None
    ids = dict.fromkeys(found[1] or found[2] for found in _LOOKS_UP.finditer(text))
    return Program(_PROGRAMS[found[0]], _WHOLE.search(text) is not None, tuple(ids))


def owned(data: bytes, programs: Iterable[Program] = ()) -> tuple[Owned, ...]:
    """The parts of a page that frameworks render anew, in order; none begins inside another.

    `programs` are those of the scripts that it loads.
    """
    by_id: dict[str, str] = {}
    for by, whole, ids in programs:
        if whole:
            return (Owned(0, len(data), by),)
        by_id |= dict.fromkeys(ids, by)
    if not by_id and not _MARKS.search(data):
        return ()
    return _parts(data, _IDS | by_id)


def owner(parts: Sequence[Owned], position: int) -> str:
    """The framework that renders what is at an offset, by the parts of `owned`; '' for none."""
    at = bisect_right(parts, position, key=lambda part: part.start) - 1
    return parts[at].by if at >= 0 and position < parts[at].end else ""


def _parts(data: bytes, ids: dict[str, str]) -> tuple[Owned, ...]:
    """The elements that are taken over; all of the page where a script or comment says so."""
    found: list[Owned] = []
    everywhere = ""
    islands = False
    script: int | None = None
    opened: dict[str, list[tuple[int, str]]] = {}
    for start, end, tag in tags(data, len(data), every=True):
        name = tag.lstrip("/")
        if tag == "/script" and script is not None:
            text = data[script:start].decode("utf-8", "replace")
            everywhere = everywhere or next((_SCRIPTS[m] for m in _SCRIPTS if m in text), "")
        script = end if tag == "script" else None
        if tag[0] == "/":
            if opened.get(name):
                begin, by = opened[name].pop()
                found += [Owned(begin, start, by)] if by else []
            continue
        by = _of_tag(data, start, end, name, ids)
        islands = islands or name in _ISLANDS
        if name == "script":
            everywhere = everywhere or (by and _SCRIPTS.get(by, ""))
        elif by or opened.get(name):
            opened.setdefault(name, []).append((start, by))
    found += [Owned(begin, len(data), by) for rest in opened.values() for begin, by in rest if by]
    if not (found or islands or everywhere):
        everywhere = next((by for mark, by in _COMMENTS.items() if mark.encode() in data), "")
    return (Owned(0, len(data), everywhere),) if everywhere else tuple(_disjoint(found))


def _disjoint(parts: list[Owned]) -> Iterator[Owned]:
    """The same bytes in order, each once. Shared bytes belong to the part that begins first."""
    position = 0
    for start, end, by in sorted(parts):
        if end > position:
            yield Owned(max(start, position), end, by)
            position = end


def _of_tag(data: bytes, start: int, end: int, name: str, ids: dict[str, str]) -> str:
    """The framework that an element is taken over by; of a script's tag, its id."""
    if name in _ISLANDS:
        return _ISLANDS[name]
    for attribute in attributes_of(data, start, end):
        if name == "script":
            if attribute.name == "id" and attribute.value in _SCRIPTS:
                return attribute.value
        elif attribute.name in _ATTRIBUTES:
            return _ATTRIBUTES[attribute.name]
        elif attribute.name == "id" and attribute.value in ids:
            return ids[attribute.value]
    return ""

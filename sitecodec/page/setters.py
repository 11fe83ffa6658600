"""The images to which a script may give another source (`photo.src = …`), judged by its text.

A `<source>` or a `srcset` would take precedence over that `src`. The element that a script changes
is traced back to its lookup. If that fails, everything that the script looks up is assumed to be
changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from sitecodec.page.html import Image
from sitecodec.page.tokens import Tag

ANY = "img"
"""The selector of what may be any image."""

_STRING = r"(\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|`[^`\n]{1,200}`)"
_FILLED_NAME = re.compile(r"([.#])[\w-]*\$\{[^{}]*\}[\w-]*")
_FILLED_VALUE = re.compile(r"\[\s*([\w-]+)[^\[\]]*\$\{[^\[\]]*\]")
_FILLED = re.compile(r"\$\{[^{}]*\}")
_LOOKUP = re.compile(
    r"(querySelector(?:All)?|getElement(?:s?By(?:Id|ClassName|TagName|Name))|closest|find|children"
    r"|filter|\$|jQuery)\(\s*" + _STRING
)
_SET = re.compile(
    r"(?:\?|!)?\.(?:src|srcset)\s*(?:\|\||\?\?|&&|\+)?=(?![=>])"
    r"|\[\s*[\"'`](?:src|srcset)[\"'`]\s*\]\s*=(?![=>])"
    r"|\.(?:setAttribute|attr|prop)\(\s*[\"'`](?:src|srcset)[\"'`]\s*,"
    r"|\.(?:attr|prop)\(\s*\{[^{}]{0,200}?[\"'`]?\bsrc(?:set)?[\"'`]?\s*:"
    r"|\.(?:removeAttribute|toggleAttribute)\(\s*[\"'`](?:srcset|src)[\"'`]"
)
_ASSIGNED = re.compile(
    r"Object\.assign\(\s*+([^,()\s][^,()]{0,99}(?:\([^()]{0,100}\))?)\s*+,\s*+"
    r"\{[^{}]{0,200}?\bsrc(?:set)?\s*:"
)
_NEW = re.compile(r"\bnew\s+(?:[\w.]+\.)?Image\b|createElement(?:NS)?\(|cloneNode\(|\(\s*[\"'`]<")
_EVENT = re.compile(r"\b(?:target|currentTarget|srcElement|relatedTarget)\b")
_WRAPPED_THIS = re.compile(r"(?:\$|jQuery)\(\s*this\s*[,)]")
_OWN = re.compile(r"(?:this|\(this\)|\$\(this\)|jQuery\(this\)|event\.(?:target|currentTarget))$")
_PASSES_ITSELF = re.compile(r"[(,]\s*(?:this|event)\s*[,)]|\bthis\s*\)")
_COMPOUND = re.compile(r"(?:[^\s>+~\[\]()]|\[[^\]]*\]|\([^()]*\))+$")
_PART = re.compile(
    r"(?P<tag>^[\w-]+|^\*)|#(?P<id>[\w-]+)|\.(?P<cls>[\w-]+)"
    r"|\[\s*(?P<name>[\w-]+)\s*(?:=\s*[\"']?(?P<value>[^\"'\]]*)[\"']?\s*)?|(?P<odd>::?[\w-]+)"
)
_NAME = re.compile(r"[A-Za-z_$][\w$]*$")
_LONGEST = 400  # of an expression
# A name and a value that is given to it. No two parts of these patterns share a run of white space:
# what fails, fails at once.
_GIVEN = re.compile(rf"(?<![\w$.])([\w$]++)\s*+=(?![=>])\s*+(?=([^;\n]{{1,{_LONGEST}}}))")
_OF = re.compile(rf"(?:const|let|var)\s++([\w$]++)\s++of\s++(?=([^;{{\n]{{1,{_LONGEST}}})\))")
_EACH = re.compile(
    r"\.(?:forEach|map|each|some|every)\(\s*+(?:function\b\s*+\w*+\s*+)?+\(?+\s*+"
    r"([\w$]++)(?:\s*+,\s*+([\w$]++))?+"
)
_NEAR = 4_000  # characters before, in which a name has been given its value
_DEPTH = 3
_CLOSING = {")": "(", "]": "["}
_ASKED = ""  # stands for everything that the script looks up


class _Script:
    """A script, and what its names stand for as far as they have been followed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.known: dict[tuple[str, int, int], tuple[str, ...]] = {}
        # A hostile script gives each name the others as values. No author's comes near to this.
        self.steps = 500 + len(text) // 3


def selectors(text: str) -> tuple[str, ...]:
    """Selectors of the images whose source a script may set; any image's if it is too tangled."""
    script = _Script(text)
    found: dict[str, None] = {}
    for receiver, position in _receivers(text):
        found |= dict.fromkeys(_meant(receiver, script, position, _DEPTH))
        if script.steps <= 0:
            return (ANY,)
    expanded = (_asked(text) if selector == _ASKED else (selector,) for selector in found)
    return tuple(dict.fromkeys(selector for some in expanded for selector in some))


def sets_own(handler: str) -> bool:
    """Whether an element's own handler sets its source."""
    return any(_OWN.search(receiver) for receiver, _ in _receivers(handler))


def passes_itself(handler: str) -> bool:
    """Whether an element's own handler gives it to a function."""
    return _PASSES_ITSELF.search(handler) is not None


def may_mean(selector: str, tag: Tag | Image, name: str) -> bool:
    """Whether a selector may match a tag; what it asks of other elements is not looked at."""
    return any_may_mean((selector,), tag, name)


def parts_of(selector: str) -> int:
    """How many comparisons a selector takes for each tag."""
    return len(_compounds(selector))


def any_may_mean(given: Sequence[str], tag: Tag | Image, name: str) -> bool:
    """Whether one of some selectors may match a tag."""
    if not given:
        return False
    values: dict[str, str] = {}
    for attribute in tag.attributes:
        values.setdefault(attribute.name, attribute.value)
    element = _Element(name, values, frozenset(values.get("class", "").split()))
    return any(_matches(part, element) for selector in given for part in _compounds(selector))


class _Element(NamedTuple):
    name: str
    attributes: dict[str, str]
    classes: frozenset[str]


class _Compound(NamedTuple):
    """What the last part of a selector asks of an element."""

    names: tuple[str, ...]
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    attributes: tuple[tuple[str, str | None], ...]
    open: str
    """The sign after which a script puts a name together (`find("." + name)`)."""


@lru_cache(maxsize=4096)
def _compounds(selector: str) -> tuple[_Compound, ...]:
    """The last parts of the selectors in a list."""
    found = []
    for part in re.split(r",(?![^(\[]*[)\]])", selector):
        if compound := _COMPOUND.search(part.strip()):
            parts = list(_PART.finditer(compound[0]))
            found.append(
                _Compound(
                    tuple(p["tag"].lower() for p in parts if p["tag"] and p["tag"] != "*"),
                    tuple(p["id"] for p in parts if p["id"]),
                    tuple(p["cls"] for p in parts if p["cls"]),
                    tuple((p["name"].lower(), p["value"]) for p in parts if p["name"]),
                    compound[0][-1] if compound[0][-1] in ".#" else "",
                )
            )
    return tuple(found)


def _matches(wanted: _Compound, element: _Element) -> bool:
    own = element.attributes
    # A name that a script puts together is of some class all the same.
    if wanted.open == "." and not element.classes:
        return False
    if (wanted.open == "#" or wanted.ids) and not own.get("id"):
        return False
    return (
        all(name == element.name for name in wanted.names)
        and all(name == own["id"] for name in wanted.ids)
        and element.classes.issuperset(wanted.classes)
        and all(
            name in own and (value is None or value == own[name])
            for name, value in wanted.attributes
        )
    )


def sets_source(text: str) -> bool:
    """Whether a script sets the source of anything at all."""
    return next(_receivers(text), None) is not None


def _receivers(text: str) -> Iterator[tuple[str, int]]:
    """The receivers of a new source in a script, and their places."""
    for match in _SET.finditer(text):
        yield _before(text, match.start()), match.start()
    for match in _ASSIGNED.finditer(text):
        yield match[1], match.start()


def _before(text: str, end: int) -> str:
    """The expression that ends there: names, dots, calls, indices."""
    first = max(0, end - _LONGEST)
    start = end
    while start > first:
        sign = text[start - 1]
        if sign in _CLOSING:
            opening = _opening(text, start - 1, first)
            if opening < 0:
                break
            start = opening
        elif sign.isalnum() or sign in "_$.?!":
            start -= 1
        else:
            break
    return text[start:end].strip()


def _opening(text: str, closing: int, first: int) -> int:
    """The place of the bracket that is closed there; -1 if it is too far away."""
    depth = 0
    for place in range(closing, first - 1, -1):
        if text[place] in ")]}":
            depth += 1
        elif text[place] in "([{":
            depth -= 1
            if not depth:
                return place
    return -1


def _meant(receiver: str, script: _Script, position: int, depth: int) -> tuple[str, ...]:
    """The selectors of what an expression may be."""
    if _NEW.search(receiver):
        return ()
    if _WRAPPED_THIS.search(receiver):
        return (_ASKED,) if _asked(script.text) else (ANY,)
    if _EVENT.search(receiver):
        return (ANY,)
    looked_up = list(_LOOKUP.finditer(receiver))
    if looked_up:
        return tuple(_selectors(looked_up[-1]))
    if re.search(r"\bimages\b|getElement|querySelector|[Cc]hild|[Ss]ibling|\$\(", receiver):
        return (ANY,)  # by something that is not written there
    name = _NAME.search(receiver.rstrip("?!"))
    bare = re.sub(r"\[[^\[\]]*\]$", "", receiver)
    name = name or _NAME.search(bare)
    if name is None or name[0] == "this" or not depth:
        return (_ASKED,)
    key = (name[0], position, depth)
    if key not in script.known:
        script.known[key] = _named(name[0], script, position, depth)
    return script.known[key]


def _named(name: str, script: _Script, position: int, depth: int) -> tuple[str, ...]:
    """The selectors of what a name may stand for."""
    if script.steps <= 0:
        return (ANY,)
    found: dict[str, None] = {}
    start = max(0, position - _NEAR)
    given, of = (
        [match for match in pattern.finditer(script.text, start, position) if match[1] == name]
        for pattern in (_GIVEN, _OF)
    )
    each = [
        match
        for match in _EACH.finditer(script.text, start, position)
        if name in (match[1], match[2])
    ]
    script.steps -= 10 + len(given) + len(of) + 5 * len(each)
    if given and _NEW.search(given[-1][2]):
        return ()  # minified scripts use a name again and again: the nearest value counts
    for match in (*given, *of):
        found |= dict.fromkeys(_value(match[2], script, match.start(), depth))
    for match in each:
        before = _before(script.text, match.start())
        found |= dict.fromkeys(_meant(before, script, match.start(), depth - 1))
    if given or of or each:
        return tuple(found)
    # A name that nothing is given to may be a parameter, or the id of an element.
    return (_ASKED, f"#{name}", f"[name={name}]")


def _value(value: str, script: _Script, position: int, depth: int) -> tuple[str, ...]:
    """The selectors of what is given to a name."""
    if _NEW.search(value):
        return ()
    expression = re.match(
        r"\s*(?:await\s+)?([\w$.?!]+(?:\([^()]*\)|\[[^\[\]]*\]|[\w$.?!])*)", value
    )
    return _meant(expression[1] if expression else value, script, position, depth - 1)


def _filled(how: str, what: str) -> str:
    """A selector for all that a template string may look up: of a class if it names any."""
    if how.startswith("getElement"):
        return "#" if how.endswith("ById") else "." if how.endswith("ClassName") else ANY
    known = _FILLED_VALUE.sub(r"[\1]", _FILLED_NAME.sub(r"\1", what))
    return _FILLED.sub("", known).strip() or ANY


@lru_cache(maxsize=8)
def _asked(text: str) -> tuple[str, ...]:
    """Everything that a script looks up, or any image if it uses events and looks up nothing."""
    found = dict.fromkeys(s for match in _LOOKUP.finditer(text) for s in _selectors(match))
    if re.search(r"\bdocument\.images\b", text):
        found[ANY] = None
    if not found and _EVENT.search(text):
        found[ANY] = None
    return tuple(found)


def _selectors(lookup: re.Match[str]) -> Iterator[str]:
    """The selector of a lookup; nothing for HTML that makes an element."""
    how, what = lookup[1], lookup[2][1:-1].strip()
    if what.startswith("<"):
        return
    if "${" in what:
        yield _filled(how, what)
        return
    if how.endswith("ById"):
        yield f"#{what}"
    elif how.endswith("ClassName"):
        yield "".join(f".{name}" for name in what.split())
    elif how.endswith("ByName"):
        yield f"[name='{what}']"
    else:
        yield what

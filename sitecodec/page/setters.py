"""The images to which a script may give another source (`photo.src = …`), judged by its text.

A `<source>` or a `srcset` would take precedence over that `src`. The element that a script changes
is traced back to its lookup. If that fails, everything that the script looks up is assumed to be
changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

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
    r"Object\.assign\(\s*([^,()]{1,100}(?:\([^()]{0,100}\))?)\s*,\s*\{[^{}]{0,200}?\bsrc(?:set)?\s*:"
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
_NEAR = 4_000  # characters before, in which a name has been given its value
_LONGEST = 400  # of an expression
_DEPTH = 3
_CLOSING = {")": "(", "]": "["}


def selectors(text: str) -> tuple[str, ...]:
    """Selectors of the images whose source a script may set."""
    found: dict[str, None] = {}
    for receiver, position in _receivers(text):
        for selector in _meant(receiver, text, position, _DEPTH):
            found[selector] = None
    return tuple(found)


def sets_own(handler: str) -> bool:
    """Whether an element's own handler sets its source."""
    return any(_OWN.search(receiver) for receiver, _ in _receivers(handler))


def passes_itself(handler: str) -> bool:
    """Whether an element's own handler gives it to a function."""
    return _PASSES_ITSELF.search(handler) is not None


def may_mean(selector: str, tag: Tag | Image, name: str) -> bool:
    """Whether a selector may match a tag; what it asks of other elements is not looked at."""
    return any(
        _matches(part.strip(), tag, name) for part in re.split(r",(?![^(\[]*[)\]])", selector)
    )


def _matches(selector: str, tag: Tag | Image, name: str) -> bool:
    compound = _COMPOUND.search(selector)
    if compound is None:
        return False
    classes = (tag.get("class") or "").split()
    # A name that a script puts together (`find("." + name)`) is of some class all the same.
    if compound[0].endswith(".") and not classes:
        return False
    if compound[0].endswith("#") and not tag.get("id"):
        return False
    for part in _PART.finditer(compound[0]):
        wanted = part["tag"]
        if wanted and wanted != "*" and wanted.lower() != name:
            return False
        if part["id"] and part["id"] != tag.get("id"):
            return False
        if part["cls"] and part["cls"] not in classes:
            return False
        if part["name"]:
            value = tag.get(part["name"].lower())
            if value is None or (part["value"] is not None and part["value"] != value):
                return False
    return True


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


def _meant(receiver: str, text: str, position: int, depth: int) -> tuple[str, ...]:
    """The selectors of what an expression may be."""
    if _NEW.search(receiver):
        return ()
    if _WRAPPED_THIS.search(receiver):
        return _asked(text) or (ANY,)
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
        return _asked(text)
    return _named(name[0], text, position, depth)


def _named(name: str, text: str, position: int, depth: int) -> tuple[str, ...]:
    """The selectors of what a name may stand for."""
    found: list[str] = []
    known = False
    quoted = re.escape(name)
    start = max(0, position - _NEAR)
    given = rf"(?<![\w$.]){quoted}\s*=(?![=>])\s*([^;\n]{{1,{_LONGEST}}})"
    of = rf"(?:const|let|var)\s+{quoted}\s+of\s+([^;{{\n]{{1,{_LONGEST}}})\)"
    values = [match[1] for match in re.finditer(given, text[start:position])]
    if values and _NEW.search(values[-1]):
        return ()  # minified scripts use a name again and again: the nearest value counts
    for pattern in (given, of):
        for match in re.finditer(pattern, text[start:position]):
            value = match[1]
            known = True
            found += _value(value, text, start + match.start(), depth)
    begin = r"\.(?:forEach|map|each|some|every)\(\s*(?:function\s*\w*\s*)?\(?\s*(?:\w+\s*,\s*)?"
    each = rf"{begin}{quoted}\b"
    for match in re.finditer(each, text[start:position]):
        known = True
        before = _before(text, start + match.start())
        found += _meant(before, text, start + match.start(), depth - 1)
    if known:
        return tuple(found)
    # A name that nothing is given to may be a parameter, or the id of an element.
    return (*_asked(text), f"#{name}", f"[name={name}]")


def _value(value: str, text: str, position: int, depth: int) -> tuple[str, ...]:
    """The selectors of what is given to a name."""
    if _NEW.search(value):
        return ()
    expression = re.match(
        r"\s*(?:await\s+)?([\w$.?!]+(?:\([^()]*\)|\[[^\[\]]*\]|[\w$.?!])*)", value
    )
    return _meant(expression[1] if expression else value, text, position, depth - 1)


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

"""Patterns of a host's configuration, matched in a time that no pattern can blow up.

Python's own engine tries one way to match after another, which takes a hostile pattern longer than
a build may last. Here all ways are walked at once: a state of an automaton is left once for each
place of the path at most. What is not understood, and what is too large, is taken to match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

_LONGEST = 500  # characters of a pattern
_MOST_STATES = 1000
_MOST_STEPS = 10_000  # of one path
_MOST_NESTED = 20
_MOST_WILD = 20  # wildcards of a pattern
_MOST_COPIES = 100
_TOKEN = re.compile(
    r"\(\?P?<\w++>|\(\?[:=!]|[()|*+?^$]|\{\d{1,3}+(?:,\d{0,3}+)?+\}|\[\^?+\]?+(?:[^\]\\]|\\.)*+\]"
    r"|\\.|.",
    re.DOTALL,
)
# Python takes 15 ms for a range of all letters that is to be compared without regard to case.
_ODD = re.compile(r"[^\x00-\x7f]|\\[xuUN\d]")
_REPEATS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}

Applies: TypeAlias = Callable[[str], bool]


class _UnknownError(ValueError):
    """A pattern that is not understood, or too large."""


class _State(NamedTuple):
    """A state of an automaton, and the states after it."""

    then: list[int]
    test: str = ""
    """What the next character must match; '' if none is read."""

    place: str = ""
    """'^' or '$' if it is passed at that end only."""

    ahead: int = -1
    """The state in which begins what must follow, or must not."""

    forbidden: bool = False


_END = 0


def everything(_: str) -> bool:
    """Match any path."""
    return True


def wildcards(parts: Sequence[str]) -> Applies:
    """Match paths of these parts: '*' is anything, ':…' is what slashes enclose, or a text."""
    short: list[str] = []
    for part in parts:
        if part and not (part == "*" and short[-1:] == ["*"]):
            short.append(part)

    def applies(path: str) -> bool:
        places = {0}
        for part in short:
            if part == "*":
                places = set(range(min(places), len(path) + 1))
            elif part.startswith(":"):
                places = _in_segment(path, places)
            else:
                places = {at + len(part) for at in places if path.startswith(part, at)}
            if not places:
                return False
        return len(path) in places

    wild = sum(part[0] in "*:" for part in short)
    return applies if wild <= _MOST_WILD and sum(map(len, parts)) <= _LONGEST else everything


def _in_segment(path: str, places: set[int]) -> set[int]:
    """The places that are reached from others by a character or more that are no slashes."""
    found: set[int] = set()
    inside = False
    for at, sign in enumerate(path):
        inside = (inside or at in places) and sign != "/"
        if inside:
            found.add(at + 1)
    return found


def regular(pattern: str, *, whole: bool) -> Applies:
    """Match paths by a regular expression: all of a path, or a part. Raises re.error."""
    if len(pattern) > _LONGEST or _ODD.search(pattern):
        return everything
    re.compile(pattern)  # tells a broken pattern; it is never run
    blind = pattern.startswith("(?i)")
    try:
        reader = _Reader(_TOKEN.findall(pattern[4 * blind :]))
        start = reader.emit(reader.read(), _END)
    except (_UnknownError, RecursionError):
        return everything

    def applies(path: str) -> bool:
        walk = _Walk(reader.states, path, blind)
        try:
            reached = walk.reached(start, 1 if whole else (1 << len(path) + 1) - 1)
        except _UnknownError:
            return True
        return bool(reached >> len(path) if whole else reached)

    return applies


_Part: TypeAlias = "tuple[str, list[_Part], tuple[int, int | None]]"
"""A token, or one that stands for a group; what is in it; how often it comes."""


class _Reader:
    """Reads a pattern's tokens, and makes an automaton of them from its end to its beginning."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens[::-1]
        self.states = [_State([])]

    def read(self, depth: int = 0) -> list[_Part]:
        """The alternatives of a group, each a part with the token '|'."""
        if depth > _MOST_NESTED:
            raise _UnknownError
        found: list[_Part] = [("|", [], (1, 1))]
        while self.tokens and self.tokens[-1] != ")":
            sign = self.tokens.pop()
            if sign == "|":
                found.append(("|", [], (1, 1)))
                continue
            inner: list[_Part] = []
            if sign[0] == "(":
                inner = self.read(depth + 1)
                if not self.tokens:
                    raise _UnknownError
                self.tokens.pop()
            elif sign in _REPEATS or not _is_known(sign):
                raise _UnknownError
            found[-1][1].append((sign, inner, self._times()))
        if self.tokens and not depth:
            raise _UnknownError
        return found

    def _times(self) -> tuple[int, int | None]:
        sign = self.tokens[-1] if self.tokens else ""
        if sign in _REPEATS:
            times = _REPEATS[sign]
        elif len(sign) > 1 and sign[0] == "{":
            low, comma, high = sign[1:-1].partition(",")
            times = int(low), int(high) if high else None if comma else int(low)
        else:
            return 1, 1
        self.tokens.pop()
        if self.tokens and self.tokens[-1] == "?":
            self.tokens.pop()  # which way is tried first does not matter
        if max(times[0], times[1] or 0) > _MOST_COPIES or (
            self.tokens and self.tokens[-1] in _REPEATS
        ):
            raise _UnknownError
        return times

    def emit(self, alternatives: list[_Part], then: int) -> int:
        """The state in which a group begins that leads to a state."""
        begins = []
        for _, parts, _ in alternatives:
            begin = then
            for part in reversed(parts):
                begin = self._repeated(part, begin)
            begins.append(begin)
        return begins[0] if len(begins) == 1 else self._state(_State(begins))

    def _repeated(self, part: _Part, then: int) -> int:
        least, most = part[2]
        begin = then
        if most is None:
            begin = self._state(_State([then]))
            self.states[begin].then.append(self._once(part, begin))
        for _ in range((most or least) - least):
            begin = self._state(_State([then, self._once(part, begin)]))
        for _ in range(least):
            begin = self._once(part, begin)
        return begin

    def _once(self, part: _Part, then: int) -> int:
        sign, inner, _ = part
        if sign in ("(?=", "(?!"):
            start = self.emit(inner, _END)
            return self._state(_State([then], ahead=start, forbidden=sign == "(?!"))
        if sign[0] == "(":
            return self.emit(inner, then)
        if sign in ("^", "$"):
            return self._state(_State([then], place=sign))
        return self._state(_State([then], test=sign))

    def _state(self, state: _State) -> int:
        if len(self.states) >= _MOST_STATES:
            raise _UnknownError
        self.states.append(state)
        return len(self.states) - 1


def _is_known(sign: str) -> bool:
    """Whether a token is a place, or a single character."""
    if sign[0] == "\\":
        return sign[1:] in tuple("dDwWsSnrtf") or not sign[1:].isalnum()
    return (len(sign) == 1 and sign not in "{[") or (len(sign) > 1 and sign[0] == "[")


class _Walk:
    """Walks through all states for one path. A set of places in the path is a number's bits."""

    def __init__(self, states: list[_State], path: str, blind: bool) -> None:
        self.states, self.path = states, path
        self.flags = re.DOTALL | (re.IGNORECASE if blind else re.NOFLAG)
        self.steps = _MOST_STEPS
        self.known: dict[str, int] = {}

    def reached(self, start: int, places: int) -> int:
        """The places at which the end is reached. Raises _UnknownError after too many steps."""
        seen: dict[int, int] = {}
        waiting = {start: places}
        while waiting:
            self.steps -= 1
            if self.steps < 0:
                raise _UnknownError
            number = next(iter(waiting))
            new = waiting.pop(number) & ~seen.get(number, 0)
            if not new:
                continue
            seen[number] = seen.get(number, 0) | new
            state = self.states[number]
            if passed := self._passed(state, new):
                for after in state.then:
                    waiting[after] = waiting.get(after, 0) | passed
        return seen.get(_END, 0)

    def _passed(self, state: _State, places: int) -> int:
        """The places after a state."""
        if state.test:
            return (places & self._matching(state.test)) << 1
        if state.place:
            return places & (1 if state.place == "^" else 1 << len(self.path))
        if state.ahead >= 0:
            each = (1 << at for at in range(len(self.path) + 1) if places >> at & 1)
            return sum(p for p in each if bool(self.reached(state.ahead, p)) != state.forbidden)
        return places

    def _matching(self, test: str) -> int:
        """The places before the characters that match."""
        if test not in self.known:
            one = re.compile(test, self.flags)
            signs = {sign for sign in set(self.path) if one.fullmatch(sign)}
            self.known[test] = sum(1 << at for at, s in enumerate(self.path) if s in signs)
        return self.known[test]

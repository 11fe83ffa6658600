"""sitecodec.site.globs: both ways to match say the same, and neither takes long."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from sitecodec.site import globs

PARTS = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "?", "."]), max_size=8)


@given(PARTS.map("".join), st.text("ab/.\n", max_size=12))
@example("**/a", "a")
@example("**/a", "b/a")
@example("a/**/b", "a/b")
@example("a*b", "a/b")
@example("***/", "a/b/")
def test_the_walk_says_what_the_pattern_says(pattern: str, path: str) -> None:
    glob = globs._read(pattern)
    said = globs._compiled(glob).fullmatch(path) is not None
    assert globs._walked(glob.parts, path) == said
    # And so did all the stars that were written.
    parts = globs._PARTS.split(pattern.lstrip("/"))
    written = "".join(globs._MEANING.get(part, re.escape(part)) for part in parts)
    anywhere = "" if "/" in pattern else "(?:.*/)?"
    assert (re.fullmatch(anywhere + written, path, re.DOTALL) is not None) == said


def test_many_stars_are_walked_through() -> None:
    """A pattern would try more ways than there is time for."""
    assert not globs.matches(("**a" * 30 + "**b",), "a" * 500)
    assert globs.matches(("**a" * 30 + "**b",), "a" * 500 + "b")
    assert not globs.matches(("*a" * 30 + "b",), "a" * 200 + "/b")
    assert globs.matches(("*a" * 30 + "b",), "x/" + "a" * 200 + "b")
    assert not globs.matches(("**a**a**b",), "a" * 3000)
    assert not globs.matches(("*" * 3000 + "a",), "b" * 300)
    assert not globs.matches(("*" + "**/*" * 1000 + "a",), "b" * 300)

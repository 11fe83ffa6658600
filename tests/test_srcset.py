"""sitecodec.page.srcset: as browsers read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec.page.srcset import Candidate, join, parse


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("", []),
        (" , ", []),
        ("a.jpg", [Candidate("a.jpg")]),
        ("a.jpg 480w, b.jpg 800w", [Candidate("a.jpg", 480, "w"), Candidate("b.jpg", 800, "w")]),
        ("a.jpg,b.jpg 2x", [Candidate("a.jpg,b.jpg", 2, "x")]),  # one address, as browsers have it
        ("a.jpg, b.jpg 1.5x", [Candidate("a.jpg"), Candidate("b.jpg", 1.5, "x")]),
        ("a.jpg 1x,b.jpg 2x", [Candidate("a.jpg", 1, "x"), Candidate("b.jpg", 2, "x")]),
        (
            "\n a.jpg\t480w\f,\n b,c.jpg 800w\n,",
            [Candidate("a.jpg", 480, "w"), ("b,c.jpg", 800, "w")],
        ),
        (
            "data:image/png;base64,AAA= 1x, b.jpg 2x",
            [("data:image/png;base64,AAA=", 1, "x"), ("b.jpg", 2, "x")],
        ),
        ("a.jpg 480w 320h", None),
        ("a.jpg 480", None),
        ("a.jpg 0w", None),
        ("a.jpg -1x", None),
        ("a.jpg \u0664w", None),
        ("a.jpg 1x (b, c)", None),
    ],
)
def test_parse(text: str, candidates: list[Candidate] | None) -> None:
    assert parse(text) == candidates


def test_join() -> None:
    assert join([Candidate("a"), Candidate("b", 1.50, "x"), Candidate("c", 0.7916666, "x")]) == (
        "a, b 1.5x, c 0.7917x"
    )
    assert join([Candidate("a", 1520, "w")]) == "a 1520w"


@given(st.text(st.sampled_from("ab,. \t123wx()"), max_size=40))
def test_what_is_written_is_read_again(text: str) -> None:
    found = parse(text)
    if found and all(c.url and c.number > 1e-3 for c in found):
        assert parse(join(found)) == found


def test_hostile_sizes_stay_linear() -> None:
    for piece in (",", " ", "a", "a ", "a,", "a 1w,", "(", "a 1x ("):
        parse(piece * 300_000)

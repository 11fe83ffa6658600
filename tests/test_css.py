"""sitecodec.page.css: backgrounds are found as a browser finds them, nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec.page import css


def offered(text: str, only: str = "") -> str:
    return css.offer(
        text, css.backgrounds(text), lambda url: f"SET({url})" if only in url else None
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a{background:url(x.png)}", "a{background:url(x.png);background:SET(x.png)}"),
        (
            "a { top: 0; background-image : url( 'a b.png' ) ; }",
            "a { top: 0; background-image : url( 'a b.png' );background-image : SET(a b.png) ; }",
        ),
        (
            'background:#fff URL("x.png?v=1#y") no-repeat center/cover !important',
            'background:#fff URL("x.png?v=1#y") no-repeat center/cover !important;'
            "background:#fff SET(x.png?v=1#y) no-repeat center/cover !important",
        ),
        (
            "background:url(a.png),linear-gradient(rgb(0,0,0),red),url(b.png)",
            "background:url(a.png),linear-gradient(rgb(0,0,0),red),url(b.png);"
            "background:SET(a.png),linear-gradient(rgb(0,0,0),red),SET(b.png)",
        ),
        (
            "@media print{a:b{/* ; */background:url(x.png)/* { */}}b{background:url(y.png)}",
            "@media print{a:b{/* ; */background:url(x.png)/* { */;background:SET(x.png)/* { */}}"
            "b{background:url(y.png);background:SET(y.png)}",
        ),
        (
            "a{content:'\\'}{;background:url(no.png)';background:url(x.png)",
            "a{content:'\\'}{;background:url(no.png)';background:url(x.png);background:SET(x.png)",
        ),
        (
            "a{background:url(x.png);b{background:url(y.png)}}",
            "a{background:url(x.png);background:SET(x.png);"
            "b{background:url(y.png);background:SET(y.png)}}",
        ),
        ("a{background:url(x.png)}/*", "a{background:url(x.png);background:SET(x.png)}/*"),
    ],
)
def test_a_second_declaration_follows(before: str, after: str) -> None:
    assert offered(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "a{background:red}",
        "a{list-style:url(x.png);mask-image:url(x.png);content:url(x.png)}",
        "@font-face{src:url(x.woff2)}@import url(x.png);",
        "a{--background:url(x.png)}",
        "a{background:url(x.png) var(--p)}",
        "a{background:image-set(url(x.avif) type('image/avif'),url(x.png))}",
        "a{background:url(x.png);background:image-set(url(x.avif) 1x)}",
        "a{background:url(x.png);color:red;background-image:-webkit-image-set(url(x.avif) 1x)}",
        "a{background:cross-fade(url(x.png),url(y.png))}",
        "a{background:my-url(x.png)}",
        "a{background:url(x\\.png)}",
        "/* a{background:url(x.png)} */",
        "a{b:'background:url(x.png)'}",
        "background:url(x.png{}:hover{}",  # a selector of nothing
        "a{b:'\n;background:url(x.png)}",
        "a{b:url(x'y);background:url(x.png)}",
        "a[href='x{'] {} b{c:(;background:url(x.png);)}",
    ],
)
def test_what_is_left_alone(text: str) -> None:
    assert offered(text) == text


def test_only_addresses_that_have_better_files_are_replaced() -> None:
    text = "background: url(a.png), url(b.png); color: red"
    assert offered(text, only="b.") == (
        "background: url(a.png), url(b.png);background: url(a.png), SET(b.png); color: red"
    )
    assert offered(text, only="c.") == text


PIECES = st.sampled_from(
    [
        *("a{", "}", ";", "background:", "background-image:", "url(x.png)", "url('y.png')", "url("),
        *("'", '"', "/*", "*/", "(", ")", "\\", " ", "\n", "color:red", "image-set(", "var(--x)"),
    ]
)


@given(st.one_of(st.text(max_size=50), st.lists(PIECES, max_size=30).map("".join)))
def test_any_text_keeps_what_it_has(text: str) -> None:
    """Only whole declarations are put in, and a second run finds nothing more to do."""
    found = css.backgrounds(text)
    new = css.offer(text, found, lambda url: f"image-set(url({url}))")
    position = 0
    for background in found:
        assert position <= background.start < background.end
        position = background.end
        assert all(background.start < u.start < u.end <= background.end for u in background.urls)
    assert css.offer(text, found, lambda url: None) == text
    again = css.backgrounds(new)
    assert css.offer(new, again, lambda url: f"image-set(url({url}))") == new


@pytest.mark.parametrize(
    "piece",
    ["url(", "'", "/*", "a{", "(", "\\", "url(x.png)", "/**/", "background:", "a{b:c}", " "],
)
def test_hostile_sizes_stay_linear(piece: str) -> None:
    css.backgrounds(piece * 50_000)
    css.backgrounds("a{background:" + piece * 50_000 + ";background:url(x.png)}")

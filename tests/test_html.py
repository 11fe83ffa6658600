"""sitecodec.page.html: images are found as a browser finds them, nothing else is touched."""

from __future__ import annotations

import random
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec.page.html import Image, scan, splice


def sources(data: bytes) -> list[str | None]:
    return [image.get("src") for image in scan(data).images]


def only(data: bytes) -> Image:
    (image,) = scan(data).images
    return image


def test_spans_are_byte_offsets_whatever_the_encoding_and_line_ends() -> None:
    tag = b'<img src="a.png">'
    for before in (
        "<p>é€😀".encode(),
        b"\r\n\r<br>\r\n",
        b"\xff\xfe<p>\x00",
        "<p>\u2028\x85".encode(),
    ):
        image = only(before + tag + b"</p>")
        assert (image.start, image.end) == (len(before), len(before) + len(tag))


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        (b'<img src="a.png" alt="x > y">', [("src", "a.png"), ("alt", "x > y")]),
        (b"<IMG SRC='a.png'\n\tAlt=x/>", [("src", "a.png"), ("alt", "x/")]),
        (b"<img src=a.png ismap>", [("src", "a.png"), ("ismap", "")]),
        (b"<img/src=a.png/alt=b>", [("src", "a.png/alt=b")]),
        (b'<img src = "a.png" alt= "" />', [("src", "a.png"), ("alt", "")]),
        (b'<img alt="a"src="b.png">', [("alt", "a"), ("src", "b.png")]),
        (b"<img src=>", [("src", "")]),
        (b'<img =x src="a.png">', [("=x", ""), ("src", "a.png")]),
        (b'<img src="a&amp;b&#32;c.png">', [("src", "a&b c.png")]),
        (b'<img src="?a=1&copy=2&lt;&eacute">', [("src", "?a=1&copy=2<é")]),
        (b"<img src=a.png alt='<img src=b.png>'>", [("src", "a.png"), ("alt", "<img src=b.png>")]),
        (b'<img src="caf\xe9.png">', [("src", "café.png")]),
        ("<img src='caf\u00e9.png'>".encode(), [("src", "café.png")]),
        (b'<img src=a src=b "=c>', [("src", "a"), ("src", "b"), ('"', "c")]),
        (b"<img " + b" ".join(b"a%d=%d" % (n, n) for n in range(99)) + b">", None),
    ],
)
def test_attributes(tag: bytes, attributes: list[tuple[str, str]] | None) -> None:
    image = only(b"<p>" + tag + b"<b>")
    if attributes is None:
        attributes = [(f"a{n}", str(n)) for n in range(99)]
    assert [(a.name, a.value) for a in image.attributes] == attributes
    assert (image.start, image.end) == (3, 3 + len(tag))
    for attribute in image.attributes:
        raw = (b"<p>" + tag)[attribute.start : attribute.end]
        assert raw.lower().startswith(attribute.name.encode())


def test_the_first_of_duplicate_attributes_counts() -> None:
    assert only(b"<img src=a src=b>").get("src") == "a"


@pytest.mark.parametrize(
    "hidden",
    [
        b"<!-- %s -->",
        b"<!--> --> <!--%s-->",
        b"<!-- a --!> <!-- %s --!>",
        b"<![CDATA[ %s %s ]]>",
        b"<svg><![CDATA[ > %s ]]></svg>",
        b"<textarea>%s</textarea>",
        b"<TEXTAREA rows=3>%s</textareas>%s</TextArea >",
        b"<title>%s</title>",
        b"<noscript>%s</noscript>",
        b"<template><p>%s<template></template>%s</template>",
        b"<script>'%s'</script>",
        b"<script type=a><!-- <script>%s</script> %s --></script>",
        b"<style>%s</style>",
        b"<iframe>%s</iframe>",
        b"<xmp>%s</xmp>",
        b"<noembed>%s</noembed>",
        b"<noframes>%s</noframes>",
        b'<a title="%s">x</a>',
        b"<a title='%s'>x</a>",
        b"<a " + b"x=y " * 60 + b"title='%s'>x</a>",
        b"<textarea " + b"x=y " * 60 + b">%s</textarea>",
        b"<?php %s",
        b"<!doctype %s",
        b"</ %s",
        b"<imgx src=h.png><image src=h.png>",
        b"<svg><p><title/>%s</title>",  # the p has ended the svg
    ],
)
def test_images_that_are_not_shown_are_not_found(hidden: bytes) -> None:
    data = b"<img src=1>" + hidden.replace(b"%s", b"<img src=h.png>") + b"<img src=2>"
    assert sources(data) == ["1", "2"]


@pytest.mark.parametrize(
    "start",
    [
        b"<!--",
        b"<textarea>",
        b"<script>",
        b"<script><!--<script></script>",
        b"<plaintext>",
        b"<svg><![CDATA[",
        b'<a title="',
        b"<a title='",
        b"<a b=",
        b"<a " + b"x=y " * 60 + b"z='",
        b"<template>",
        b"<?x",
    ],
)
def test_what_is_never_closed_hides_the_rest(start: bytes) -> None:
    assert sources(b"<img src=1>" + start + b"<img src=2") == ["1"]
    if start not in (b"<a b=", b"<?x"):
        assert sources(b"<img src=1>" + start + b"<img src=2>") == ["1"]


@pytest.mark.parametrize(
    "shown",
    [
        b"<svg><title/><style/><script/></svg>%s",
        b"<p>a < b %s </p>",
        b"<>%s</>",
        b"<script></script>%s",
        b"<script><!-- </script>%s",
        b"<script><!-- <scripty> </script>%s",
        b"<script><!--><script></script>%s",
        b"<textarea></textarea>%s",
        b"<!---->%s",
        b"<!-->%s",
        b"<!--->%s",
        b"<![CDATA[ no end %s".replace(b" no", b">no"),
        b'<a ="x" title=\'">\'>%s',
        b'<p="x>%s',
        b'<p x/="y">%s',
        b"<p a=b'c\"d>%s",
        b"</p title='>'>%s",
    ],
)
def test_images_that_are_shown_are_found(shown: bytes) -> None:
    assert sources(shown.replace(b"%s", b"<img src=1>") + b"<b>") == ["1"]


def test_pictures_regions_and_base() -> None:
    data = b"""<base target=_top><base href="/x/"><base href="/y/">
    <header><img src=logo></header><main><nav><img src=nav></nav><article><header><img src=hero>
    </header><picture><source srcset=a><img src=own></picture><a href=b><img src=linked></a>
    </article></main><footer><img src=foot></footer><img src=after>"""
    document = scan(data)
    assert document.base == "/x/"
    found = {i.get("src"): (i.in_picture, i.in_content) for i in document.images}
    assert found == {
        "logo": (False, False),
        "nav": (False, False),
        "hero": (False, True),
        "own": (True, True),
        "linked": (False, True),
        "foot": (False, False),
        "after": (False, False),
    }
    assert list(found) == ["logo", "nav", "hero", "own", "linked", "foot", "after"]


def test_without_main_everything_but_the_frame_is_content() -> None:
    images = scan(b"<nav><img src=1></nav><div><img src=2></div></nav><img src=3>").images
    assert [image.in_content for image in images] == [False, True, True]


def test_hostile_sizes_stay_linear() -> None:
    """Each of these takes hours if anything is quadratic."""
    tag = b'<img src="a.png">'
    many = 200_000
    for data, count in [
        (b"<div>" * 200_000 + tag + b"</div>" * 200_000, 1),
        (b"<picture>" * 200_000 + tag, 1),
        (b"<template>" * 200_000 + tag + b"</template>" * 200_000 + tag, 1),
        (b'<img src="' + b"x" * 5_000_000 + b'">', 1),
        (b'<a title="' + b"<img>" * many + b'">' + tag, 1),
        (b"<a " + b"b " * many + b">" + tag, 1),
        (b"<img " + b"b=c " * many + b">" + tag, 2),
        (b"<" * 5_000_000 + tag, 1),
        (b"<a " * many + tag, 0),
        (b"<![CDATA[" * many + tag, 0),
        (b"<![CDATA[>" * many + tag, 1),
        (b"<!-->" * many + tag, 1),
        (b"<!x>" * many + tag, 1),
        (b"</ >" * many + tag, 1),
        (b"<!--" * many + tag, 0),
        (b"<script>" * many + tag, 0),
        (b"<script><!--" + b"<script></script>" * 200_000 + tag, 0),
        (b"<textarea></textarea>" * 200_000 + tag, 1),
        (b'<a b="' * many + tag, 0),
        (b"<a b=" + b" " * 5_000_000 + tag, 0),
        (b"<a b" + b" " * 5_000_000 + b"=c>" + tag, 1),
        (b"<a" + b"/" * 5_000_000 + b">" + tag, 1),
        (b'<a b="c"' * many + tag, 0),
        (tag * 100_000, 100_000),
    ]:
        assert len(scan(data).images) == count, data[:40]


FRAGMENTS = [
    *("<img", " src=", '"a.png"', "'", '"', ">", "/>", " ", "\n", "\r", "\0", "=", "/", "<", "</"),
    *("<!--", "-->", "--!>", "<!", "<?", "<![CDATA[", "]]>", "<script>", "</script>", "<script"),
    *("<textarea>", "</textarea>", "<template>", "</template>", "<picture>", "</picture>", "<svg>"),
    *("</svg>", "<title/>", "<a href=x>", "</a>", "<p class='b'>", "<base href=q>", "&amp;", "é"),
    *("<img src='x'>", '<img alt="" src=y.jpg>', "text", "<IMG SRC=Z>", "<main>", "</main>"),
]
documents = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=3)), max_size=40).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    ),
)


@given(documents)
def test_any_document_is_identical_outside_the_spans(data: bytes) -> None:
    images = scan(data).images
    spans = [(image.start, image.end) for image in images]
    assert splice(data, [(a, b, data[a:b]) for a, b in spans]) == data
    assert splice(data, []) == data
    marked = splice(data, [(a, b, b"\x01") for a, b in spans])
    position = rest = 0
    for a, b in spans:
        assert position <= a < b <= len(data)
        assert data[a : a + 4].lower() == b"<img"
        assert data[b - 1 : b] == b">"
        length = a - position
        assert marked[rest : rest + length] == data[position:a]
        position, rest = b, rest + length + 1
        for attribute in images[spans.index((a, b))].attributes:
            assert a + 4 < attribute.start < attribute.end < b
    assert marked[rest:] == data[position:]


@given(documents)
def test_replacing_an_image_hides_no_other(data: bytes) -> None:
    """What is put in a tag's place is again what is found there, and all the rest as before."""
    before = scan(data)
    spans = [(i.start, i.end, b"<img src=new>") for i in before.images]
    after = scan(splice(data, spans))
    assert [i.get("src") for i in after.images] == ["new"] * len(before.images)
    assert [i.in_picture for i in after.images] == [i.in_picture for i in before.images]
    assert after.base == before.base


class Oracle(HTMLParser):
    """The standard library's parser, right for documents without the constructs it gets wrong."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            found: dict[str, str] = {}
            for name, value in attrs:
                found.setdefault(name, value or "")
            self.found.append(found)


WORDS = st.text("abc xyz.-é/€", max_size=8)
QUOTED = st.one_of(
    WORDS.map('"{}"'.format), WORDS.map("'{}'".format), st.text("abc.-", min_size=1, max_size=5)
)
ATTRIBUTES = st.lists(
    st.tuples(st.sampled_from(["src", "alt", "Class", "data-x"]), QUOTED), max_size=4
).map(lambda pairs: "".join(f" {name}={value}" for name, value in pairs))
PIECES = st.one_of(
    st.tuples(st.sampled_from(["img", "IMG", "p", "div", "svg", "abbr", "source"]), ATTRIBUTES).map(
        lambda pair: f"<{pair[0]}{pair[1]}>"
    ),
    st.sampled_from(["</p>", "</div>", "<br>", "</svg>", "a < b", "<!-- <img> -->", "<hr >"]),
    WORDS,
)


@given(st.lists(PIECES, max_size=20).map("".join))
def test_well_formed_documents_agree_with_the_standard_library(text: str) -> None:
    found = [
        {a.name: a.value for a in reversed(image.attributes)}
        for image in scan(text.encode()).images
    ]
    assert found == Oracle(text).found


def test_splice_refuses_spans_that_overlap() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        splice(b"abcdef", [(0, 3, b""), (2, 4, b"")])
    with pytest.raises(ValueError, match="leaves"):
        splice(b"abc", [(1, 9, b"")])
    assert splice(b"abcdef", [(4, 5, b"XX"), (0, 1, b"")]) == b"bcdXXf"


def test_random_cuts_of_a_page_never_fail() -> None:
    page = (
        b"<!doctype html><html><head><title>a<img></title><script>var x='<img>';</script></head>"
        b"<body><main><p>x <img src='a.png' alt=\"b\"> <textarea><img></textarea><!-- <img> -->"
        b"<picture><source srcset=x><img src=c></picture></main></body></html>"
    )
    rng = random.Random(0)
    for _ in range(2000):
        start, end = sorted(rng.choices(range(len(page) + 1), k=2))
        scan(page[start:end])


@pytest.mark.parametrize(
    ("document", "before"),
    [
        ("<html><head><title>a</title><|/head><body><img>", "</head>"),
        ("<!-- </head> --><head><script>'</head>'</script><|/HEAD><img>", "</HEAD>"),
        ("<meta charset=utf-8><|body class=x><img></head>", "<body"),
        ("<title></head></title><|p><img>", "<p>"),
        ("<head><template></head></template><|/head><img>", "</head>"),
    ],
)
def test_where_a_head_ends(document, before):
    text = document.replace("|", "").encode()
    assert scan(text).head_end == document.index("|") - 1
    assert text[scan(text).head_end :].startswith(before.encode())


@pytest.mark.parametrize("document", ["<p><img>", "<img><title>x</title>", "<header><img></head>"])
def test_documents_without_a_head(document):
    assert scan(document.encode()).head_end is None

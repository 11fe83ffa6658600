"""sitecodec.page.markup: what takes the place of an image tag."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitecodec.errors import SettingsError
from sitecodec.page import markup
from sitecodec.page.html import scan
from sitecodec.page.layout import Layout
from sitecodec.page.markup import Picture, Source, load_template, more_sources, render, sized
from sitecodec.page.priority import Position

PICTURE = Picture(
    sources=(
        Source("image/x-sitecodec", "x/a-1.slat", 600, 400),
        Source("image/avif", "x/a-1.avif", 600, 400),
    ),
    src="x/a-1.jpg#only-dark",
    width=600,
    height=400,
)
HELD = Layout(natural=(600, 400), unheld="", sized=True)


def rendered(
    tag: bytes,
    picture: Picture = PICTURE,
    layout: Layout = HELD,
    *,
    templates: Path | None = None,
    first: bool = False,
    lazy: bool = True,
) -> bytes:
    (image,) = scan(tag).images
    template = load_template(templates)
    return render(template, tag, image, picture, layout, Position(first=first, lazy=lazy))


def img(tag: bytes, **options: Any) -> str:
    """The <img> of what is rendered."""
    text = rendered(tag, **options).decode()
    return text[text.index("<img") : text.index("</picture>")]


def test_the_whole_picture() -> None:
    assert rendered(b'<img alt="a &amp; b" src=a.png>') == (
        b"<picture data-sitecodec>"
        b'<source type="image/x-sitecodec" srcset="x/a-1.slat">'
        b'<source type="image/avif" srcset="x/a-1.avif">'
        b'<img alt="a &amp; b" src="x/a-1.jpg#only-dark" width="600" height="400"'
        b' data-sitecodec="sized" decoding="async" loading="lazy"'
        b' style="contain-intrinsic-size:600px 400px"></picture>'
    )


def test_every_attribute_stays_in_order_and_as_spelled() -> None:
    tag = (
        b"<IMG\n CLASS='b  c' ALT=\"x &lt; \xc3\xa9 \xff\" id=i Src='a.png?v=1'\tstyle=color:red"
        b"\r\n title='\"' data-x usemap=#m ismap crossorigin referrerpolicy=no-referrer"
        b" onload='f(1>2)'>"
    )
    out = rendered(tag)
    start, end = out.index(b"<img") + 4, out.index(b' width="600"')
    own = tag[4:-1].replace(b"'a.png?v=1'", b'"x/a-1.jpg#only-dark"')
    style = b'style="color:red;contain-intrinsic-size:600px 400px"'
    assert out[start:end] == own.replace(b"style=color:red", style)


@pytest.mark.parametrize(
    ("tag", "end"),
    [
        (b'<img src="a" />', " />"),
        (b'<img src="a"/>', " />"),
        (b"<img src=a>", ">"),
        (b"<img src=a alt=x/>", ">"),  # the slash is part of the value
    ],
)
def test_tags_are_closed_as_the_author_closes_them(tag: bytes, end: str) -> None:
    text = rendered(tag).decode()
    assert img(tag).endswith('400px"' + end)
    assert f'srcset="x/a-1.avif"{end}' in text


def test_without_a_fallback_the_source_stays() -> None:
    tag = b"<img src='a.png?x#only-light' alt>"
    out = rendered(tag, Picture(PICTURE.sources, None, 600, 400))
    assert b"<img src='a.png?x#only-light' alt width=" in out


def test_addresses_are_escaped() -> None:
    hostile = Picture((Source("image/avif", 'a"><b>&', 1, 1),), "x\"'<>&", 1, 1)
    out = rendered(b"<img src=a>", hostile)
    assert b"<b>" not in out
    (image,) = scan(out).images
    assert image.get("src") == "x\"'<>&"


RATIO = ";--sitecodec-ratio:600/400"


@pytest.mark.parametrize(
    ("author", "attributes", "ratio"),
    [
        ("", ' width="600" height="400" data-sitecodec="sized"', ""),
        (" width=300", ' data-sitecodec="held"', RATIO),
        (' height="100"', ' data-sitecodec="held"', RATIO),
        (' width="50%"', ' data-sitecodec="held"', RATIO),
        (" width=auto", ' data-sitecodec="held"', RATIO),
        (" width=1 height=1", ' data-sitecodec="held"', RATIO),
    ],
)
def test_space_is_reserved(author: str, attributes: str, ratio: str) -> None:
    """A size of the author's stays alone: the other side follows from the ratio, unrounded."""
    tag = f"<img src=a{author}>".encode()
    style = f' style="contain-intrinsic-size:600px 400px{ratio}"'
    after = img(tag).partition('only-dark"')[2].removeprefix(author)
    assert after == f'{attributes} decoding="async" loading="lazy"{style}>'


def test_what_may_be_added() -> None:
    """As the layout says: nothing that a selector would see, no size that is not the image's."""
    tag = b"<img src=a>"
    layout = HELD._replace(sized=False, unseen=frozenset(["decoding"]))
    held = ' decoding="async" style="contain-intrinsic-size:600px 400px'
    assert img(tag, layout=layout).endswith(f'-dark" data-sitecodec="held"{held}{RATIO}">')
    layout = HELD._replace(unheld="in a flex container", unseen=frozenset())
    ratio = 'src="x/a-1.jpg#only-dark" width="600" height="400" data-sitecodec="ratio">'
    assert img(tag, layout=layout).endswith(ratio)
    assert img(tag, layout=Layout(unseen=frozenset())) == '<img src="x/a-1.jpg#only-dark">'


def test_without_a_picture() -> None:
    """The tag keeps the author's file, and offers another in a format that all browsers know."""
    layout = Layout("img", "figure > img", unseen=frozenset())
    tag = b"<img src='a.png?x' alt=y />"
    assert rendered(tag, layout=layout) == b"<img src='a.png?x' alt=y srcset=\"x/a-1.avif\" />"
    several = Picture(
        (
            Source("image/x-sitecodec", "a.slat 600w, b.slat 300w", 600, 400, "9px"),
            Source("image/webp", "a.webp 600w, b.webp 300w", 600, 400, "9px"),
        ),
        *("a.jpg", 600, 400, "a.jpg 600w, b.jpg 300w", "9px"),
    )
    assert rendered(b"<img src=a>", several, layout) == (
        b'<img src=a srcset="a.webp 600w, b.webp 300w" sizes="9px">'
    )
    assert rendered(b"<img src=a sizes=1px>", several, layout) == b"<img src=a sizes=1px>"
    none = Picture((), "a.jpg", 600, 400)
    assert rendered(b"<img src=a>", none, layout) == b"<img src=a>"


@pytest.mark.parametrize(
    ("author", "first", "lazy", "loading"),
    [
        (b"", False, True, ' decoding="async" loading="lazy"'),
        (b"", True, False, ' decoding="async" fetchpriority="high"'),
        (b"", False, False, ' decoding="async"'),
        (b" decoding=sync", False, True, ' loading="lazy"'),
        (b" loading=eager", False, True, ' decoding="async"'),
        (b" loading=lazy", True, False, ' decoding="async"'),
        (b" loading=eager", True, False, ' decoding="async" fetchpriority="high"'),
        (b" fetchpriority=low", True, False, ' decoding="async"'),
        (b" fetchpriority=HIGH", False, True, ' decoding="async"'),
    ],
)
def test_loading(author: bytes, first: bool, lazy: bool, loading: str) -> None:
    tag = b"<img src=a width=1 height=1" + author + b">"
    out = img(tag, layout=Layout(), first=first, lazy=lazy)
    assert out.partition(f"height=1{author.decode()}")[2] == f"{loading}>"


def test_several_widths() -> None:
    picture = Picture(
        (Source("image/avif", "a.avif 600w, b.avif 300w", 600, 400, "300px"),),
        "a.jpg",
        1200,
        800,
        srcset="a.jpg 600w, b.jpg 300w",
        sizes="300px",
    )
    assert rendered(b"<img src=a>", picture) == (
        b'<picture data-sitecodec><source type="image/avif" srcset="a.avif 600w, b.avif 300w"'
        b' sizes="300px"><img src="a.jpg" width="600" height="400" data-sitecodec="sized"'
        b' decoding="async" loading="lazy" srcset="a.jpg 600w, b.jpg 300w" sizes="300px"'
        b' style="contain-intrinsic-size:600px 400px"></picture>'
    )


def test_placeholders_join_the_author_s_style() -> None:
    picture = Picture((), None, 60, 40, placeholder="background:#abc")
    held = b";contain-intrinsic-size:600px 400px"
    assert b' style="background:#abc' + held + b'"' in rendered(b"<img src=a>", picture)
    styled = rendered(b"<img src=a style='color:red; ' alt=x>", picture)
    assert b' style="color:red;background:#abc' + held + b'" alt=x' in styled
    for own in (b"style=background:red", b"style='BACKGROUND-color:red'"):
        assert b"#abc" not in rendered(b"<img src=a " + own + b">", picture)


def test_an_image_that_stays_gets_what_it_lacks() -> None:
    def out(tag: bytes, layout: Layout = HELD, **position: bool) -> bytes:
        (image,) = scan(tag).images
        return sized(tag, image, layout, **({"first": False, "lazy": False} | position))

    assert out(b"<img src='a' alt=\xff />", lazy=True) == (
        b'<img src=\'a\' alt=\xff width="600" height="400" data-sitecodec="sized"'
        b' decoding="async" loading="lazy" style="contain-intrinsic-size:600px 400px" />'
    )
    assert out(b"<img src=a width=6>", Layout()) == b'<img src=a width=6 decoding="async">'
    whole = b"<img src=a width=1 height=1 decoding=sync>"
    assert out(whole, Layout()) == whole


def test_more_sources_stand_under_the_same_conditions() -> None:
    data = b'<picture><source srcset=a media="(min-width: 9px)" sizes=5vw class=x /><img></picture>'
    (image,) = scan(data).images
    assert image.sources
    made = [Source("image/avif", "a.avif 5w", 0, 0)]
    assert more_sources(data, image.sources[0], made) == (
        b'<source type="image/avif" srcset="a.avif 5w" media="(min-width: 9px)" sizes="5vw" />'
    )
    assert more_sources(data, image, made) == b'<source type="image/avif" srcset="a.avif 5w">'


@pytest.mark.parametrize(
    ("window", "pixels", "text"),
    [
        (1, 760, "(max-width: 760px) 100vw, 760px"),
        (0.5, 380, "(max-width: 760px) 50vw, 380px"),
        (1, 200, "200px"),
        (1, math.inf, "100vw"),
        (math.inf, 2400.4, "2401px"),
        (1 / 3, math.inf, "33.34vw"),
    ],
)
def test_sizes(window: float, pixels: float, text: str) -> None:
    layout = HELD._replace(window=window, pixels=pixels)
    assert layout.sizes == text
    assert not layout.whole
    assert layout._replace(unheld="x").whole


def test_the_head_gets_what_it_has_not() -> None:
    style = markup.head(b"")
    assert style.startswith(b"<style data-sitecodec>@layer sitecodec{:where(")
    assert style.endswith(b"</script>")
    assert style.startswith(short := markup.head(b"", printing=False))
    assert short.endswith(b"</style>")
    script = b'<script defer src="a&amp;b.js"></script>'
    both = markup.head(b"", "a&b.js")
    assert both == style.replace(short, short + script)
    assert markup.head(b"<p>" + both, "a&b.js") == b""
    pictures = [(30, 40, b"x"), (50, 60, b"y")]
    assert markup.with_head(b"", 7, pictures) == [(7, 7, style), *pictures]
    begun = b"<meta x><!-- <link> --><link rel=stylesheet></head>"
    place = begun.index(b"<link rel")
    assert markup.with_head(begun, 44, pictures) == [(place, place, style), *pictures]
    assert markup.with_head(b"", None, pictures) == [(30, 40, style + b"x"), (50, 60, b"y")]


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["alt", "class", "data-x", "title", "src", "@y", "{{ z }}"]),
            st.text(st.characters(exclude_characters="\"'&\r\0", exclude_categories=["Cs"])),
        ),
        max_size=5,
    )
)
def test_no_attribute_can_break_out(attributes: list[tuple[str, str]]) -> None:
    """Nothing of the author's runs as a template or becomes markup, and no white space is added."""
    inside = " ".join(f'{name}="{value}"' for name, value in attributes)
    tag = f"<img {inside}>".encode()
    found = Tags(rendered(tag).decode())
    assert found.tags == ["picture", "source", "source", "img"]
    assert found.text == ""


def test_a_site_replaces_the_template(tmp_path: Path) -> None:
    (tmp_path / "picture.html.jinja").write_text(
        "\n{# mine #}<figure class={{ author.class }}>{{ src }} {{ width }}x{{ height }}"
        "{% if first %}!{% endif %}{% for s in sources %} {{ s.srcset }}{% endfor %}"
        "<img{{ attributes }}{{ end }}{{ author.alt }}</figure>\n"
    )
    tag = b'<img src=a class=c alt="&lt;b>" loading=eager decoding=sync width=1 height=1>'
    assert rendered(tag, layout=Layout(), templates=tmp_path, first=True, lazy=False) == (
        b"<figure class=c>x/a-1.jpg#only-dark 600x400! x/a-1.slat x/a-1.avif"
        b'<img src="x/a-1.jpg#only-dark" class=c alt="&lt;b>" loading=eager decoding=sync'
        b' width=1 height=1 fetchpriority="high">&lt;b&gt;</figure>'
    )


def test_a_folder_without_the_template_changes_nothing(tmp_path: Path) -> None:
    assert rendered(b"<img src=a>", templates=tmp_path) == rendered(b"<img src=a>")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% if %}", r"picture.html.jinja, line 1: .+; mend the template"),
        ("{{ sauces }}", r"'sauces' is undefined; mend the template"),
        ("{{ 1 / 0 }}", r"division by zero; mend the template"),
        (b"\xff\xfe", r"picture.html.jinja: .+; mend the template"),
    ],
)
def test_bad_templates(tmp_path: Path, text: str | bytes, message: str) -> None:
    raw = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "picture.html.jinja").write_bytes(raw)
    with pytest.raises(SettingsError, match=message) as caught:
        rendered(b"<img src=a>", templates=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere is not a folder; make it"):
        load_template(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<p>@", "@"),
        ("<svg></svg>@", "@"),
        ("<p><svg><g>@", "<svg>"),
        ("<math><mi>@", "<math>"),
        ("<svg></svg><select><option>a<option>b@", "<select>"),
        ("<select><option>a<option>b</select>@", "@"),
        ("<select><optgroup><option>a</option></optgroup>@", "<select>"),
        ("<option>a@", "<option>"),
        ("</svg></select>@", "@"),
        ("<svg><select></svg>@", "@"),
    ],
)
def test_without_a_head_style_and_script_stand_where_they_are_html(text: str, place: str) -> None:
    data = text.replace("@", "<img src=a.png>").encode()
    at = text.index("@")
    (start, end, new), *rest = markup.with_head(data, None, [(at, len(data), b"IMG")])
    assert b"<style" in new
    assert data[start:].startswith(place.replace("@", "<img").encode())
    assert b"IMG" in (rest[0][2] if rest else new)
    assert (start == end) == bool(rest)

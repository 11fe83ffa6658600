"""sitecodec.page.markup: what takes the place of an image tag."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec.errors import SettingsError
from sitecodec.page import markup
from sitecodec.page.html import scan
from sitecodec.page.markup import Picture, Source, load_template, more_sources, render, sized

PICTURE = Picture(
    sources=(
        Source("image/x-sitecodec", "x/a-1.slat", 600, 400),
        Source("image/avif", "x/a-1.avif", 600, 400),
    ),
    src="x/a-1.jpg#only-dark",
    width=600,
    height=400,
)


def rendered(
    tag: bytes,
    picture: Picture = PICTURE,
    *,
    templates: Path | None = None,
    first: bool = False,
    lazy: bool = True,
) -> bytes:
    (image,) = scan(tag).images
    template = load_template(templates)
    return render(template, tag, image, picture, first=first, lazy=lazy)


def img(tag: bytes, **options: bool) -> str:
    """The <img> of what is rendered."""
    text = rendered(tag, **options).decode()
    return text[text.index("<img") : text.index("</picture>")]


def test_the_whole_picture() -> None:
    assert rendered(b'<img alt="a &amp; b" src=a.png>') == (
        b"<picture data-sitecodec>"
        b'<source type="image/x-sitecodec" srcset="x/a-1.slat">'
        b'<source type="image/avif" srcset="x/a-1.avif">'
        b'<img alt="a &amp; b" src="x/a-1.jpg#only-dark" width="600" height="400"'
        b' data-sitecodec="sized" decoding="async" loading="lazy">'
        b"</picture>"
    )


def test_every_attribute_stays_in_order_and_as_spelled() -> None:
    tag = (
        b"<IMG\n CLASS='b  c' ALT=\"x &lt; \xc3\xa9 \xff\" id=i Src='a.png?v=1'\tstyle=color:red"
        b"\r\n title='\"' data-x usemap=#m ismap crossorigin referrerpolicy=no-referrer"
        b" onload='f(1>2)'>"
    )
    out = rendered(tag)
    start, end = out.index(b"<img") + 4, out.index(b' width="600"')
    assert out[start:end] == tag[4:-1].replace(b"'a.png?v=1'", b'"x/a-1.jpg#only-dark"')


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
    assert img(tag).endswith('loading="lazy"' + end)
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


@pytest.mark.parametrize(
    ("given_size", "added"),
    [
        (b"", ' width="600" height="400"'),
        (b"width=300", ' height="200"'),
        (b'height="100"', ' width="150"'),
        (b"width=1 ", ' height="1"'),
        (b'width="50%"', ""),
        (b'width="300px"', ""),
        (b"width=0", ""),
        (b"width=3.5", ""),
        (b"width=\xd9\xa3", ""),
        (b"width=100 height=100", ""),
        (b"width=99999999999", ""),
        (b'style="max-width: 50%"', ""),
        (b'style="HEIGHT:3em"', ""),
        (b'style="color: red"', ' width="600" height="400"'),
    ],
)
def test_dimensions(given_size: bytes, added: str) -> None:
    after = img(b"<img src=a " + given_size + b">").partition("only-dark")[2]
    added_here = after.partition(given_size.decode().strip())[2] if given_size else after[1:]
    marker = ' data-sitecodec="sized"' if added else ""
    assert added_here == f'{added}{marker} decoding="async" loading="lazy">'


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
    out = img(b"<img src=a width=1 height=1" + author + b">", first=first, lazy=lazy)
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
        b' sizes="auto, 300px"><img src="a.jpg" width="1200" height="800" data-sitecodec="sized"'
        b' decoding="async" loading="lazy" srcset="a.jpg 600w, b.jpg 300w" sizes="auto, 300px"'
        b' style="contain-intrinsic-size:1200px 800px"></picture>'
    )
    own = rendered(b'<img src=a sizes="9px">', picture)
    assert own.count(b" sizes=") == 2
    assert b"auto" not in own


@pytest.mark.parametrize(
    ("tag", "lazy", "auto"),
    [
        (b"<img src=a>", True, True),
        (b"<img src=a>", False, False),
        (b"<img src=a loading=lazy>", False, True),
        (b"<img src=a loading=eager>", True, False),
        (b"<img src=a width=50%>", True, False),
        (b"<img src=a width=50% height=20>", True, False),
        (b"<img src=a style='color:red;'>", True, True),
        (b"<img src=a style='--x:\xff'>", True, False),
    ],
)
def test_the_browser_measures_where_that_changes_no_layout(
    tag: bytes, lazy: bool, auto: bool
) -> None:
    picture = Picture((), "b", 1200, 800, srcset="a 600w, b 300w", sizes="300px")
    out = rendered(tag, picture, lazy=lazy)
    assert (b'sizes="auto, 300px"' in out) == auto
    assert (b"contain-intrinsic-size:1200px 800px" in out) == auto
    if auto and b"style" in tag:
        assert b' style="color:red;contain-intrinsic-size:1200px 800px"' in out


def test_placeholders_join_the_author_s_style() -> None:
    picture = Picture((), None, 60, 40, placeholder="background:#abc")
    assert b' style="background:#abc"' in rendered(b"<img src=a>", picture)
    styled = rendered(b"<img src=a style='color:red; ' alt=x>", picture)
    assert b' style="color:red;background:#abc" alt=x' in styled
    for own in (b"style=background:red", b"style='BACKGROUND-color:red'"):
        assert b"#abc" not in rendered(b"<img src=a " + own + b">", picture)


def test_an_image_that_stays_gets_what_it_lacks() -> None:
    def out(tag: bytes, size: tuple[int, int] | None = (60, 40), **position: bool) -> bytes:
        (image,) = scan(tag).images
        return sized(tag, image, size, **({"first": False, "lazy": False} | position))

    assert out(b"<img src='a' alt=\xff />", lazy=True) == (
        b'<img src=\'a\' alt=\xff width="60" height="40"'
        b' data-sitecodec="sized" decoding="async" loading="lazy" />'
    )
    assert out(b"<img src=a width=6>", None) == b'<img src=a width=6 decoding="async">'
    whole = b"<img src=a width=1 height=1 decoding=sync>"
    assert out(whole) == whole


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
    ("tag", "picture_width", "shown"),
    [
        (b"<img src=a>", 2000, 760),
        (b"<img src=a>", 400, 400),
        (b"<img src=a width=300>", 2000, 300),
        (b"<img src=a width=3000>", 2000, 760),
        (b"<img src=a width='50%'>", 2000, 760),
        (b"<img src=a style='width:50%'>", 2000, None),
        (b"<img src=a style='color:red'>", 2000, 760),
    ],
)
def test_display_width(tag: bytes, picture_width: int, shown: int | None) -> None:
    (image,) = scan(tag).images
    assert markup.display_width(image, picture_width, 760) == shown


def test_sizes() -> None:
    assert markup.sizes(200) == "200px"
    assert markup.sizes(760) == "(max-width: 760px) 100vw, 760px"


def test_the_head_gets_what_it_has_not() -> None:
    style = markup.head(b"")
    assert style.startswith(b"<style data-sitecodec>:where(")
    assert style.endswith(b"</style>")
    both = markup.head(b"", "a&b.js")
    assert both == style + b'<script defer src="a&amp;b.js"></script>'
    assert markup.head(b"<p>" + both, "a&b.js") == b""
    pictures = [(30, 40, b"x"), (50, 60, b"y")]
    assert markup.with_head(b"", 7, pictures) == [(7, 7, style), *pictures]
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
    assert rendered(tag, templates=tmp_path, first=True, lazy=False) == (
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

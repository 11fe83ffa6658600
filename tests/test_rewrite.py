"""sitecodec.site.rewrite: the author's own pictures, CSS, and images that stay, on real builds."""

from __future__ import annotations

import itertools
import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from PIL import Image

from sitecodec.page.html import scan, styles
from sitecodec.page.markup import load_template
from sitecodec.page.urls import site_root
from sitecodec.settings import Settings
from sitecodec.site import assets
from sitecodec.site.assets import Asset
from sitecodec.site.build import Summary, rewrite_site
from sitecodec.site.findings import Findings
from sitecodec.site.layout import Layouts
from sitecodec.site.memory import of_site
from sitecodec.site.offers import Offers
from sitecodec.site.pages import Visitor


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(store=tmp_path_factory.mktemp("store"), workers=2, browser="always")


@pytest.fixture(scope="module")
def photos(make: Any) -> dict[str, bytes]:
    """The same photograph in two sizes, and another one."""
    return {
        "small": make.file(make.photo(80, 120, 1)),
        "large": make.file(make.photo(160, 240, 1)),
        "other": make.file(make.photo(120, 120, 2)),
    }


@pytest.fixture
def site(tmp_path: Path, photos: dict[str, bytes]) -> Path:
    root = tmp_path / "site"
    (root / "i").mkdir(parents=True)
    for name, data in photos.items():
        (root / "i" / f"{name}.png").write_bytes(data)
    return root


def build(site: Path, text: str, settings: Settings) -> tuple[str, Summary]:
    """A page as it is after the build, with hashes cut out of names."""
    page = site / "index.html"
    page.write_text(text)
    summary = rewrite_site(site, settings)
    first = page.read_bytes()
    rewrite_site(site, settings)
    assert page.read_bytes() == first  # a second run changes nothing
    for address in re.findall(r"assets/sitecodec/[\w.-]+", first.decode()):
        assert (site / address).is_file()
    short = re.sub(r"assets/sitecodec/(\w+)-[0-9a-f]{12}-\d+w", r"\1", first.decode())
    added = "<(style|script) data-sitecodec>.*?</(style|script)>|<script defer[^>]*></script>"
    return re.sub(added, "", short), summary


def test_an_author_s_srcset_is_offered_in_better_formats(site: Path, settings: Settings) -> None:
    text, summary = build(
        site,
        '<img src="i/small.png" srcset="i/small.png 120w, i/large.png 240w" sizes="50vw" alt=x>',
        settings,
    )
    assert text == (
        "<picture data-sitecodec>"
        '<source type="image/x-sitecodec" srcset="small.slat 120w, large.slat 240w" sizes="50vw">'
        '<source type="image/avif" srcset="small.avif 120w, large.avif 240w" sizes="50vw">'
        '<img src="i/small.png" srcset="i/small.png 120w, i/large.png 240w" sizes="50vw" alt=x'
        ' decoding="async" fetchpriority="high"></picture>'
    )
    assert {row.path for row in summary.encoded} == {"i/small.png", "i/large.png"}


def test_densities_of_a_srcset(site: Path, settings: Settings) -> None:
    text, _ = build(site, '<img src="i/small.png" srcset="i/large.png 2x">', settings)
    assert 'srcset="small.avif 1x, large.avif 2x"' in text.replace("small.avif,", "small.avif 1x,")
    assert 'srcset="i/large.png 2x" width="120" height="80"' in text
    narrow = replace(settings, widths=(120,))
    text, _ = build(site, '<img src="i/small.png" srcset="i/large.png 2x">', narrow)
    assert 'srcset="small.avif, large.avif 1x"' in text  # half as wide at half the density


def test_a_candidate_that_is_too_small_is_left_out_or_ends_it(
    site: Path, settings: Settings, make: Any
) -> None:
    """What a browser loads in its place must not be a larger file."""
    (site / "i/icon.png").write_bytes(make.file(make.photo(20, 30, 1)))
    (site / "i/dot.png").write_bytes(make.file(make.photo(2, 3, 1)))
    text, _ = build(
        site,
        '<img src="i/large.png" srcset="i/icon.png 30w, i/large.png 240w">',
        replace(settings, quality=30),
    )
    assert '<source type="image/avif" srcset="large.avif 240w">' in text
    tag = '<img src="i/large.png" srcset="i/dot.png 3w, i/large.png 240w">'
    assert build(site, tag, settings)[0].startswith(tag[:-1])


@pytest.mark.parametrize(
    "tag",
    [
        '<img src="i/small.png" srcset="https://example.com/x.png 2x">',
        '<img src="i/small.png" srcset="i/large.png 2x 3h">',
        '<img src="i/small.png" srcset="i/v.svg 2x">',
        '<img src="i/small.png" srcset="data:image/png;base64,AAA= 2x">',
        '<img src="i/small.png" srcset="i/large.png 2x" data-sitecodec="off">',
        "<picture><b><img src='i/small.png'></b></picture>",
        "<picture><img src='i/small.png'><img src='i/large.png'></picture>",
        "<picture><source srcset=i/large.png><img src=i/small.png data-sitecodec=off></picture>",
        "<picture><img src='i/small.png'>",
    ],
)
def test_what_cannot_be_improved_stays(site: Path, settings: Settings, tag: str) -> None:
    (site / "i/v.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    text, summary = build(site, tag, settings)
    assert text == tag
    assert not summary.problems


def test_a_missing_file_of_a_srcset_is_a_problem(site: Path, settings: Settings) -> None:
    tag = '<img src="i/small.png" srcset="i/nowhere.png 2x">'
    text, summary = build(site, tag, settings)
    assert text == tag
    assert [p.image for p in summary.problems] == ["i/nowhere.png"]


def test_an_author_s_picture_gets_more_sources(site: Path, settings: Settings) -> None:
    text, _ = build(
        site,
        '<main><picture>\n<source media="(min-width: 600px)" srcset="i/large.png" />\n'
        '<img src="i/other.png" class=c>\n</picture></main>',
        settings,
    )
    media = 'media="(min-width: 600px)"'
    assert text == (
        "<main><picture>\n"
        f'<source type="image/x-sitecodec" srcset="large.slat" {media} />'
        f'<source type="image/avif" srcset="large.avif" {media} />'
        f'<source {media} srcset="i/large.png" />\n'
        '<source type="image/x-sitecodec" srcset="other.slat">'
        '<source type="image/avif" srcset="other.avif">'
        '<img src="i/other.png" class=c decoding="async" fetchpriority="high">\n</picture></main>'
    )


def test_an_author_s_modern_sources_stay_first(site: Path, settings: Settings) -> None:
    """Where a browser never gets as far as the `<img>`, nothing is made of that."""
    Image.new("RGB", (240, 160), "red").save(site / "i/own.avif")
    own = '<picture><source type="image/avif" srcset="i/own.avif"><img src="i/small.png"'
    text, summary = build(site, own + "></picture>", settings)
    assert text == own + ' decoding="async"></picture>'
    assert not summary.encoded


def test_backgrounds(site: Path, settings: Settings) -> None:
    """In style attributes, style elements and style sheets; each keeps what was there."""
    (site / "css").mkdir()
    sheet = "a::before { background: url(../i/other.png) no-repeat }\n/* \u00e9 */"
    (site / "css/x.css").write_text(sheet, "utf-8")
    (site / "css/pinned.css").write_text(sheet, "utf-8")
    (site / "css/plain.css").write_text("b{background:url(../i/nowhere.png)}")
    text, summary = build(
        site,
        "<link rel=stylesheet href=css/pinned.css integrity=sha256-x>"
        "<style>p{background-image:url('i/large.png')}</style>"
        '<p style="background:url(&quot;i/small.png&quot;) top;color:red">x'
        "<p style=background:url(i/small.png)><img style='background:url(i/small.png)'>"
        '<div data-sitecodec=off style="background:url(i/small.png)">',
        settings,
    )

    def images(name: str, folder: str = "") -> str:
        kinds = (("avif", "avif"), ("jpg", "jpeg"))
        return ", ".join(f"url({folder}{name}.{end}) type('image/{kind}')" for end, kind in kinds)

    assert text == (
        "<link rel=stylesheet href=css/pinned.css integrity=sha256-x>"
        "<style>p{background-image:url('i/large.png');"
        f"background-image:image-set({images('large')})}}</style>"
        '<p style="background:url(&quot;i/small.png&quot;) top;'
        f'background:image-set({images("small")}) top;color:red">x'
        f'<p style="background:url(i/small.png);background:image-set({images("small")})">'
        "<img style='background:url(i/small.png)'>"
        '<div data-sitecodec=off style="background:url(i/small.png)">'
    )
    changed = (site / "css/x.css").read_text("utf-8")
    short = re.sub(r"assets/sitecodec/(\w+)-[0-9a-f]{12}-\d+w", r"\1", changed)
    assert short == (
        "a::before { background: url(../i/other.png) no-repeat;"
        f"background: image-set({images('other', '../')}) no-repeat }}\n/* \u00e9 */"
    )
    assert (site / "css/pinned.css").read_text("utf-8") == sheet
    assert summary.problems == ()
    (site / "index.html").write_text("<p>")
    rewrite_site(site, settings)
    for address in re.findall(r"assets/sitecodec/[\w.-]+", changed):
        assert (site / address).is_file()  # a style sheet names it


def test_a_background_keeps_its_size(site: Path, settings: Settings) -> None:
    text, _ = build(
        site, '<p style="background:url(i/large.png)">', replace(settings, widths=(60, 120))
    )
    assert text.count(" 0.5000x") == 2
    assert "large.avif) type('image/avif') 0.5000x, url(large.jpg)" in text


def test_a_transparent_image_is_its_own_fallback(site: Path, settings: Settings, make: Any) -> None:
    clear = Image.fromarray(make.photo(80, 120)).convert("RGBA")
    clear.putalpha(100)
    (site / "i/clear.png").write_bytes(make.file(clear))
    text, _ = build(site, "<img src=i/clear.png>", settings)
    assert ".webp" in text  # its alpha is soft
    assert "<img src=i/clear.png" in text
    assert ".jpg" not in text


def test_images_that_stay_get_their_size(site: Path, settings: Settings, make: Any) -> None:
    clear = Image.fromarray(make.photo(80, 120)).convert("RGBA")
    clear.putalpha(0)
    (site / "i/clear.png").write_bytes(make.file(clear))
    (site / "i/tiny.png").write_bytes(make.file(make.photo(4, 6)))
    svg = "<svg xmlns='http://www.w3.org/2000/svg' {}/>"
    (site / "i/sized.svg").write_text(svg.format("width='30' height='20'"))
    (site / "i/fluid.svg").write_text(svg.format("viewBox='0 0 3 2'"))
    (site / "i/bad.svg").write_text("<svg")
    text, _ = build(
        site,
        "<nav><img src=i/clear.png></nav><img src=i/tiny.png><img src=i/clear.png height=40>"
        "<img src=i/sized.svg><img src=i/fluid.svg><img src=i/bad.svg><img src=https://e.org/x.png>",
        settings,
    )
    images = scan(text.encode()).images[1:]
    sized = {i.get("src"): (i.get("width"), i.get("height")) for i in images}
    assert sized == {
        "i/clear.png": (None, "40"),
        "i/tiny.png": ("6", "4"),
        "i/sized.svg": ("30", "20"),
        "i/fluid.svg": (None, None),
        "i/bad.svg": (None, None),
        "https://e.org/x.png": (None, None),
    }
    assert "<nav><img src=i/clear.png></nav>" in text
    loading = [(i.get("fetchpriority"), i.get("loading")) for i in images]
    assert loading == [(None, None)] * 6  # all of them are small, and near the top


def test_a_page_without_side_bars_shows_wider_images(
    site: Path, settings: Settings, make: Any
) -> None:
    (site / "i/wide.png").write_bytes(make.file(Image.new("RGB", (1100, 20), "red")))
    bars = "".join(f'<div class="md-sidebar md-sidebar--{n}" hidden>' for n in ("primary", "x"))
    css = "<style>img{{max-width:100%}}</style>"
    page = css + '<div class="md-content">{}<img src="i/wide.png"></div>'
    lean = replace(settings, widths=(300, 1100), min_bytes=0)
    for before, shown in (("", 760), (bars, 1026)):
        text, _ = build(site, page.format(before), lean)
        assert f'sizes="(max-width: {shown}px) 100vw, {shown}px"' in text


def test_one_image_by_many_names_and_two_that_differ_by_case(
    site: Path, settings: Settings, photos: dict[str, bytes]
) -> None:
    (site / "i/SMALL.png").write_bytes(photos["other"])
    (site / "sub").mkdir()
    (site / "sub/page.html").write_text(
        '<img src="../i/../i/sm%61ll.png?v=2"><img src=/i/small.png>'
    )
    text, summary = build(site, "<img src=i/small.png><img src=./i/SMALL.png>", settings)
    assert 'src="small.jpg"' in text
    assert 'src="SMALL.jpg"' in text
    assert [row.path for row in summary.encoded] == ["i/SMALL.png", "i/small.png"]
    names = [path.name.lower() for path in (site / "assets/sitecodec").iterdir()]
    assert len(set(names)) == len(names)  # also where a file system takes them for the same
    other = (site / "sub/page.html").read_text()
    assert len(set(re.findall(r"/small-([0-9a-f]{12})-120w.jpg", other))) == 1


PARTS = st.sampled_from(
    [
        *(
            "<img src=i/small.png>",
            "<img src=\"i/small.png\" alt='x>' />",
            "<IMG SRC=i/small.png\r\n>",
        ),
        *(
            "<picture>",
            "</picture>",
            "<source srcset=i/small.png>",
            "<source media=print srcset=x>",
        ),
        *(
            "<p style='background:url(i/small.png)'>",
            '<b style="background:url(i/none.png)">',
            "</p>",
        ),
        *(
            "<style>a{background:url(i/small.png)}",
            "</style>",
            "<head>",
            "</head>",
            "<title>",
            "</title>",
        ),
        *("<main>", "</main>", "<template>", "</template>", "<!--", "-->", "<script>", "</script>"),
        *(
            "<svg>",
            "</svg>",
            "text",
            "\r\n",
            "\0",
            "\u00e9",
            "<",
            ">",
            '"',
            "'",
            "<a ",
            "</body>",
            "&amp;",
        ),
        *(
            "<img srcset='i/small.png 1x, i/small.png 2x' src=i/small.png>",
            "<img src=data:,>",
            "<img",
        ),
        *(
            "<img src=https://e.org/x.png>",
            "<base href=x/>",
            "<textarea>",
            "</textarea>",
            "<noscript>",
        ),
    ]
)


@settings_of_hypothesis(max_examples=150, deadline=None)
@given(st.lists(PARTS, max_size=16).map("".join), st.booleans())
def test_not_one_other_byte_of_any_document_changes(text: str, broken: bool) -> None:
    data = text.encode() + (b"\xff\xfe" if broken else b"")
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        (site / "i").mkdir()
        (site / "i/small.png").write_bytes(b"x" * 5000)
        (site / "p.html").write_bytes(data)
        asset = Asset({"avif": "a/s.avif", "jpeg": "a/s.jpg"}, 120, 80, {"avif": 9, "jpeg": 9}, {})
        images = {"i/small.png": assets.Image(120, 80, (asset,))}
        offers = Offers(site, "/", images, cache(load_template), "", "style.css", {}, images, {})
        settings = Settings(asset_dir="a", store=site / "store")

        def build(data: bytes) -> tuple[bytes, Findings]:
            (site / "p.html").write_bytes(data)
            findings = Findings()
            memory = of_site(settings, site_root("/"), ["p.html"])
            layouts = Layouts(site, "/")
            visitor = Visitor(site, "/", settings, {}, findings, memory, layouts)
            visit = visitor.visit("p.html")
            changed = visit is not None and visitor.rewrite(visit, offers)
            memory.keep()
            new = (site / "p.html").read_bytes()
            assert (new != data) == changed
            return new, findings

        new, findings = build(data)
        assert build(data) == (new, findings)  # remembered
        assert build(new)[0] == new
        assert build(new)[0] == new
    own = [(image.start, image.end) for image in scan(data).images]
    own += [(style.start, style.end) for style in styles(data)]
    cuts = sorted({0, len(data), *(at for span in own for at in span)})
    spans = set(own)
    rest = re.sub(
        rb"<(style|script) data-sitecodec>.*?</(style|script)>", b"", new, flags=re.DOTALL
    )
    position = 0
    for start, end in itertools.pairwise(cuts):
        if (start, end) not in spans:
            position = rest.find(data[start:end], position)
            assert position >= 0
            position += end - start
    if not own:
        assert new == data


def offered(site: Path, image: assets.Image, widest: int) -> str:
    """What a page shows in place of an image of 240x160."""
    data = b"<style>img{max-width:100%}</style><main><img src=i/large.png></main>"
    (site / "p.html").write_bytes(data)
    offers = Offers(
        *(site, "/", {"i/large.png": image}, cache(load_template), "", "style.css", {}, {}, {}),
        widest=widest,
    )
    settings = Settings(asset_dir="a", store=site / "store")
    memory = of_site(settings, site_root("/"), ["p.html"])
    visitor = Visitor(site, "/", settings, {}, Findings(), memory, Layouts(site, "/"))
    visit = visitor.visit("p.html")
    assert visit is not None
    visitor.rewrite(visit, offers)
    return (site / "p.html").read_text()


def asset(width: int, **files: str) -> Asset:
    return Asset(files, width, width * 2 // 3, dict.fromkeys(files, 9), {})


def test_each_width_offers_its_own_format_under_the_type_that_asks_most(site: Path) -> None:
    sizes = (
        asset(240, webp="a/w.webp", png="a/w.png"),
        asset(120, avif="a/n.avif", jpeg="a/n.jpg"),
    )
    text = offered(site, assets.Image(240, 160, sizes), 240)
    assert '<source type="image/avif" srcset="a/w.webp 240w, a/n.avif 120w"' in text
    assert 'srcset="a/w.png 240w, a/n.jpg 120w"' in text
    sizes = (asset(240, png="a/w.png"), asset(120, webp="a/n.webp"))
    text = offered(site, assets.Image(240, 160, sizes), 240)
    assert '<source type="image/webp" srcset="a/w.png 240w, a/n.webp 120w"' in text


def test_where_only_narrower_files_gain_the_author_s_stays_the_widest(site: Path) -> None:
    sizes = (asset(120, avif="a/n.avif", jpeg="a/n.jpg"),)
    text = offered(site, assets.Image(240, 160, sizes), 240)
    assert '<source type="image/avif" srcset="i/large.png 240w, a/n.avif 120w"' in text
    assert "<img src=i/large.png" in text
    assert 'srcset="i/large.png 240w, a/n.jpg 120w"' in text
    assert "i/large.png 240w" not in offered(site, assets.Image(240, 160, sizes), 120)


def test_a_png_that_is_all_there_is_stands_in_a_source_too(site: Path) -> None:
    text = offered(site, assets.Image(240, 160, (asset(240, png="a/w.png"),)), 240)
    assert '<source type="image/png" srcset="a/w.png">' in text
    assert '<img src="a/w.png"' in text

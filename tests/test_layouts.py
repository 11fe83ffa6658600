"""What CSS and scripts of a site leave to do with an image: sitecodec.site.page_layout and css."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest
from PIL import Image

from sitecodec.css import sheets, tree
from sitecodec.page import html
from sitecodec.page.layout import Layout
from sitecodec.site import natural
from sitecodec.site.findings import Findings
from sitecodec.site.layout import Layouts
from sitecodec.site.summary import Summary, table


def layouts_of(site: Path, body: str, css: str = "", head: str = "") -> list[Layout]:
    """The layouts of a page's images, each 1600x400."""
    text = f"<!doctype html><head>{head}<style>{css}</style></head><body>{body}</body>".encode()
    page = Layouts(site, "/").page("/index.html", text, None)
    return [page.of(image, (1600, 400)) for image in html.scan(text).images]


def layout_of(site: Path, body: str, css: str = "", head: str = "") -> Layout:
    (layout,) = layouts_of(site, body, css, head)
    return layout


@pytest.mark.parametrize(
    ("body", "css", "form"),
    [
        ("<img>", "img{width:10px}", "picture"),
        ("<figure><img></figure>", "figure>img{width:50%}", "img"),
        ("<figure><a><img></a></figure>", "figure>img{width:50%}", "picture"),
        ("<p><img><em>x</em></p>", "img+em{display:block}", "img"),
        ("<p><img><b></b><i></i></p>", "img ~ i{color:red}", "img"),
        ("<p><img></p>", "p>:first-child{margin:0}", "img"),
        ("<p><img><b></b></p>", "img ~ b{color:red}", "img"),
        ("<p><img></p>", "p:has(> img){margin:0}", "img"),
        ("<p><img></p>", "p:has(img){margin:0}", "picture"),
        ("<p><b></b><img></p>", "p>:first-child{margin:0}", "picture"),
        ("<p><img></p>", "p *{display:block}", "img"),
        ("<p><img></p>", "p * img{border:0}", "img"),
        ("<p><img></p>", "p img:only-child{border:0}", "img"),
        ("<p><img></p>", "@media (min-width: 9px){p > img{border:0}}", "img"),
        ("<p><img></p>", "p{& > img{border:0}}", "img"),
        ("<p><img></p>", "p > img:hover{border:0}", "img"),
        ("<p><img src=a.png></p>", "img[src$='.png']{border:0}", "img"),
        ("<p><img src=a.png#x></p>", "img[src$='#x']{border:0}", "picture"),
        ("<img slot=icon>", "", "img"),
        ("<my-card><img></my-card>", "", "img"),
        ("<img>", "img:not([srcset]){border:0} body > img{color:red}", "off"),
        ("<p><img onclick='this.parentNode.remove()'></p>", "", "img"),
        ("<p><img></p><script>document.querySelector('p > img').focus()</script>", "", "img"),
        ("<p><img></p><script>find('img').parentNode.remove()</script>", "", "img"),
        ("<p><img></p><script>find('p *').parentNode.remove()</script>", "", "img"),
        ("<p><img></p><script>find('p *').remove()</script>", "", "picture"),
        # As Material's bundle, bootstrap and jQuery do, of elements of their own.
        ("<p><img></p><script>find(':hover').parentNode.remove()</script>", "", "picture"),
        ("<p><img></p><script>find('*').parentNode.remove()</script>", "", "picture"),
        ("<p><img></p><script data-sitecodec>find('img').parentNode.x</script>", "", "picture"),
    ],
)
def test_the_form(tmp_path: Path, body: str, css: str, form: str) -> None:
    layout = layout_of(tmp_path, body, css)
    assert layout.form == form, layout.why
    assert bool(layout.why) == (form != "picture")


@pytest.mark.parametrize(
    ("body", "css", "held", "sized"),
    [
        ("<img>", "img{height:40px;box-sizing:border-box;padding:4px}", True, True),
        ("<div><img></div>", "div{display:flex}", False, True),
        ("<div><p><img></p></div>", "div{display:flex}", True, True),
        ("<div><p><img></p></div>", "div{display:flex}p{display:contents}", False, True),
        ("<div><img></div>", "@media print and (color){div{display:inline-flex}}", False, True),
        ("<img>", "img{aspect-ratio:auto 1/1}", False, True),
        ("<img>", "img{aspect-ratio:1}", True, True),
        ("<div><img></div>", "div{zoom:.5}", False, True),
        ("<img>", "img:not([width]){width:9px}", True, False),
        ("<img>", "img[style]{width:9px}", False, True),
        ("<img width=3>", "img:not([width]){width:9px}", True, True),
        ("<img style='color:\"red\"'>", "", False, True),
    ],
)
def test_the_space(tmp_path: Path, body: str, css: str, held: bool, sized: bool) -> None:
    layout = layout_of(tmp_path, body, css)
    assert layout.held == held, layout.unheld
    assert layout.sized == sized


def test_what_is_told_of_it(tmp_path: Path) -> None:
    findings = Findings()
    for path in ("a.png", "b.png", "b.png", "c.png"):
        findings.show(path, Layout(natural=(3, 2), unheld=""))
    findings.show("b.png", Layout("img", "a selector would miss it: p > img"))
    assert [row.path for row in findings.laid_out("held", {"a.png", "b.png"})] == ["a.png", "b.png"]
    (row,) = findings.laid_out("img", {"a.png", "b.png"})
    summary = Summary((), (), 1, 1, unwrapped=(row,), unheld=(row._replace(reason="x"),), held=3)
    text = table(summary)
    assert "with a srcset instead of <picture>:\n     1  a selector would miss it" in text
    assert "space reserved for 3 image tags, and not for these:\n     1  x  " in text


def test_images_beside_each_other_are_not_all_wrapped_where_one_has_to_stay(
    tmp_path: Path,
) -> None:
    """To `img ~ b` each may go alone, as long as the other is there."""
    css = "img ~ b{color:red}"
    found = layouts_of(tmp_path, "<p><img><img><i><b></b></i><b></b></p><p><img><img></p>", css)
    assert [layout.form for layout in found] == ["img", "img", "picture", "picture"]
    found = layouts_of(tmp_path, "<p><img><picture><img></picture><b></b></p>", css)
    assert found[0].form == "img"


def test_attributes_that_a_selector_asks_for_are_not_added(tmp_path: Path) -> None:
    layout = layout_of(tmp_path, "<img>", "img[loading=lazy]{opacity:0} img[decoding=sync]{}")
    assert layout.unseen == {"decoding", "fetchpriority"}


LIMITED = "img{max-width:100%;height:auto}"


@pytest.mark.parametrize(
    ("body", "css", "sizes"),
    [
        ("<img>", LIMITED, "(max-width: 1600px) 100vw, 1600px"),
        (
            "<main><img></main>",
            LIMITED + "main{max-width:700px}",
            "(max-width: 700px) 100vw, 700px",
        ),
        ("<main><img></main>", LIMITED + "main{width:50%}", "(max-width: 3200px) 50vw, 1600px"),
        ("<img width=300>", LIMITED, "300px"),
        ("<img>", "img{height:100px}", "400px"),
        ("<img>", "img{width:240px}", "240px"),
        ("<img>", "img{width:100%}", "100vw"),
        ("<img>", LIMITED + "@layer x{img{max-width:none}}", "(max-width: 1600px) 100vw, 1600px"),
        # The outer box is half of the window, and so is all of the inner one.
        ("<main><p><img></p></main>", "main{width:50%}p{width:80%}img{width:100%}", "40vw"),
        ("<main><p><img></p></main>", "main{width:50%}p{width:60vw}img{width:100%}", "60vw"),
        ("<p><img></p>", "p{max-width:80px;min-width:90px}img{width:100%}", "90px"),
        ("<p><img></p>", "p{max-width:80px;transform:scale(2)}img{width:100%}", ""),
        ("<p><b><img></b></p>", "p{width:50%}b{display:contents;width:9px}img{width:100%}", "50vw"),
        # What is placed absolutely counts from the element around it that is placed, too.
        ("<p><img></p>", "p{width:90px}img{position:absolute;width:100%}", "100vw"),
        (
            "<p><img></p>",
            "p{width:90px;position:relative}img{position:absolute;width:100%}",
            "90px",
        ),
        (
            "<p><img></p>",
            "p{width:90px;padding:0 9px;position:relative}img{position:absolute;width:100%}",
            "108px",
        ),
        ("<p><img></p>", "p{width:90px;margin:0 -50px}img{width:100%}", "90px"),
        ("<div><p><img></p></div>", "div{width:90px}p{margin:0 -50px}img{width:100%}", "190px"),
        # Columns that fill a grid are narrower than two of the least width.
        (
            "<p><img></p>",
            "p{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,150px),1fr))}"
            "p{gap:9px 20px}img{width:100%}",
            "320px",
        ),
        (
            "<p><img></p>",
            "p{display:grid;grid-template-columns:repeat(auto-fit,minmax(90px,1fr))}img{width:100%}",
            "100vw",
        ),
        (
            "<p><img></p>",
            "p{display:grid;grid-template-columns:repeat(auto-fill,minmax(90px,1fr))}"
            "img{width:100%;grid-column:span 2}",
            "100vw",
        ),
        # What covers a box is as wide as it takes to be as high.
        ("<img>", LIMITED + "img{object-fit:cover}", "(max-width: 1600px) 100vw, 1600px"),
        ("<img>", "img{width:90px;aspect-ratio:1;object-fit:cover}", "360px"),
        ("<img>", "img{width:90px;aspect-ratio:8 / 1;object-fit:cover}", "90px"),
        ("<img>", "img{width:90px;height:50px;object-fit:cover}", "200px"),
        ("<img>", "img{width:25%;aspect-ratio:2;object-fit:cover}", "50vw"),
        # All its pixels may be seen.
        ("<img>", "", ""),
        ("<img>", LIMITED + "@media (width > 9px){img{max-width:none}}", ""),
        ("<img>", LIMITED + "img{object-fit:none}", ""),
        ("<img>", "img{width:90px;height:50%;object-fit:cover}", ""),
        ("<p><img></p>", LIMITED + "p{display:flex}img{object-fit:cover}", ""),
        ("<img usemap=#m>", LIMITED, ""),
        ("<img>", LIMITED + "img:hover{transform:scale(2)}", ""),
        ("<div><img></div>", LIMITED + "div{min-width:2000px}", ""),
        ("<div><img></div>", LIMITED + "div{flex:0 0 auto}", ""),
        ("<img><script>x = img.naturalWidth</script>", LIMITED, ""),
    ],
)
def test_how_wide_it_is_shown(tmp_path: Path, body: str, css: str, sizes: str) -> None:
    layout = layout_of(tmp_path, body, css)
    assert ("" if layout.whole else layout.sizes) == sizes


def test_linked_sheets_and_what_they_import(tmp_path: Path) -> None:
    (tmp_path / "css").mkdir()
    (tmp_path / "css/a.css").write_text("@import url(b.css) layer(base); p{color:red}")
    (tmp_path / "css/b.css").write_text("@import 'a.css'; p > img{width:9px}")
    head = "<link rel=stylesheet href=css/a.css>"
    layout = layout_of(tmp_path, "<p><img></p>", head=head)
    assert layout.why == "a selector would miss it: p > img"
    text = f"{head}<p><img>".encode()
    page = Layouts(tmp_path, "/").page("/index.html", text, None)
    assert page.linked.keys() == {"css/a.css", "css/b.css"}
    assert layout_of(tmp_path, "<p><img></p>", head="<link rel=stylesheet href=no.css>") == (
        layout_of(tmp_path, "<p><img></p>")
    )


def test_a_sheet_from_elsewhere_is_not_known(tmp_path: Path) -> None:
    link = '<link rel=stylesheet href="https://{}/x.css">'
    layout = layout_of(tmp_path, "<img>", head=link.format("cdn.example"))
    assert (layout.form, layout.held, layout.sized, layout.whole) == ("img", False, False, True)
    assert layout.why == "a style sheet from another site: https://cdn.example/x.css"
    assert layout_of(tmp_path, "<img>", head=link.format("fonts.example")).form == "picture"


def test_a_sheet_that_changes_is_read_anew(tmp_path: Path) -> None:
    text = b"<link rel=stylesheet href=a.css><p><img>"
    (image,) = html.scan(text).images
    layouts = Layouts(tmp_path, "/")
    forms = []
    for css in ("p > img{}", "p > img{width:9px}", "p img{width:9.5px}"):
        (tmp_path / "a.css").write_text(css)
        forms.append(layouts.page("/index.html", text, None).of(image, None).form)
    assert forms == ["picture", "img", "picture"]


def test_the_cascade(tmp_path: Path) -> None:
    """Layers, importance, specificity and order decide; what may not hold hides nothing."""
    css = """
        img{width:1px} #i{width:2px} img{width:3px}
        @layer a{#i{height:1px !important}} img{height:2px !important}
        @layer b{#i{max-width:1px}} img{max-width:2px}
        @media (min-width:1px){#i{min-width:1px}} img{min-width:2px}
    """
    text = f"<style>{css}</style><img id=i style='min-height:4px'>".encode()
    page = Layouts(tmp_path, "/").page("/", text, None)
    node = tree.node(page.tree, next(iter(page.tree.images.values())))
    names = ("width", "height", "max-width", "min-width", "min-height")
    assert [page.styles.values(node, name) for name in names] == [
        {"2px"},
        {"1px"},
        {"2px"},
        {"1px", "2px"},
        {"4px"},
    ]


def test_a_tree_is_what_browsers_build() -> None:
    found = tree.tree(
        b"<!doctype html><title><img></title><p>a<p>b<div>c</div><ul><li>1<li>2<table><tr><td>x<td>"
        b"<img></table></ul><template><b></template><br/><i/>z"
    )

    def told(element: object) -> str:
        inside = "".join(map(told, element))  # type: ignore[call-overload]
        return f"{element.tag}({inside})" if inside else element.tag + " "  # type: ignore[attr-defined]

    assert told(found.root) == (
        "html(head(title )body(p p div ul(li li(table(tbody(tr(td td(img ))))))br i ))"
    )


def test_selectors_that_are_not_understood_are_told() -> None:
    assert sheets.parse("a!b{color:red} p{color:red}").odd == ("a!b",)
    (rule,) = sheets.parse("svg|a:nth-child(x y){color:red}").rules
    assert rule.selector.may_match(tree.node(tree.tree(b""), tree.tree(b"").root)) is False
    assert (
        sheets.parse("a::-webkit-scrollbar, b:-moz-ui-invalid{color:red} @font-face{x:y}").odd == ()
    )


SVG = '<svg xmlns="http://www.w3.org/2000/svg" {}><rect width="5" height="5"/></svg>'


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (SVG.format('width="30" height="20"'), (30, 20)),
        (SVG.format('width="1in" height="72pt"'), (96, 96)),
        (SVG.format('viewBox="0 0 30 20"'), None),
        (SVG.format('viewBox="0 0 30 20" height="20"'), None),
        (SVG.format('width="100%" height="20"'), None),
        (SVG.format('width="30" height="20" preserveAspectRatio="none"'), None),
        (SVG.format('width="30" height="20" style="width:9px"'), None),
        (SVG.format('width="30.5" height="20"'), None),
        ('<!-- <svg width="5" height="5"> -->' + SVG.format('width="30" height="20"'), (30, 20)),
        ("<?xml version='1.0'?><!DOCTYPE svg>" + SVG.format('width="3" height="2"'), (3, 2)),
        ("<svg width='3' height='2'/>", None),  # in no namespace: no picture at all
        ("<svg", None),
        ("", None),
    ],
)
def test_the_size_of_a_drawing(tmp_path: Path, text: str, size: tuple[int, int] | None) -> None:
    (tmp_path / "a.svg").write_text(text)
    assert natural.size(tmp_path / "a.svg") == size
    (tmp_path / "a.svgz").write_bytes(gzip.compress(text.encode()))
    assert natural.size(tmp_path / "a.svgz") == size


def test_the_size_of_photographs(tmp_path: Path) -> None:
    place = tmp_path / "a.jpg"

    def size(**tags: object) -> tuple[int, int] | None:
        exif = Image.Exif()
        names = {"turn": 0x112, "x": 0x11A, "y": 0x11B, "unit": 0x128}
        for name, value in tags.items():
            if name in names:
                exif[names[name]] = value
        folder = exif.get_ifd(0x8769)
        folder.update({0xA002: tags["wide"], 0xA003: tags["high"]} if "wide" in tags else {})
        Image.new("RGB", (60, 40)).save(place, exif=exif)
        return natural.size(place)

    assert size() == (60, 40)
    assert size(turn=6) == (40, 60)
    assert size(x=144.0, y=144.0, unit=2, wide=30, high=20) == (30, 20)
    assert size(x=144.0, y=144.0, unit=2, wide=60, high=40) == (60, 40)
    assert size(x=300.0, y=300.0, unit=2) == (60, 40)
    Image.new("RGB", (6, 4)).save(tmp_path / "a.gif")
    assert natural.size(tmp_path / "a.gif") == (6, 4)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    assert natural.size(tmp_path / "a.png") is None
    assert natural.size(tmp_path / "none.png") is None
    assert math.isinf(Layout().pixels)


def test_endless_imports_are_followed_for_a_while(tmp_path: Path) -> None:
    imports = "".join(f"@import 'a.css?{n}';" for n in range(2000))
    (tmp_path / "a.css").write_text(imports + "img{width:10px}")
    assert layout_of(tmp_path, "<img>", imports).why == "more than 1000 imports of style sheets"
    same = 2000 * "@import 'a.css';"
    (tmp_path / "a.css").write_text(same + "figure > img{width:10px}")
    assert "figure > img" in layout_of(tmp_path, "<figure><img></figure>", same).why


def test_a_screenshot_with_exif_has_its_size_and_a_turned_one_has_none(tmp_path: Path) -> None:
    """Screenshots of macOS have Exif, which says what is so: upright, and how many pixels."""
    for direction, size in ((1, (60, 40)), (6, None)):
        exif = Image.Exif()
        exif[0x0112], exif[0x011A], exif[0x011B] = direction, 144.0, 144.0
        exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003] = 60, 40
        Image.new("RGB", (60, 40)).save(tmp_path / "a.png", exif=exif)
        assert b"eXIf" in (tmp_path / "a.png").read_bytes()
        assert natural.size(tmp_path / "a.png") == size


def test_siblings_that_take_an_image_for_a_picture_do_not_see_it(tmp_path: Path) -> None:
    def forms(css: str, body: str = "<div><h1>x</h1><img><img><p>x</p></div>") -> list[str]:
        return [layout.form for layout in layouts_of(tmp_path, body, css)]

    # The images themselves are seen, by what is asked of them; the paragraph is not.
    assert forms("h1 ~ p{color:red}") == ["picture", "picture"]
    assert forms("* + p{color:red}") == ["picture", "picture"]
    assert forms("div > :not(h2) ~ p{color:red}") == ["picture", "picture"]
    one = "<div><h1>x</h1><img><b>x</b><p>x</p></div>"
    assert forms("img ~ p{color:red}", one) == ["img"]
    assert forms("img:not(.a) + p{color:red}") == ["picture", "img"]
    assert forms("p:nth-of-type(1){color:red}") == ["picture", "picture"]
    assert forms("div:has(> img) p{color:red}", one) == ["img"]
    assert forms("div:has(h1 + img){color:red}") == ["img", "picture"]
    assert forms("section:has(> div:has(> img)){color:red}", "<section><div><img></div>") == ["img"]


@pytest.mark.parametrize(
    "css",
    ["h1 ~ img{width:50%}", "div:has(img) p{width:50%}", "img{width:1px}" * 400],
)
def test_rules_times_images_are_bounded(tmp_path: Path, css: str) -> None:
    few = layouts_of(tmp_path, "<div>" + "<img>" * 20 + "</div>", css)
    assert not any("too many" in layout.why for layout in few)
    many = layouts_of(tmp_path, "<div>" + "<img>" * 6000 + "</div>", css)
    assert "too many elements and rules" in many[-1].why
    assert many[-1].form == "off"
    assert many[-1].whole


def test_ancestors_are_not_gone_through_in_all_ways(tmp_path: Path) -> None:
    body = "<div>" * 400 + "<img>"
    (layout,) = layouts_of(tmp_path, body, "html.x " + "div " * 9 + "img{width:50%}")
    assert "too many elements and rules" in layout.why


def test_later_declarations_of_one_rule_win(tmp_path: Path) -> None:
    css = "img{width:90px;width:50px!important;width:40px}"
    assert layout_of(tmp_path, "<img>", css).pixels == 50
    assert layout_of(tmp_path, "<img style='width:9px;width:8px'>").pixels == 8


@pytest.mark.parametrize(
    "css",
    [
        ".a{color:red;" + "& & &{width:50%;" * 12 + "}" * 13,
        ".a," * 2000 + ".b{" + "i{width:50%}" * 2000 + "}",
        ".a," * 2000 + ".b{" + "@media all{width:50%}" * 2000 + "}",
    ],
)
def test_nested_rules_that_multiply_are_not_read(tmp_path: Path, css: str) -> None:
    sheet = sheets.parse(css)
    assert sheet.odd == ("nested rules that multiply each other",) * len(sheet.odd)
    assert sheet.odd
    assert sum(len(rule.selector.text) for rule in sheet.rules) < 5000 + 10 * len(css)
    assert layout_of(tmp_path, "<img>", css).form == "img"


@pytest.mark.parametrize(
    ("selector", "pseudo"),
    [
        ("a:before", True),
        ("a:before b", True),
        ("a::marker", True),
        (":is(a::before)", True),
        ("a:before:not(b)", False),  # is no selector
        ("a:hover", False),
        (":not(a) b:after", True),
    ],
)
def test_pseudo_elements(selector: str, pseudo: bool) -> None:
    rules = sheets.parse(selector + "{width:1px}").rules
    assert [rule.selector.pseudo_element for rule in rules] == [pseudo]


def test_states_in_nested_lists_match_more(tmp_path: Path) -> None:
    body = "<p class=a><img></p><p class=b><img></p><p class=c><img></p>"
    css = ":is(:where(.a:hover, .c), :is(.b):hover) > img{width:100px} img{width:50px}"
    pixels = [layout.pixels for layout in layouts_of(tmp_path, body, css)]
    assert pixels == [100, 100, 100]
    deep = ":is(" * 30 + ".a:hover,.b" + ")" * 30
    assert [s.selector.exact for s in sheets.parse(deep + "{width:1px}").rules] == [False]
    css = deep + " img{width:100px} img{width:50px}"
    assert [layout.pixels for layout in layouts_of(tmp_path, body, css)] == [100, 100, 50]


@pytest.mark.parametrize(
    ("css", "head"),
    [
        ("".join(f'@import "b.css" layer(l{n});' for n in range(200)), ""),
        (
            '@import "b.css" screen;' + '@import "a.css";' * 3,
            "<link rel=stylesheet href=b.css>" * 200,
        ),
    ],
)
def test_a_sheet_that_is_named_again_and_again_is_bounded(
    tmp_path: Path, css: str, head: str
) -> None:
    (tmp_path / "b.css").write_text("a{width:1px}" * 1000)
    layout = layout_of(tmp_path, "<img>", css, head)
    assert layout.why == "more than 100000 rules in style sheets"
    few = "".join(f'@import "b.css" layer(l{n});' for n in range(20))
    assert layout_of(tmp_path, "<img>", few).why == ""
    text = f"<style>{css}</style>{head}<img>".encode()
    page = Layouts(tmp_path, "/").page("/index.html", text, None)
    assert sum(map(len, page.styles._buckets.values())) <= 100_000


def test_what_handlers_do_is_known_once(tmp_path: Path) -> None:
    handlers = "".join(f"<b onclick=\"find('#x{n % 9}').parentNode\"></b>" for n in range(99))
    page = Layouts(tmp_path, "/").page("/index.html", handlers.encode(), None)
    assert page.scripts.walks == tuple(f"#x{n}" for n in range(9))


def test_styles_of_many_pages_are_not_all_kept(tmp_path: Path) -> None:
    layouts = Layouts(tmp_path, "/")
    for number in range(100):
        layouts.page("/index.html", b"<style>img{width:%dpx}</style><img>" % number, None)
    assert len(layouts._styles) <= 16

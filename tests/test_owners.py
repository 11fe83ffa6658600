"""Images that scripts own are left alone: what frameworks render anew, what scripts load lazily."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sitecodec.page import html, lazy, owners
from sitecodec.settings import Settings
from sitecodec.site.build import Summary, rewrite_site

BUILT = Path(__file__).parent / "hosts/fixtures"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(store=tmp_path_factory.mktemp("store"), browser="never")


def built(tmp_path: Path, make: Any, settings: Settings, page: str, **files: str) -> Summary:
    for name in ("in.png", "out.png"):
        (tmp_path / name).write_bytes(make.file(make.photo(160, 240, len(name))))
    for name, text in files.items():
        (tmp_path / f"{name}.js").write_text(text)
    (tmp_path / "index.html").write_text(page)
    return rewrite_site(tmp_path, settings)


def left(summary: Summary) -> dict[str, str]:
    return {row.path: row.reason for row in summary.left_alone}


OWN = [
    ('<div data-reactroot=""><img src="in.png"></div>', "React"),
    ('<div id=root><div data-server-rendered="true"><p><img src=in.png></div></div>', "Vue"),
    ('<div id="__next"><main><div><img src="in.png"></div></main></div>', "Next.js"),
    ('<div id="___gatsby"><img src="in.png"></div>', "Gatsby"),
    ('<div id="__docusaurus"><img src="in.png"></div>', "Docusaurus"),
    ('<div id="__nuxt"><div><img src="in.png"></div></div>', "Nuxt"),
    ('<div style="display: contents" id="svelte"><img src="in.png"></div>', "SvelteKit"),
    ('<app-root ng-version="17.0.0"><img src="in.png"></app-root>', "Angular"),
    ('<astro-island uid=1><div><img src="in.png"></div></astro-island>', "an Astro island"),
]


@pytest.mark.parametrize(("part", "name"), OWN)
def test_what_a_framework_takes_over_stays(
    tmp_path: Path, make: Any, settings: Settings, part: str, name: str
) -> None:
    """And what stands beside it does not."""
    page = f"<html><head></head><body>{part}<p><img src=out.png></p></body></html>"
    summary = built(tmp_path, make, settings, page)
    assert left(summary) == {"in.png": f"{name} renders it anew"}
    assert [row.path for row in summary.encoded] == ["out.png"]
    text = (tmp_path / "index.html").read_text()
    assert part in text
    assert "renders it anew" in str(summary.images)


WHOLE = [
    ("<script>window.__VP_HASH_MAP__=JSON.parse('{}')</script>", "VitePress"),
    ('<script id="__NEXT_DATA__" type="application/json">{}</script>', "Next.js"),
    ("<script>self.__next_f=self.__next_f||[]</script>", "Next.js"),
    ("<script>window.__NUXT__={}</script>", "Nuxt"),
    ("<script>window.__remixContext = {}</script>", "Remix"),
    ("<script>window.__reactRouterContext = {}</script>", "React Router"),
    ("<script type=module>__sveltekit_1abc = {base: ''}</script>", "SvelteKit"),
    ("<!--[--><p>x</p><!--]-->", "Vue or Svelte"),
    ("<!--$--><p>x</p><!--/$-->", "React"),
    (
        '<script type=module>import {hydrateRoot} from "x"; hydrateRoot(document, y)</script>',
        "React",
    ),
]


@pytest.mark.parametrize(("mark", "name"), WHOLE)
def test_some_take_over_all_of_a_page(
    tmp_path: Path, make: Any, settings: Settings, mark: str, name: str
) -> None:
    page = f"<html><head></head><body><div><img src=in.png></div>{mark}</body></html>"
    assert left(built(tmp_path, make, settings, page)) == {"in.png": f"{name} renders it anew"}
    assert (tmp_path / "index.html").read_text() == page


@pytest.mark.parametrize(
    "text",
    [
        *(f"<pre><code>{name}</code></pre>" for name in ("__NEXT_DATA__", "__VP_HASH_MAP__")),
        *(f"<h2 id={name}>x</h2>" for name in ("__next", "svelte", "q:container")),
        "<p>data-reactroot ng-version data-server-rendered astro-island</p>",
        "<!-- __NUXT__ --><textarea><div data-reactroot></textarea>",
        '<script src="other.js"></script><script>console.log("root")</script>',
        '<astro-island uid="1"><!--[--><p>x</p><!--]--></astro-island>',
    ],
)
def test_a_page_that_writes_about_them_is_not_theirs(
    tmp_path: Path, make: Any, settings: Settings, text: str
) -> None:
    page = f"<html><head></head><body>{text}<div id=root><img src=in.png></div></body></html>"
    assert not left(built(tmp_path, make, settings, page, other="x.hydrate = 1"))


VUE = '/* Hydration completed but contains mismatches. */m(f).mount("#{}")'
REACT = (
    'throw Error("Minified React error #418");(0,t.hydrateRoot)(document.getElementById("{}"),n)'
)


@pytest.mark.parametrize(("program", "name"), [(VUE, "Vue"), (REACT, "React")])
def test_a_program_says_which_element_it_takes_over(
    tmp_path: Path, make: Any, settings: Settings, program: str, name: str
) -> None:
    page = (
        "<html><head></head><body><div id=root><p><img src=in.png></p></div>"
        "<div id=other><div><img src=out.png></div></div>{}</body></html>"
    )
    summary = built(
        *(tmp_path, make, settings, page.format("<script src=app.js></script>")),
        app=program.replace("{}", "root"),
    )
    assert left(summary) == {"in.png": f"{name} renders it anew"}
    summary = built(
        *(tmp_path, make, settings, page.format("<link rel=modulepreload href=/part.js>")),
        part=program.replace("{}", "other"),
    )
    assert left(summary) == {"out.png": f"{name} renders it anew"}
    # A program that is changed is read anew, though the page is the same.
    summary = built(
        *(tmp_path, make, settings, page.format("<link rel=modulepreload href=/part.js>")),
        part="nothing of that kind",
    )
    assert not left(summary)


@pytest.mark.parametrize("name", ["vitepress", "docusaurus"])
def test_pages_as_they_were_really_built(name: str) -> None:
    page = (BUILT / name / "index.html").read_bytes()
    parts = owners.owned(page)
    images = html.scan(page).images
    assert images
    assert all(owners.owner(parts, image.start).lower() == name for image in images)


LAZY = [
    *(f'<img src="in.png" data-{n}="out.png">' for n in "src original lazy echo foo hover".split()),
    '<img src="in.png" data-srcset="out.png 1x, other.png 2x">',
    '<img src="in.png" data-bg-multi="a/b.JPG?v=1">',
    '<img class="x lazyload" src="in.png" data-id="photos/1">',
    '<img :src="shown" src="in.png">',
    '<img v-bind:src="shown" src="in.png">',
    '<picture><source data-srcset="out.png"><img src="in.png"></picture>',
]


@pytest.mark.parametrize("tag", LAZY)
def test_a_stand_in_stays_as_it_is(tmp_path: Path, make: Any, settings: Settings, tag: str) -> None:
    page = f"<html><head></head><body>{tag}</body></html>"
    assert left(built(tmp_path, make, settings, page)) == {"in.png": "loaded by a script"}
    assert (tmp_path / "index.html").read_text() == page


@pytest.mark.parametrize(
    "attribute",
    [
        *(f'data-{name}="big.png"' for name in ("zoom-src", "full", "lightbox", "thumb-path")),
        *('data-title="see x.png for more"', 'data-id="5"', 'class="lazy"', 'data-x="png"'),
        'data-sitecodec="quality=60"',
    ],
)
def test_what_a_lightbox_opens_is_no_stand_in(attribute: str) -> None:
    (image,) = html.scan(f"<img src=a.png {attribute}>".encode()).images
    assert not lazy.loaded_by_script(image)

"""Which image comes first, and which wait until they are near (page/priority.py)."""

from __future__ import annotations

import re

import pytest

from sitecodec.page import html, priority


def order(body: str, **sizes: tuple[int, int]) -> dict[str, str]:
    """How each image of a page is loaded, by its id; `sizes` are those that are not 600 by 400."""
    data = f"<!doctype html><html><head><title>t</title></head><body>{body}</body></html>".encode()
    seen = [
        priority.Seen(i, i.get("src") or "", *sizes.get(i.get("id") or "", (600, 400)))
        for i in html.scan(data).images
    ]
    names = {(True, False): "high", (False, False): "eager", (False, True): "lazy"}
    return {
        s.image.get("id") or "": names[tuple(position)]
        for s, position in zip(seen, priority.positions(data, seen), strict=True)
    }


SCREENS = "<p>" + "word " * 2000 + "</p>"


def test_the_largest_of_the_first_screen_is_high() -> None:
    body = "<main><img id=avatar src=me.jpg><p>x</p><img id=hero src=h.jpg><p>y</p></main>"
    assert order(body, avatar=(96, 96)) == {"avatar": "eager", "hero": "high"}
    assert order(body, avatar=(300, 150)) == {"avatar": "eager", "hero": "high"}
    assert order(body, hero=(120, 80)) == {"avatar": "high", "hero": "eager"}


@pytest.mark.parametrize(
    "small",
    [
        '<img id=s class="md-avatar" src=x.jpg>',
        "<img id=s src=img/logo.png>",
        "<img id=s src=icons/icon-big.png>",
        '<img id=s src="badge-build.svg">',
    ],
)
def test_names_say_what_is_small(small: str) -> None:
    found = order(f"<main>{small}<p>x</p></main>", s=(400, 400))
    assert found == {"s": "eager"}


def test_what_is_far_below_is_lazy_and_the_first_large_one_never() -> None:
    assert order(f"<main>{SCREENS}<img id=a src=a>{SCREENS}<img id=b src=b></main>") == {
        "a": "eager",
        "b": "lazy",
    }


def test_navigation_is_no_content() -> None:
    body = "<nav><img id=n src=n.jpg></nav><main><img id=a src=a.jpg></main>"
    assert order(body) == {"n": "eager", "a": "high"}
    body = "<header><img id=n src=n.jpg></header><main><p>x</p></main><footer><img id=f></footer>"
    assert order(body) == {"n": "eager", "f": "eager"}


@pytest.mark.parametrize(
    ("light", "dark"),
    [
        ('src="a.png#only-light"', 'src="b.png#only-dark"'),
        ('src="a.png#gh-light-mode-only"', 'src="b.png#gh-dark-mode-only"'),
        ('src=a.png class="only-light"', 'src=b.png class="x only-dark"'),
        ('src=a.png class="block dark:hidden"', 'src=b.png class="hidden dark:block"'),
    ],
)
def test_what_one_scheme_hides_is_not_high(light: str, dark: str) -> None:
    """Nor is anything else, where these are what visitors wait for."""
    found = order(f"<main><img id=l {light}><img id=d {dark}><p><img id=s src=c.png></p></main>")
    assert "high" not in found.values()
    assert found["l"] == found["d"] == "eager"


@pytest.mark.parametrize(
    "part",
    [
        "<details><summary>x</summary><img id=h src=h.jpg></details>",
        "<div hidden><p><img id=h src=h.jpg></div>",
        '<div style="color:red; display: none"><img id=h src=h.jpg></div>',
        "<dialog><img id=h src=h.jpg></dialog>",
        '<div class="tab-pane active"></div><div class="tab-pane"><img id=h src=h.jpg></div>',
        "<div class=tabbed-content><div class=tabbed-block><p>x</p></div>"
        "<div class=tabbed-block><img id=h src=h.jpg></div></div>",
    ],
)
def test_what_is_hidden_is_neither_high_nor_loaded_at_once(part: str) -> None:
    assert order(f"<main>{part}<p><img id=a src=a.jpg></p></main>") == {"h": "lazy", "a": "high"}
    shown = re.sub(" hidden|<details>|</details>|<dialog>|</dialog>|display: none", "", part)
    if "tab" not in part:
        found = order(f"<main>{shown}<p><img id=a src=a.jpg></p></main>")
        assert found == {"h": "high", "a": "eager"}


def test_its_author_s_word_counts() -> None:
    body = '<main><img id=a src=a.jpg><img id=b src=b.jpg fetchpriority="high"></main>'
    assert order(body) == {"a": "eager", "b": "eager"}  # it has what it needs


def test_time_grows_with_the_size() -> None:
    """Elements that are never closed are not searched for ever."""
    data = b"<main>" + b"<div hidden><b>" * 20_000 + b"</i>" * 20_000 + b"<img src=a.png>"
    (image,) = html.scan(data).images
    seen = priority.Seen(image, "a.png", 600, 400)
    assert priority.positions(data, [seen]) == [priority.Position(first=False, lazy=True)]


def test_panels_in_each_other_and_beside_each_other() -> None:
    panel = "<div class=tab-panel>"
    body = (
        f"<main>{panel}{panel}<img id=a></div>{panel}<img id=b></div></div>"
        f"{panel}{panel}<img id=c></div></div></main>"
    )
    assert order(body) == {"a": "high", "b": "lazy", "c": "lazy"}


def test_parts_that_are_in_each_other_hide_all_that_is_in_the_outer() -> None:
    body = "<main><img id=a><div hidden><p hidden>x</p><img id=b></div><img id=c></main>"
    assert order(body, a=(600, 40), b=(600, 40), c=(600, 40))["b"] == "lazy"
    assert order(body, a=(600, 40), b=(600, 40), c=(600, 40))["c"] == "eager"

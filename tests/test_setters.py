"""Which images a script may give another source, from its text (page/setters.py)."""

from __future__ import annotations

import pytest

from sitecodec.page import html, setters
from sitecodec.site import scripts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("document.getElementById('j').src='b.jpg'", ["#j"]),
        ('document.querySelector(".hero img").src = "b.jpg"', [".hero img"]),
        ("const main = document.getElementById('main');\non(() => { main.src = x })", ["#main"]),
        ("let a = q, big = document.querySelector('#big'); big.srcset = ''", ["#big"]),
        ("document.querySelectorAll('img.swap').forEach(i => i.src = i.dataset.b)", ["img.swap"]),
        ("document.querySelectorAll('.s').forEach(function (i, n) { i.src = f(n) })", [".s"]),
        ("for (const i of document.querySelectorAll('.s')) i.src = 'x'", [".s"]),
        ("for(const i of document.getElementsByClassName('a b')){i.src=1}", [".a.b"]),
        ("$('#x').attr('src', 'b.jpg')", ["#x"]),
        ("$('.gallery img').attr({alt: '', src: u})", [".gallery img"]),
        ("jQuery('.p').find('img').prop('src', u)", ["img"]),
        ("document.images[0].src = 'b'", ["img"]),
        ("document.images['x'].src = 'b'", ["img"]),
        ("e => e.target.src = e.target.dataset.hover", ["img"]),
        ("el.addEventListener('x', ev => { const t = ev.target; t.src = u })", ["img"]),
        ("document.getElementById('a').setAttribute('src', b)", ["#a"]),
        ("document.getElementById('a')['src'] = b", ["#a"]),
        ("document.getElementById('a').src += '?1'", ["#a"]),
        ("document.getElementById(id).src = b", ["img"]),
        ("document.getElementById('box').firstChild.src = b", ["#box"]),
        ("Object.assign(document.getElementById('a'), {src: 'b'})", ["#a"]),
        ("document.getElementById('a').removeAttribute('srcset')", ["#a"]),
        ("const all = document.querySelectorAll('.n'); all[i].src = x", [".n"]),
        ("document.getElementsByName('pic')[0].src = x", ["[name='pic']"]),
        ("j.src='b.jpg'", ["#j", "[name=j]"]),
    ],
)
def test_what_a_script_sets_is_followed_back(text: str, expected: list[str]) -> None:
    assert list(setters.selectors(text)) == expected
    assert setters.sets_source(text)


@pytest.mark.parametrize(
    "text",
    [
        "const i = new Image(); i.src = 'x.png'",
        "new Image().src = '/count.gif?' + n",
        "var s = document.createElement('script'); s.async = 1; s.src = u; h.appendChild(s)",
        "let f = document.createElement('iframe');\nf.setAttribute('src', u)",
        "const big = thumb.cloneNode(true); big.src = thumb.dataset.full",
        "const i = $('<img>'); i.attr('src', u)",
        "if (a.src == b || a.src === c) f(a.src)",
        "const f = ({src}) => src; x = {src: 1}; srcs = y",
        "",
    ],
)
def test_what_is_no_image_of_the_page(text: str) -> None:
    assert setters.selectors(text) == ()


def test_what_is_not_known_may_be_all_that_is_looked_up() -> None:
    text = "const all = {a: document.querySelector('#a')}; function f(k) { pick(k).src = u }"
    assert setters.selectors(text) == ("#a",)
    text = "function f(image) { image.src = u } document.querySelectorAll('.z img').forEach(f)"
    assert setters.selectors(text)[0] == ".z img"


def test_of_a_name_that_is_used_again_the_new_element_counts():
    """As minifiers write it: glightbox' images were all taken for its video's frame."""
    text = (
        'function a(l){l=e.closest(".x");l.id=1}'
        'function b(e){var t=e.url,l=document.createElement("iframe");return l.src=t,l}'
        'function c(e){return e.querySelector("img")}'
    )
    assert setters.selectors(text) == ()


@pytest.mark.parametrize("sign", [".", "#"])
def test_a_name_that_is_put_together_is_a_name_all_the_same(sign):
    """As lightboxes look up their own box: an image without a class is none of theirs."""
    text = f"const box = root.find('{sign}' + name); box.attr('src', address)"
    (selector,) = setters.selectors(text)
    kind = "class" if sign == "." else "id"
    plain, named = html.scan(f'<img src="a.png"><img {kind}="x" src="a.png">'.encode()).images
    assert not setters.may_mean(selector, plain, "img")
    assert setters.may_mean(selector, named, "img")


@pytest.mark.parametrize(
    ("template", "is_meant"),
    [
        ("`tr.row-${n}`", False),
        ("`.row-${n}`", False),
        ("`#row-${n}`", False),
        ("`[data-row='${n}']`", False),
        ("`img.row-${n}`", False),
        ("`${tag}`", True),
        ("`img[src$='${name}']`", True),
        ("`figure.f${n} img`", True),
        ("`${where} > img`", True),
    ],
)
def test_templates_say_as_much_as_they_hold(template, is_meant):
    """As Sphinx' own script looks up rows of its index: no image of any page is one."""
    text = f"for (const e of document.querySelectorAll({template})) e.src = address"
    (plain,) = html.scan(b'<img src="a.png">').images
    assert any(setters.may_mean(s, plain, "img") for s in setters.selectors(text)) == is_meant


@pytest.mark.parametrize(
    "tangle", ["q=q;", "q=r;r=q;", "q=$('#a');q=q;", "q.map(q=>q.src=1);", "q.each(q,q=>q.src=1);"]
)
def test_names_that_stand_for_each_other_may_be_any_image(tangle: str) -> None:
    assert setters.selectors(tangle * (40_000 // len(tangle)) + "q.src=1") == ("img",)


@pytest.mark.parametrize(
    "text",
    [
        ".map(function" + " " * 4000 + "!;q.src=1",
        "Object.assign(" + " " * 100_000 + "!;q.src=1",
        "for(const q of" + " " * 4000 + "!;q.src=1",
        "q" + " " * 4000 + "!;q.src=1",
    ],
)
def test_white_space_is_read_once(text: str) -> None:
    assert setters.selectors(text) == ("#q", "[name=q]")


def test_a_list_of_commas_and_spaces_is_read_once() -> None:
    asked = ",  " * 60
    assert scripts.read(f"$('{asked}x').parentNode").walks == (f"{asked}x",)
    assert scripts.read(f"$('{asked}*').parentNode").walks == ()

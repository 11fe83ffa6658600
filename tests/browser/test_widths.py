"""No image is shown wider than its `sizes` say: nested boxes at random, beside a browser."""

from __future__ import annotations

import random

import pytest

from sitecodec.page import html
from sitecodec.site.layout import Layouts

CASES = 500
WINDOWS = (320, 390, 768, 1280, 1920)
NATURAL = (1600, 400)

BOX = {
    "position": ("relative", "absolute", "fixed", "sticky"),
    "width": (
        "90px",
        "260px",
        "50%",
        "200%",
        "40vw",
        "12rem",
        "min(100%,300px)",
        "calc(100% - 9px)",
    ),
    "max-width": ("120px", "80%", "500px"),
    "min-width": ("150px", "60%"),
    "padding": ("10px", "1rem 40px", "0 5%"),
    "display": ("flex", "grid", "grid", "inline-grid", "inline-block", "table", "contents"),
    "grid-template-columns": (
        "repeat(auto-fill,minmax(100px,1fr))",
        "repeat(auto-fill, minmax(min(100%, 14rem), 1fr))",
        "repeat(auto-fill,minmax(min(90px,100%),1fr))",
        "repeat(auto-fit,minmax(100px,1fr))",
        "repeat(2,1fr)",
        "200px 1fr",
        "400px",
    ),
    "gap": ("8px", "1rem 20px", "2%"),
    "grid-column": ("span 2", "1/-1", "auto"),
    "margin": ("0 -20px", "0 auto", "0 -5%", "5px"),
    "left": ("0", "-30px", "50%"),
    "right": ("0", "-30px"),
    "flex": ("1", "0 0 80%", "none"),
    "float": ("left",),
    "box-sizing": ("border-box",),
}
IMAGE = {
    "width": ("100%", "100%", "50%", "120px", "40vw", "auto"),
    "max-width": ("100%", "100%", "100%", "90px"),
    "height": ("auto", "auto", "80px"),
    "position": ("absolute", "absolute", "relative"),
    "left": ("0", "10%"),
    "object-fit": ("cover", "contain"),
    "aspect-ratio": ("1", "8"),
    "display": ("block",),
}

ASK = """() => [...document.images].map((image) => {
  const { width, height } = image.getBoundingClientRect();
  const covers = getComputedStyle(image).objectFit === "cover";
  return covers ? Math.max(width, height * 4) : width;
})"""


def rule(
    dice: random.Random, selector: str, known: dict[str, tuple[str, ...]], share: float
) -> str:
    said = [f"{name}:{dice.choice(of)}" for name, of in known.items() if dice.random() < share]
    return f"{selector}{{{';'.join(said)}}}"


def case(number: int) -> tuple[str, str]:
    """The body and the style sheet of a case."""
    dice = random.Random(number)
    deep = dice.randint(1, 4)
    css = [rule(dice, f".c{number} .d{level}", BOX, 0.2) for level in range(deep)]
    css.append(rule(dice, f".c{number} img", IMAGE, 0.4))
    inner = "<img src=a.svg>"
    for level in reversed(range(deep)):
        inner = f"<div class=d{level}>{inner}<i>a few words</i></div>"
    return f"<section class=c{number}>{inner}</section>", "".join(css)


@pytest.mark.parametrize("seed", range(3))
def test_no_image_is_shown_wider_than_its_sizes_say(tmp_path, new_site, new_page, seed):
    cases = [case(seed * CASES + number) for number in range(CASES)]
    head = "<!doctype html><style>body{margin:0}" + "".join(css for _, css in cases) + "</style>"
    text = head + "".join(body for body, _ in cases)
    laid_out = Layouts(tmp_path, "/").page("/index.html", text.encode(), None)
    layouts = [laid_out.of(image, NATURAL) for image in html.scan(text.encode()).images]
    site = new_site()
    (site.root / "index.html").write_text(text)
    (site.root / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="1600" height="400"/>'
    )
    page = new_page()
    wrong, bounded = [], 0
    for window in WINDOWS:
        page.set_viewport_size({"width": window, "height": 800})
        page.goto(site.url + "index.html")
        for number, shown in enumerate(page.evaluate(ASK)):
            layout = layouts[number]
            if layout.whole:
                continue
            bounded += 1
            most = min(layout.window * window, layout.pixels)
            # Of a picture that is shown larger than it is, all pixels are there. What shrinks to
            # fit grows with margins inside it: a twentieth is never seen.
            if shown > most * 1.05 + 1 and most < NATURAL[0]:
                wrong.append((window, round(shown), round(most), *cases[number]))
    assert wrong[:5] == []
    assert bounded > CASES

"""Every kind of CSS × attributes × picture, generated: does a built page lay out as the plain one?

    python -m tests.check.matrix                     the sample that CI takes
    python -m tests.check.matrix --all               every combination (minutes)
    python -m tests.check.matrix --only object-fit   kinds of CSS or attributes named so
    python -m tests.check.matrix --keep FOLDER       leave both sites there, to look at

It prints each combination that differs: kind of CSS, attributes, picture, window, and what.
A cell is `<section id=c17>`, as wide as a share of the window and absolutely placed, so that what
happens in it moves nothing else; its CSS applies below `.k3` (kind 3) only.
"""

from __future__ import annotations

import argparse
import io
import itertools
import random
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from sitecodec.check import browsers
from sitecodec.check.compare import Errand, Seen
from sitecodec.check.findings import NOTES
from sitecodec.check.server import serving
from sitecodec.check.site import completed, visits
from sitecodec.check.windows import Window
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from tests.conftest import make_photo

CELLS = 160
"""Cells on a page."""

WINDOWS = (Window(390, 2), Window(1280))

# Name: the CSS, `&` for what the cell contains, and the cell's markup, `@` for the image.
PLAIN = "@ <span>text</span>"
STYLES: dict[str, tuple[str, str]] = {
    "none": ("", PLAIN),
    "max-width": ("& img{max-width:100%}", PLAIN),
    "max-width, height auto": ("& img{max-width:100%;height:auto}", PLAIN),
    "width": ("& img{width:120px}", PLAIN),
    "width %": ("& img{width:50%}", PLAIN),
    "width 100%, height auto": ("& img{width:100%;height:auto}", PLAIN),
    "width, height": ("& img{width:120px;height:90px}", PLAIN),
    "width min-content": ("& img{width:min-content}", PLAIN),
    "height": ("& img{height:40px}", PLAIN),
    "height em": ("& img{height:1em}", PLAIN),
    "height %": ("& p{height:80px}& img{height:100%}", "<p>@</p>"),
    "height, max-width": ("& img{height:60px;max-width:100%}", PLAIN),
    "width auto": ("& img{width:auto}", PLAIN),
    "width auto, height": ("& img{width:auto;height:50px}", PLAIN),
    "height auto": ("& img{height:auto}", PLAIN),
    "width auto important": ("& img{width:auto!important;height:auto!important}", PLAIN),
    "max-height": ("& img{max-height:70px}", PLAIN),
    "max-height, max-width": ("& img{max-height:90px;max-width:100%}", PLAIN),
    "max-height, width": ("& img{max-height:50px;width:100px}", PLAIN),
    "min-width": ("& img{min-width:450px}", PLAIN),
    "min-height": ("& img{min-height:350px}", PLAIN),
    "min-width, max-height": ("& img{min-width:70px;max-height:40px}", PLAIN),
    "aspect-ratio": ("& img{aspect-ratio:3}", PLAIN),
    "aspect-ratio, width": ("& img{aspect-ratio:1;width:80px}", PLAIN),
    "aspect-ratio auto, height": ("& img{aspect-ratio:auto 2;height:80px}", PLAIN),
    "border-box": (
        "& img{box-sizing:border-box;padding:11px;border:3px solid;max-width:100%;height:auto}",
        PLAIN,
    ),
    "border-box, width": ("& img{box-sizing:border-box;padding:5px 20px;width:110px}", PLAIN),
    "border-box, height": ("& img{box-sizing:border-box;border:9px solid;height:80px}", PLAIN),
    "border-box, nothing": ("& img{box-sizing:border-box;padding:12px;border:2px solid}", PLAIN),
    "padding": ("& img{padding:7px;max-width:100%;box-sizing:content-box}", PLAIN),
    "inline size": ("& img{inline-size:110px;max-block-size:70px}", PLAIN),
    "zoomed": ("& img{transform:scale(.5);max-width:100%}", PLAIN),
    "block, auto margin": ("& img{display:block;margin:0 auto;max-width:80%}", PLAIN),
    "inline-block": ("& img{display:inline-block;vertical-align:middle;max-width:60%}", PLAIN),
    "flex": ("& div{display:flex}", "<div>@<span>text</span></div>"),
    "flex, high": ("& div{display:flex;height:90px}", "<div>@<span>text</span></div>"),
    "flex, centred": ("& div{display:flex;align-items:center}", "<div>@<span>text</span></div>"),
    "flex, item": ("& div{display:flex}& img{flex:1;min-width:0}", "<div>@<b>text</b></div>"),
    "flex, column": ("& div{display:flex;flex-direction:column}", "<div>@<b>text</b></div>"),
    "flex, column, high": (
        "& div{display:flex;flex-direction:column;height:120px}",
        "<div>@<b>text</b></div>",
    ),
    "flex, max-width": ("& div{display:flex}& img{max-width:100%}", "<div>@<b>text</b></div>"),
    "flex, order": ("& div{display:flex}& img{order:1;width:60px}", "<div>@<b>text</b></div>"),
    "grid": ("& div{display:grid;grid-template-columns:1fr 1fr}", "<div>@<b>text</b></div>"),
    "grid, high": (
        "& div{display:grid;grid-template-columns:100px 1fr;grid-auto-rows:90px}",
        "<div>@<b>text</b></div>",
    ),
    "grid, fitted": (
        "& div{display:grid;grid-template-columns:100px 1fr}& img{width:100%;height:100%}",
        "<div>@<b>text</b></div>",
    ),
    "grid, placed": (
        "& div{display:grid;place-items:center;grid-template:80px/200px}& img{max-height:100%}",
        "<div>@</div>",
    ),
    "absolute": ("& img{position:absolute;top:0;left:0}", PLAIN),
    "absolute, inset": ("& img{position:absolute;inset:0}", PLAIN),
    "absolute, filling": (
        "& div{position:relative;height:90px}& img{position:absolute;width:100%;height:100%}",
        "<div>@</div>",
    ),
    "absolute, high": ("& img{position:absolute;top:0;bottom:0;height:70px}", PLAIN),
    "float": ("& img{float:left;margin-right:8px;max-width:50%}", PLAIN),
    "float, high": ("& img{float:right;height:60px}", PLAIN),
    **{
        f"object-fit {fit}": (f"& img{{width:150px;height:60px;object-fit:{fit}}}", PLAIN)
        for fit in ("fill", "contain", "cover", "none", "scale-down")
    },
    "object-fit cover, 100%": (
        "& img{width:100%;height:120px;object-fit:cover}",
        PLAIN,
    ),
    "object-fit cover, flat": ("& img{width:100%;aspect-ratio:4/1;object-fit:cover}", PLAIN),
    "object-fit cover, high": ("& img{width:150px;aspect-ratio:1/3;object-fit:cover}", PLAIN),
    "object-fit cover, stretched": (
        "& p{display:flex;height:300px;margin:0}& img{width:120px;object-fit:cover}",
        "<p>@</p>",
    ),
    "object-fit contain, max": ("& img{max-width:90px;max-height:90px;object-fit:contain}", PLAIN),
    "object-fit none, max-width": ("& img{max-width:100%;object-fit:none}", PLAIN),
    "child": ("& p>img{width:110px}", "<p>@</p>"),
    "figure child": ("& figure>img{width:50%}", "<figure>@<figcaption>t</figcaption></figure>"),
    "children": ("& div>*{width:70px}", "<div>@<i>t</i></div>"),
    "sibling": ("& img+em{display:block;height:50px}", "<p>@<em>caption</em></p>"),
    "sibling before": ("& b+img{width:66px}", "<p><b>t</b>@</p>"),
    "general sibling": ("& img~em{display:block;height:30px}", "<p>@<b>t</b><em>caption</em></p>"),
    "first-child": ("& p>:first-child{width:77px}", "<p>@<b>t</b></p>"),
    "img first-child": ("& img:first-child{width:78px}", "<p>@<b>t</b></p>"),
    "only-child": ("& img:only-child{height:44px}", "<p>@</p>"),
    "last-child": ("& img:last-child{margin:9px;width:71px}", "<p><b>t</b>@</p>"),
    "nth-child": ("& img:nth-child(2){width:72px}", "<p><b>t</b>@<i>t</i></p>"),
    "first-of-type": ("& img:first-of-type{width:73px}", "<p>@@</p>"),
    "two beside": ("& img{width:40%}& img+img{margin-left:10%}", "<p>@@</p>"),
    "empty": ("& p:has(>img){padding:9px}", "<p>@</p>"),
    "has child": ("& a:not(:has(>img)){display:block;height:33px}", "<a href='#'>@</a>"),
    "not width": ("& img:not([width]){width:90px}", PLAIN),
    "not height": ("& img:not([height]){height:55px}", PLAIN),
    "width attribute": ("& img[width]{border:4px solid}", PLAIN),
    "src": ("& img[src*=small]{width:99px}& img[src*=large]{width:101px}", PLAIN),
    "src suffix": ("& img[src$='.png'],& img[src$='.jpg']{height:37px}", PLAIN),
    "svg by src": ("& img[src$='.svg']{width:2em;height:2em}", PLAIN),
    "not class": ("& img:not([class]){width:93px}", PLAIN),
    "not style": ("& img:not([style]){width:94px}", PLAIN),
    "not loading": ("& img:not([loading]){width:95px}", PLAIN),
    "container": (
        "& div{container-type:inline-size}"
        "@container (min-width:300px){& img{width:50cqw}}"
        "@container (max-width:299px){& img{height:3em}}",
        "<div>@</div>",
    ),
    "media": (
        "@media (max-width:600px){& img{width:100%}}@media (min-width:601px){& img{height:90px}}",
        PLAIN,
    ),
    "layer": ("@layer a{& img{height:48px}}", PLAIN),
    "layer, revert": ("@layer a{& img{width:auto;height:auto}}& img{max-width:100%}", PLAIN),
    "where": (":where(& img){height:52px}", PLAIN),
    "is": (":is(& p)>img{width:62px}", "<p>@</p>"),
    "variable": ("& p{--w:83px}& img{width:var(--w)}", "<p>@</p>"),
    "calc": ("& img{width:calc(50% - 20px)}", PLAIN),
    "fit-content": ("& p{width:fit-content;border:1px solid}& img{max-width:100%}", "<p>@</p>"),
    "table": ("& img{max-width:100%}", "<table><tr><td>@<td>text</table>"),
    "scroll box": ("& p{overflow-x:auto}", "<p>@</p>"),
    "line height": ("& p{line-height:3}& img{vertical-align:text-bottom;height:1.2em}", "<p>@</p>"),
    "in a link": ("& a{display:inline-block}& a img{max-height:2rem}", "<a href='#'>@</a>"),
    "columns": ("& div{columns:2}& img{width:100%}", "<div>@<b>text</b></div>"),
    "writing mode": ("& p{writing-mode:vertical-rl}& img{width:80px}", "<p>@</p>"),
    "all unset": ("& img{all:unset;max-width:100%}", PLAIN),
    "content-visibility": ("& img{content-visibility:auto;max-width:100%}", PLAIN),
}
ATTRIBUTES = {
    "none": "",
    "width": 'width="140"',
    "height": 'height="70"',
    "both": 'width="160" height="120"',
    "both, other ratio": 'width="160" height="60"',
    "width %": 'width="50%"',
    "width %, height": 'width="40%" height="80"',
    "height %": 'height="50%"',
    "width auto": 'width="auto" height="auto"',
    "px": 'width="130px"',
    "zero": 'width="0"',
    "fraction": 'width="99.5"',
    "style width": 'style="width:111px"',
    "style height": 'style="height:66px"',
    "style max-width": 'style="max-width:45%"',
    "style both": 'style="width:88px;height:99px"',
    "style zoom": 'style="zoom:50%"',
    "align": 'align="right" width="90"',
    "lazy": 'loading="lazy"',
    "class": 'class="icon"',
    "hspace": 'hspace="5" border="2"',
}


def _file(name: str) -> bytes:
    """A picture of this name: kind and size in it."""
    kind, width, height = name.partition(".")[2], *((900, 500) if "large" in name else (200, 140))
    if kind == "svg":
        size = (
            'viewBox="0 0 300 100"' if "viewbox" in name else f'width="{width}" height="{height}"'
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
            '<rect width="100%" height="100%" fill="teal"/></svg>'
        ).encode()
    buffer = io.BytesIO()
    if kind == "jpg":
        Image.fromarray(make_photo(height, width, 3)).save(buffer, "JPEG", quality=95)
    else:
        image = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(image)
        for n in range(40):
            draw.ellipse((n * 5, n * 3, n * 9 + 40, n * 7 + 30), outline=(n * 6, 90, 200 - n * 4))
        image.save(buffer, kind.upper())
    return buffer.getvalue()


FILES = (
    *("small.png", "large.png", "small.jpg", "large.jpg"),
    *("small.svg", "large.svg", "viewbox.svg", "small.gif", "large.gif"),
)


@dataclass(frozen=True)
class Cell:
    """A combination."""

    style: str
    attributes: str
    file: str

    def __str__(self) -> str:
        return f"{self.style} | {self.attributes} | {self.file}"


@dataclass(frozen=True)
class Wrong:
    """A combination that a built page lays out in another way."""

    cell: Cell
    window: Window
    detail: str

    def __str__(self) -> str:
        return f"{self.cell} | {self.window} | {self.detail}"


def everything() -> list[Cell]:
    """Every combination."""
    return [Cell(*values) for values in itertools.product(STYLES, ATTRIBUTES, FILES)]


def sample(seed: int = 20) -> list[Cell]:
    """Every kind of CSS with every kind of attributes, on a file each, and with every file.

    The files are drawn by the seed.
    """
    draw = random.Random(seed)
    pairs = [Cell(*pair, draw.choice(FILES)) for pair in itertools.product(STYLES, ATTRIBUTES)]
    return pairs + [Cell(style, "none", file) for style, file in itertools.product(STYLES, FILES)]


def write(folder: Path, cells: Sequence[Cell]) -> None:
    """Write a site of pages with these cells."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_bytes(_file(name))
    numbers = {style: n for n, style in enumerate(STYLES)}
    for first in range(0, len(cells), CELLS):
        some = cells[first : first + CELLS]
        css = "".join(
            STYLES[style][0].replace("&", f".k{numbers[style]}")
            for style in dict.fromkeys(cell.style for cell in some)
        )
        body = "".join(
            f"<section id=c{first + n} class=k{numbers[cell.style]}>"
            + STYLES[cell.style][1].replace(
                "@", f'<img src="{cell.file}" alt="" {ATTRIBUTES[cell.attributes]}>'
            )
            + "</section>\n"
            for n, cell in enumerate(some)
        )
        page = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Cells</title>'
            '<meta name="viewport" content="width=device-width">'
            '<link rel="icon" href="data:,"><style>body{margin:0;font:16px/1.5 sans-serif}'
            f"section{{position:absolute;top:0;left:0;width:70%}}figure{{margin:0}}{css}</style>"
            f"<body><main>\n{body}</main>\n"
        )
        (folder / f"page{first // CELLS:03}.html").write_text(page)


async def wrong_cells(plain: Path, built: Path, cells: Sequence[Cell], name: str) -> list[Wrong]:
    """Compare the two sites' boxes in a browser."""
    found = []
    names = sorted(path.name for path in plain.glob("*.html"))
    with serving(plain, built) as urls:
        async with browsers.running(name) as browser:
            async for seen in visits(browser, Errand(urls), names, WINDOWS):
                found += _differences(cells, seen)
    return found


def _differences(cells: Sequence[Cell], seen: Seen) -> list[Wrong]:
    details: dict[int, str] = {}
    for finding, _ in seen.found:
        section, _, where = finding.element.partition(" ")
        if section.startswith("#c") and finding.kind not in NOTES:
            detail = f"{where} {finding.kind} {finding.plain} → {finding.built}"
            details.setdefault(int(section[2:]), detail)
    return [Wrong(cells[n], seen.window, detail) for n, detail in sorted(details.items())]


def run(cells: Sequence[Cell], folder: Path, browser: str = "chromium") -> list[Wrong]:
    """Make both sites in the folder, build one, compare."""
    plain, built = folder / "plain", folder / "built"
    write(plain, cells)
    shutil.copytree(plain, built)
    summary = rewrite_site(built, Settings(store=folder / "store", min_bytes=0, effort=0))
    assert not summary.problems, summary.problems
    return completed(wrong_cells(plain, built, cells, browser))


def main() -> None:
    """Print what differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument(
        "--every", type=int, default=1, help="of these combinations, each so-manieth"
    )
    parser.add_argument("--browser", choices=browsers.NAMES, default="chromium")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    cells = everything() if given.all or given.only else sample()
    cells = [c for c in cells if given.only in c.style or given.only in c.attributes]
    cells = cells[:: given.every]
    with ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if given.keep and given.keep.exists():
            shutil.rmtree(given.keep)
        found = run(cells, folder, given.browser)
    for wrong in found:
        print(wrong)
    bad = {wrong.cell for wrong in found}
    print(f"{len(bad)} of {len(cells)} combinations differ")


if __name__ == "__main__":
    main()

"""Screenshots to train on: pages, terminals, plots and diagrams, in many fonts and themes.

    python -m sitecodec.training.screens FOLDER --count 300

Text and code are those of Python's own library, so that nothing has to be downloaded; Chromium
draws them. The same number gives the same page, as far as the machine's fonts do.
"""

from __future__ import annotations

import colorsys
import html
import inspect
import io
import itertools
import random
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import ModuleType

import click
from PIL import Image

from sitecodec.errors import SettingsError, SitecodecError
from sitecodec.terminal.progress import progress_bar

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = ((760, 640), (900, 700), (1100, 760), (620, 820))
SANS = ("Roboto", "Lato", "Open Sans", "Liberation Sans", "DejaVu Sans", "Noto Sans", "sans-serif")
SERIF = ("Liberation Serif", "DejaVu Serif", "Noto Serif", "serif")
MONO = ("Fira Code", "JetBrains Mono", "Inconsolata", "Liberation Mono", "DejaVu Sans Mono")
LIBRARY = ("argparse", "ast", "dataclasses", "email.message", "html.parser", "json.decoder")
TIMEOUT = 60.0  # seconds for one page


def draw(number: int) -> str:
    """A page as HTML: by its number a manual's page, a terminal, a plot or a diagram."""
    source = random.Random(number)
    dark = source.random() < 0.4
    hue = source.random()
    colours = {
        "paper": _colour(hue, 0.15, 0.10 if dark else 0.98),
        "raised": _colour(hue, 0.20, 0.17 if dark else 0.93),
        "ink": _colour(hue, 0.10, 0.88 if dark else 0.13),
        "quiet": _colour(hue, 0.10, 0.60 if dark else 0.45),
        "accent": _colour(source.random(), 0.7, 0.65 if dark else 0.40),
        "second": _colour(source.random(), 0.7, 0.60 if dark else 0.50),
    }
    variables = "".join(f"--{name}:{value};" for name, value in colours.items())
    size = source.choice((11, 12, 13, 14, 15, 16, 18, 20))
    text = source.choice(SANS if source.random() < 0.7 else SERIF)
    body = source.choice((_manual, _manual, _terminal, _plot, _diagram))(source)
    return (
        f"<!doctype html><meta charset=utf-8><style>:root{{{variables}--mono:'"
        f"{source.choice(MONO)}',monospace}}body{{margin:0;background:var(--paper);color:var(--ink)"
        f";font:{size}px/1.5 '{text}',sans-serif}}{STYLE}</style>{body}"
    )


STYLE = """
main{padding:1.2em 1.6em} h1,h2{line-height:1.2;margin:.6em 0} a,b{color:var(--accent)}
nav{background:var(--accent);color:var(--paper);padding:.7em 1.6em;display:flex;gap:1.5em}
pre,code{font-family:var(--mono);font-size:.9em} pre{background:var(--raised);padding:.8em;
margin:1em 0;border-radius:6px;overflow:hidden;white-space:pre-wrap}
table{border-collapse:collapse;margin:1em 0} td,th{border:1px solid var(--quiet);padding:.3em .8em}
th{background:var(--raised)} i{color:var(--quiet)} button{background:var(--accent);color:var(--paper
);border:0;padding:.5em 1.2em;border-radius:5px;font:inherit;margin-right:.6em}
.note{border-left:4px solid var(--second);background:var(--raised);padding:.6em 1em}
.columns{columns:2} .terminal{font-family:var(--mono);white-space:pre-wrap;padding:1em}
svg{display:block} svg text{fill:var(--ink);font-size:12px}
"""


def _manual(source: random.Random) -> str:
    words = _words()
    parts = [
        f"<nav><span>{_phrase(source, words, 2)}</span><span>Guide</span><span>API</span></nav>"
    ]
    parts.append(f"<main><h1>{_phrase(source, words, 4)}</h1>")
    for _ in range(8):
        match source.randrange(7):
            case 0:
                parts.append(f"<pre>{_code(source, source.randint(4, 12))}</pre>")
            case 1:
                rows = "".join(
                    f"<tr><td><code>{_phrase(source, words, 1)}</code><td>"
                    f"{source.uniform(0, 999):.{source.randrange(4)}f}<td>"
                    f"{_phrase(source, words, 5)}"
                    for _ in range(source.randint(3, 7))
                )
                parts.append(f"<table><tr><th>Name<th>Value<th>Meaning{rows}</table>")
            case 2:
                parts.append(f"<div class=note><b>Note</b><br>{_phrase(source, words, 22)}</div>")
            case 3:
                items = "".join(f"<li>{_phrase(source, words, 9)}" for _ in range(4))
                parts.append(f"<h2>{_phrase(source, words, 3)}</h2><ul>{items}</ul>")
            case 4:
                parts.append("<p><button>Save</button><button>Cancel</button></p>")
            case _:
                style = " class=columns" if source.random() < 0.2 else ""
                parts.append(
                    f"<p{style}>{_phrase(source, words, source.randint(30, 90))} "
                    f"<a>{_phrase(source, words, 3)}</a> <i>{_phrase(source, words, 6)}</i></p>"
                )
    return "".join(parts)


def _terminal(source: random.Random) -> str:
    words = _words()
    lines = []
    for _ in range(14):
        prompt = f"<b>{_phrase(source, words, 1).lower()}@host</b>:<i>~/src</i>$ "
        lines.append(prompt + _phrase(source, words, source.randint(1, 5)).lower())
        for _ in range(source.randint(0, 6)):
            state = source.choice(("<b>ok</b>  ", "<i>skip</i>", "     "))
            lines.append(f"{state} {source.randint(0, 99999):>6} {_phrase(source, words, 6)}")
    return f"<div class=terminal>{'<br>'.join(lines)}</div>"


def _plot(source: random.Random) -> str:
    words = _words()
    width, height = 700, 430
    parts = [f"<main><h2>{_phrase(source, words, 5)}</h2><svg width={width} height={height}>"]
    for step in range(6):
        x, y = 60 + step * 120, 20 + step * 75
        parts.append(
            f'<path d="M60 {y}H{width - 20}" stroke="var(--quiet)" stroke-width=".5"/>'
            f"<text x=18 y={y + 4}>{100 - 20 * step}</text><text x={x} y=415>{2020 + step}</text>"
        )
    for number in range(source.randint(1, 4)):
        ink = _colour(source.random(), 0.7, 0.5)
        level, points = source.uniform(60, 350), []
        for step in range(40):
            level = min(max(level + source.gauss(0, 18), 25), 390)
            points.append((60 + 15.9 * step, level))
        match source.randrange(3):
            case 0:
                parts += [
                    f'<rect x={x:.0f} y={y:.0f} width=12 height={395 - y:.0f} fill="{ink}"/>'
                    for x, y in points[number::2]
                ]
            case 1:
                parts += [f'<circle cx={x:.1f} cy={y:.1f} r=4 fill="{ink}"/>' for x, y in points]
            case _:
                line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
                parts.append(
                    f'<polyline points="{line}" fill=none stroke="{ink}" stroke-width=2 />'
                )
    return "".join([*parts, f"</svg><p>{_phrase(source, words, 25)}</p></main>"])


def _diagram(source: random.Random) -> str:
    words = _words()
    parts = [f"<main><h2>{_phrase(source, words, 4)}</h2><svg width=800 height=520>"]
    places = [(30 + 190 * column, 20 + 120 * row) for row in range(4) for column in range(4)]
    chosen = source.sample(places, 9)
    for (x, y), (u, v) in itertools.pairwise(chosen):
        parts.append(
            f'<path d="M{x + 70} {y + 30}L{u + 70} {v + 30}" stroke="var(--quiet)" fill=none'
            f" stroke-width={source.choice((1, 1.5, 2))} />"
        )
    for x, y in chosen:
        fill = source.choice(("var(--raised)", "var(--paper)", "var(--second)"))
        parts.append(
            f'<rect x={x} y={y} width=140 height=60 rx={source.choice((0, 6, 30))} fill="{fill}"'
            f' stroke="var(--accent)"/><text x={x + 70} y={y + 34} text-anchor=middle>'
            f"{_phrase(source, words, 2)}</text>"
        )
    return "".join([*parts, "</svg></main>"])


def _words() -> list[str]:
    from pydoc_data.topics import topics

    found = [word for text in topics.values() for word in str(text).split()[:400]]
    return [word for word in found if word.strip(".,()").isalpha()]


def _phrase(source: random.Random, words: list[str], count: int) -> str:
    at = source.randrange(len(words) - count)
    return html.escape(" ".join(words[at : at + count]).capitalize())


def _code(source: random.Random, lines: int) -> str:
    module: ModuleType = __import__(source.choice(LIBRARY), fromlist=["_"])
    text = inspect.getsource(module).splitlines()
    at = source.randrange(len(text) - lines)
    coloured = html.escape("\n".join(text[at : at + lines]))
    for word in ("def", "return", "if", "for", "class", "import"):
        coloured = coloured.replace(f"{word} ", f"<b>{word}</b> ")
    return coloured


def _colour(hue: float, saturation: float, lightness: float) -> str:
    parts = colorsys.hls_to_rgb(hue, lightness, saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def render(number: int, browser: str) -> Image.Image:
    """The page of a number as an RGB picture. Raises SettingsError if the browser fails."""
    source = random.Random(-1 - number)
    width, height = source.choice(SIZES)
    scale = source.choice((1, 1, 1.5, 2))
    with tempfile.TemporaryDirectory() as name:
        page, shot = Path(name, "page.html"), Path(name, "page.png")
        page.write_text(draw(number), encoding="utf-8")
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={name}/profile", f"--window-size={width},{height}"),
            *(f"--force-device-scale-factor={scale}", f"--screenshot={shot}", page.as_uri()),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)
            return Image.open(io.BytesIO(shot.read_bytes()), formats=["PNG"]).convert("RGB")
        except (OSError, subprocess.SubprocessError) as error:
            raise SettingsError(f"{browser} cannot draw a page: {error}") from error


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", default=300, show_default=True, help="How many to draw.")
@click.option("--first", default=0, help="The first one's number: others are other pages.")
def main(folder: Path, count: int, first: int) -> None:
    """Draw screenshots into FOLDER, to train on beside photographs."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise click.ClickException("no Chromium found: install it, it draws the pages")
    folder.mkdir(parents=True, exist_ok=True)
    with progress_bar("Drawing") as progress:
        for number in range(first, first + count):
            path = folder / f"screen-{number:04}.png"
            try:
                if not path.exists():
                    render(number, browser).save(path, optimize=True)
            except SitecodecError as error:
                raise click.ClickException(str(error)) from error
            if progress:
                progress(number + 1 - first, count)


if __name__ == "__main__":
    main()

"""Pages and pictures with hostile names, through everything that prints, serves or links names.

A site has a page and a picture of each name, sound, damaged and missing ones. It is built, weighed,
shown in the inspector and served. Terminals get nothing but printable characters; the report's page
and GitHub's summary no markup that a name has brought; every page is served at its own address with
its own picture; nothing ends in a traceback, whatever the terminal's encoding. Exits 1 on a fault.
"""

from __future__ import annotations

import html.parser
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from tests.hosts.running import eventually, free_port, live

_TEXTS = [
    *("\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\x07bell", "a\rb", "a\nb", "a\n\n# Heading"),
    "\tt",
    *("\x7f", "\x85next", "\u2028line", "\u2029par", "\u200b", "\ufeffbom", "\u202egnp.exe"),
    *("\u200frtl", "\u2066iso", "<script>alert(1)<|script>", "<img src=x onerror=alert(1)>"),
    *('"><svg onload=alert(1)>', "' onload='alert(1)", "{{7*7}}", "{% raw %}", "${7*7}", "`id`"),
    *("$(touch x)", "; touch x", "| touch x", "&& touch x", "-rf", "--help", "~", "~root", "*"),
    *("[a](javascript:alert(1))", "![a](b)", "| a | b |", "@everyone", "#1", "a_b_c", "**b**"),
    *("::error::x", "::add-mask::b", "##[error]x", "##vso[task.x]", "%", "%zz"),
    *("%0A::error::x", "%00", "%2e%2e%2fx"),
    *("a?b", "a#b", "a;b", "a&b", "a&lt;b", "a+b", "a=b", "a:b", "a\\b", "..\\x", "..."),
    *(" a ", "a b"),
    *("é", "e\u0301", "日本語", "😀", "\U0010ffff", "CON", "nul.png", "a.html", "index", "a" * 240),
    *("</style>", "<!--", "-->", "]]>", "a,b 2x", "a 100w", "(a)", "url(x)", "'a'", '"a"', "a,"),
]  # fmt: skip
_BYTES = [b"caf\xe9", b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\x80" * 100, b"a\xf0\x9f"]
NAMES = [*(text.replace("/", "|") for text in _TEXTS), *map(os.fsdecode, _BYTES)]
_RUN = "from sitecodec.cli.commands import main; main()"
_ENCODINGS = ("utf-8", "ascii", "cp1252", "latin-1")


def make(folder: Path, names: list[str]) -> Path:
    """A site in a folder: for each name a page that shows a picture of that name, and two more."""
    site = folder / "site"
    site.mkdir(parents=True)
    (folder / "sitecodec.toml").write_text("min_bytes = 100\n")
    for number, name in enumerate(names):
        corners = (-2 + number / 200, -1.3, 1, 1.3)
        Image.effect_mandelbrot((60, 40), corners, 60).save(site / "p.png")
        (site / "p.png").rename(site / f"{name}.png")
        (site / f"{name}.bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 200)
        addresses = (quote(os.fsencode(name + end)) for end in (".png", ".bad.png", ".no.png"))
        images = "".join(f'<img src="./{address}">' for address in addresses)
        (site / f"{name}.html").write_text(f"<title>t</title><main>{images}</main>")
    return site


def printed(text: str) -> str:
    """What of a terminal's text is no printable character, '' for nothing."""
    return "".join(sorted({c for c in text if c != "\n" and not c.isprintable()}))


class _Tags(html.parser.HTMLParser):
    """Counts what a name could have brought into a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, int] = {}
        self.handlers = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] = self.found.get(tag, 0) + 1
        self.handlers += sum(name.startswith("on") for name, _ in attrs)


def commands(folder: Path, encodings: Iterable[str] = _ENCODINGS) -> list[str]:
    """Build and weigh the site on terminals of these encodings; what is wrong."""
    wrong = []
    summary = folder / "summary.md"
    steps = [["build", "site"], ["report", "site"], ["report", "site", "--json"]]
    steps += [["report", "site", "--html", "report.html"]]
    for encoding in encodings:
        values = {"PYTHONIOENCODING": encoding, "GITHUB_STEP_SUMMARY": str(summary)}
        for step in steps:
            done = subprocess.run(
                [sys.executable, "-c", _RUN, *step],
                cwd=folder,
                env=os.environ | values,
                capture_output=True,
            )
            # click takes ASCII for a mistake, and writes UTF-8.
            said = (done.stdout + done.stderr).decode("utf-8" if encoding == "ascii" else encoding)
            if done.returncode or "Traceback" in said:
                wrong.append(f"{step} in {encoding}: {done.returncode} {said[-300:]}")
            if found := re.findall(r"^\s*::.*|.*##(?:\[|vso\[).*", said, re.MULTILINE):
                wrong.append(f"{step} in {encoding} commands {found}")
            if odd := printed(said):
                wrong.append(f"{step} in {encoding} prints {odd!r}")
    tags = _Tags((folder / "report.html").read_text(encoding="utf-8"))
    own = tags.found.get("input", 0)  # each has a handler of ours
    if tags.handlers != own or tags.found.get("script", 0) > 1 or "svg" in tags.found:
        wrong.append(f"report.html: {tags.found}, {tags.handlers} handlers")
    text = summary.read_text(encoding="utf-8")
    for mark in ("<", "](", "`", "@", "::"):
        if mark in text:
            wrong.append(f"the summary has {mark}: {text[max(0, text.find(mark) - 60) :][:120]!r}")
    if found := re.findall(r"^#+ .*", text, re.MULTILINE):
        wrong += [f"the summary has {line!r}" for line in set(found) - {"### sitecodec"}]
    return wrong


def served(folder: Path, names: list[str]) -> list[str]:
    """Ask for every page and for what the inspector shows; what is wrong."""
    wrong = []
    port = free_port()
    command = [sys.executable, "-c", _RUN, "serve", "site", "--port", str(port)]
    with live(command, folder, f"http://127.0.0.1:{port}/") as server:
        server.until("the inspector at")

        def listed() -> list[dict[str, str]]:
            images = json.loads(server.fetch("_sitecodec/images.json"))["images"]
            return images if len(images) >= len(names) else []

        rows = eventually(listed)
        if missing := set(names) - {Path(row["path"]).name.removesuffix(".png") for row in rows}:
            wrong.append(f"the inspector lacks {missing}")
        server.fetch("_sitecodec/")
        for name in names:
            for end in (".html", ".png") if name[0] != "." else ():  # which are hidden
                try:
                    server.fetch(quote(os.fsencode(name + end)))
                except (urllib.error.URLError, ValueError) as error:
                    wrong.append(f"{name + end!r}: {error}")
        if "Traceback" in server.output:
            wrong.append(server.output[-500:])
        if odd := printed(server.output):
            wrong.append(f"serve prints {odd!r}")
    return wrong


def pages(site: Path, names: list[str]) -> list[str]:
    """Names of pages that do not show their own picture."""
    wrong = []
    for name in names:
        text = (site / f"{name}.html").read_bytes()
        named: list[bytes] = re.findall(rb"assets/sitecodec/[\w.-]+", text)
        if not named or not all((site / n.decode()).is_file() for n in named):
            wrong.append(f"{name!r}: {text[-300:]!r}")
    return wrong


def main() -> int:
    """All names through all of it; 1 if anything was wrong."""
    with tempfile.TemporaryDirectory() as folder:
        site = make(Path(folder), NAMES)
        wrong = [*commands(Path(folder)), *pages(site, NAMES), *served(Path(folder), NAMES)]
    for line in wrong:
        print(line)
    print(f"{len(NAMES)} names, {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Does the time to read a page grow with its size, whatever it holds?

Each shape is a page, style sheet or configuration file of any size whose parts begin something and
do not end it, or come again and again. Each is made at four sizes and read by everything that reads
such a file: a whole build, the report, the preview, what undoes a build. The exponent is that of
CPU time between the two largest sizes: 1 is linear. Exits 1 where one is over the limit, where
something is raised, or where a page is not done in some minutes.
"""

from __future__ import annotations

import argparse
import gc
import math
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType

import numpy as np
from PIL import Image

from sitecodec.page import css, html, owners, srcset, undo
from sitecodec.preview import pages
from sitecodec.report import weight
from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from sitecodec.visitors import host_notes

SIZES = tuple(1 << bits for bits in (16, 18, 20, 22))
LIMIT = 1.2
MEASURABLE = 0.05  # seconds
_TOO_LONG = 240
_ASSET = b"assets/sitecodec/a-0123456789ab-9w"

IMG = b"<img src=a.png>"
_RASTER = b"<style>a{background:url(a.png)}</style>"


def again(part: bytes, *, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    """A shape: the part as often as fits between what stands before and after it."""
    return lambda size: before + part * (size // len(part)) + after


def halves(
    first: bytes, second: bytes, *, before: bytes = b"", after: bytes = b""
) -> Callable[[int], bytes]:
    """A shape: one part again and again, then the other."""
    return lambda size: (
        before + first * (size // 2 // len(first)) + second * (size // 2 // len(second)) + after
    )


def filled(pattern: bytes, fill: bytes) -> Callable[[int], bytes]:
    """A shape: the pattern with something long in place of its `*`."""
    return lambda size: pattern.replace(b"*", fill * (size // len(fill)))


PAGES: dict[str, Callable[[int], bytes]] = {
    "links that do not end": again(b"<link ", before=b"integrity modulepreload", after=IMG),
    "metas that do not end": again(b"<meta ", before=b"content-security-policy", after=IMG),
    "a link of one long word": filled(b"<link integrity *>" + IMG, b"a"),
    "a link of many addresses": filled(b"<link integrity *>" + IMG, b"a.css/"),
    "side bars that do not end": again(
        b'class="md-sidebar md-sidebar--primary"', before=b"md-content", after=IMG
    ),
    "sources, then images": halves(b"<source>", b"<img>", after=b"</picture>"),
    "a picture of sources and images": lambda n: b"<picture>" + PAGES["sources, then images"](n),
    "images in one picture": again(b'<img src="a.png">', before=b"<picture>"),
    "encoded images in one picture": again(
        b'<img src="%s.jpg">' % _ASSET, before=b"<picture data-sitecodec>"
    ),
    "sources with media and images": lambda n: (
        b"<picture>" + halves(b"<source media=a srcset=a.png>", b"<img src=a.png>")(n)
    ),
    "pictures that do not end": again(b"<picture><source srcset=a.png>", after=IMG),
    "images": again(b'<img src="a.png" alt>', before=b"<html><head></head><main>"),
    "images of their own address": lambda n: b"".join(
        b"<img src=%d.png>" % i for i in range(n // 16)
    ),
    "an image of many attributes": filled(b"<img src=a.png *>", b" a"),
    "an image of one attribute": filled(b"<img src=a.png alt='*'>", b"&amp"),
    "an image of many classes": filled(b"<img src=a.png class='*'>", b"lazy-"),
    "data attributes that look like addresses": filled(b"<img src=a.png data-x='* z'>", b".png?"),
    "a long srcset": filled(b"<img src=a.png srcset='*'>", b"a.png 1x,"),
    "a srcset of commas": filled(b"<img src=a.png srcset='*'>", b","),
    "sizes of digits": filled(b"<img src=a.png srcset='a.png 9w' sizes='*'>", b"1"),
    "a long base": filled(b"<base href='/*/'>" + IMG * 9, b"b/"),
    "a long base and images": lambda n: (
        b"<base href='/" + b"b" * (n // 2) + b"/'>" + b"<img src=c.png>" * (n // 32)
    ),
    "an address of dots": filled(b"<img src='*a.png'>", b"../"),
    "CDATA that begins": again(b"<![CDATA[>", after=b"]]>" + IMG),
    "CDATA in svg": again(b"<![CDATA[ ]]>", before=b"<svg>", after=b"</svg>" + IMG),
    "comments that begin": again(b"<!-- ", after=IMG),
    "comments": again(b"<!---->", after=IMG),
    "a script of comments": again(b"<!--<script>", before=b"<script>", after=b"</script>" + IMG),
    "text that does not end": again(b"<textarea>", after=IMG),
    "tags that do not end": again(b"<a ", after=IMG),
    "quotes that do not end": again(b"<a b='", after=IMG),
    "equals and quotes": again(b"<a =\"'", after=IMG),
    "nested elements": halves(b"<div>", b"</div>", after=IMG),
    "nested templates": halves(b"<template>", b"</template>", after=IMG),
    "closed svg": again(b"<svg><style/>", after=IMG),
    **{
        f"images under {css.decode()}": again(
            b"<img src=a.png>", before=b"<style>" + css + b"{width:50%}</style><div>"
        )
        for css in (b"h1 ~ img", b"* + *", b"div:has(img)")
    },
    "rules and images": lambda n: (
        b"<style>" + b"img{width:1px}" * (n // 28) + b"</style>" + b"<img src=a.png>" * (n // 30)
    ),
    "panels in each other": again(b"<b class=tab-panel>", before=IMG, after=IMG),
    "images in hidden parts": again(b"<p hidden>" + IMG),
    "handlers and images": halves(b"<b onclick=f()></b>", b"<img src=a.png>"),
    "preloads and images": lambda n: (
        b"<link rel=preload as=image href=a.png>" * (n // 80) + b"<img src=a.png>" * (n // 32)
    ),
    "islands and images": halves(b"<div data-reactroot></div>", IMG),
    "programs": filled(b"<script>hydrateRoot(*)</script>" + IMG, b"document,"),
    "a script of functions and spaces": filled(
        b"<script>q.map(function*!;q.src=1</script>" + IMG, b" "
    ),
    "names that stand for each other": again(
        b"q=q;", before=b"<script>", after=b"q.src=1</script>" + IMG
    ),
    "sources that a script sets": again(
        b"q.map(q=>q.src=1);", before=b"<script>", after=b"</script>" + IMG
    ),
    "handlers that set sources": again(b"<b onclick=q=q;q.src=1></b>", after=IMG),
    "ids that are looked up": again(
        b"getElementById('x')", before=b"<script>createSSRApp(", after=b")</script>" + IMG
    ),
    "styles": again(b"<p style='background:url(a.png)'>"),
    "style elements": again(_RASTER),
    "addresses in a style that do not end": again(
        b"url(", before=b"<style>", after=b"a.png)</style>"
    ),
    "payload sources that do not end": again(
        b' srcset="a.slat"', before=b'<source type="image/x-sitecodec"'
    ),
    "preloads": again(b"<link rel=preload as=image href=a.png>", after=IMG),
    "policies": again(
        b"<meta http-equiv=content-security-policy content=\"img-src 'self'\">", after=IMG
    ),
    "images deep in a page": lambda n: b"<div>" * 600 + IMG * (n // len(IMG)),
    "a long address of the site": halves(
        b"a", b"/'><img src=a.png>", before=b"<link rel=canonical href='https://x/"
    ),
    "scripts that look for many images": lambda n: (
        b"<script>"
        + b"".join(
            b"document.querySelector('%s').src=1;" % (b".b%d," % i * 30 + b"i")
            for i in range(n // 600)
        )
        + b"</script>"
        + IMG * (n // 30)
    ),
    "names of a script": lambda n: (
        b"<script>" + b"".join(b"a%d.src=1;" % i for i in range(n // 12)) + b"</script>" + IMG
    ),
    "handlers": lambda n: b"".join(
        b"<img src=a.png onclick='%s'>" % (b"a%d=b;a%d.src=1;" % (i, i) * 10)
        for i in range(n // 200)
    ),
    "a script that is named often": lambda n: (
        b"<script src=a.js></script>" * (n // 52)
        + b"<script>react.element;"
        + b"getElementById('abc');" * (n // 44)
        + b"</script>"
        + IMG
    ),
    "an endless policy": filled(
        b"<meta http-equiv=content-security-policy content='*'>" + IMG, b"img-src a;"
    ),
    "less than": again(b"<", after=IMG),
    "comments and no end": again(b"<!--", before=IMG),
    "tags and no end": again(b"<a ", before=IMG),
    "end tags and no end": again(b"</a ", before=IMG),
    "instructions and no end": again(b"<?", before=IMG),
    "declarations and no end": again(b"<!", before=IMG),
    "sections and no end": again(b"<![CDATA[", before=IMG),
    "quotes and no end": again(b'<a b="', before=IMG),
    "one kind of quote in the other": again(b"<a b=\"'>", before=IMG),
    "spaces": filled(b"<img src=a.png *>" + IMG, b" "),
    "slashes": filled(b"<img src=a.png *>" + IMG, b"/"),
}
"""What a page may hold."""

SHEETS: dict[str, Callable[[int], bytes]] = {
    "backgrounds": again(b"a{background:url(a.png)}"),
    "backgrounds of many pictures": filled(b"a{background:*}", b"url(a.png),"),
    "sets after backgrounds": filled(b"a{*}", b"background:url(a.png);background:image-set(x);"),
    "blocks that begin": again(b"a{", after=b"background:url(a.png)"),
    "brackets that begin": again(b"(", before=b"a{background:url(a.png)"),
    "comments in CSS that begin": again(b"/*", before=b"a{background:url(a.png)}"),
    "comments before a property": filled(b"a{*background:url(a.png)}", b"/**/ "),
    "strings that begin": again(b'"a\\', before=b"a{background:url(a.png)}"),
    "selectors": filled(b"*{background:url(a.png)}", b"a>b~c "),
    "selectors of classes": filled(b"img*{background:url(a.png);width:1px}", b".a"),
    "selectors in a list": filled(b"* i{background:url(a.png);width:1px}", b"img,"),
    "negations": filled(b"img*{width:1px;background:url(a.png)}", b":not(.a)"),
    "nested negations": lambda n: (
        b"img" + b":not(" * (n // 6) + b"a" + b")" * (n // 6) + b"{width:1px;background:url(a.png)}"
    ),
    "nested rules": filled(b"*{background:url(a.png)}", b"a{"),
    "rules that name their parent": lambda n: (
        b"".join(
            b".a%d{color:red;" % i + b"& & &{width:1px;" * 9 + b"}" * 10 for i in range(n // 170)
        )
        + b"a{background:url(a.png)}"
    ),
    "nested rules under many selectors": lambda n: (
        b"a," * (n // 4) + b"b{" + b"i{width:1px}" * (n // 24) + b"}a{background:url(a.png)}"
    ),
    "pseudo-elements": filled(b"a*:not(b){width:1px;background:url(a.png)}", b":before"),
    "lists in each other": lambda n: (
        b":is(" * 40
        + b"a," * (n // 2)
        + b"b:hover"
        + b")" * 40
        + b"{width:1px;background:url(a.png)}"
    ),
    "media": filled(b"@media * {img{width:1px;background:url(a.png)}}", b"(width>1px) and "),
    "nested media": again(b"@media all{", after=b"img{width:1px;background:url(a.png)}"),
    "rules for images": again(b"img{width:1px;max-width:2px}", after=b"a{background:url(a.png)}"),
    "rules for many classes": lambda n: (
        b"".join(b"img.c%d{width:%dpx}" % (i, i) for i in range(n // 20))
        + b"a{background:url(a.png)}"
    ),
    "properties of their own": filled(
        b"img{*width:var(--a);background:url(a.png)}", b"--a:var(--a);"
    ),
    "sums": filled(b"img{width:calc(*1px);background:url(a.png)}", b"1px + "),
    "nested sums": lambda n: (
        b"img{width:" + b"calc(" * (n // 6) + b"1px" + b")" * (n // 6) + b";background:url(a.png)}"
    ),
    "imports": again(b"@import 'a.css';", after=b"a{background:url(a.png)}"),
    "escapes": filled(b"a{background:url(*.png)}", b"\\61 "),
    "angle brackets": again(b"<!--", after=b"a{background:url(a.png)}"),
}
"""What a style sheet may hold; each stands in a page's `<style>` too."""

CONFIGURATIONS: dict[str, Callable[[int], bytes]] = {
    ".htaccess": filled(b"<*", b" "),
    "a section of .htaccess": filled(b"<*", b"a"),
    "_headers": again(b"/*\n  cache-control: no-cache\n"),
    "wildcards of _headers": filled(b"/*b\n  content-security-policy: default-src 'self'\n", b"a*"),
    "sections in each other of .htaccess": halves(
        b"<FilesMatch ^([a-z.]+)+X$>\n", b"Header set content-security-policy x\n"
    ),
    "policies of _headers": lambda n: (
        b"/*\n" + b"".join(b"  content-security-policy: img-src a%d\n" % i for i in range(n // 42))
    ),
    "a key of netlify.toml": filled(b"x.*b = 1", b'"a ".'),
    "ranges of vercel.json": lambda n: (
        b'{"headers":[%s]}'
        % b",".join(
            b'{"source":"/(?i:%s%d)","headers":[{"key":"content-security-policy","value":"x"}]}'
            % ("[!-\uffff]".encode() * 80, i)
            for i in range(n // 560)
        )
    ),
    "rules of vercel.json": lambda n: (
        b'{"headers":[%s]}'
        % b",".join(
            [
                b'{"source":"/(([a-z.]+)+)X",'
                b'"headers":[{"key":"content-security-policy","value":"x"}]}'
            ]
            * (n // 90)
        )
    ),
}


def _source_of(address: str) -> str | None:
    return "a.png" if "0123456789ab" in address else None


READERS: dict[str, Callable[[bytes], object]] = {
    "html": lambda data: (html.scan(data), html.styles(data), html.scripts(data)),
    "owners": lambda data: [
        owners.owner(parts, at)
        for parts in [owners.owned(data, filter(None, [owners.program(data.decode("latin-1"))]))]
        for at in range(0, len(data), 64)
    ],
    "undo": lambda data: undo.spans(data, _source_of),
    "css": lambda data: css.backgrounds(data.decode("latin-1")),
    "undone css": lambda data: undo.css(data.decode("latin-1"), _source_of),
    "srcset": lambda data: srcset.parse(data.decode("latin-1")),
    "preview": lambda data: pages.with_payloads(
        data, "index.html", Path("nowhere"), "/", "assets/sitecodec", lambda _: ""
    ),
}
"""What reads the bytes of a page or style sheet."""


@contextmanager
def site(files: dict[str, bytes]) -> Iterator[tuple[Path, Settings]]:
    """A folder with these files and a picture, and settings that keep what was encoded."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "site"
        place.mkdir()
        for name, data in {"a.png": _picture(), **files}.items():
            (place / name).write_bytes(data)
        yield place, Settings(store=_store(), browser="never", min_bytes=0)


@cache
def _store() -> Path:
    return Path(tempfile.mkdtemp()) / "store"


@cache
def _picture() -> bytes:
    import io

    rows = np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rows).save(buffer, "PNG")
    return buffer.getvalue()


def in_site(files: dict[str, bytes]) -> None:
    """Build a site of these files, say what its host needs, and weigh it."""
    with site(files) as (place, settings):
        rewrite_site(place, settings)
        host_notes.notes(place, settings.asset_dir)
        weight.measure(place, asset_dir=settings.asset_dir)


def cases() -> Iterator[tuple[str, Callable[[int], Callable[[], object]]]]:
    """Name of each shape and, for a size, what reads it in all ways there are."""

    def page(make: Callable[[int], bytes]) -> Callable[[int], Callable[[], object]]:
        def prepared(size: int) -> Callable[[], object]:
            data = make(size)
            return lambda: (
                in_site({"index.html": data}),
                [read(data) for read in READERS.values()],
            )

        return prepared

    def sheet(make: Callable[[int], bytes]) -> Callable[[int], Callable[[], object]]:
        def prepared(size: int) -> Callable[[], object]:
            data = make(size)
            linked = b"<link rel=stylesheet href=a.css><main class=c1><p>" + IMG * 3
            inside = b"<style>" + data + b"</style>" + IMG
            files = {"index.html": linked, "a.css": data, "b.html": inside}
            return lambda: (in_site(files), READERS["css"](data), READERS["undone css"](data))

        return prepared

    def configuration(
        name: str, make: Callable[[int], bytes]
    ) -> Callable[[int], Callable[[], object]]:
        return lambda size: (
            (data := make(min(size, 900_000)))
            and (lambda: in_site({"index.html": IMG, name: data}))
        )

    yield from ((name, page(make)) for name, make in PAGES.items())
    yield from ((name, sheet(make)) for name, make in SHEETS.items())
    for name, make in CONFIGURATIONS.items():
        yield name, configuration(name.rpartition(" ")[2], make)


class TooLateError(Exception):
    """Reading took too long."""


def seconds(read: Callable[[], object]) -> float:
    """CPU seconds of reading once; infinite if it does not end in some minutes."""

    def late(_: int, __: FrameType | None) -> None:
        raise TooLateError

    signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, _TOO_LONG)
    gc.collect()
    gc.disable()  # what else this process keeps is no matter of the page's
    start = time.process_time()
    try:
        read()
        return time.process_time() - start
    except TooLateError:
        return math.inf
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        gc.enable()


def exponent(times: dict[int, float]) -> float:
    """How the time grows with the size, by the last two; 0 where all is too fast to tell."""
    (small, before), (large, after) = sorted(times.items())[-2:]
    if after < MEASURABLE:
        return 0.0
    return math.log(after / max(before, MEASURABLE / 10)) / math.log(large / small)


def main() -> int:
    """Print a line for each shape; 1 if one grows faster than it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="shapes whose names hold one of these")
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    options = parser.parse_args()
    sizes = [size for size in SIZES if size <= options.largest]
    in_site({"index.html": IMG})  # encodes the picture, imports what is needed
    worst = 0.0
    for name, prepared in cases():
        if options.only and not any(word in name for word in options.only):
            continue
        times: dict[int, float] = {}
        for size in sizes:
            try:
                times[size] = seconds(prepared(size))
            except Exception as error:
                print(f"{name:42} {type(error).__name__}: {error}"[:120])
                times[size] = math.inf
            if math.isinf(times[size]):
                break
        grows = exponent(times) if len(times) > 1 else math.inf
        worst = max(worst, grows)
        listed = " ".join(f"{value:8.2f}" for value in times.values())
        mark = f"  over {LIMIT}" if grows > LIMIT else ""
        print(f"{name:42} {listed}  {grows:5.2f}{mark}", flush=True)
    print(f"largest exponent: {worst:.2f}")
    return 1 if worst > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())

"""Scripts that give images other sources work in a real browser as on the page without us."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from tests.conftest import encode, make_photo

IMAGE = '<img id="x" class="swap big" name="pic" src="a.jpg" {}>'
BUTTON = '<button id="go" onclick="{}">go</button>'
# Each is a page's body, in which a click on #go, or the mouse over #x, shows another picture.
PAGES = {
    "own-handler": IMAGE.format("onmouseover=\"this.src='b.jpg'\"") + BUTTON.format(""),
    "own-srcset": IMAGE.format("onmouseover=\"this.srcset='b.jpg'\"") + BUTTON.format(""),
    "gives-itself": IMAGE.format('onmouseover="f(this)"')
    + BUTTON.format("")
    + "<script>function f(i) { i.setAttribute('src', 'b.jpg') }</script>",
    "by-id": IMAGE.format("") + BUTTON.format("document.getElementById('x').src='b.jpg'"),
    "by-global": IMAGE.format("") + BUTTON.format("x.src='b.jpg'"),
    "by-name": IMAGE.format("") + BUTTON.format("document.images['pic'].src = 'b.jpg'"),
    "by-index": IMAGE.format("") + BUTTON.format("document.images[0].setAttribute('src', 'b.jpg')"),
    "in-a-variable": IMAGE.format("")
    + BUTTON.format("show(1)")
    + "<script>const main = document.querySelector('.big');"
    "function show(n) { main.src = ['a.jpg', 'b.jpg'][n] }</script>",
    "for-each": IMAGE.format("")
    + BUTTON.format("")
    + "<script>document.querySelectorAll('img.swap').forEach(image =>"
    " image.addEventListener('mouseenter', () => { image.src = 'b.jpg' }))</script>",
    "by-event": IMAGE.format("")
    + BUTTON.format("")
    + "<script>addEventListener('mouseover', e => {"
    " if (e.target.matches('.swap')) e.target.src = 'b.jpg' })</script>",
    "as-this": IMAGE.format("")
    + BUTTON.format("")
    + "<script>function over() { this.src = 'b.jpg' }"
    " document.getElementsByClassName('swap')[0].onmouseover = over</script>",
    "in-a-file": IMAGE.format("") + BUTTON.format("") + '<script src="swap.js"></script>',
    "on-error": '<img id="x" src="missing.jpg" onerror="this.onerror=null;this.src=\'b.jpg\'">'
    + BUTTON.format(""),
    "broken-later": IMAGE.format("onerror=\"this.onerror=null;this.src='b.jpg'\"")
    + BUTTON.format("document.querySelector('#x').src = 'missing.jpg'"),
    "lazy": '<img id="x" src="blank.gif" data-original="b.jpg">'
    + BUTTON.format("")
    + "<script>for (const i of document.images) i.src = i.dataset.original</script>",
    "own-picture": '<picture><source srcset="a.jpg" id="s"><img id="x" src="a.jpg"></picture>'
    + BUTTON.format("document.querySelector('picture source').srcset = 'b.jpg'"),
    "assigned": IMAGE.format("")
    + BUTTON.format("Object.assign(document.getElementById('x'), {src: 'b.jpg'})"),
}
SWAP = """document.addEventListener("DOMContentLoaded", () => {
  const all = document.querySelectorAll("main .swap");
  for (const image of all) image.addEventListener("mouseover", () => image.src = "b.jpg");
});"""
SHOWN = "() => document.getElementById('x').currentSrc.split('/').pop()"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages as their author made them, and as they are built."""
    folder = tmp_path_factory.mktemp("sites")
    for kind in ("plain", "built"):
        site = folder / kind
        site.mkdir()
        for seed, name in enumerate("ab"):
            (site / f"{name}.jpg").write_bytes(encode(make_photo(200, 300, seed), "JPEG"))
        (site / "blank.gif").write_bytes(encode(make_photo(1, 1), "GIF"))
        (site / "swap.js").write_text(SWAP)
        for name, body in PAGES.items():
            (site / f"{name}.html").write_text(
                f"<!doctype html><title>t</title><link rel=icon href='data:,'><main>{body}</main>"
            )
    summary = rewrite_site(folder / "built", Settings(store=folder / "store", browser="never"))
    assert not summary.problems
    handler = partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.parametrize("name", PAGES)
def test_a_script_changes_a_picture(new_page: Any, url: str, name: str) -> None:
    for kind in ("plain", "built"):
        page = new_page()
        page.goto(f"{url}{kind}/{name}.html")
        page.click("#go")
        page.hover("#x")
        page.wait_for_function(f"({SHOWN})() === 'b.jpg'", timeout=30_000)
        page.wait_for_function("document.getElementById('x').naturalWidth === 300")
        page.close()


@pytest.mark.parametrize("name", ["own-handler", "by-id", "in-a-variable", "own-picture"])
def test_and_in_firefox(firefox: Any, url: str, name: str) -> None:
    firefox.goto(f"{url}built/{name}.html")
    firefox.evaluate("() => document.getElementById('go').click()")
    firefox.evaluate(
        "() => void document.getElementById('x').dispatchEvent(new MouseEvent('mouseover'))"
    )
    firefox.wait_for_function(f"({SHOWN})() === 'b.jpg'")


def test_what_no_script_touches_is_encoded(tmp_path: Path) -> None:
    """The scripts of a page, common ones among them, do not keep it from being lighter."""
    for seed, name in enumerate("ab"):
        (tmp_path / f"{name}.jpg").write_bytes(encode(make_photo(200, 300, seed), "JPEG"))
    (tmp_path / "index.html").write_text(
        "<main><img src=a.jpg id=a class=photo><img src=b.jpg class=swap></main>"
        "<script>const count = new Image(); count.src = '/n.gif';"
        "const s = document.createElement('script'); s.src = 'more.js';"
        "document.querySelectorAll('.swap').forEach(i => { i.src = 'c.jpg' })</script>"
    )
    summary = rewrite_site(tmp_path, Settings(store=tmp_path / "store", browser="never"))
    assert [row.path for row in summary.encoded] == ["a.jpg"]
    assert [row.reason for row in summary.left_alone] == ["a script sets its source"]

"""Placeholders in a real browser: there while an image loads, gone after, and nothing moves."""

import io
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from tests.conftest import encode, make_photo

PAGE = """<!doctype html><title>t</title><link rel=icon href="data:,">
<style>body{margin:0}img{display:block;max-width:100%}.round{border-radius:20px}
.wide{width:400px;object-fit:cover;aspect-ratio:3/1}</style>
<img id=a src=a.png><p id=text>text</p><img class=round src=b.png><img class=wide src=a.png>"""
SHIFT = """() => new Promise(done => new PerformanceObserver(list => {})
  && new PerformanceObserver(list => done(list.getEntries().length))
  .observe({type: 'layout-shift', buffered: true}) || setTimeout(() => done(0), 300))"""


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """The same site with blurs, with colours and without; images come when `gate` is open."""
    folder = tmp_path_factory.mktemp("sites")
    for kind in ("blur", "colour", "off"):
        (folder / kind).mkdir()
        for seed, name in enumerate("ab"):
            (folder / kind / f"{name}.png").write_bytes(encode(make_photo(200, 300, seed)))
        (folder / kind / "index.html").write_text(PAGE)
        rewrite_site(folder / kind, Settings(store=folder / "store", placeholder=kind))
    gate = threading.Event()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def do_GET(self):
            if "/assets/" in self.path:
                gate.wait(30)
            super().do_GET()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", gate
    gate.set()
    server.shutdown()


def pixels(page):
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), float)


def test_placeholders_come_and_go(new_page, sites):
    url, gate = sites
    shown, done = {}, {}
    for kind in ("blur", "colour", "off"):
        gate.clear()
        page = new_page()
        page.goto(f"{url}{kind}/", wait_until="commit")
        page.wait_for_function("document.getElementsByTagName('img').length == 3")
        where = "JSON.stringify([...document.images, text].map(e => e.getBoundingClientRect()))"
        before = page.evaluate(where)
        shown[kind] = pixels(page)
        gate.set()
        page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth)")
        page.evaluate("Promise.all([...document.images].map(i => i.decode()))")
        page.evaluate("new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))")
        done[kind] = pixels(page)
        assert page.evaluate(where) == before
        assert page.evaluate(SHIFT) == 0
        assert page.errors == []
    part = np.s_[:200, :300]
    assert shown["off"][part].min() == 255
    for kind, most in (("blur", 25), ("colour", 60)):
        difference = shown[kind][part] - done["off"][part]
        assert np.sqrt((difference**2).mean()) < most
        assert np.array_equal(done[kind][part], done["off"][part])
        # At round corners, image and placeholder share pixels.
        assert (np.abs(done[kind] - done["off"]).max(axis=2) > 0).mean() < 1e-3

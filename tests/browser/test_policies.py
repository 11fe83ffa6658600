"""Under strict policies nothing that pages get is blocked, and pictures keep their shape."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sitecodec.settings import Settings
from sitecodec.site.build import rewrite_site
from tests.browser.looking import until
from tests.conftest import encode, make_photo

POLICIES = [
    "default-src 'self'",
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'",
    "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "style-src 'self' 'unsafe-inline' 'nonce-abc'; img-src 'self'",
    "style-src-elem 'self'; style-src-attr 'none'",
    "style-src-attr 'none'",
    "style-src-elem 'none'",
    "style-src 'unsafe-inline'",
    "img-src 'self'",
    "img-src 'self' data:; style-src 'self' 'unsafe-inline'",
]
BODY = (
    "<main class=grid><p><img id=a src=a.jpg alt=a></p><img id=b src=b.png alt=b><div>"
    "<img id=c src=a.jpg style='' alt=c width=150></div></main>"
)
SHEET = "img{max-width:100%}.grid{display:grid;grid-template-columns:1fr 1fr}"
BOXES = """() => [...document.querySelectorAll("main, p, div, img")].map(e => {
  const { x, y, width, height } = e.getBoundingClientRect();
  return [x, y, width, height].map(Math.round) + (e.naturalWidth === 0 ? " broken" : "");
})"""


def page(policy: str) -> str:
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">' if policy else ""
    return (
        f"<!doctype html><html><head><meta charset=utf-8>{meta}<title>t</title>"
        f"<link rel=icon href=icon.png><link rel=stylesheet href=s.css></head>"
        f"<body>{BODY}</body></html>"
    )


class _Handler(SimpleHTTPRequestHandler):
    folder = ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, directory=self.folder)

    def end_headers(self) -> None:
        name = self.path.rpartition("/")[2]
        if name.startswith("header-"):
            number = int(name.removeprefix("header-").removesuffix(".html"))
            self.send_header("Content-Security-Policy", POLICIES[number])
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages as their author made them, and as they are built; by a meta tag, by a header."""
    folder = tmp_path_factory.mktemp("sites")
    for kind in ("plain", "built"):
        site = folder / kind
        site.mkdir()
        (site / "a.jpg").write_bytes(encode(make_photo(300, 500, 1), "JPEG"))
        (site / "b.png").write_bytes(encode(make_photo(300, 500, 2)))
        (site / "icon.png").write_bytes(encode(make_photo(16, 16)))
        (site / "s.css").write_text(SHEET)
        for number, policy in enumerate(POLICIES):
            (site / f"meta-{number}.html").write_text(page(policy))
            (site / f"header-{number}.html").write_text(page(""))
        rules = (
            f"/header-{n}.html\n  Content-Security-Policy: {p}" for n, p in enumerate(POLICIES)
        )
        (site / "_headers").write_text("\n".join(rules))
    settings = Settings(store=folder / "store", browser="never", placeholder="blur")
    assert len(rewrite_site(folder / "built", settings).encoded) == 2
    handler = type("Handler", (_Handler,), {"folder": str(folder)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.mark.parametrize("number", range(len(POLICIES)))
@pytest.mark.parametrize("way", ["meta", "header"])
def test_nothing_is_blocked(new_page: Any, url: str, way: str, number: int) -> None:
    found, errors = [], []
    for kind in ("plain", "built"):
        page = new_page()
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto(f"{url}{kind}/{way}-{number}.html")
        until(page, "[...document.images].every(i => i.complete)")
        found.append(page.evaluate(BOXES))
        errors.append(page.errors)
        page.close()
    assert found[1] == found[0]
    assert len(errors[1]) == len(errors[0]), errors[1]


def test_what_a_hash_pins_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(make_photo(200, 300)))
    style = "<style>p{background:url(a.png)}</style>"
    for policy, same in (("style-src 'sha256-abc'", True), ("img-src *", False)):
        meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        text = f"<html><head>{meta}{style}</head><body><p>x</p></body></html>"
        (tmp_path / "index.html").write_text(text)
        rewrite_site(tmp_path, Settings(store=tmp_path / "store", browser="never"))
        assert ((tmp_path / "index.html").read_text() == text) == same

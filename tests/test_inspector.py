"""sitecodec.preview.inspector over real sockets: real payloads, and everything hostile."""

from __future__ import annotations

import http.client
import io
import json
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sitecodec import codecs
from sitecodec.codecs.web import WebCodec
from sitecodec.payload import Header, pack
from sitecodec.preview import host_header, inspector, serving, site_files, site_images
from sitecodec.preview import preview as preview_module
from sitecodec.preview.preview import Preview
from sitecodec.settings import Settings
from sitecodec.site import build as site
from sitecodec.site import manifest

SECRET = b"a secret beside the site"


class Running:
    """A server on a free loopback port, its preview, and a payload that it knows."""

    def __init__(self, root: Path, make: Any) -> None:
        self.site = root / "site"
        (self.site / "images").mkdir(parents=True)
        (self.site / "sub").mkdir()
        (root / "secret.txt").write_bytes(SECRET)
        (self.site / "link.html").symlink_to(root / "secret.txt")
        for number, name in enumerate(("a", "b")):
            (self.site / f"images/{name}.png").write_bytes(make.file(make.photo(80, 120, number)))
        (self.site / "index.html").write_text(
            '<!doctype html><body><main><img src="images/a.png" alt="A"></main></body>'
        )
        (self.site / "sub/index.html").write_text('<img src="../images/b.png">')
        self.preview = Preview(Settings(store=root / "cache/store", workers=1), full=False)
        app = site_files.around(site_files.site_app(self.site), self.preview, reload=True)
        self.server = serving.create_server(host_header.guarded(app, "127.0.0.1"), "127.0.0.1", 0)
        self.port = self.server.effective_port
        self.preview.update(self.site, self.preview.settings)
        threading.Thread(target=self.server.run, daemon=True).start()
        self.pixels = make.photo(48, 64, 9)
        self.payload = codecs.get("web").encode(self.pixels, 50)
        self.digest = self.preview.pictures.keep(self.payload)

    @property
    def url(self) -> str:
        return f"/_sitecodec/{self.digest}.png"

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            parts = []
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65536):
                    parts.append(part)
            except OSError:  # it hung up on us
                pass
            return b"".join(parts)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, make: Any) -> Iterator[Running]:
    it = Running(tmp_path_factory.mktemp("server"), make)
    yield it
    it.preview.close()
    it.server.close()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_picture_is_what_the_engine_decodes(running: Running) -> None:
    status, headers, data = running.ask(running.url)
    assert status == 200
    assert headers["Content-Type"] == "image/png"
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert re.fullmatch('"[0-9a-f]{64}"', headers["ETag"])
    assert "Access-Control-Allow-Origin" not in headers
    expected = codecs.get("web").decode(running.payload)
    assert np.array_equal(np.asarray(opened(data)), expected)


@pytest.mark.parametrize(("extension", "kind"), [("webp", "WEBP"), ("jpg", "JPEG")])
def test_other_formats_and_widths(running: Running, extension: str, kind: str) -> None:
    path = f"/_sitecodec/{running.digest}.{extension}"
    assert opened(running.ask(path)[2]).format == kind
    assert opened(running.ask(f"{path}?w=32")[2]).size == (32, 24)
    assert opened(running.ask(f"{path}?w=5000")[2]).size == (64, 48)
    assert running.ask(f"{path}?w=5000")[1]["ETag"] == running.ask(path)[1]["ETag"]
    assert running.ask(f"{path}?w=32")[1]["ETag"] != running.ask(path)[1]["ETag"]


def test_conditional_requests_and_head(running: Running) -> None:
    _, headers, data = running.ask(running.url)
    tag = headers["ETag"]
    for value in (tag, f'"x", {tag}', "*", f"W/{tag}"):
        status, again, body = running.ask(running.url, If_None_Match=value)
        assert (status, body) == (304, b"")
        assert again["ETag"] == tag
        assert "immutable" in again["Cache-Control"]
    assert running.ask(running.url, If_None_Match='"other"')[0] == 200
    status, headers, body = running.ask(running.url, "HEAD")
    assert (status, body) == (200, b"")
    assert headers["Content-Length"] == str(len(data))


def test_a_304_needs_the_payload_still(running: Running) -> None:
    missing = f"/_sitecodec/{'0' * 64}.png"
    assert running.ask(missing, If_None_Match="*")[0] == 404


def test_only_payloads_are_decoded_by_hash(running: Running) -> None:
    store = running.preview.store
    store.put("1" * 64, b"an entry of another kind")
    digest = running.preview.pictures.keep(b"neither payload nor AVIF")
    for name in ("1" * 64, digest):
        for extension in ("png", "webp", "jpg", "avif"):
            status, _, body = running.ask(f"/_sitecodec/{name}.{extension}")
            assert status == 404
            assert b"entry" not in body
            assert b"neither" not in body


def test_a_payload_that_goes_or_rots_is_a_404_and_then_served_again(
    running: Running, make: Any
) -> None:
    payload = codecs.get("web").encode(make.photo(16, 16, 5), 50)
    digest = running.preview.pictures.keep(payload)
    entry = running.preview.store.root / digest[:2] / digest[2:]
    path = f"/_sitecodec/{digest}.png"
    assert running.ask(path)[0] == 200
    entry.write_bytes(entry.read_bytes()[:-1] + b"?")
    assert running.ask(path)[0] == 404
    assert not entry.exists()
    assert running.preview.pictures.keep(payload) == digest
    assert running.ask(path)[0] == 200


def test_a_payload_of_an_unknown_model_or_codec(running: Running) -> None:
    unknown = pack(Header("web", 12345, 8, 8, 50.0), b"latents")
    path = f"/_sitecodec/{running.preview.pictures.keep(unknown)}.png"
    status, _, body = running.ask(path)
    assert status == 501
    assert body.count(b"\n") == 1
    assert b"Traceback" not in body


def test_sd_without_torch_names_the_line_to_install(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    payload = pack(Header("sd", 1, 8, 8, 50.0), b"latents")
    path = f"/_sitecodec/{running.preview.pictures.keep(payload)}.png"
    status, _, body = running.ask(path)
    assert status == 501
    assert b"pip install 'sitecodec[torch]'" in body


def test_pages_show_decoded_latents_before_the_author_s_image(running: Running) -> None:
    deadline = time.monotonic() + 60
    while b"<picture" not in (page := running.ask("/")[2]):
        assert b'<main><img src="images/a.png" alt="A"></main>' in page  # until it is ready
        assert time.monotonic() < deadline
        time.sleep(0.1)
    match = re.search(rb'<source type="image/png" srcset="(/_sitecodec/[0-9a-f]{64}.png)">', page)
    assert match
    assert b'src="images/a.png"' in page
    status, _, data = running.ask(match[1].decode())
    assert (status, opened(data).size) == (200, (120, 80))
    assert (running.site / "index.html").read_text().count("<picture") == 0


def test_the_list_has_every_image_and_where_it_is_used(running: Running) -> None:
    deadline = time.monotonic() + 60
    while True:
        listed = json.loads(running.ask("/_sitecodec/images.json")[2])
        rows = {row["path"]: row for row in listed["images"]}
        found = set(rows) == {"images/a.png", "images/b.png"}
        if found and all(row["payload"] for row in rows.values()):
            break
        assert time.monotonic() < deadline, rows
        time.sleep(0.1)
    assert rows["images/b.png"]["pages"] == ["sub/index.html"]
    assert rows["images/b.png"]["source_bytes"] == (running.site / "images/b.png").stat().st_size
    assert rows["images/b.png"]["worst_tile"] > 0


def test_a_site_that_is_built_again_is_looked_through_again(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview_module, "_SURVEY_SECONDS", 0.05)
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("<p>no image")
    preview = Preview(Settings(store=tmp_path / "cache/store"), full=False)
    preview.update(folder, preview.settings)
    page = b'<img src="new.png">'
    (folder / "new.png").write_bytes(make.file(make.photo(64, 64)))
    (folder / "index.html").write_bytes(page)
    deadline = time.monotonic() + 60
    while [row.path for row in preview.listed()] != ["new.png"]:
        preview.page("index.html", page)
        assert time.monotonic() < deadline
        time.sleep(0.1)
    preview.close()


def test_the_list_says_when_a_visit_comes_out_ahead() -> None:
    rows = [
        {"path": "a.png", "pages": ("1.html", "2.html"), "saved": 10},
        {"path": "b.png", "pages": ("1.html",), "saved": 20},
        {"path": "c.png", "pages": ("1.html",), "saved": None},
    ]
    assert inspector._savings(rows) == [{"a.png": 10, "b.png": 20}, {"a.png": 10}]
    for row, flat in zip(rows, (True, False, False), strict=True):
        row["flat"] = flat
    assert inspector._visits(rows, Settings()).startswith("engine and model take 3")
    assert inspector._visits(rows[::2], Settings()).startswith("the engine takes 18 kB")


def test_a_site_that_was_built_shows_decoded_latents_too(tmp_path: Path, make: Any) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    settings = Settings(store=tmp_path / "cache/store", browser="always")
    (folder / "a.png").write_bytes(make.file(make.photo(80, 120)))
    (folder / "index.html").write_text('<img src="a.png">')
    site.rewrite_site(folder, settings)
    built = (folder / "index.html").read_bytes()
    (payload,) = (folder / settings.asset_dir).glob("*.slat")
    preview = Preview(settings, full=False)
    preview.update(folder, settings)
    page = preview.page("index.html", built)
    digest = preview.pictures.keep(payload.read_bytes())
    assert page.index(f"/_sitecodec/{digest}.png".encode()) < page.index(b"image/x-sitecodec")
    deadline = time.monotonic() + 60
    while not (rows := [r for r in preview.listed() if r.result.payload]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    preview.close()
    assert [(row.path, row.pages) for row in rows] == [("a.png", ("index.html",))]


def test_a_payload_that_cannot_be_decoded_here_stands_behind_the_next_format(
    tmp_path: Path, make: Any
) -> None:
    folder = tmp_path / "site/assets/sitecodec"
    folder.mkdir(parents=True)
    payloads = {
        "web": codecs.get("web").encode(make.photo(16, 16), 50),
        "sd": pack(Header("sd", 1, 8, 8, 50.0), b"latents"),
        "newer": pack(Header("web", 12345, 8, 8, 50.0), b"latents"),
    }
    preview = Preview(Settings(store=tmp_path / "cache/store"), full=False)
    preview.update(tmp_path / "site", preview.settings)
    for name, payload in payloads.items():
        (folder / f"{name}.slat").write_bytes(payload)
        page = (
            f'<picture><source type="image/x-sitecodec" srcset="assets/sitecodec/{name}.slat">'
            f'<img src="assets/sitecodec/{name}.jpg"></picture>'
        ).encode()
        shown = preview.page("index.html", page)
        assert (b"image/png" in shown) == (name == "web")
    preview.close()


def trial(running: Running, values: object, **headers: str) -> tuple[int, bytes]:
    origin = {"Origin": f"http://127.0.0.1:{running.port}", "Content_Type": "application/json"}
    body = values if isinstance(values, bytes) else json.dumps(values).encode()
    status, _, data = running.ask("/_sitecodec/trial", "POST", body, **{**origin, **headers})
    return status, data


def test_the_dial_encodes_at_another_quality(running: Running) -> None:
    test_the_list_has_every_image_and_where_it_is_used(running)
    low, high = (
        json.loads(trial(running, {"image": "images/a.png", "quality": quality})[1])
        for quality in (10, 90)
    )
    assert low["payload_bytes"] < high["payload_bytes"]
    assert low["score"] is None
    scored = json.loads(trial(running, {"image": "images/a.png", "quality": 10, "score": True})[1])
    assert scored["payload"] == low["payload"]
    assert -100 < scored["score"] < 100
    assert running.ask(f"/_sitecodec/{low['payload']}.png")[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_the_dial_answers_its_own_page_only(
    running: Running, headers: dict[str, str], status: int
) -> None:
    assert trial(running, {"image": "images/a.png", "quality": 10}, **headers)[0] == status


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (b"", 400),
        (b"[" * 1000, 400),
        (b"{" + b" " * 5000 + b"}", 413),
        ([], 400),
        ({"image": 1, "quality": 2}, 400),
        ({"image": "images/a.png"}, 400),
        ({"image": "images/a.png", "quality": True}, 400),
        ({"image": "images/a.png", "quality": -1}, 400),
        ({"image": "images/a.png", "quality": 1e400}, 400),
        (b'{"image": "images/a.png", "quality": NaN}', 400),
        ({"image": "../secret.txt", "quality": 50}, 404),
        ({"image": "/etc/passwd", "quality": 50}, 404),
        ({"image": "link.html", "quality": 50}, 404),
    ],
)
def test_the_dial_refuses_nonsense(running: Running, values: object, status: int) -> None:
    assert trial(running, values)[0] == status


FOREIGN = [
    *("evil.example", "EVIL.EXAMPLE:8000", "evil.example.", "localhost.evil.example"),
    *("127.0.0.1.evil.example", "evil.example:80@localhost", "localhost@evil.example"),
    *("[::2]", "[::2]:8000", "[fe80::1]", "192.168.0.7", "10.0.0.1:8000", "0.0.0.0", "1.1.1.1."),
    *("", " ", "localhost:0", "localhost:99999", "localhost:x", "localhost,evil.example"),
    *("localhost/evil", "localhost#", "localhost\\evil", "xn--lcalhost-n0a", "a" * 300, "[::1"),
    *("::1", "[localhost]", "127.1", "0x7f.1", "2130706433", "localhost..", ".localhost"),
]


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_names_get_403(running: Running, host: str) -> None:
    assert not host_header.is_own_host(host, "127.0.0.1")
    for path in (running.url, "/_sitecodec/", "/_sitecodec/images.json", "/", "/images/a.png"):
        answer = running.raw(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 400", b"HTTP/1.0 400")), answer[:200]


PATHS = [
    *("../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "..%5csecret.txt", "..\\secret.txt"),
    *("....//secret.txt", "%2e%2e%2fsecret.txt", "..%252fsecret.txt", "..%c0%afsecret.txt"),
    *("./../secret.txt", "sub/../../secret.txt", "sub/..;/../secret.txt", "..%00/secret.txt"),
    *("secret.txt", "link.html", "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "etc/passwd"),
    *("file:///etc/passwd", "C:\\windows\\win.ini", "\\\\host\\share", "proc/self/environ"),
    *("..%0d%0aX: y", "%0d%0a%0d%0a<script>", "a%00.png", "%ff%fe", "%", "%zz", "?w=../secret.txt"),
    *("{digest}", "{digest}.PNG", "{digest}.gif", "{digest}.png/", "{digest}.png%00"),
    "{DIGEST}.png",
    *("{digest}.png%2f..%2f..%2fsecret.txt", "{digest}.slat", "./{digest}", "{digest}.png.avif"),
    *("{digest}.png?w=0", "{digest}.png?w=-1", "{digest}.png?w=1e9", "{digest}.png?w=999999"),
    *("{digest}.png?w=1&w=2", "{digest}.png?w=", "{digest}.png?w=٣", "{digest}.png?w=0x10"),
    *("events", "events?what=x&after=1", "events?what=pages&after=x"),
    "events?what=pages&after=" + "9" * 99,
    *("images.json/../../secret.txt", "trial", "inspector.html.jinja", "templates/", "a" * 20000),
]  # fmt: skip
HEADERS = [
    *("X: " + "a" * 60000, "Content-Length: -1", "Content-Length: 1e9", "Content-Length: 99999999"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: identity, chunked\r\nContent-Length: 3"),
    *("Range: bytes=0-99999999999", "Range: bytes=-1", "Expect: x"),
    "If-None-Match: " + '"x",' * 2000,
    *("If-Modified-Since: yesterday", "Accept-Encoding: \x01", "Cookie: " + "a=b;" * 900),
    *("X-Forwarded-Host: evil.example", "X-Forwarded-For: 1.1.1.1", "Forwarded: host=evil"),
    *("Host: x", "\x00: x"),
    *("Content-Type: multipart/form-data; boundary=" + "b" * 999, "Upgrade: h2c", "X : y", ": y"),
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get", ""]


def hostile(digest: str) -> Iterator[bytes]:
    for path in PATHS:
        filled = path.replace("{digest}", digest).replace("{DIGEST}", digest.upper())
        for prefix in ("/_sitecodec/", "/"):
            yield f"GET {prefix}{filled} HTTP/1.1\r\nHost: localhost\r\n".encode()
    for header in HEADERS:
        for method in ("GET", "POST"):
            name = "trial" if method == "POST" else f"{digest}.png"
            yield (
                f"{method} /_sitecodec/{name} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode()
            )
    for method in METHODS:
        for name in ("", "images.json", f"{digest}.png", "trial"):
            yield f"{method} /_sitecodec/{name} HTTP/1.1\r\nHost: localhost\r\n".encode()
    yield b"GET /_sitecodec/ HTTP/1.1\r\n"
    yield b"GET http://evil.example/_sitecodec/ HTTP/1.1\r\nHost: evil.example\r\n"
    yield b"GET /_sitecodec/ HTTP/9.9\r\nHost: localhost\r\n"
    yield b"GET /_sitecodec/\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    yield b"\x00" * 5000
    yield b"GET " + b"/" * 70000


def test_hostile_requests_leak_nothing(
    running: Running, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.WARNING)
    requests = list(hostile(running.digest))
    assert len(requests) >= 200
    skipped = ("events?what=pages&after=1",)  # waits, as it should
    for request in requests:
        if any(word.encode() in request for word in skipped):
            continue
        answer = running.raw(request + b"Connection: close\r\n\r\n")
        assert SECRET not in answer, request[:100]
        assert b"root:x:" not in answer, request[:100]
        assert b"Traceback" not in answer, request[:100]
        assert str(running.site.parent).encode() not in answer, request[:100]
        status = answer[9:12]
        assert not answer or status.startswith((b"2", b"3", b"4")) or status == b"501", (
            request[:100],
            answer[:100],
        )
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert b"access-control-allow" not in head
        assert b"\nx: y" not in head
    captured = capfd.readouterr()
    assert "Traceback" not in captured.out + captured.err + caplog.text
    assert running.ask(running.url)[0] == 200  # it goes on


def test_a_full_queue_says_so_at_once(
    running: Running, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    release = threading.Event()
    decode = WebCodec.decode

    def slow(self: WebCodec, data: bytes) -> Any:
        held.set()
        release.wait(60)
        return decode(self, data)

    monkeypatch.setattr(WebCodec, "decode", slow)
    monkeypatch.setattr(running.preview.pictures, "_most_waiting", 1)
    codec = WebCodec()
    first, second = (
        running.preview.pictures.keep(codec.encode(make.photo(16, 16, seed), 50))
        for seed in (21, 22)
    )
    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(running.ask, f"/_sitecodec/{first}.png")
        assert held.wait(30)
        status, headers, _ = running.ask(f"/_sitecodec/{second}.png")
        assert status == 503
        assert headers["Retry-After"] == "1"
        release.set()
        assert waiting.result()[0] == 200
    assert running.ask(f"/_sitecodec/{second}.png")[0] == 200


def test_a_manifest_and_a_link_show_no_picture_from_outside(tmp_path: Path, make: Any) -> None:
    """Built by somebody else: the source of a picture is a link that leaves the site."""
    place, settings = tmp_path / "site", Settings(store=tmp_path / "store", workers=1)
    place.mkdir()
    (place / "a.png").write_bytes(make.file(make.photo(80, 120, 1)))
    (place / "index.html").write_text('<main><img src="a.png" alt=""></main>')
    site.rewrite_site(place, settings)
    (tmp_path / "private.png").write_bytes(make.file(make.photo(80, 120, 2)))
    (place / "o.png").symlink_to(tmp_path / "private.png")
    listed = place / settings.asset_dir / manifest.NAME
    listed.write_text(listed.read_text().replace('"path": "a.png"', '"path": "o.png"'))
    findings, _ = site_images.look_through(place, "/", settings, {})
    assert "o.png" not in findings.uses
    preview = Preview(settings, full=False)
    preview.update(place, settings)
    try:
        # Even if it was the site's own when the site was looked through.
        assert preview._real("o.png", {}) is None
        assert preview._real("a.png", {}) == place / "a.png"
    finally:
        preview.close()

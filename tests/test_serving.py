"""sitecodec.preview.serving: the commands' own part; what is served has tests of its own."""

from __future__ import annotations

import http.client
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from werkzeug.test import Client

from sitecodec.errors import SitecodecError, SiteError
from sitecodec.preview import serving
from sitecodec.preview.site_files import site_app


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SitecodecError, match=r"in use.*choose another --port"):
            serving.create_server(site_app(tmp_path), "127.0.0.1", taken.getsockname()[1])


def test_the_same_warning_is_shown_once() -> None:
    lines: list[str] = []
    log = logging.getLogger("sitecodec")
    with serving.warnings_to(lines.append):
        for reason in ("full", "full", "read-only", "full"):
            log.warning("sitecodec: %s", reason)
        log.info("nothing")
    log.warning("afterwards")
    assert lines == ["full", "read-only"]


def test_more_connections_than_select_can_watch(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no limit on open files to raise")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 4096:
        pytest.skip("so many open files are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, before[1]))
    (tmp_path / "a.txt").write_text("here")
    server = serving.create_server(site_app(tmp_path), "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    port = server.effective_port
    idle = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(600)]
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/a.txt")
        assert connection.getresponse().read() == b"here"
    finally:
        for one in idle:
            one.close()
        server.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_site_that_goes_is_one_line_and_served_when_it_is_back(tmp_path: Path) -> None:
    site = tmp_path / "site"
    lines: list[str] = []
    client = Client(site_app(site))
    with serving.warnings_to(lines.append):
        assert client.get("/").status_code == 404
        assert client.get("/a.txt").status_code == 404
        assert lines == [f"{site} is gone; build the site again"]
        site.mkdir()
        (site / "index.html").write_text("back")
        time.sleep(1.1)
        assert client.get("/").text == "back"


def test_the_built_site_is_found(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="no built site here"):
        serving.find_site(tmp_path)
    (tmp_path / "public").mkdir()
    (tmp_path / "public/index.html").write_text("")
    assert serving.find_site(tmp_path) == tmp_path / "public"


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_serve_answers_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>Hello")
    code = "from sitecodec.cli.commands import main; main()"
    command = [sys.executable, "-c", code, "serve", str(tmp_path), "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        match = re.search(r"at http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert match
        connection = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=30)
        connection.request("GET", "/")
        assert b"Hello" in connection.getresponse().read()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_requests_that_cannot_be_read_are_bad_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.html").write_text("a")
    server = serving.create_server(site_app(tmp_path), "localhost", 0)
    port = getattr(server, "effective_port", None) or server.effective_listen[0][1]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    own = b"\r\nHost: 127.0.0.1\r\n"
    bad = (
        b"GET http://[::1 HTTP/1.1" + own + b"\r\n",
        b"GET http://[v.]/ HTTP/1.1" + own + b"\r\n",
        b"POST / HTTP/1.1" + own + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"\0\xff\r\n\r\n",
    )
    try:
        for request in bad:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.sendall(request)
                assert connection.recv(12)[-3:] in (b"400", b"413"), request[:40]
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("GET", "/a.html")
        assert client.getresponse().read() == b"a"
    finally:
        server.close()
        thread.join(10)
    assert "uncaptured" not in caplog.text + "".join(capsys.readouterr())

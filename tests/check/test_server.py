"""sitecodec.check.server: two folders on one port, and nothing from outside of them."""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sitecodec.check import server


def ask(url: str, path: str, host: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port or 0, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_links_that_leave_pipes_and_other_hosts_get_nothing(tmp_path: Path) -> None:
    both = [tmp_path / side for side in server.SIDES]
    for side in both:
        side.mkdir()
        (side / "a.txt").write_text(side.name)
        (side / "inside.txt").symlink_to("a.txt")
        (side / "outside.txt").symlink_to(tmp_path / "secret.txt")
        os.mkfifo(side / "pipe.txt")
    (tmp_path / "secret.txt").write_text("secret")
    with server.serving(*both) as urls:
        for side, url in urls.items():
            assert ask(url, "/a.txt", f"{side}.localhost:1") == (200, side.encode())
            assert ask(url, "/inside.txt", f"{side}.localhost") == (200, side.encode())
            for path in ("/outside.txt", "/pipe.txt", "/none.txt"):
                status, data = ask(url, path, f"{side}.localhost")
                assert (status, b"secret" in data) == (404, False)
            assert ask(url, "/a.txt", f"{side}.evil.example")[0] == 404

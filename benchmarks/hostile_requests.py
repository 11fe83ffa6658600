"""Hostile requests to `sitecodec serve` and `mkdocs serve`, run as an author runs them.

- `requests`: more than 200 raw requests to each: paths that leave the site, headers that lie,
  methods, bytes that are no HTTP. Nothing outside of the site may come back, no trace of a fault,
  and each is answered or dropped within ten seconds; then the server has to go on.
- `cold`: 64 clients ask at once for a picture that nobody has decoded: all get the same bytes.
- `open`: 1,010 requests that are begun and never ended; how long others then wait.

Prints what came of it; exits 1 on a fault.
"""

from __future__ import annotations

import collections
import contextlib
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tests.hosts.running import Live, eventually, free_port, live, mkdocs
from tests.test_inspector import hostile

_SECRET = b"SECRET-OUTSIDE-OF-THE-SITE"
_CLIENTS = 64
_HALF_OPEN = 1010
_LONGEST = 10.0
_CONFIG = """site_name: x
site_url: http://127.0.0.1/
theme: {name: mkdocs, locale: en}
plugins: [sitecodec]
"""


def project(folder: Path) -> None:
    """A project with a picture, a secret beside its site, and links that lead there."""
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))
    for place in (folder / "docs", folder / "site"):
        place.mkdir()
        small.resize((640, 480), Image.Resampling.BICUBIC).save(place / "a.png")
        (place / ".env").write_bytes(_SECRET)
        (place / "link.html").symlink_to(folder / "secret.txt")
    (folder / "docs/link.html").unlink()  # MkDocs itself would copy what it leads to
    (folder / "docs/index.md").write_text("# Home\n\n![](a.png)\n")
    (folder / "site/index.html").write_text("<main><p>Home<img src=a.png></main>")
    (folder / "secret.txt").write_bytes(_SECRET)
    (folder / "mkdocs.yml").write_text(_CONFIG)


@contextmanager
def served(name: str) -> Iterator[Live]:
    """`sitecodec serve` or `mkdocs serve` in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        project(place)
        if name == "mkdocs":
            with mkdocs(place) as server:
                yield server
            return
        port = free_port()
        script = "from sitecodec.cli.commands import main; main()"
        command = [sys.executable, "-c", script, "serve", "site", "--port", str(port)]
        with live(command, place, f"http://127.0.0.1:{port}/") as server:
            server.until("the inspector at")
            yield server


def address(server: Live) -> tuple[str, int]:
    match = re.search(r":(\d+)/", server.url)
    assert match
    return "127.0.0.1", int(match[1])


def raw(server: Live, request: bytes) -> tuple[bytes, float]:
    """What comes back of some bytes, and after how many seconds all of it is there."""
    start, answer = time.monotonic(), b""
    with contextlib.suppress(OSError), socket.create_connection(address(server), 20) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(1 << 16):
            answer += part
    return answer, time.monotonic() - start


def digest(server: Live) -> str:
    """The payload that the first page shows, once it is encoded."""

    def find() -> str:
        found = re.search(rb"/_sitecodec/([0-9a-f]{64})\.png", server.fetch(""))
        return found[1].decode() if found else ""

    return str(eventually(find))


def requests(server: Live) -> list[str]:
    """Send them all; what was wrong."""
    wrong: list[str] = []
    said: collections.Counter[str] = collections.Counter()
    longest = 0.0
    for request in hostile(digest(server)):
        if b"what=pages&after=1" in request:
            continue  # waits for news, as it should
        answer, taken = raw(server, request + b"Connection: close\r\n\r\n")
        longest = max(longest, taken)
        said[answer[9:12].decode("latin-1") or "dropped"] += 1
        for mark in (_SECRET, b"root:x:", b"Traceback"):
            if mark in answer:
                wrong.append(f"{request[:80]!r}: {mark.decode()}")
        if taken > _LONGEST:
            wrong.append(f"{request[:80]!r}: {taken:.0f} s")
    if b"Home" not in server.fetch(""):
        wrong.append("the server does not go on")
    if "Traceback" in server.output:
        wrong.append(server.output[-500:])
    print(f"  {sum(said.values())} requests, longest {longest:.1f} s: {dict(said)}")
    return wrong


def cold(server: Live) -> list[str]:
    """Ask for the same picture at once, at a width that nobody has asked for."""
    path = f"_sitecodec/{digest(server)}.png?w=333"
    start = time.monotonic()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        answers = list(pool.map(lambda _: server.fetch(path), range(_CLIENTS)))
    print(f"  {_CLIENTS} clients on a cold key: {time.monotonic() - start:.1f} s")
    return [] if len(set(answers)) == 1 and answers[0].startswith(b"\x89PNG") else ["they differ"]


def half_open(server: Live) -> list[str]:
    """Begin requests and never end them; how long another waits."""
    clients = []
    with contextlib.suppress(OSError):
        for _ in range(_HALF_OPEN):
            clients.append(socket.create_connection(address(server), 5))
            clients[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
    start, taken = time.monotonic(), 0.0
    with contextlib.suppress(OSError):
        server.fetch("")
        taken = time.monotonic() - start
    for client in clients:
        client.close()
    print(f"  {len(clients)} requests begun and not ended: another waits for {taken:.1f} s")
    return [] if 0 < taken < 3 * _LONGEST else ["others wait for too long"]


def main() -> int:
    """Everything to both servers; 1 if anything was wrong."""
    faults = 0
    for name in ("sitecodec", "mkdocs"):
        print(f"{name} serve:")
        with served(name) as server:
            campaigns = (requests, cold) if name == "mkdocs" else (requests, cold, half_open)
            for campaign in campaigns:
                for line in campaign(server):
                    print(f"  {campaign.__name__}: {line}")
                    faults += 1
    print(f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""A host's live server in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Fetch = Callable[[str], bytes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Live:
    """A server that runs, and what it has printed so far."""

    def __init__(self, command: list[str], folder: Path, url: str) -> None:
        self.url = url
        self.lines: list[str] = []
        quiet = {"NO_MKDOCS_2_WARNING": "1", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | quiet,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def fetch(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path.lstrip("/"), timeout=60) as response:
            return bytes(response.read())

    def until(self, text: str, seconds: float = 60) -> str:
        """The line that matches, once it is printed."""
        deadline = time.monotonic() + seconds
        while True:
            found = [line for line in self.lines if re.search(text, line)]
            if found:
                return found[0]
            assert time.monotonic() < deadline, self.output
            assert self.process.poll() is None, self.output
            time.sleep(0.05)

    def rest(self, seconds: float = 3) -> None:
        """Wait until nothing has been printed for so long, and no build is under way."""
        deadline = time.monotonic() + 60
        lines = -1
        while lines != len(self.lines):
            assert time.monotonic() < deadline, self.output
            lines = len(self.lines)
            time.sleep(seconds)
            ended = self.count("Documentation built") + self.count("An error happened during")
            if self.count("Building documentation") > ended:
                lines = -1

    def count(self, text: str) -> int:
        return sum(text in line for line in self.lines)


@contextmanager
def live(command: list[str], folder: Path, url: str) -> Iterator[Live]:
    """Run a server until the block ends; Ctrl-C then has to end it."""
    it = Live(command, folder, url)
    try:
        yield it
        it.process.send_signal(signal.SIGINT)
        it.process.wait(20)
    finally:
        it.process.kill()
        it.process.wait()


@contextmanager
def mkdocs(folder: Path, *options: str, module: str = "mkdocs") -> Iterator[Live]:
    """`mkdocs serve` on a free port, waited for."""
    port = free_port()
    command = [sys.executable, "-m", module, "serve", "-a", f"127.0.0.1:{port}", *options]
    with live(command, folder, f"http://127.0.0.1:{port}/") as it:
        it.until("Serving on")
        yield it


def eventually(check: Callable[[], object], seconds: float = 60) -> object:
    """What `check` answers, once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < deadline
        time.sleep(0.1)

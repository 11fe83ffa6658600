"""Firefox, steered over Marionette, the protocol that it comes with.

No driver is needed beside it. `Page` has of Playwright's page what the tests here use.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sitecodec.check.firefox import QUIET, written

BINARY = shutil.which("firefox-esr") or shutil.which("firefox")

_PREFERENCES = QUIET | {"marionette.port": 0}  # any: it says in a file which

# What `evaluate` is given is an expression; if that is a function, it is called.
_EVALUATE = """
const done = arguments[arguments.length - 1];
const argument = arguments[0];
(async () => {
  const found = (%s
  );
  return typeof found === "function" ? found(argument) : found;
})().then((value) => done([value ?? null]), (error) => done([null, String(error)]));
"""


class Marionette:
    """A connection: commands go out one at a time, each as a length and JSON."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.stream = self.socket.makefile("rb")
        self.number = 0
        self._read()  # it introduces itself

    def _read(self) -> Any:
        length = b""
        while (byte := self.stream.read(1)) != b":":
            if not byte:
                raise ConnectionError("Firefox hung up")
            length += byte
        return json.loads(self.stream.read(int(length)))

    def __call__(self, command: str, **parameters: object) -> Any:
        self.number += 1
        message = json.dumps([0, self.number, command, parameters]).encode()
        self.socket.sendall(b"%d:%b" % (len(message), message))
        _, _, error, result = self._read()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result


class Page:
    """The tab that Firefox begins with, under the names of Playwright's page."""

    def __init__(self, marionette: Marionette) -> None:
        self.call = marionette
        self.errors: list[str] = []  # none are seen here

    def goto(self, url: str) -> None:
        self.call("WebDriver:Navigate", url=url)

    def reload(self) -> None:
        self.call("WebDriver:Refresh")

    def go_back(self) -> None:
        self.call("WebDriver:Back")

    def go_forward(self) -> None:
        self.call("WebDriver:Forward")

    def evaluate(self, source: str, argument: object = None) -> Any:
        script = _EVALUATE % source
        answer = self.call("WebDriver:ExecuteAsyncScript", script=script, args=[argument])
        if answer["value"] is None:
            raise RuntimeError("another page came meanwhile")
        value, *error = answer["value"]
        assert not error, error[0]
        return value

    def wait_for_timeout(self, milliseconds: float) -> None:
        time.sleep(milliseconds / 1000)

    def wait_for_function(self, source: str, timeout: float = 30_000) -> None:
        end = time.monotonic() + timeout / 1000
        while True:
            # A page that reloads meanwhile has no answer.
            with contextlib.suppress(RuntimeError):
                if self.evaluate(source):
                    return
            assert time.monotonic() < end, source
            time.sleep(0.05)

    def screenshot(self, *, full_page: bool = False) -> bytes:
        answer = self.call("WebDriver:TakeScreenshot", full=full_page, hash=False)
        return base64.b64decode(answer["value"])


@contextlib.contextmanager
def running(profile: Path, *, seconds: float = 60) -> Iterator[Page]:
    """Firefox with a new profile; ConnectionError if it does not come up."""
    assert BINARY
    (profile / "user.js").write_text(written(_PREFERENCES))
    command = [BINARY, "--headless", "--no-remote", "--marionette", "--profile", str(profile)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        said = profile / "MarionetteActivePort"
        end = time.monotonic() + seconds
        while not (said.is_file() and said.read_text().strip()):
            if time.monotonic() > end or process.poll() is not None:
                raise ConnectionError("Firefox does not answer")
            time.sleep(0.1)
        marionette = Marionette(int(said.read_text()))
        marionette("WebDriver:NewSession", capabilities={})
        marionette("WebDriver:SetTimeouts", script=60_000, pageLoad=60_000)
        marionette("WebDriver:SetWindowRect", width=800, height=700)
        yield Page(marionette)
        with contextlib.suppress(ConnectionError, OSError):
            marionette("Marionette:Quit", flags=["eForceQuit"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
    finally:
        process.kill()
        process.wait()

"""Firefox, by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), which it speaks itself.

Playwright speaks it too, but asks today's Firefox for more than it knows.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitecodec.check.windows import Clip, Tab, Window
from sitecodec.errors import SiteError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

QUIET = {
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
"""Preferences by which a new profile asks nothing and calls nobody."""

_PREFERENCES = QUIET | {
    "dom.serviceWorkers.enabled": False,
    "image.animation_mode": "none",  # animated pictures show their first frame
    "layout.css.scrollbar-width-thin.disabled": True,
    "remote.active-protocols": 1,
    "ui.useOverlayScrollbars": 1,
}
_SECONDS = 90


def written(preferences: Mapping[str, object]) -> str:
    """The preferences as a profile's `user.js` has them."""
    return "".join(
        f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in preferences.items()
    )


class _Connection:
    """Commands go out numbered; answers and events come in any order."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.tabs: dict[str, FirefoxTab] = {}
        self._reader = asyncio.create_task(self._read())

    async def __call__(self, method: str, **parameters: object) -> Any:  # noqa: ANN401 - any JSON
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        return await asyncio.wait_for(answer, _SECONDS)

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            answer = self._waiting.pop(message.get("id") or 0, None)
            if message["type"] == "event":
                self._note(message["params"])
            elif not answer or answer.done():  # given up
                continue
            elif message["type"] == "success":
                answer.set_result(message["result"])
            else:
                answer.set_exception(RuntimeError(f"{message['error']}: {message['message']}"))

    def _note(self, entry: Mapping[str, Any]) -> None:
        tab = self.tabs.get(entry.get("source", {}).get("context", ""))
        if tab and entry.get("level") == "error":
            tab.errors.append(str(entry.get("text")))


class FirefoxTab:
    """A tab (see `windows.Tab`)."""

    def __init__(self, call: _Connection, context: str, density: int) -> None:
        self._call = call
        self._context = context
        self._density = density
        self.errors: list[str] = []
        call.tabs[context] = self

    async def open(self, url: str, width: int, height: int) -> None:
        """Load a page in a window of this size."""
        self.errors.clear()
        await self._call(
            "browsingContext.setViewport",
            context=self._context,
            viewport={"width": width, "height": height},
            devicePixelRatio=self._density,
        )
        await self._call(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def evaluate(self, source: str) -> Any:  # noqa: ANN401 - any JSON
        """The value of a JavaScript expression, a promise's once it is there."""
        answer = await self._call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await {source}) ?? 'null')()",
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    async def screenshot(self, clip: Clip) -> bytes:
        """A part of the document, as a PNG."""
        left, top, width, height = clip
        answer = await self._call(
            "browsingContext.captureScreenshot",
            context=self._context,
            origin="document",
            clip={"type": "box", "x": left, "y": top, "width": width, "height": height},
        )
        return base64.b64decode(answer["data"])

    async def media(self, kind: str) -> None:
        """Do nothing: the style sheets for print apply in `pdf` only."""

    async def pdf(self) -> bytes:
        """The page as it is printed."""
        answer = await self._call("browsingContext.print", context=self._context, background=True)
        return base64.b64decode(answer["data"])

    async def close(self) -> None:
        """Close the tab."""
        await self._call("browsingContext.close", context=self._context)


class Firefox:
    """A browser that runs (see `windows.Browser`)."""

    scripts_can_be_off = False

    def __init__(self, call: _Connection) -> None:
        self._call = call

    async def tab(self, window: Window, before: str) -> Tab:
        """A tab; `before` is the source of a script that runs before each page's own."""
        context = (await self._call("browsingContext.create", type="window"))["context"]
        await self._call(
            "script.addPreloadScript", functionDeclaration=f"() => {before}", contexts=[context]
        )
        return FirefoxTab(self._call, context, window.density)


@contextlib.asynccontextmanager
async def running(executable: str) -> AsyncIterator[Firefox]:
    """Firefox with a new profile until the block ends. Raises SiteError if it does not come up."""
    from websockets.asyncio.client import connect

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        (Path(profile) / "user.js").write_text(written(_PREFERENCES))
        process = await asyncio.create_subprocess_exec(
            *(executable, "--headless", "--no-remote", "--profile", profile),
            *("--remote-debugging-port", "0"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            address = await asyncio.wait_for(_address(process), _SECONDS)
            async with connect(f"{address}/session", max_size=None) as socket:
                call = _Connection(socket)
                await call("session.new", capabilities={})
                await call("session.subscribe", events=["log.entryAdded"])
                yield Firefox(call)
        except (TimeoutError, OSError) as error:
            raise SiteError("firefox does not answer; try --browser chromium") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 20)


async def _address(process: asyncio.subprocess.Process) -> str:
    """The address at which the process says that it listens."""
    assert process.stderr
    async for line in process.stderr:
        if found := re.search(rb"ws://[\w.:\[\]]+", line):
            return found[0].decode()
    raise OSError("it has ended")

"""Chromium, by playwright: tabs of any width and density."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from sitecodec.check.windows import Clip, Tab, Window

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, CDPSession, ConsoleMessage, Page

_FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --force-color-profile=srgb --hide-scrollbars"
    # Pictures are drawn with the frame that shows them, and animated ones show their first.
    " --disable-checker-imaging"
    " --blink-settings=imageAnimationPolicy=2"
).split()
_TIMEOUT = 60_000


class ChromiumTab:
    """A tab (see `windows.Tab`)."""

    def __init__(self, page: Page, context: BrowserContext) -> None:
        self._page = page
        self._context = context
        self._protocol: CDPSession | None = None
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)
        page.set_default_timeout(_TIMEOUT)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            where = message.location.get("url", "")
            self.errors.append(f"{message.text} {where}".strip())

    async def open(self, url: str, width: int, height: int) -> None:
        """Load a page in a window of this size."""
        self.errors.clear()
        await self._forget()
        await self._page.set_viewport_size({"width": width, "height": height})
        await self._page.goto(url, wait_until="load")

    async def _forget(self) -> None:
        """Empty the memory of pictures, so that this page is loaded as by a first visitor.

        Of a srcset's files, Chromium takes a wider one that an earlier page has left there.
        """
        self._protocol = self._protocol or await self._context.new_cdp_session(self._page)
        for disabled in (True, False):  # empties it, and lets the page use it again
            await self._protocol.send("Network.setCacheDisabled", {"cacheDisabled": disabled})

    async def evaluate(self, source: str) -> Any:  # noqa: ANN401 - any JSON
        """The value of a JavaScript expression, a promise's once it is there."""
        return json.loads(
            await self._page.evaluate(f"(async () => JSON.stringify(await {source}))()")
        )

    async def screenshot(self, clip: Clip) -> bytes:
        """A part of the document, as a PNG."""
        left, top, width, height = clip
        return await self._page.screenshot(
            clip={"x": left, "y": top, "width": width, "height": height},
            full_page=True,
            timeout=_TIMEOUT,
        )

    async def media(self, kind: str) -> None:
        """Apply the style sheets for `screen` or for `print`."""
        await self._page.emulate_media(media="print" if kind == "print" else "screen")

    async def pdf(self) -> bytes:
        """The page as it is printed."""
        return await self._page.pdf(print_background=True)

    async def close(self) -> None:
        """Close the tab."""
        await self._context.close()


class Chromium:
    """A browser that runs (see `windows.Browser`)."""

    scripts_can_be_off = True

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    async def tab(self, window: Window, before: str) -> Tab:
        """A tab; `before` is the source of a script that runs before each page's own."""
        context = await self._browser.new_context(
            device_scale_factor=window.density,
            java_script_enabled=window.scripts,
            service_workers="block",
            reduced_motion="reduce",
        )
        await context.add_init_script(before)
        return ChromiumTab(await context.new_page(), context)


@contextlib.asynccontextmanager
async def running(executable: str) -> AsyncIterator[Chromium]:
    """Chromium until the block ends."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=_FLAGS)
        try:
            yield Chromium(browser)
        finally:
            await browser.close()

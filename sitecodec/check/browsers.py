"""The browsers of this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from collections.abc import AsyncIterator

from sitecodec.check.windows import Browser
from sitecodec.errors import SiteError

NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "firefox": ("firefox-esr", "firefox"),
}
"""The commands of each browser, in the order in which they are tried."""


def find(name: str) -> str:
    """The path of a browser's program. Raises SiteError if there is none."""
    for command in NAMES[name]:
        if path := shutil.which(command):
            return path
    other = next(one for one in NAMES if one != name)
    raise SiteError(f"there is no {name} here; install it, or try --browser {other}")


@contextlib.asynccontextmanager
async def running(name: str) -> AsyncIterator[Browser]:
    """A browser until the block ends. Raises SiteError if it or the extra is not installed."""
    if any(importlib.util.find_spec(package) is None for package in ("playwright", "websockets")):
        raise SiteError("sitecodec check needs more packages: pip install 'sitecodec[check]'")
    from sitecodec.check import chromium, firefox

    module = {"chromium": chromium, "firefox": firefox}[name]
    async with module.running(find(name)) as browser:
        yield browser

"""`mkdocs build` with these arguments; says last what it took and what sitecodec's part of it was.

Both come from one process and the same seconds, so the share holds on a machine that others slow
down. The part is the import of the plugin and its events.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable

from mkdocs.__main__ import cli

ours = 0.0


def timed(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def run(*arguments: object, **named: object) -> object:
        global ours
        start = time.process_time()
        try:
            return function(*arguments, **named)
        finally:
            ours += time.process_time() - start

    return run


def load(entry: importlib.metadata.EntryPoint) -> object:
    if entry.name != "sitecodec":
        return real(entry)
    plugin = timed(real)(entry)
    for name, value in list(vars(plugin).items()):
        if name.startswith("on_"):
            setattr(plugin, name, timed(value))
    return plugin


real = importlib.metadata.EntryPoint.load
importlib.metadata.EntryPoint.load = load  # type: ignore[method-assign]
try:
    cli(["build", "--quiet", *sys.argv[1:]], standalone_mode=False)
finally:
    print(json.dumps({"all": time.process_time(), "ours": ours}))

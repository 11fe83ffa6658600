"""The script of docs/removing.md: it takes a visitor's service worker and its storage away."""

from __future__ import annotations

import re
import time
from pathlib import Path

from sitecodec.visitors import worker
from tests.browser.looking import shows, visit_twice

PAGE = Path(__file__).resolve().parents[2] / "docs/removing.md"
LEFT = """async () => [
  (await navigator.serviceWorker.getRegistrations()).length,
  (await caches.keys()).filter((name) => name.startsWith("sitecodec:")).length,
]"""


def test_the_manual_s_script_removes_the_worker_and_what_it_kept(site, page, photos):
    site.page("index.html", site.add("a", photos[0]))
    visit_twice(page, site.url)
    assert shows(page, "a", photos[0]) == "payload"
    assert page.evaluate(LEFT) == [1, 1]
    # The site is built without sitecodec, and has the script in the worker's place.
    (script,) = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (site.root / worker.NAME).write_text(script, encoding="utf-8")
    (site.root / "index.html").write_text("<!doctype html><p>plain</p>", encoding="utf-8")
    page.goto(site.url)
    ends = time.monotonic() + 20
    while page.evaluate(LEFT) != [0, 0]:
        assert time.monotonic() < ends, page.evaluate(LEFT)
        page.wait_for_timeout(200)

"""The page "Latents, live" of the manual: its counters, and its switch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.looking import shows

ASSETS = Path(__file__).resolve().parents[2] / "docs/assets"
# The page then loads anew, which shows in what its scripts have left.
SWITCH = "(self.old = true, document.getElementById('slat-switch').click())"
FIGURE = "document.getElementById('slat-{}')?.textContent"


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_it_counts_and_can_be_switched_off(request, site, photos, browser):
    page = request.getfixturevalue("page" if browser == "chromium" else "firefox")
    payload = photos[0]
    picture = site.add("a", payload).replace("<picture>", "<picture data-sitecodec>")
    site.page("demo.html", "<div id=latents></div>" + picture + "<script src=latents.js></script>")
    for name in ("latents.js", "latents.css"):
        (site.root / name).write_bytes((ASSETS / name).read_bytes())
    page.goto(f"{site.url}demo.html")
    assert shows(page, "a") == "avif"
    # The first visit shows it, too: the pictures are asked for again.
    page.wait_for_function(FIGURE.format("count") + " === '1'")
    assert shows(page, "a", payload) == "payload"
    kilobytes = page.evaluate(
        "(n) => (n / 1000).toLocaleString(undefined, { maximumFractionDigits: 1 }) + ' kB'",
        len(payload),
    )
    assert page.evaluate(FIGURE.format("with")) == kilobytes
    assert page.evaluate(FIGURE.format("without")).endswith(" kB")
    assert page.evaluate(FIGURE.format("without")) != "0 kB"
    assert page.evaluate(f"/^\\d+ ms$/.test({FIGURE.format('speed')})")
    page.evaluate(SWITCH)
    page.wait_for_function("!self.old && " + FIGURE.format("switch") + " === 'Switch latents on'")
    assert page.evaluate(FIGURE.format("state")) == "Latents are off for this site."
    assert shows(page, "a") == "avif"
    page.evaluate(SWITCH)
    page.wait_for_function("!self.old && " + FIGURE.format("count") + " === '1'")
    assert shows(page, "a", payload) == "payload"
    assert page.errors == []

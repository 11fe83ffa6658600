"""The service worker in Chromium: what is on screen, whatever happens."""

from __future__ import annotations

from tests.browser.conftest import shows, wait_until_prepared


def test_second_view_shows_the_payloads_bit_for_bit(site, context, photo_payloads):
    body = "".join(site.add(f"i{n}", p, data) for n, (p, data) in enumerate(photo_payloads))
    site.page("index.html", body)
    page = context.new_page()
    page.goto(site.url)
    for n in range(len(photo_payloads)):
        assert shows(page, f"i{n}") == "avif"
    assert not site.asked(".slat")
    wait_until_prepared(page)
    page.goto(site.url)
    for n, (_, payload) in enumerate(photo_payloads):
        assert shows(page, f"i{n}", payload) == "payload"

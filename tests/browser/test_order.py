"""In which order pictures are decoded, and that one too many does not wait for ever."""

from __future__ import annotations

import threading

import pytest

from tests.browser.looking import (
    report,
    shown,
    shows,
    stop_workers,
    visit_twice,
    wait_for_report,
    wait_until_prepared,
)
from tests.browser.serving import blank

NAMES = "abcdefgh"
PAYLOADS = {name: blank(96, 64, name.encode()) for name in NAMES}


@pytest.fixture
def pictures(site):
    """The markup of eight pictures."""
    return [site.add(*item) for item in PAYLOADS.items()]


def decoded(page):
    """The names of the pictures, in the order in which they were decoded."""
    log = wait_for_report(page, lambda told: len(told["log"]) >= len(NAMES))["log"]
    return "".join(entry["url"].rpartition("/")[2][0] for entry in log)


def test_the_first_that_is_asked_for_comes_first_however_the_store_answers(
    site, page, context, pictures
):
    site.page("index.html", "".join(pictures))
    # The first waits longest for what it has asked of the store.
    slow = "await new Promise((d) => setTimeout(d, 50 * (8 - queue.indexOf(job))));$&"
    site.change(("const found = await cache.match(place);", slow))
    visit_twice(page, site.url)
    decoded(page)
    # Now the payloads are in the store. A worker that begins anew gets all requests at once.
    stop_workers(context, page)
    page.evaluate(
        "(urls) => { for (const src of urls) document.body.append(Object.assign(new Image(),"
        " { src })); }",
        [site.address(name) + "?again" for name in NAMES],
    )
    assert decoded(page) == NAMES


def test_a_payload_on_its_way_holds_nobody_up(site, page, pictures):
    site.page("index.html", "".join(pictures))
    page.goto(site.url)
    wait_until_prepared(page)
    arrived = site.holds[site.path("a", "slat").name] = threading.Event()
    page.goto(site.url, wait_until="commit")
    wait_for_report(page, lambda told: len(told["log"]) == len(NAMES) - 1)
    arrived.set()
    assert decoded(page)[-1] == "a"
    assert shows(page, "a", PAYLOADS["a"]) == "payload"


def test_what_is_in_the_window_comes_first(site, page, context, pictures):
    far = "<p style='height:9000px'></p>"
    # The sixth ends just above a window of 600 pixels: it is close, but not in it.
    close = pictures[5] + "<p style='height:560px;margin:0'></p>"
    site.page("index.html", "".join(pictures[:5]) + far + close + "".join(pictures[6:]))
    # Only for this test: wait for the page's word, which comes with its first frame.
    site.change(
        ("if (busy) return;", "if (busy || !near.length) return;"),
        ("near = event.data.stems;", "$& work();"),
    )
    visit_twice(page, site.url)
    decoded(page)
    stop_workers(context, page)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.reload()  # where the window was
    order = decoded(page)
    # Of the others, the store may find any first.
    assert (order[:3], sorted(order[3:])) == ("ghf", list("abcde"))
    assert page.errors == []


def test_who_has_waited_too_long_goes_to_the_network(site, page, pictures):
    site.page("index.html", "".join(pictures))
    stem = site.path("c", "slat").name.split("-")[1]
    site.change(("const since = now();", f"const since = stem === '{stem}' ? -9000 : now();"))
    visit_twice(page, site.url)
    assert shown(page, NAMES, PAYLOADS) == dict.fromkeys(NAMES, "payload") | {"c": "avif"}
    assert report(page)["failures"] == 0
    assert page.errors == []

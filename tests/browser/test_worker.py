"""The service worker in Chromium: what is on screen on a visit, and on the next."""

from __future__ import annotations

import shutil
import threading
from io import BytesIO

import numpy as np
from PIL import Image

from sitecodec import codecs
from sitecodec.visitors import worker
from tests.browser.looking import (
    insert,
    report,
    shown,
    shows,
    visit_twice,
    wait_for_report,
    wait_until_kept,
    wait_until_prepared,
)
from tests.browser.serving import FOLDER, blank, serving
from tests.conftest import make_page, make_photo


def test_a_first_visit_is_not_delayed(site, page, photos):
    payload, slow_payload, _ = photos
    site.page("index.html", site.add("a", payload) + site.add("b", slow_payload))
    arrived = site.holds[site.path("b", "avif").name] = threading.Event()
    page.goto(site.url, wait_until="commit")
    page.wait_for_selector("#a")
    assert shows(page, "a") == "avif"
    page.wait_for_timeout(900)
    # The page still loads: nothing of ours may take its bandwidth.
    assert not site.asked(worker.NAME)
    arrived.set()
    wait_until_prepared(page)
    assert shows(page, "b") == "avif"
    assert not site.asked(".slat")
    assert page.errors == []


def test_a_second_visit_shows_the_payloads_bit_for_bit(site, page, photos):
    payloads = {f"i{n}": payload for n, payload in enumerate(photos)}
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    visit_twice(page, site.url)
    assert set(shown(page, payloads, payloads).values()) == {"payload"}
    told = wait_for_report(page, lambda told: len(told["log"]) == len(photos))
    assert sorted(entry["bytes"] for entry in told["log"]) == sorted(map(len, photos))
    # The third takes them from the store, and fetches no engine or model again.
    before = len(site.log)
    page.goto(site.url)
    assert shows(page, "i0", photos[0]) == "payload"
    assert not [path for path in site.log[before:] if path.endswith((".slat", ".bin", ".avif"))]
    assert page.errors == []


def test_what_the_browser_still_has_is_not_fetched_again(site, page, photos):
    payload, other_payload, _ = photos
    site.headers["Cache-Control"] = "max-age=600"
    first = site.add("a", payload)
    site.page("index.html", first)
    site.page("next.html", first + site.add("b", other_payload))
    page.goto(site.url)
    wait_until_prepared(page)
    page.goto(f"{site.url}next.html")
    assert shows(page, "a") == "avif"
    assert shows(page, "b", other_payload) == "payload"
    assert len(site.asked(".slat")) == 1
    assert len(site.asked(".avif")) == 1
    assert page.errors == []


def test_sizes_that_fill_no_block_or_word(site, page):
    sizes = [(1, 1), (2, 3), (17, 16), (33, 5), (250, 1)]
    payloads = {f"s{w}": blank(w, h, bytes(range(64))) for w, h in sizes}
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    visit_twice(page, site.url)
    assert set(shown(page, payloads, payloads).values()) == {"payload"}


def test_a_site_that_the_build_made_under_a_sub_path(built, tmp_path, page):
    root = shutil.copytree(built, tmp_path / "site")
    with serving(root, "/project/") as site:
        page.goto(site.url)
        wait_until_prepared(page)
        page.goto(f"{site.url}deep/index.html")
        names = {path.name.split("-")[0] for path in (root / FOLDER).glob("*.slat")}
        assert names
        for name in names:
            page.locator(f"#{name}").scroll_into_view_if_needed()
            shows(page, name)
            file = page.locator(f"#{name}").evaluate("(image) => image.currentSrc.split('/').pop()")
            payload = (root / FOLDER / file).with_suffix(".slat").read_bytes()
            assert shows(page, name, payload) == "payload"
    assert page.errors == []


def test_lazy_images_after_the_claim_come_as_payloads_on_the_first_visit(site, page, photos):
    payload, far_payload, _ = photos
    lazy = site.add("b", far_payload).replace("<img", "<img loading=lazy")
    site.page("index.html", site.add("a", payload) + "<p style='height:9000px'></p>" + lazy)
    page.goto(site.url)
    wait_until_prepared(page)
    page.evaluate("document.getElementById('b').scrollIntoView()")
    assert shows(page, "b", far_payload) == "payload"
    assert shows(page, "a") == "avif"


def test_backgrounds_and_srcset(site, page, photos):
    payload, large_payload = photos[0], blank(256, 192, b"large")
    site.add("a", payload)
    site.add("b", large_payload)
    small, large = site.address("a"), site.address("b")
    srcset = f"srcset='{small} 128w, {large} 256w'"
    site.page(
        "index.html",
        f"<div id=box style='width:128px;height:96px;background:url({small})'></div>"
        f"<img id=s {srcset} sizes=128px><img id=l {srcset} sizes=256px>",
    )
    visit_twice(page, site.url)
    payloads = {"s": payload, "l": large_payload}
    assert shown(page, payloads, payloads) == {"s": "payload", "l": "payload"}
    shot = Image.open(BytesIO(page.locator("#box").screenshot())).convert("RGB")
    assert np.array_equal(np.asarray(shot), codecs.get("web").decode(payload))


def test_a_jpeg_is_replaced_as_well(site, page, photos):
    payload = photos[0]
    picture = site.add("a", payload)
    site.page("index.html", picture.replace('type="image/avif"', 'type="image/none"'))
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"


def test_scripts_and_visitors_who_ask_for_the_file_get_the_file(site, page, photos):
    payload = photos[0]
    site.page("index.html", site.add("a", payload))
    visit_twice(page, site.url)
    fetched = page.evaluate(
        "async (url) => (await (await fetch(url)).blob()).type", site.address("a")
    )
    assert fetched == "image/avif"
    response = page.goto(site.address("a"))
    assert response.headers["content-type"] == "image/avif"


def test_back_and_forward(site, page, photos):
    payload, other_payload, _ = photos
    site.page("index.html", site.add("a", payload))
    site.page("sub/index.html", site.add("b", other_payload))
    visit_twice(page, site.url)
    page.goto(f"{site.url}sub/")
    assert shows(page, "b", other_payload) == "payload"
    page.go_back()
    assert shows(page, "a", payload) == "payload"
    page.go_forward()
    assert shows(page, "b", other_payload) == "payload"


def test_offline_after_one_visit(site, page, photos):
    payload, other_payload, _ = photos
    site.page("index.html", site.add("a", payload))
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"
    wait_until_kept(page, 1)
    site.add("b", other_payload)
    site.down = True
    insert(page, site.address("a") + "?again", "again")
    assert shows(page, "again", payload) == "payload"
    insert(page, site.address("b"), "unseen")
    assert shows(page, "unseen") == "broken"  # as it would be without a worker
    site.down = False
    assert not report(page)["aside"]


def test_a_hard_reload_bypasses_the_worker(site, page, context, photos):
    payload = photos[0]
    site.page("index.html", site.add("a", payload))
    visit_twice(page, site.url)
    with page.expect_navigation():
        context.new_cdp_session(page).send("Page.reload", {"ignoreCache": True})
    assert shows(page, "a") == "avif"
    page.goto(site.url)
    assert shows(page, "a", payload) == "payload"


def test_a_new_version_takes_over_and_clears_away(site, page, photos):
    payload, other_payload, _ = photos
    picture = site.add("a", payload)
    site.page("index.html", picture)
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"
    old = report(page)["version"]
    for path in (site.root / FOLDER).glob("a-*"):
        path.unlink()
    site.page("new.html", site.add("b", other_payload))
    page.goto(f"{site.url}new.html")
    wait_for_report(page, lambda told: told["version"] != old and told["prepared"], update=True)
    page.goto(f"{site.url}new.html")
    assert shows(page, "b", other_payload) == "payload"
    assert wait_until_kept(page, 1) == ["b", "engine", "model"]
    assert len(site.asked(".bin")) == 2  # neither had changed


def test_the_visitor_s_switch(site, page, photos):
    payload = photos[0]
    site.page("index.html", site.add("a", payload))
    visit_twice(page, site.url)
    page.evaluate("localStorage.setItem('sitecodec', 'off')")
    page.goto(site.url)
    page.wait_for_function(
        "navigator.serviceWorker.getRegistration().then((found) => !found)", timeout=15_000
    )
    page.goto("about:blank")  # the worker goes with its last page
    page.goto(site.url)
    assert shows(page, "a") == "avif"
    page.evaluate("localStorage.removeItem('sitecodec')")
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"


def test_unregistering(site, page, photos):
    payload = photos[0]
    site.page("index.html", site.add("a", payload))
    visit_twice(page, site.url)
    (site.root / "plain.html").write_text(f"<img id=p src={site.address('a')}>")
    page.goto(f"{site.url}plain.html")  # the other page would register it again
    page.evaluate("navigator.serviceWorker.getRegistration().then((found) => found.unregister())")
    for _ in range(40):  # a worker goes with the last page that it controls, some time after it
        page.goto("about:blank")
        page.wait_for_timeout(100)
        page.goto(f"{site.url}plain.html")
        if not page.evaluate("!!navigator.serviceWorker.controller"):
            break
    assert shows(page, "p") == "avif"


def test_a_hundred_images(site, page):
    rng = np.random.default_rng(1)
    payloads = {f"i{n}": blank(96, 64, rng.bytes(40)) for n in range(100)}
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    visit_twice(page, site.url)
    assert set(shown(page, payloads, payloads).values()) == {"payload"}
    assert page.errors == []


def test_twelve_megapixels_are_streamed(site, page):
    payload = blank(4000, 3000, np.random.default_rng(2).bytes(3000))
    site.page("index.html", site.add("a", payload))
    # However slow this machine: the limit has a test of its own.
    site.change(("PATIENCE = 8000", "PATIENCE = 120_000"))
    page.goto(site.url)
    wait_until_prepared(page)
    page.goto(site.url, wait_until="domcontentloaded")
    assert shows(page, "a", payload) == "payload"


def test_flat_graphics_come_without_a_model(site, page):
    payloads = {
        f"i{n}": codecs.get("flat").encode(make_page(200 + 40 * n, 300), 100) for n in range(3)
    }
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    visit_twice(page, site.url)
    assert set(shown(page, payloads, payloads).values()) == {"payload"}
    assert wait_until_kept(page, 3) == ["engine", "i0", "i1", "i2"]
    assert len(site.asked(".bin")) == 1
    # With a photograph the next version needs one, and what it has stays.
    photo = codecs.get("web").encode(make_photo(64, 96), 50)
    site.page("index.html", "".join(site.add(*i) for i in (payloads | {"photo": photo}).items()))
    before = report(page)["version"]
    page.goto(site.url)
    wait_for_report(page, lambda told: told["version"] != before, update=True)
    visit_twice(page, site.url)
    assert sum("/model-" in path for path in site.asked(".bin")) == 1
    assert shows(page, "photo", photo) == "payload"
    assert shows(page, "i0", payloads["i0"]) == "payload"
    assert page.errors == []

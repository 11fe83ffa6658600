"""The service worker in Chromium: what is on screen on a visit, and on the next."""

from __future__ import annotations

import numpy as np
import pytest

from sitecodec import codecs, worker
from sitecodec.payload import Header, pack, read_header
from sitecodec.settings import Settings
from sitecodec.site import rewrite_site
from tests.browser.conftest import (
    FOLDER,
    pixels_of,
    report,
    serving,
    shows,
    wait_for_report,
    wait_until_prepared,
)
from tests.conftest import encode, make_photo


def visit_twice(page, url):
    """A first visit that ends with engine and model in place, then a second."""
    page.goto(url)
    wait_until_prepared(page)
    page.goto(url)


def blank(width, height, body=b"", quality=50.0):
    """A valid payload of any size, made of nothing."""
    model = read_header(codecs.get("web").encode(np.zeros((16, 16, 3), np.uint8), 50)).model
    return pack(Header("web", model, width, height, quality), body)


def insert(page, address, name):
    """Put an image into the page that is open."""
    page.evaluate(
        "([address, name]) => { const image = new Image(); image.id = name; image.src = address;"
        " document.body.append(image); }",
        [address, name],
    )


def address(site, name, kind="avif"):
    """The URL of an image's fallback."""
    (path,) = (site.root / FOLDER).glob(f"{name}-*.{kind}")
    return f"{site.url}{FOLDER}/{path.name}"


def test_a_first_visit_is_not_delayed(site, page, photo_payloads):
    (pixels, payload), (slow, slow_payload), _ = photo_payloads
    site.page("index.html", site.add("a", pixels, payload) + site.add("b", slow, slow_payload))
    site.delays[address(site, "b").rpartition("/")[2]] = 1.5
    page.goto(site.url, wait_until="commit")
    page.wait_for_timeout(900)
    # The page still loads: nothing of ours may take its bandwidth.
    assert not site.asked(worker.NAME)
    assert shows(page, "a") == "avif"
    wait_until_prepared(page)
    assert shows(page, "b") == "avif"
    assert not site.asked(".slat")
    assert page.errors == []


def test_a_second_visit_shows_the_payloads_bit_for_bit(site, page, photo_payloads):
    body = "".join(site.add(f"i{n}", p, data) for n, (p, data) in enumerate(photo_payloads))
    site.page("index.html", body)
    visit_twice(page, site.url)
    for n, (_, payload) in enumerate(photo_payloads):
        assert shows(page, f"i{n}", payload) == "payload"
    told = report(page)
    assert sorted(entry["bytes"] for entry in told["log"]) == sorted(
        len(payload) for _, payload in photo_payloads
    )
    # The third takes them from the store, and fetches no engine or model again.
    before = len(site.log)
    page.goto(site.url)
    assert shows(page, "i0", photo_payloads[0][1]) == "payload"
    assert not [path for path in site.log[before:] if path.endswith((".slat", ".bin", ".avif"))]
    assert page.errors == []


def test_what_the_browser_still_has_is_not_fetched_again(site, page, photo_payloads):
    (pixels, payload), (other, other_payload), _ = photo_payloads
    site.headers["Cache-Control"] = "max-age=600"
    first = site.add("a", pixels, payload)
    site.page("index.html", first)
    site.page("next.html", first + site.add("b", other, other_payload))
    page.goto(site.url)
    wait_until_prepared(page)
    page.goto(f"{site.url}next.html")
    assert shows(page, "a") == "avif"
    assert shows(page, "b", other_payload) == "payload"
    assert len(site.asked(".slat")) == 1
    assert len(site.asked(".avif")) == 1
    assert page.errors == []


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (17, 16), (33, 5), (250, 1)])
def test_sizes_that_fill_no_block_or_word(site, page, width, height):
    payload = blank(width, height, bytes(range(64)))
    site.page("index.html", site.add("a", np.zeros((height, width, 3), np.uint8), payload))
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"


def test_a_site_that_the_build_made_under_a_sub_path(tmp_path, page):
    root = tmp_path / "site"
    (root / "deep").mkdir(parents=True)
    sources = {name: make_photo(80, 120, seed) for seed, name in enumerate("abc")}
    for name, pixels in sources.items():
        (root / f"{name}.png").write_bytes(encode(pixels))
    head = '<!doctype html><link rel=icon href="data:,">'
    pictures = "".join(f"<p><img id={name} src={{}}{name}.png></p>" for name in sources)
    (root / "index.html").write_text(head + pictures.format("", "", ""))
    (root / "deep/page.html").write_text(head + pictures.format("../", "../", "../"))
    summary = rewrite_site(
        root, Settings(store=tmp_path / "store", browser="always"), base_path="/project/"
    )
    kept = [row.path[0] for row in summary.images if row.payload]
    assert kept
    with serving(root, "/project/") as site:
        page.goto(site.url)
        wait_until_prepared(page)
        page.goto(f"{site.url}deep/page.html")
        for name in kept:
            (path,) = (root / FOLDER).glob(f"{name}-*.slat")
            assert np.array_equal(
                pixels_of(page, name), codecs.get("web").decode(path.read_bytes())
            )
    assert page.errors == []


def test_lazy_images_after_the_claim_come_as_payloads_on_the_first_visit(
    site, page, photo_payloads
):
    (pixels, payload), (far, far_payload), _ = photo_payloads
    lazy = site.add("b", far, far_payload).replace("<img", "<img loading=lazy")
    site.page("index.html", site.add("a", pixels, payload) + "<p style='height:9000px'></p>" + lazy)
    page.goto(site.url)
    wait_until_prepared(page)
    page.evaluate("document.getElementById('b').scrollIntoView()")
    assert shows(page, "b", far_payload) == "payload"
    assert shows(page, "a") == "avif"


def test_backgrounds_and_srcset(site, page, photo_payloads):
    (pixels, payload), (large, large_payload), _ = photo_payloads
    site.add("a", pixels, payload)
    site.add("b", large, large_payload)
    small, big = address(site, "a"), address(site, "b")
    site.page(
        "index.html",
        f"<div id=box style='width:128px;height:96px;background:url({small})'></div>"
        f"<img id=s srcset='{small} 128w, {big} 256w' sizes=128px>",
    )
    visit_twice(page, site.url)
    assert shows(page, "s", payload) == "payload"
    from io import BytesIO

    from PIL import Image

    shot = Image.open(BytesIO(page.locator("#box").screenshot())).convert("RGB")
    assert np.array_equal(np.asarray(shot), codecs.get("web").decode(payload))


def test_a_jpeg_is_replaced_as_well(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    picture = site.add("a", pixels, payload)
    site.page("index.html", picture.replace('type="image/avif"', 'type="image/none"'))
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"


def test_scripts_and_visitors_who_ask_for_the_file_get_the_file(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    visit_twice(page, site.url)
    fetched = page.evaluate(
        "async (url) => (await (await fetch(url)).blob()).type", address(site, "a")
    )
    assert fetched == "image/avif"
    response = page.goto(address(site, "a"))
    assert response.headers["content-type"] == "image/avif"


def test_back_and_forward(site, page, photo_payloads):
    (pixels, payload), (other, other_payload), _ = photo_payloads
    site.page("index.html", site.add("a", pixels, payload))
    site.page("sub/index.html", site.add("b", other, other_payload))
    visit_twice(page, site.url)
    page.goto(f"{site.url}sub/")
    assert shows(page, "b", other_payload) == "payload"
    page.go_back()
    assert shows(page, "a", payload) == "payload"
    page.go_forward()
    assert shows(page, "b", other_payload) == "payload"


def test_offline_after_one_visit(site, page, photo_payloads):
    (pixels, payload), (other, other_payload), _ = photo_payloads
    site.page("index.html", site.add("a", pixels, payload))
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"
    site.add("b", other, other_payload)
    site.down = True
    insert(page, address(site, "a") + "?again", "again")
    assert shows(page, "again", payload) == "payload"
    insert(page, address(site, "b"), "unseen")
    assert shows(page, "unseen") == "broken"  # as it would be without a worker
    site.down = False
    assert not report(page)["aside"]


def test_a_hard_reload_bypasses_the_worker(site, page, context, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    visit_twice(page, site.url)
    with page.expect_navigation():
        context.new_cdp_session(page).send("Page.reload", {"ignoreCache": True})
    assert shows(page, "a") == "avif"
    page.goto(site.url)
    assert shows(page, "a", payload) == "payload"


def test_a_new_version_takes_over_and_clears_away(site, page, photo_payloads):
    (pixels, payload), (other, other_payload), _ = photo_payloads
    picture = site.add("a", pixels, payload)
    site.page("index.html", picture)
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"
    old = report(page)["version"]
    for path in (site.root / FOLDER).glob("a-*"):
        path.unlink()
    site.page("new.html", site.add("b", other, other_payload))
    page.goto(f"{site.url}new.html")
    wait_for_report(page, lambda told: told["version"] != old and told["prepared"])
    page.goto(f"{site.url}new.html")
    assert shows(page, "b", other_payload) == "payload"
    kept = page.evaluate(
        "async () => (await (await caches.open('sitecodec:/')).keys()).map(({url}) => url)"
    )
    names = sorted(url.rpartition("/")[2].partition("-")[0] for url in kept)
    assert names == ["b", "engine", "model"]
    assert len(site.asked(".bin")) == 2  # neither had changed


def test_the_visitor_s_switch(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
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


def test_unregistering(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    visit_twice(page, site.url)
    page.evaluate("navigator.serviceWorker.getRegistration().then((found) => found.unregister())")
    (site.root / "plain.html").write_text(f"<img id=p src={address(site, 'a')}>")
    page.goto(f"{site.url}plain.html")
    assert shows(page, "p") == "avif"


def test_a_hundred_images(site, page, photo_payloads):
    rng = np.random.default_rng(1)
    payloads = [blank(96, 64, rng.bytes(40)) for _ in range(100)]
    empty = np.zeros((64, 96, 3), np.uint8)
    site.page(
        "index.html", "".join(site.add(f"i{n}", empty, data) for n, data in enumerate(payloads))
    )
    visit_twice(page, site.url)
    for n, payload in enumerate(payloads):
        assert shows(page, f"i{n}", payload) == "payload"
    assert page.errors == []


def test_twelve_megapixels_are_streamed(site, page):
    payload = blank(4000, 3000, np.random.default_rng(2).bytes(3000))
    site.page("index.html", site.add("a", np.zeros((3000, 4000, 3), np.uint8), payload))
    # However slow this machine: the limit has a test of its own.
    patient(site, 120_000)
    visit_twice(page, site.url)
    # A piece is compared: sending all of it through base64 would take longest.
    page.evaluate("document.getElementById('a').decode()")
    shown = page.evaluate(
        """() => {
          const canvas = document.createElement("canvas");
          canvas.width = 4000; canvas.height = 3000;
          const context = canvas.getContext("2d");
          context.drawImage(document.getElementById("a"), 0, 0);
          return crypto.subtle.digest("SHA-256", context.getImageData(0, 0, 4000, 3000).data)
            .then((hash) => Array.from(new Uint8Array(hash)));
        }"""
    )
    import hashlib

    pixels = codecs.get("web").decode(payload)
    opaque = np.dstack((pixels, np.full(pixels.shape[:2], 255, np.uint8)))
    assert bytes(shown) == hashlib.sha256(opaque.tobytes()).digest()


def patient(site, milliseconds):
    """Serve the worker with another limit on the time that decoding may take."""
    changed(site, "PATIENCE = 8000", f"PATIENCE = {milliseconds}")


def changed(site, old, new):
    """Serve the worker with a change in its code."""
    text = (site.root / worker.NAME).read_text("utf-8")
    assert text.count(old) == 1
    site.answers[worker.NAME] = (200, text.replace(old, new).encode())

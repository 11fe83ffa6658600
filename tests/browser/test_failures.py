"""Never worse than without: whatever goes wrong, the fallback is on screen."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from sitecodec import codecs, worker
from sitecodec.errors import PayloadError
from tests.browser.conftest import FOLDER, report, shows, wait_for_report, wait_until_prepared
from tests.browser.test_worker import (
    address,
    blank,
    changed,
    insert,
    patient,
    visit_twice,
)


def sealed(payload):
    """The payload with the checksum that its bytes should have."""
    checksum = zlib.crc32(payload[20:], zlib.crc32(payload[:16]))
    return payload[:16] + struct.pack("<I", checksum) + payload[20:]


def spoilt(payload):
    return payload[:-1] + bytes([payload[-1] ^ 1])


def test_a_corrupt_payload(site, page, photo_payloads):
    (pixels, payload), (other, other_payload), _ = photo_payloads
    body = site.add("a", pixels, payload) + site.add("b", other, other_payload)
    site.page("index.html", body)
    site.answers[address(site, "a", "slat").rpartition("/")[2]] = (200, spoilt(payload))
    visit_twice(page, site.url)
    assert shows(page, "a") == "avif"
    assert shows(page, "b", other_payload) == "payload"
    # It is not asked for again, and one bad file does not end it for the others.
    page.goto(site.url)
    assert shows(page, "a") == "avif"
    assert len(site.asked(address(site, "a", "slat").rpartition("/")[2])) == 1
    assert not report(page)["aside"]
    assert page.errors == []


@pytest.mark.parametrize(
    "answer", [(404, b"gone"), (200, b"<!doctype html>not found"), (200, b""), (500, b"oops")]
)
def test_a_payload_that_is_missing(site, page, photo_payloads, answer):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    site.answers[".slat"] = answer
    visit_twice(page, site.url)
    assert shows(page, "a") == "avif"


def test_another_picture_s_payload(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    site.answers[".slat"] = (200, blank(16, 16))
    visit_twice(page, site.url)
    assert shows(page, "a") == "avif"


@pytest.mark.parametrize(
    ("part", "answer"),
    [
        ("model-", (404, b"gone")),
        ("model-", (200, b"SLM1")),
        ("engine-", (200, b"<!doctype html>")),
    ],
)
def test_a_missing_engine_or_model_is_tried_three_times(site, page, photo_payloads, part, answer):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    (path,) = (site.root / FOLDER).glob(f"{part}*.bin")
    site.answers[path.name] = answer
    for _ in range(3):
        page.goto(site.url)
        page.wait_for_timeout(700)
        told = wait_for_report(page, lambda told: not told["prepared"])
        assert shows(page, "a") == "avif"
    wait_for_report(page, lambda told: told["aside"])
    asked = len(site.log)
    page.goto(site.url)
    page.wait_for_timeout(700)
    assert shows(page, "a") == "avif"
    assert not [path for path in site.log[asked:] if path.endswith((".bin", ".slat"))]
    # A new version of the site begins anew.
    del site.answers[path.name]
    other, other_payload = photo_payloads[1]
    site.page("new.html", site.add("b", other, other_payload))
    page.goto(f"{site.url}new.html")
    told = wait_for_report(page, lambda new: new["version"] != told["version"])
    assert not told["aside"]


def test_three_failures_end_it_until_the_next_version(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    empty = np.zeros((32, 32, 3), np.uint8)
    names = ["a", "b", "c"]
    body = "".join(site.add(n, empty, blank(32, 32, n.encode())) for n in names)
    site.page("index.html", body)
    for name in names:
        file = address(site, name, "slat").rpartition("/")[2]
        site.answers[file] = (200, spoilt(blank(32, 32, name.encode())))
    visit_twice(page, site.url)
    for name in names:
        assert shows(page, name) == "avif"
    assert wait_for_report(page, lambda told: told["aside"])
    site.answers.clear()
    page.goto(site.url)
    for name in names:
        assert shows(page, name) == "avif"
    site.page("new.html", body + site.add("d", pixels, payload))
    page.goto(f"{site.url}new.html")
    wait_for_report(page, lambda told: not told["aside"])
    page.goto(f"{site.url}new.html")
    assert shows(page, "d", payload) == "payload"
    for name in names:
        assert shows(page, name, blank(32, 32, name.encode())) == "payload"


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:",
        "script-src 'self'; connect-src 'none'",
        "script-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'",
    ],
)
def test_a_policy_that_forbids_it(site, page, photo_payloads, policy):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    site.headers["Content-Security-Policy"] = policy
    for _ in range(2):
        page.goto(site.url)
        page.wait_for_timeout(800)
        assert shows(page, "a") == "avif"
    assert not site.asked(".slat")
    assert not site.asked(".bin")


def test_a_strict_policy_that_allows_it(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    site.headers["Content-Security-Policy"] = (
        "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline';"
        " script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'"
    )
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"
    assert page.errors == []


_SAVE_DATA = "Object.defineProperty(NetworkInformation.prototype, 'saveData', { get: () => true })"


def test_save_data_spares_engine_and_model(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    page.add_init_script(_SAVE_DATA)
    for _ in range(2):
        page.goto(site.url)
        page.wait_for_timeout(1200)
        assert shows(page, "a") == "avif"
    assert not site.asked(worker.NAME)
    assert not site.asked(".bin")


def test_save_data_takes_the_payload_where_the_model_is_there_already(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    page.goto(site.url)
    wait_until_prepared(page)
    page.add_init_script(_SAVE_DATA)
    page.goto(site.url)
    assert page.evaluate("navigator.connection.saveData")
    assert shows(page, "a", payload) == "payload"


def test_the_site_s_own_worker_is_left_alone(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    (site.root / "own.js").parent.mkdir(parents=True, exist_ok=True)
    (site.root / "own.js").write_text("self.addEventListener('fetch', () => {});")
    own = "<script>navigator.serviceWorker.register('/own.js')</script>"
    site.page("index.html", own + site.add("a", pixels, payload))
    for _ in range(2):
        page.goto(site.url)
        page.wait_for_timeout(1200)
        assert shows(page, "a") == "avif"
    found = page.evaluate(
        "navigator.serviceWorker.getRegistrations().then((all) => all.map((r) =>"
        " (r.active || r.installing || r.waiting).scriptURL))"
    )
    assert found == [f"{site.url}own.js"]
    assert not site.asked(".bin")


def test_the_site_s_own_worker_may_import_ours(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    own = "<script>navigator.serviceWorker.register('/own.js')</script>"
    site.page("index.html", own + site.add("a", pixels, payload))
    (site.root / "own.js").write_text(
        f"importScripts('/{worker.NAME}');"
        """
        const kept = (event) => event.waitUntil(caches.open("own").then((c) => c.addAll(["/"])));
        self.addEventListener("install", kept);
        self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
        self.addEventListener("fetch", (event) => event.respondWith(
          caches.match(event.request).then((found) => found || fetch(event.request))));
        """
    )
    page.goto(site.url)
    page.wait_for_function("navigator.serviceWorker.controller")
    page.goto(site.url)
    wait_until_prepared(page)
    page.goto(site.url)
    assert shows(page, "a", payload) == "payload"
    # Its pages and our pictures are there when the server is not.
    site.down = True
    page.goto(site.url)
    assert shows(page, "a", payload) == "payload"


def test_another_worker_s_caches_are_not_touched(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    page.goto(site.url)
    page.evaluate("caches.open('precious').then((c) => c.put('/x', new Response('y')))")
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"
    assert set(page.evaluate("caches.keys()")) == {"precious", "sitecodec:/"}


def test_a_decoder_that_is_too_slow(site, page):
    empty = np.zeros((320, 320, 3), np.uint8)
    payloads = {name: blank(320, 320, name.encode()) for name in "abc"}
    site.page("index.html", "".join(site.add(n, empty, p) for n, p in payloads.items()))
    patient(site, 0.001)
    visit_twice(page, site.url)
    for name in payloads:
        assert shows(page, name) == "avif"
    assert not page.errors


def test_a_queue_that_is_too_long_is_no_failure(site, page):
    empty = np.zeros((320, 320, 3), np.uint8)
    payloads = {name: blank(320, 320, name.encode()) for name in "abcdef"}
    site.page("index.html", "".join(site.add(n, empty, p) for n, p in payloads.items()))
    changed(site, "waiting + cost > PATIENCE", "waiting + cost > 1")
    visit_twice(page, site.url)
    shown = [shows(page, name, payload) for name, payload in payloads.items()]
    assert set(shown) <= {"payload", "avif"}
    assert "payload" in shown
    assert not report(page)["aside"]


def test_a_failure_half_way_through_a_stream_is_repaired_from_the_network(site, page):
    payload = blank(2000, 1200, bytes(range(200)))
    site.page("index.html", site.add("a", np.zeros((1200, 2000, 3), np.uint8), payload))
    changed(
        site,
        "done += made;",
        "done += made; if (controller && done > 900) throw new Error('half-way');",
    )
    page.goto(site.url)
    wait_until_prepared(page)
    page.goto(site.url)
    page.wait_for_function(
        "(() => { const i = document.getElementById('a'); return i.complete && i.naturalWidth; })()"
    )
    page.wait_for_timeout(3000)
    assert shows(page, "a") == "avif"


def test_memory_that_runs_out(site, page):
    # 50 megapixels are the limit; one more row is refused before anything is set aside.
    payload = blank(10_000, 5_001)
    site.page("index.html", site.add("a", np.zeros((8, 10_000, 3), np.uint8), payload))
    visit_twice(page, site.url)
    assert shows(page, "a") == "avif"


def test_a_worker_that_the_browser_ends_comes_back(site, page, context, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    visit_twice(page, site.url)
    session = context.new_cdp_session(page)
    session.send("ServiceWorker.enable")
    session.send("ServiceWorker.stopAllWorkers")
    page.wait_for_timeout(500)
    insert(page, address(site, "a") + "?again", "again")
    assert shows(page, "again", payload) == "payload"
    assert len(report(page)["log"]) == 1


def test_engine_and_model_that_the_browser_has_cleared_away(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    visit_twice(page, site.url)
    page.evaluate("caches.delete('sitecodec:/')")
    for _ in range(2):
        page.goto(site.url)
        assert shows(page, "a", payload) in ("payload", "avif")
        wait_until_prepared(page)
    page.goto(site.url)
    assert shows(page, "a", payload) == "payload"
    assert not report(page)["aside"]


def test_a_site_that_gives_up_its_worker(site, page, photo_payloads):
    pixels, payload = photo_payloads[0]
    site.page("index.html", site.add("a", pixels, payload))
    page.goto(site.url)
    wait_until_prepared(page)
    for path in [site.root / worker.NAME, *(site.root / FOLDER).glob("*.slat")]:
        path.unlink()
    (site.root / "plain.html").write_text(f"<img id=a src={address(site, 'a')}>")
    page.goto(f"{site.url}plain.html")
    assert shows(page, "a") == "avif"
    page.wait_for_function("caches.keys().then((keys) => !keys.length)")
    assert not page.evaluate("navigator.serviceWorker.getRegistration().then(Boolean)")


@pytest.mark.parametrize("seed", range(3))
def test_fuzzed_payloads(site, page, photo_payloads, seed):
    rng = np.random.default_rng(seed)
    _, payload = photo_payloads[seed]
    empty = np.zeros((96, 128, 3), np.uint8)
    body, payloads = "", {}
    for n in range(24):
        bad = bytearray(payload)
        for _ in range(rng.integers(1, 9)):
            # Of the header only what is not the size: the address names that.
            at = int(rng.integers(14, len(bad))) if n % 3 else int(rng.integers(0, 10))
            bad[at] = int(rng.integers(256))
        if n % 4 == 3:
            del bad[int(rng.integers(0, len(bad))) :]
        data = sealed(bytes(bad)) if n % 2 and len(bad) >= 20 else bytes(bad)
        payloads[f"f{n}"] = data
    # All of them, however many fail.
    for name, data in payloads.items():
        body += site.add(name, empty, data)
    site.page("index.html", body)
    listed = (site.root / worker.NAME).read_text("utf-8")
    changed(site, "MOST_FAILURES = 3", "MOST_FAILURES = 99")
    visit_twice(page, site.url)
    seen = {"payload": 0, "avif": 0}
    for name, data in payloads.items():
        try:
            codecs.get("web").decode(data)
            wanted = "payload"
        except PayloadError:
            wanted = "avif"
        except Exception:  # a model that is not here
            wanted = "avif"
        if address(site, name).rpartition("/")[2].split("-")[1] not in listed:
            wanted = "avif"
        assert shows(page, name, data if wanted == "payload" else None) == wanted, name
        seen[wanted] += 1
    assert seen["payload"]
    assert seen["avif"]
    assert page.errors == []

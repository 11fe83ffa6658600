"""Never worse than without: whatever goes wrong, the fallback is on screen."""

from __future__ import annotations

import struct
import threading
import zlib

import numpy as np

from sitecodec import codecs
from sitecodec.errors import PayloadError
from sitecodec.visitors import worker
from tests.browser.looking import (
    insert,
    report,
    shown,
    shows,
    stop_workers,
    visit_twice,
    wait_for_report,
    wait_until_prepared,
)
from tests.browser.serving import FOLDER, blank

# What never begins cannot be waited for: longer than anything here takes to begin.
LONG_ENOUGH = 900


def sealed(payload):
    """The payload with the checksum that its bytes should have."""
    checksum = zlib.crc32(payload[20:], zlib.crc32(payload[:16]))
    return payload[:16] + struct.pack("<I", checksum) + payload[20:]


def spoilt(payload):
    return payload[:-1] + bytes([payload[-1] ^ 1])


def test_a_corrupt_payload(site, page, photos):
    payload, other_payload, _ = photos
    site.page("index.html", site.add("a", payload) + site.add("b", other_payload))
    site.answers[site.path("a", "slat").name] = (200, spoilt(payload))
    visit_twice(page, site.url)
    assert shown(page, "ab", {"b": other_payload}) == {"a": "avif", "b": "payload"}
    # It is not asked for again, and one bad file does not end it for the others.
    page.goto(site.url)
    assert shows(page, "a") == "avif"
    assert len(site.asked(site.path("a", "slat").name)) == 1
    assert not report(page)["aside"]
    assert page.errors == []


def test_payloads_that_are_missing_or_another_picture_s(site, page, photos):
    answers = {
        "missing": (404, b"gone"),
        "page": (200, b"<!doctype html>not found"),
        "empty": (200, b""),
        "error": (500, b"oops"),
        "other": (200, blank(16, 16)),
    }
    payloads = {name: blank(32, 32, name.encode()) for name in answers}
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    for name, answer in answers.items():
        site.answers[site.path(name, "slat").name] = answer
    site.change(("MOST_FAILURES = 3", "MOST_FAILURES = 99"))
    visit_twice(page, site.url)
    assert shown(page, answers, payloads) == dict.fromkeys(answers, "avif")
    assert len(site.asked(".slat")) == len(answers)


def test_a_missing_engine_or_model_is_tried_three_times(site, page, photos):
    site.page("index.html", site.add("a", photos[0]))
    engine, model = (
        next((site.root / FOLDER).glob(f"{part}-*.bin")).name for part in ("engine", "model")
    )
    wrong = [(model, 404, b"gone"), (model, 200, b"SLM1"), (engine, 200, b"<!doctype html>")]
    for visit, (name, *answer) in enumerate(wrong, start=1):
        site.answers = {name: tuple(answer)}
        page.goto(site.url)
        wait_for_report(page, lambda told, n=visit: told["failures"] == n)
        assert shows(page, "a") == "avif"
        assert len(site.asked(model)) == visit
    wait_for_report(page, lambda told: told["aside"])
    site.log.clear()
    page.goto(site.url)
    page.wait_for_timeout(LONG_ENOUGH)
    assert shows(page, "a") == "avif"
    assert not [path for path in site.log if path.endswith((".bin", ".slat"))]
    # A new version of the site begins anew.
    site.answers.clear()
    site.page("new.html", site.add("b", photos[1]))
    page.goto(f"{site.url}new.html")
    wait_for_report(page, lambda told: not told["aside"], update=True)


def test_three_failures_end_it_until_the_next_version(site, page, photos):
    payloads = {name: blank(32, 32, name.encode()) for name in "abc"}
    body = "".join(site.add(*item) for item in payloads.items())
    site.page("index.html", body)
    for name, payload in payloads.items():
        site.answers[site.path(name, "slat").name] = (200, spoilt(payload))
    visit_twice(page, site.url)
    assert set(shown(page, payloads).values()) == {"avif"}
    assert wait_for_report(page, lambda told: told["aside"])
    site.answers.clear()
    page.goto(site.url)
    assert set(shown(page, payloads).values()) == {"avif"}
    payloads["d"] = photos[0]
    site.page("new.html", body + site.add("d", photos[0]))
    page.goto(f"{site.url}new.html")
    wait_for_report(page, lambda told: not told["aside"], update=True)
    page.goto(f"{site.url}new.html")
    assert set(shown(page, payloads, payloads).values()) == {"payload"}


def test_a_decoder_that_is_too_slow(site, page):
    # By far, as all of it is known after a second; streamed or not.
    payloads = {"a": blank(48, 2000, b"a"), "b": blank(48, 2001, b"b")}
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    site.change(
        ("const before = now();", "$& await new Promise((d) => setTimeout(d, 150));"),
        ("<= STREAMED;", "<= STREAMED && height === 2000;"),
    )
    visit_twice(page, site.url)
    assert shown(page, payloads) == {"a": "avif", "b": "avif"}
    assert wait_for_report(page, lambda told: told["failures"] == 2)["log"] == []
    assert not page.errors


def test_an_engine_that_takes_long_to_start_is_no_slow_decoder(site, page):
    payloads = {name: blank(320, 320, name.encode()) for name in "ab"}
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    site.change(
        ("= await ready();", "= await new Promise((d) => setTimeout(d, 1200)).then(ready);")
    )
    visit_twice(page, site.url)
    assert set(shown(page, payloads, payloads).values()) == {"payload"}
    assert report(page)["failures"] == 0


def test_a_queue_that_is_too_long_is_no_failure(site, page):
    payloads = {name: blank(320, 320, name.encode()) for name in "abcdef"}
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    # Three have room, at 51 milliseconds each; none begins before all have come.
    site.change(
        ("const guess =", "globalThis.come = (globalThis.come || 0) + 1; $&"),
        ("if (waiting + guess > PATIENCE) return;", "if (waiting + guess > 160) return work();"),
        ("if (busy) return;", "if (busy || globalThis.come < 6) return;"),
    )
    visit_twice(page, site.url)
    seen = shown(page, payloads, payloads).values()
    assert sorted(seen) == ["avif"] * 3 + ["payload"] * 3
    assert report(page)["failures"] == 0


def test_a_picture_that_is_far_too_large_turns_nobody_away(site, page, photos):
    # Decoding two would take too long; the third comes meanwhile.
    payloads = {"a": blank(9_000, 5_000), "b": blank(10_000, 5_001), "c": photos[0]}
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    site.delays[site.path("c", "slat").name] = 0.4
    # Slow enough to be there still.
    site.change(("busy = true;", "$& await new Promise((d) => setTimeout(d, 900));"))
    visit_twice(page, site.url)
    assert shown(page, payloads, {"c": photos[0]}) == {"a": "avif", "b": "avif", "c": "payload"}
    assert report(page)["failures"] == 0


def test_a_failure_half_way_through_a_stream_is_repaired_from_the_network(site, page):
    payload = blank(2000, 1200, bytes(range(200)))
    site.page("index.html", site.add("a", payload))
    half_way = "done += made; if (controller && done > 900) throw new Error('half-way');"
    site.change(("done += made;", half_way))
    visit_twice(page, site.url)
    wait_for_report(page, lambda told: told["failures"] == 1)
    page.wait_for_function("document.getElementById('a').naturalWidth === 32")  # the fallback's
    assert shows(page, "a") == "avif"


def test_memory_that_runs_out(site, page, photos):
    payloads = dict(zip("abc", photos, strict=True))
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    # The first that asks gets none; its engine is given up, and the others have a new one.
    site.change(
        ("check(exports.sc_alloc(most * width * channels))", "globalThis.again++ ? $& : 0"),
        ("const log = [];", "$& globalThis.again = 0;"),
    )
    visit_twice(page, site.url)
    seen = shown(page, payloads, payloads)
    assert sorted(seen.values()) == ["avif", "payload", "payload"]
    assert report(page)["failures"] == 1


def test_a_worker_that_the_browser_ends_comes_back(site, page, context, photos):
    payload = photos[0]
    site.page("index.html", site.add("a", payload))
    visit_twice(page, site.url)
    stop_workers(context, page)
    insert(page, site.address("a") + "?again", "again")
    assert shows(page, "again", payload) == "payload"
    assert len(report(page)["log"]) == 1


def test_engine_and_model_that_the_browser_has_cleared_away(site, page, photos):
    payload = photos[0]
    site.page("index.html", site.add("a", payload))
    visit_twice(page, site.url)
    page.evaluate("caches.delete('sitecodec:/')")
    for _ in range(2):
        page.goto(site.url)
        assert shows(page, "a", payload) in ("payload", "avif")
        wait_until_prepared(page)
    page.goto(site.url)
    assert shows(page, "a", payload) == "payload"
    assert not report(page)["aside"]


def test_a_site_that_gives_up_its_worker(site, page, photos):
    payload = photos[0]
    site.page("index.html", site.add("a", payload))
    page.goto(site.url)
    wait_until_prepared(page)
    for path in [site.root / worker.NAME, *(site.root / FOLDER).glob("*.slat")]:
        path.unlink()
    (site.root / "plain.html").write_text(f"<img id=a src={site.address('a')}>")
    page.goto(f"{site.url}plain.html")
    assert shows(page, "a") == "avif"
    page.wait_for_function("caches.keys().then((keys) => !keys.length)")
    assert not page.evaluate("navigator.serviceWorker.getRegistration().then(Boolean)")


IMPATIENT = ("SILENCE = 4000;", "SILENCE = 600;")


def test_a_host_that_takes_requests_and_sends_nothing(site, page, photos):
    payloads = dict(zip("abcd", (*photos, blank(32, 32)), strict=True))
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    site.change(IMPATIENT)
    never = threading.Event()
    site.holds = {site.path(name, "slat").name: never for name in "ab"}
    site.stalls = {site.path("c", "slat").name: never}
    visit_twice(page, site.url)
    seen = shown(page, payloads, payloads)
    assert seen == {"a": "avif", "b": "avif", "c": "avif", "d": "payload"}
    # The next page does not wait again.
    wait_for_report(page, lambda told: told["aside"])
    site.log.clear()
    page.goto(site.url)
    assert set(shown(page, "abc").values()) == {"avif"}
    assert not site.asked(".slat")


def test_storage_that_does_not_answer(site, page, photos):
    site.page("index.html", site.add("a", photos[0]))
    site.change(IMPATIENT, ("= await cache.match(place);", "= await new Promise(() => {});"))
    visit_twice(page, site.url)
    assert shows(page, "a") == "avif"
    assert report(page)["failures"] == 0


def test_a_decoder_that_never_ends_holds_up_nobody_for_ever(site, page, photos):
    payloads = dict(zip("ab", photos, strict=False))
    site.page("index.html", site.add("a", payloads["a"]))
    site.add("b", payloads["b"])
    site.page("other.html", site.add("b", payloads["b"]))
    site.change(
        ("PATIENCE = 8000;", "PATIENCE = 700;"),
        ("const before = now();", "if (!globalThis.hung++) await new Promise(() => {}); $&"),
        ("const log = [];", "$& globalThis.hung = 0;"),
    )
    visit_twice(page, site.url)
    assert shows(page, "a") == "avif"
    insert(page, site.address("b"), "b")
    assert shows(page, "b", payloads["b"]) in ("payload", "avif")  # it may have waited too long
    insert(page, site.address("b") + "?again", "again")
    assert shows(page, "again", payloads["b"]) == "payload"


def test_messages_of_the_wrong_shape_are_ignored(site, page, photos):
    payloads = dict(zip("abc", photos, strict=True))
    site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
    page.goto(site.url)
    wait_until_prepared(page)
    page.evaluate("""async () => {
      const { active } = await navigator.serviceWorker.getRegistration();
      const near = [undefined, null, 5, "abc", {}, { find: 1 }, [null, {}, [], 7]];
      for (const stems of near) active.postMessage({ sitecodec: "near", stems });
      const whats = [null, 1, "near", [], { sitecodec: {} }, { sitecodec: "report" }];
      for (const what of whats) active.postMessage(what);
    }""")
    for name, payload in payloads.items():
        insert(page, f"{site.address(name)}?after", f"{name}2")
        assert shows(page, f"{name}2", payload) == "payload"
    assert page.errors == []


def test_after_a_rest_all_is_tried_again(site, page, photos):
    """Three visits while a host is between two versions do not put the worker aside for good."""
    site.page("index.html", site.add("a", photos[0]) + site.add("b", photos[1]))
    site.change(
        ("MOST_FAILURES = 3", "MOST_FAILURES = 1"),
        ("> REST", "> (globalThis.rest ?? REST)"),
        ('if (what === "prepare")', 'if (what === "rest") globalThis.rest = -1; $&'),
    )
    missing = site.path("a", "slat").name
    site.answers[missing] = (404, b"gone")
    visit_twice(page, site.url)
    assert shows(page, "a") == "avif"
    wait_for_report(page, lambda told: told["aside"])
    del site.answers[missing]
    page.goto(site.url)
    assert shows(page, "a") == "avif"
    page.evaluate("""async () => {
      const { active } = await navigator.serviceWorker.getRegistration();
      active.postMessage({ sitecodec: "rest" });
    }""")
    wait_for_report(page, lambda told: not told["aside"])
    insert(page, f"{site.address('a')}?again", "again")
    assert shows(page, "again", photos[0]) == "payload"


def test_fuzzed_payloads(site, page, photos):
    rng = np.random.default_rng(0)
    payloads = {}
    for n in range(72):
        bad = bytearray(photos[n % 3])
        for _ in range(rng.integers(1, 9)):
            # Of the header only what is not the size: the address names that.
            at = int(rng.integers(14, len(bad))) if n % 3 else int(rng.integers(0, 10))
            bad[at] = int(rng.integers(256))
        if n % 4 == 3:
            del bad[int(rng.integers(0, len(bad))) :]
        payloads[f"f{n}"] = sealed(bytes(bad)) if n % 2 and len(bad) >= 20 else bytes(bad)
    # The server sends them under the names of good ones, which the worker knows.
    site.page("index.html", "".join(site.add(n, sealed(photos[0] + n.encode())) for n in payloads))
    site.answers = {site.path(n, "slat").name: (200, data) for n, data in payloads.items()}
    # All of them, however many fail.
    site.change(("MOST_FAILURES = 3", "MOST_FAILURES = 99"))
    wanted = {}
    for name, data in payloads.items():
        try:
            codecs.get("web").decode(data)
            wanted[name] = "payload"
        except PayloadError:
            wanted[name] = "avif"
        except Exception:  # a model that is not here
            wanted[name] = "avif"
    assert set(wanted.values()) == {"payload", "avif"}
    visit_twice(page, site.url)
    decodable = {name: data for name, data in payloads.items() if wanted[name] == "payload"}
    assert shown(page, payloads, decodable) == wanted
    assert page.errors == []

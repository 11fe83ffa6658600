"""What a site and its visitors bring along: policies, thrift, old browsers, other workers."""

from __future__ import annotations

import pytest

from sitecodec.visitors import host_notes, worker
from tests.browser.looking import (
    shows,
    visit_twice,
    wait_until_kept,
    wait_until_prepared,
)
from tests.browser.serving import FOLDER
from tests.browser.test_failures import LONG_ENOUGH


def test_policies_that_forbid_it(new_site, new_page, photos):
    policies = [
        "default-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:",
        "script-src 'self'; connect-src 'none'",
        "script-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'",
    ]
    visits = [(policy, new_site(), new_page()) for policy in policies]
    for policy, site, _ in visits:
        site.page("index.html", site.add("a", photos[0]))
        site.headers["Content-Security-Policy"] = policy
        # The build says so, if the policy stands in the host's configuration.
        (site.root / "_headers").write_text(f"/*\n  Content-Security-Policy: {policy}\n")
        assert host_notes.notes(site.root, FOLDER)[0].startswith("_headers: the policy"), policy
    for _ in range(2):
        for _, site, page in visits:
            page.goto(site.url)
        visits[-1][2].wait_for_timeout(LONG_ENOUGH)
        for policy, _, page in visits:
            assert shows(page, "a") == "avif", policy
    for policy, site, _ in visits:
        assert not site.asked(".slat"), policy
        assert not site.asked(".bin"), policy


def test_a_strict_policy_that_allows_it(site, page, photos):
    site.page("index.html", site.add("a", photos[0]))
    policy = (
        "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline';"
        " script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'"
    )
    site.headers["Content-Security-Policy"] = policy
    (site.root / "_headers").write_text(f"/*\n  Content-Security-Policy: {policy}\n")
    assert not [note for note in host_notes.notes(site.root, FOLDER) if "policy" in note]
    visit_twice(page, site.url)
    assert shows(page, "a", photos[0]) == "payload"
    assert page.errors == []


_SAVE_DATA = "Object.defineProperty(NetworkInformation.prototype, 'saveData', { get: () => true })"
_SPARED = {
    "no WebAssembly": "delete self.WebAssembly",
    "no DecompressionStream": "delete self.DecompressionStream",
    "Save-Data": _SAVE_DATA,
    "2G": _SAVE_DATA.replace("saveData", "effectiveType").replace("true", "'slow-2g'"),
    "reduced data": "const real = matchMedia; self.matchMedia = (query) =>"
    " query.includes('reduced-data: reduce') ? { matches: true } : real.call(self, query);",
}


def test_who_saves_data_or_lacks_what_it_takes(new_site, new_page, photos):
    visits = [(new_site(), new_page(), script) for script in _SPARED.values()]
    for site, page, script in visits:
        site.page("index.html", site.add("a", photos[0]))
        page.add_init_script(script)
    for _ in range(2):
        for site, page, _ in visits:
            page.goto(site.url)
        visits[-1][1].wait_for_timeout(LONG_ENOUGH)
        for _, page, _ in visits:
            assert shows(page, "a") == "avif"
    for site, _, _ in visits:
        assert not site.asked(worker.NAME)
        assert not site.asked(".bin")


def test_save_data_takes_the_payload_where_the_model_is_there_already(site, page, photos):
    site.page("index.html", site.add("a", photos[0]))
    page.goto(site.url)
    wait_until_prepared(page)
    page.add_init_script(_SAVE_DATA)
    page.goto(site.url)
    assert page.evaluate("navigator.connection.saveData")
    assert shows(page, "a", photos[0]) == "payload"


def test_the_site_s_own_worker_is_left_alone(site, page, photos):
    site.root.mkdir(parents=True, exist_ok=True)
    (site.root / "own.js").write_text("self.addEventListener('fetch', () => {});")
    own = "<script>navigator.serviceWorker.register('/own.js')</script>"
    site.page("index.html", own + site.add("a", photos[0]))
    for _ in range(2):
        page.goto(site.url)
        page.wait_for_timeout(LONG_ENOUGH)
        assert shows(page, "a") == "avif"
    found = page.evaluate(
        "navigator.serviceWorker.getRegistrations().then((all) => all.map((r) =>"
        " (r.active || r.installing || r.waiting).scriptURL))"
    )
    assert found == [f"{site.url}own.js"]
    assert not site.asked(".bin")


def test_a_worker_that_the_site_gets_later_takes_over(site, page, photos):
    picture = site.add("a", photos[0])
    site.page("index.html", picture)
    visit_twice(page, site.url)
    (site.root / "own.js").write_text("self.addEventListener('fetch', () => {});")
    own = "<script>navigator.serviceWorker.register('/own.js')</script>"
    site.page("index.html", own + picture)
    for _ in range(2):
        page.goto(site.url)
        page.wait_for_timeout(LONG_ENOUGH)
    for _ in range(40):  # ours goes with its last page, some time after it
        page.goto("about:blank")
        page.wait_for_timeout(100)
        page.goto(site.url)
        if page.evaluate("navigator.serviceWorker.controller?.scriptURL.endsWith('/own.js')"):
            break
    assert shows(page, "a") == "avif"
    page.wait_for_timeout(LONG_ENOUGH)
    assert page.evaluate(
        "navigator.serviceWorker.getRegistration().then((r) =>"
        " [r.installing, r.waiting, r.active].map((own) => own && own.scriptURL))"
    ) == [None, None, f"{site.url}own.js"]


@pytest.mark.parametrize("folder", ["", "sub/"])
def test_the_site_s_own_worker_may_import_ours(site, page, photos, folder):
    payload = photos[0]
    own = f"<script>navigator.serviceWorker.register('/{folder}own.js', {{ scope: '/' }})</script>"
    site.page("index.html", own + site.add("a", payload))
    site.headers["Service-Worker-Allowed"] = "/"
    (site.root / folder).mkdir(exist_ok=True)
    (site.root / folder / "own.js").write_text(
        ("self.sitecodecRoot = '/';" if folder else "") + f"importScripts('/{worker.NAME}');"
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
    wait_until_kept(page, 1)
    # Its pages and our pictures are there when the server is not.
    site.down = True
    page.goto(site.url)
    assert shows(page, "a", payload) == "payload"


def test_another_worker_s_caches_are_not_touched(site, page, photos):
    payload = photos[0]
    site.page("index.html", site.add("a", payload))
    page.goto(site.url)
    page.evaluate("caches.open('precious').then((c) => c.put('/x', new Response('y')))")
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"
    assert set(page.evaluate("caches.keys()")) == {"precious", "sitecodec:/"}

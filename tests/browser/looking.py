"""What a page shows, and what the worker says of itself."""

from __future__ import annotations

import base64
import functools
import hashlib
import time

import numpy as np

from sitecodec import codecs
from sitecodec.payload import read_header
from tests.browser import firefox
from tests.browser.serving import BLUE, RED

REPORT = """async () => {
  const found = await navigator.serviceWorker.getRegistration();
  const active = found?.active || (found && navigator.serviceWorker.controller);
  if (!active) return null;
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => resolve(data);
    active.postMessage({ sitecodec: "report" }, [channel.port2]);
    setTimeout(() => resolve(null), 3000);
  });
}"""

_DRAWN = """
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { colorSpace: "srgb" });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
"""

# SHA-256 of all pixels in order as RGBA, and one pixel of the middle. '' for a broken image.
SEEN = (
    """async (image) => {
  if (!image.complete) await new Promise((done) => (image.onload = image.onerror = done));
  if (!image.naturalWidth) return ["", []];"""
    + _DRAWN
    + """  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  const middle = 4 * (canvas.width * (canvas.height >> 1) + (canvas.width >> 1));
  return [btoa(String.fromCharCode(...hash)), Array.from(data.subarray(middle, middle + 3))];
}"""
)

# All pixels in order as RGBA, base64.
PIXELS = (
    """async (image) => {"""
    + _DRAWN
    + """  let text = "";
  for (const byte of data) text += String.fromCharCode(byte);
  return btoa(text);
}"""
)


def until(page, expression, seconds=60):
    """Wait until an expression holds, by asking: under a strict policy pages cannot wait by `eval`.

    That is how playwright's `wait_for_function` does it, from the second look on.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def report(page):
    """What the worker says of itself; None if there is none."""
    return page.evaluate(REPORT)


def wait_until_prepared(page, seconds=30):
    """Wait until the worker has engine and model; returns its report."""
    return wait_for_report(page, lambda told: told["prepared"], seconds)


def wait_for_report(page, wanted, seconds=30, *, update=False):
    """Wait until the worker's report is as wanted.

    With `update`, have the browser look for a new version; by itself it does some time after.
    """
    end = time.monotonic() + seconds
    pause = 30.0
    while time.monotonic() < end:
        told = report(page)
        if told and wanted(told):
            return told
        # Less and less often: a browser looks for a new version when the old one has rested.
        page.wait_for_timeout(pause)
        pause = min(2500, 1.4 * pause)
        if update:
            page.evaluate("navigator.serviceWorker.getRegistration().then((r) => r?.update())")
            # The new one waits for the old one's rest, which Chromium at times does not notice
            # before it ends that, half a minute later.
            if pause == 2500 and not isinstance(page, firefox.Page):
                stop_workers(page.context, page)
    raise AssertionError(f"the worker came to nothing: {report(page)}")


def wait_until_kept(page, count, seconds=30):
    """Wait until the store holds so many payloads, which it gets after the pictures are shown.

    Returns what all that it holds is called, without hashes, sorted.
    """
    end = time.monotonic() + seconds
    while True:
        kept = page.evaluate(
            "caches.open('sitecodec:/').then((cache) => cache.keys())"
            ".then((keys) => keys.map(({ url }) => url))"
        )
        if sum(url.endswith(".slat") for url in kept) == count:
            return sorted(url.rpartition("/")[2].partition("-")[0] for url in kept)
        assert time.monotonic() < end, kept
        page.wait_for_timeout(50)


def visit_twice(page, url):
    """A first visit that ends with engine and model in place, then a second."""
    page.goto(url)
    wait_until_prepared(page)
    page.goto(url)
    # See test_firefox.py; in Chromium that would be a fault.
    if isinstance(page, firefox.Page):
        while not page.evaluate("!!navigator.serviceWorker.controller"):
            page.goto(url)


def stop_workers(context, page):
    """End all service workers, as a browser does that needs their memory."""
    session = context.new_cdp_session(page)
    status = {}
    session.on(
        "ServiceWorker.workerVersionUpdated",
        lambda event: status.update(
            (v["versionId"], v["runningStatus"]) for v in event["versions"]
        ),
    )
    session.send("ServiceWorker.enable")
    end = time.monotonic() + 30
    while not status or set(status.values()) != {"stopped"}:
        assert time.monotonic() < end, status
        # More than once: one that is just about to start is not stopped.
        session.send("ServiceWorker.stopAllWorkers")
        page.wait_for_timeout(100)
    session.detach()


def insert(page, address, name):
    """Put an image into the page that is open."""
    page.evaluate(
        "([address, name]) => { const image = new Image(); image.id = name; image.src = address;"
        " document.body.append(image); }",
        [address, name],
    )


def decoded(payload):
    """The picture that Python decodes."""
    return codecs.get(read_header(payload).codec).decode(payload)


def same_with_alpha(data, payload):
    """Whether PIXELS has seen what Python decodes: alpha exactly, colours as far as it shows them.

    A canvas keeps colours multiplied by alpha, in eight bits.
    """
    pixels = decoded(payload).astype(int)
    seen = np.frombuffer(base64.b64decode(data), np.uint8).astype(int)
    if seen.size != pixels.size:
        return False
    seen = seen.reshape(pixels.shape)
    alpha = pixels[..., 3:]
    lost = np.abs(seen[..., :3] - pixels[..., :3]) * alpha
    exact = (alpha < 255) | (seen[..., :3] == pixels[..., :3])
    return bool((seen[..., 3:] == alpha).all() and exact.all() and lost.max() <= 255)


@functools.lru_cache(maxsize=512)
def digest(payload):
    """What SEEN makes of the picture that Python decodes."""
    pixels = decoded(payload)
    opaque = np.dstack((pixels, np.full(pixels.shape[:2], 255, np.uint8)))
    return base64.b64encode(hashlib.sha256(opaque).digest()).decode()


def shown(page, names, payloads=None):
    """What images show, by id, a word each (see `shows`). `payloads` are the payloads by id."""
    found = page.evaluate(
        f"(ids) => Promise.all(ids.map((id) => ({SEEN})(document.getElementById(id))))",
        list(names),
    )
    return {
        name: _word(seen, middle, (payloads or {}).get(name))
        for name, (seen, middle) in zip(names, found, strict=True)
    }


def shows(page, name, payload=None):
    """What an image shows: 'payload', 'avif', 'jpeg', 'broken' or 'something else'."""
    return shown(page, [name], {name: payload})[name]


def _word(seen, middle, payload):
    if not seen:
        return "broken"
    if payload is not None and seen == digest(payload):
        return "payload"
    for word, colour in (("avif", RED), ("jpeg", BLUE)):
        if np.abs(np.subtract(middle, colour)).max() < 12:
            return word
    return "something else"

"""The same pixels in Chromium and Firefox as in Python: every golden, and fifty random pictures.

But for a picture that is transparent all over: Chromium takes such a bitmap for an opaque one.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sitecodec import codecs, models
from sitecodec.payload import read_header
from tests.browser.looking import (
    PIXELS,
    SEEN,
    decoded,
    digest,
    report,
    same_with_alpha,
    visit_twice,
    wait_until_prepared,
)
from tests.browser.serving import serving
from tests.conftest import make_page, make_photo, make_text

GOLDENS = Path(__file__).resolve().parent.parent / "goldens"
RANDOM = 50


def random_payload(seed):
    """A photograph, letters, noise or a screenshot, of any size and quality."""
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(1, 200, 2))
    if seed % 4 == 3:
        return codecs.get("flat").encode(make_page(240, 300)[:height, :width], 100)
    if seed % 4 == 0:
        pixels = make_photo(height, width, seed)
    elif seed % 4 == 1:
        pixels = make_text(height, width, seed)
    else:
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    return codecs.get("web").encode(pixels, float(rng.uniform(0, 100)))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A site of all of them, and the payloads by the ids of their images."""
    payloads = {path.stem: path.read_bytes() for path in sorted(GOLDENS.glob("*.slat"))}
    model = models.fingerprint(models.read(models.DEFAULT, "decoder"))
    headers = {name: read_header(payload) for name, payload in payloads.items()}
    payloads = {
        name: payload
        for name, payload in payloads.items()
        if headers[name].codec == "flat" or headers[name].model == model
    }
    assert len(payloads) >= 10
    for name in [name for name, payload in payloads.items() if decoded(payload).shape[2] == 4]:
        payload = payloads.pop(name)
        if not name.startswith("nothing"):
            payloads[f"alpha-{name}"] = payload
    payloads |= {f"random{seed}": random_payload(seed) for seed in range(RANDOM)}
    with serving(tmp_path_factory.mktemp("pixels") / "site") as site:
        site.page("index.html", "".join(site.add(*item) for item in payloads.items()))
        yield site, payloads


# Pixels of pictures with alpha, of the others a hash.
_LOOK = f"""async () => {{
  const pixels = {PIXELS};
  const look = {SEEN};
  const seen = {{}};
  for (const image of document.images)
    seen[image.id] = image.id.startsWith("alpha") ? await pixels(image) : (await look(image))[0];
  return seen;
}}"""


def check(site, page, payloads):
    page.goto(site.url)
    first = page.evaluate(_LOOK)
    wait_until_prepared(page)
    page.goto(site.url)
    second = page.evaluate(_LOOK)
    clear = {name: payload for name, payload in payloads.items() if name.startswith("alpha")}
    assert len(clear) >= 3
    wanted = {name: digest(payload) for name, payload in payloads.items() if name not in clear}
    assert not set(wanted.values()) & set(first.values())
    assert len(report(page)["log"]) == len(payloads)
    assert {name for name in wanted if second[name] != wanted[name]} == set()
    for name, payload in clear.items():
        assert not same_with_alpha(first[name], payload)
        assert same_with_alpha(second[name], payload), name


def test_chromium_shows_the_same_pixels(pictures, page):
    check(pictures[0], page, pictures[1])


def test_firefox_shows_the_same_pixels(pictures, firefox):
    check(pictures[0], firefox, pictures[1])


@pytest.mark.parametrize("streamed", [False, True])
def test_what_lies_behind_shows_through(page, site, streamed):
    """A screenshot over a colour: the bitmap's alpha is really used."""
    payload = (GOLDENS / "cutout-1.slat").read_bytes()
    behind = np.array([0, 160, 90])
    style = "<style>body { margin: 0; background: rgb(0 160 90) } p { display: none }</style>"
    site.page("index.html", style + site.add("cutout", payload))
    if streamed:
        site.change(("STREAMED = 2e6", "STREAMED = 0"))
    visit_twice(page, site.url)
    assert [seen["bytes"] for seen in report(page)["log"]] == [len(payload)]
    page.evaluate("document.images[0].decode()")
    pixels = decoded(payload).astype(float)
    share = pixels[..., 3:] / 255
    wanted = pixels[..., :3] * share + behind * (1 - share)
    box = {"x": 0, "y": 0, "width": pixels.shape[1], "height": pixels.shape[0]}
    with Image.open(io.BytesIO(page.screenshot(clip=box))) as image:
        seen = np.asarray(image.convert("RGB")).astype(float)
    assert np.abs(seen - wanted).max() <= 2
    assert (seen[share[..., 0] == 0] == behind).all()

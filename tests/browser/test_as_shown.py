"""Sources are read as Chromium and Firefox show them: colours, direction, soundness."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from sitecodec import metrics
from sitecodec.encoding import conventional, encoders, images, sources
from sitecodec.encoding.task import Task
from sitecodec.errors import ImageError
from sitecodec.facts import formats
from tests import picture_files
from tests.conftest import make_photo

GROUPS = ("colours", "profiles", "directions", "sound")
# Firefox rounds a curve without primaries to another one: nobody sees it.
ALIKE = 1.5

# What both browsers show alike, and is left alone or refused all the same.
REFUSED = {
    "gamma-short.png",  # a broken chunk
    "cicp-reserved.png",
    "cicp-half.png",
    "dense.jpg",  # smaller than its pixels
    "wrong-crc-header.png",
    "half-progressive.jpg",  # a blurred picture
    "between.png",  # a part of one
    "half.webp",
    # PNGs that eXIf turns: some versions of Firefox (140.12) turned none of them.
    *("exif.png", "exif-big.png", "exif-twice.png"),
    *(f"turn-{turn}.png" for turn in range(2, 9)),
}
# What is shown whole, where the browsers leave out the last rows each in its way.
MENDED = {"no-end.jpg"}
# What is taken although the browsers differ: two directions in one file, a chunk nobody writes.
EITHER = {"exif-both.jpg", "unknown-critical.png", "zlib-cut.png"}

ASK = """async (names) => {
  const shown = {};
  for (const name of names) {
    const image = new Image();
    image.src = name;
    await new Promise((done) => { image.onload = image.onerror = done; });
    const canvas = document.createElement("canvas");
    // In the page, or else Firefox does not turn it.
    document.body.append(image);
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    if (!canvas.width) continue;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const text = Array.from(data, (value) => String.fromCharCode(value)).join("");
    shown[name] = [canvas.height, canvas.width, btoa(text)];
  }
  return shown;
}"""


@pytest.fixture(scope="module")
def files():
    return {
        name: data for group in GROUPS for name, data in getattr(picture_files, group)().items()
    }


def as_shown(site, page, files):
    """The pixels that a browser shows of each file, with alpha; without those it refuses."""
    for name, data in files.items():
        (site.root / name).write_bytes(data)
    (site.root / "index.html").write_text("<!doctype html><title>t</title><body>")
    page.goto(site.url + "index.html")
    return {
        name: np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
        for name, (height, width, text) in page.evaluate(ASK, sorted(files)).items()
    }


def as_read(files):
    """The same of what is encoded; without what is left alone or refused."""
    found = {}
    for name, data in files.items():
        try:
            source = sources.load(data, name, 10**6)
        except ImageError:
            continue
        if isinstance(source, sources.Source):
            alpha = np.full((source.height, source.width), 255, np.uint8)
            found[name] = np.dstack([source.pixels, alpha])[..., :4]
            if source.pixels.shape[2] == 4:
                found[name] = source.pixels
    return found


def alike(first, second):
    if first is None or second is None or first.shape != second.shape:
        return False
    visible = (first[..., 3:] > 0) & (second[..., 3:] > 0)
    difference = np.abs(first.astype(int) - second)
    colours = (difference[..., :3] * visible).mean()
    return colours <= ALIKE and difference[..., 3].mean() <= ALIKE


def test_what_is_encoded_is_what_browsers_show(new_site, new_page, firefox, files):
    read = as_read(files)
    seen = [as_shown(new_site(), page, files) for page in (new_page(), firefox)]
    names = files.keys() - MENDED - EITHER
    wrong = [n for n in names for shown in seen if n in read and not alike(read[n], shown.get(n))]
    assert sorted(wrong) == []
    both = {n for n in names if alike(*(shown.get(n) for shown in seen))}
    assert sorted(both - read.keys() - REFUSED) == []
    assert read.keys() >= MENDED


def fading(width, height):
    """A photograph that fades from nothing to all of it."""
    fade = np.broadcast_to(np.linspace(0, 255, width).round().astype(np.uint8), (height, width))
    return images.filled(np.dstack([make_photo(height, width, 3), fade]))


def test_soft_transparency_is_shown_as_it_is(new_site, new_page, firefox):
    """Chromium on Debian would show the fade of an AVIF wrong."""
    pixels = fading(256, 64)
    with metrics.against(pixels) as score:
        task = Task(pixels, score, False, 65.0, 45.0)
        found = conventional.smallest(task, 1e9, conventional.Offsets())
    assert found.format is formats.WEBP
    assert found.encoded
    files = {"soft.webp": found.encoded.data}
    for page in (new_page(), firefox):
        shown = as_shown(new_site(), page, files)["soft.webp"]
        assert np.abs(shown[..., 3].astype(int) - pixels[..., 3]).max() <= 1
        clear = shown[..., 3] > 64  # fainter, eight bits say little of a colour
        assert np.abs(shown.astype(int) - images.decode(files["soft.webp"]))[clear].max() <= 4


def test_a_hard_edge_may_be_avif():
    pixels = fading(256, 64)
    pixels[..., 3] = np.where(pixels[..., 3] > 127, 255, 0)
    with metrics.against(pixels) as score:
        assert encoders.usual(Task(pixels, score, False, 65.0)) is not encoders.WEBP

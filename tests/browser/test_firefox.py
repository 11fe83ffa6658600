"""Firefox, which no driver here can steer: a page visits twice by itself and posts what it saw."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from sitecodec import codecs
from sitecodec.payload import read_header
from tests.conftest import make_photo

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
GOLDENS = Path(__file__).resolve().parent.parent / "goldens"
_PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.aboutwelcome.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}

# Pixels are hashed in the page: all of them, in order, as RGBA.
_SCRIPT = """<script>
const report = async () => {
  const found = await navigator.serviceWorker.getRegistration();
  if (!found?.active) return null;
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => resolve(data);
    found.active.postMessage({ sitecodec: "report" }, [channel.port2]);
  });
};
const hash = async (image) => {
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const digest = await crypto.subtle.digest("SHA-256", data);
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
};
addEventListener("load", async () => {
  const seen = {};
  for (const image of document.images) seen[image.id] = await hash(image).catch(String);
  const told = await report();
  await fetch("/", { method: "POST", body: JSON.stringify({ seen, told }) });
  if (location.search) return;
  while (!(await report())?.prepared) await new Promise((done) => setTimeout(done, 100));
  location.search = "?second";
});
</script>"""


def digest(pixels):
    opaque = np.dstack((pixels, np.full(pixels.shape[:2], 255, np.uint8)))
    return base64.b64encode(hashlib.sha256(opaque.tobytes()).digest()).decode()


@pytest.mark.skipif(FIREFOX is None, reason="there is no Firefox here")
def test_firefox_shows_the_same_pixels(site, tmp_path):
    pictures = {}
    body = _SCRIPT
    for path in sorted(GOLDENS.glob("*.slat")):
        if read_header(path.read_bytes()).codec == "web":
            pictures[path.stem] = path.read_bytes()
    for seed in range(3):
        size = 40 + 57 * seed
        pictures[f"photo{seed}"] = codecs.get("web").encode(make_photo(size, 100, seed), 60)
    for name, payload in pictures.items():
        pixels = codecs.get("web").decode(payload)
        body += site.add(name, pixels, payload)
    site.page("index.html", body)
    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "user.js").write_text(
        "".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in _PREFERENCES.items())
    )
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile), site.url]
    firefox = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 90
        while len(site.posted) < 2 and time.monotonic() < end and firefox.poll() is None:
            time.sleep(0.2)
    finally:
        firefox.terminate()
        firefox.wait(20)
    if not site.posted:
        pytest.skip("Firefox did not open the page")
    first, second = map(json.loads, site.posted[:2])
    assert not any(
        digest(codecs.get("web").decode(p)) in first["seen"].values() for p in pictures.values()
    )
    assert second["told"]["log"], site.log
    for name, payload in pictures.items():
        assert second["seen"][name] == digest(codecs.get("web").decode(payload)), name

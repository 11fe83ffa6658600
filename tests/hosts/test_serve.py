"""`mkdocs serve` with the plugin, as an author runs it; ProperDocs too, where it is installed."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mkdocs_plugin
import sitecodec
from sitecodec import codecs
from sitecodec.disk.store import Store
from tests.hosts.running import Live, eventually, mkdocs

HOSTS = ["mkdocs", "properdocs"]


@pytest.fixture
def project(tmp_path: Path, make: Any) -> Path:
    docs = tmp_path / "docs"
    (docs / "images").mkdir(parents=True)
    for seed, name in enumerate(("a", "b")):
        (docs / f"images/{name}.png").write_bytes(make.file(make.photo(128, 192, seed)))
    (docs / "index.md").write_text("# Home\n\n![A](images/a.png)\n")
    (docs / "other.md").write_text("# Other\n\n![B](images/b.png)\n")
    (tmp_path / "mkdocs.yml").write_text(
        "site_name: x\nsite_url: https://example.com/docs/\ntheme: {name: material, font: false}\n"
        "plugins: [sitecodec]\n"
    )
    shutil.copy(tmp_path / "mkdocs.yml", tmp_path / "properdocs.yml")
    return tmp_path


def picture(server: Live, page: str) -> str:
    """The URL of the decoded picture on a page; '' while the original is shown."""
    html = server.fetch(page).decode()
    assert "images/" in html  # the author's file is always there
    match = re.search(r'<source type="image/png" srcset="(/_sitecodec/[0-9a-f]{64}\.png)"', html)
    return match[1] if match else ""


@pytest.mark.parametrize("host", HOSTS)
def test_decoded_latents_then_an_edit_then_no_loop(project: Path, make: Any, host: str) -> None:
    if importlib.util.find_spec(host) is None:
        pytest.skip(f"{host} is not installed")
    with mkdocs(project, module=host) as server:
        url = str(eventually(lambda: picture(server, "docs/")))
        data = server.fetch(url)
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        payload = Store(project / ".cache/sitecodec").get(url[-68:-4])
        assert payload
        assert np.array_equal(pixels, codecs.get("web").decode(payload))
        assert b"inspector" in server.fetch("_sitecodec/").lower()
        listed = json.loads(server.fetch("_sitecodec/images.json"))
        assert [row["path"] for row in listed["images"]] == ["images/a.png", "images/b.png"]
        for path in ("docs/", "docs/images/a.png", "_sitecodec/"):  # a page elsewhere, by its name
            request = urllib.request.Request(server.url + path, headers={"Host": "evil.example"})
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(request)

        builds = server.count("Building documentation")
        # At once, as editors do: half a file would be another change.
        (project / "a.png").write_bytes(make.file(make.photo(128, 192, 7)))
        (project / "a.png").replace(project / "docs/images/a.png")
        eventually(lambda: picture(server, "docs/") not in ("", url))
        # The server's output comes through a pipe, perhaps after the page.
        eventually(lambda: server.count("Building documentation") > builds)
        time.sleep(2.5)  # several of the host's looks at its folders
        assert server.count("Building documentation") == builds + 1
        (project / "docs/images/a.png").unlink()
        server.until("Reloading browsers")
        assert b"<h1" in server.fetch("docs/other/")
        assert "Traceback" not in server.output
    assert server.process.returncode in (0, 130, -2)


def test_browsers_are_reloaded_without_another_build(project: Path) -> None:
    with mkdocs(project) as server:
        html = server.fetch("docs/").decode()
        match = re.search(r"livereload\((\d+), (\d+)\);", html)
        assert match
        epoch = int(match[1])
        # What the page's script asks; it is answered when there is something new.
        answer = int(server.fetch(f"livereload/{epoch}/{match[2]}"))
        assert answer > epoch
        assert picture(server, "docs/")
        assert server.count("Building documentation") == 1


def test_without_live_reload_a_server_of_our_own(project: Path) -> None:
    with mkdocs(project, "--no-livereload") as server:
        line = server.until("the site with decoded latents is at")
        url = re.search(r"(http://127\.0\.0\.1:\d+/)docs/", line)
        assert url
        own = Live.__new__(Live)
        own.url = url[1]
        assert eventually(lambda: picture(own, "docs/"))


def test_bad_images_and_no_docs_folder_are_a_line_each_and_the_server_goes_on(
    project: Path, make: Any
) -> None:
    images = project / "docs/images"
    (images / "bad.png").write_bytes(b"garbage" * 2000)
    (images / "dir.png").mkdir()
    (images / "dir.png/x.txt").write_text("")
    (images / "broken.png").symlink_to("nowhere.png")
    tags = "".join(f'<img src="images/{n}.png">' for n in ("bad", "dir", "broken", "missing"))
    (project / "docs/index.md").write_text(f"# Home\n\n![A](images/a.png)\n\n{tags}\n")
    with mkdocs(project) as server:

        def row(name: str) -> Any:
            listed = json.loads(server.fetch("_sitecodec/images.json"))
            rows = {row["path"]: row for row in listed["images"]}
            return rows.get(f"images/{name}.png", {"state": ""})

        assert eventually(lambda: picture(server, "docs/"))
        for name, reason in (
            ("bad", "not a PNG, JPEG or WebP image"),
            ("dir", "not a file"),
            ("broken", "broken link"),
            ("missing", "not found"),
        ):
            eventually(lambda name=name: row(name)["state"] == "problem")
            assert reason in row(name)["reason"]
            server.until(f"WARNING .*index.html: images/{name}.png: .*{reason}")
            assert server.count(f"images/{name}.png: ") == 1

        # An image that becomes a folder, twice, and an image again.
        data = (images / "a.png").read_bytes()
        for _ in range(2):
            (images / "a.png").unlink()
            (images / "a.png").mkdir()
            (images / "a.png/x.txt").write_text("")
            eventually(lambda: row("a")["state"] == "problem")
            shutil.rmtree(images / "a.png")
            (images / "a.png").write_bytes(data)
            eventually(lambda: row("a")["state"] in ("quick", "done"))

        # The whole docs folder, which the host looks at no longer once it is gone. A build that is
        # under way then would have emptied the site, and failed.
        server.rest()
        (project / "docs").rename(project / "away")
        server.until("WARNING .*docs is gone; put it back")
        with (project / "mkdocs.yml").open("a") as config:  # a build that fails
            config.write("\n# changed\n")
        server.until("An error happened during the rebuild")
        assert b"<h1" in server.fetch("docs/")
        assert server.fetch("_sitecodec/")
        (project / "away").rename(project / "docs")
        builds = server.count("Building documentation")
        eventually(lambda: server.count("Building documentation") > builds)
        (images / "a.png").write_bytes(make.file(make.photo(128, 160, 7)))
        eventually(lambda: row("a").get("width") == 160)
        assert server.count("docs is gone") == 1
        # MkDocs itself may stumble over a file that goes while it copies; we never do.
        assert str(Path(sitecodec.__file__).parent) not in server.output, server.output
        assert str(Path(mkdocs_plugin.__file__).parent) not in server.output, server.output

"""mkdocs_plugin: real MkDocs builds with real encodes."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort, PluginError
from mkdocs.plugins import get_plugins
from sitecodec.hosts.mkdocs_plugin.config import SitecodecConfig
from sitecodec.hosts.mkdocs_plugin.plugin import SitecodecPlugin

from sitecodec.page.html import scan
from sitecodec.settings import Settings

NAMES = ["a.png", "sp ace.png", "per%20cent.png", "semi;colon.png", "\u00fcn\u00ef.png", "(p).png"]
Project = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def photos(make: Any) -> dict[str, bytes]:
    data = [make.file(make.photo(80, 120, seed)) for seed in range(3)]
    return {name: data[number % 3] for number, name in enumerate(NAMES)}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that the tests share, so that each photograph is encoded once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def docs(tmp_path: Path, photos: dict[str, bytes]) -> Path:
    """A docs folder with two pages and a folder of images."""
    folder = tmp_path / "project/docs"
    (folder / "images").mkdir(parents=True)
    (folder / "sub").mkdir()
    for name, data in photos.items():
        (folder / "images" / name).write_bytes(data)
    for page, up in (("index.md", ""), ("sub/page.md", "../")):
        lines = [f"![Alt {n}](<{up}images/{quote(n)}>){{ .c }}\n\n" for n in NAMES]
        (folder / page).write_text("# Page\n\n" + "".join(lines))
    return folder


def settings_of(docs: Path, store: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    # These tests look into <picture>; which form a theme allows is the subject of others.
    plugin = {"markup": "picture"} | options.pop("sitecodec", {})
    if store is not None:
        plugin = {"store": str(store), **plugin}
    return {
        "config_file": str(docs.parent / "mkdocs.yml"),
        "site_name": "x",
        "docs_dir": str(docs),
        "site_dir": str(docs.parent / "site"),
        "theme": {"name": "mkdocs"},
        "markdown_extensions": ["attr_list", "md_in_html"],
        "plugins": [{"sitecodec": plugin}],
        **options,
    }


def built(docs: Path, store: Path | None, command: str = "build", **options: Any) -> Path:
    """Build in this process; returns the site."""
    values = settings_of(docs, store, options)
    file = Path(values.pop("config_file"))
    file.write_text(yaml.safe_dump(values))
    config = load_config(str(file))
    config.plugins.on_startup(command=command, dirty=False)
    build(config)
    return Path(config.site_dir)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage()
        for r in caplog.records
        if r.name == "mkdocs.plugins.sitecodec" and r.levelno >= logging.WARNING
    ]


def pictures(page: Path) -> list[str]:
    return re.findall("<picture data-sitecodec>.*?</picture>", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("theme", ["mkdocs", "material"])
@pytest.mark.parametrize("use_directory_urls", [True, False])
def test_every_image_is_offered_and_every_file_is_there(
    docs: Path,
    store: Path,
    caplog: pytest.LogCaptureFixture,
    theme: str,
    use_directory_urls: bool,
) -> None:
    site_url = "https://example.com/my%20docs/v1/"
    site = built(
        docs,
        store,
        theme={"name": theme},
        use_directory_urls=use_directory_urls,
        site_url=site_url,
        strict=True,
        sitecodec={"browser": "always"},
    )
    page = "sub/page/index.html" if use_directory_urls else "sub/page.html"
    for name in ("index.html", page):
        found = pictures(site / name)
        assert len(found) == len(NAMES)
        for picture in found:
            types = re.findall(r'type="([^"]+)"', picture)
            assert types == ["image/x-sitecodec", "image/avif"]
            urls = re.findall(r'(?:src|srcset)="([^"]+)"', picture)
            assert len(urls) == 3
            for url in urls:
                full = urlsplit(urljoin(site_url + quote(name), url)).path
                assert full.startswith("/my%20docs/v1/assets/sitecodec/")
                assert (site / unquote(full).removeprefix("/my docs/v1/")).is_file()
        images = scan((site / name).read_bytes()).images
        ours = [image for image in images if image.in_picture]
        assert [image.get("alt") for image in ours] == [f"Alt {n}" for n in NAMES]
        assert all(image.get("class") == "c" for image in ours)
        assert [image.get("fetchpriority") for image in ours] == [None] * 6  # they are small
        assert not any(image.get("loading") for image in ours)  # all are on the first screen
    for name in NAMES:
        assert (site / "images" / name).is_file()  # the originals stay, links may lead to them
    assert len(list((site / "assets/sitecodec").glob("*w.*"))) == 3 * 3
    assert warnings(caplog) == []
    assert not (docs.parent / ".cache").exists()


def test_a_second_build_gives_the_same_site(docs: Path, store: Path) -> None:
    def snapshot() -> dict[str, bytes]:
        site = built(docs, store)
        files = {p.relative_to(site).as_posix(): p.read_bytes() for p in site.rglob("*.*")}
        return {
            n: d for n, d in files.items() if n.startswith("assets") or n == "sub/page/index.html"
        }

    assert snapshot() == snapshot()


def test_the_404_page_uses_addresses_from_the_root(docs: Path, store: Path) -> None:
    override = docs.parent / "theme"
    override.mkdir()
    (override / "404.html").write_text("<img src=\"{{ 'images/a.png'|url }}\">")
    site = built(
        docs,
        store,
        site_url="https://example.com/sub/",
        theme={"name": "mkdocs", "custom_dir": str(override)},
    )
    urls = re.findall(r'(?:src|srcset)="([^"]+)"', (site / "404.html").read_text())
    assert len(urls) == 2
    for url in urls:
        assert url.startswith("/sub/assets/sitecodec/")
        assert (site / url.removeprefix("/sub/")).is_file()


def test_material_light_and_dark(docs: Path, store: Path) -> None:
    (docs / "index.md").write_text(
        "![l](images/a.png#only-light) ![d](images/sp%20ace.png#only-dark)"
    )
    site = built(docs, store, theme={"name": "material"})
    sources = [i.get("src") for i in scan((site / "index.html").read_bytes()).images]
    assert re.fullmatch(r"assets/sitecodec/a-\w+-120w\.jpg#only-light", str(sources[-2]))
    assert str(sources[-1]).endswith("-120w.jpg#only-dark")


def test_bad_images_are_warnings_and_fail_a_strict_build_at_its_end(
    docs: Path, store: Path, photos: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As a user runs it: every problem listed, the site complete, the exit status 1."""
    images = docs / "images"
    outside = tmp_path_factory.mktemp("elsewhere") / "outside.png"
    outside.write_bytes(photos["a.png"])
    (images / "garbage.png").write_bytes(b"garbage" * 2000)
    (images / "empty.png").write_bytes(b"")
    (images / "truncated.png").write_bytes(photos["a.png"][:9000])
    (images / "broken.png").symlink_to("nowhere.png")
    (images / "leaves.png").symlink_to(outside)
    (images / "within.png").symlink_to("a.png")
    bad = ["garbage.png", "empty.png", "truncated.png", "broken.png", "leaves.png", "missing.png"]
    tags = [f'<img src="images/{name}"  ALT=x>' for name in bad]
    (docs / "index.md").write_text("\n\n".join([*tags, '<img src="images/within.png">']))
    (docs / "sub/page.md").write_text("![x](../images/broken.png)")
    values = settings_of(docs, store, {})
    Path(values.pop("config_file")).write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(
        command, cwd=docs.parent, capture_output=True, text=True, env={**os.environ, "TERM": "dumb"}
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(lines) == len(bad)
    for name in bad:
        (line,) = (line for line in lines if name in line)
        assert f"sitecodec: index.html: images/{name}: " in line
    assert "(also on sub/page/index.html)" in done.stderr
    assert "Aborted with 6 warnings in strict mode!" in done.stdout + done.stderr
    html = (docs.parent / "site/index.html").read_text()
    assert all(tag in html for tag in tags)
    assert "/a-" not in html
    assert len(pictures(docs.parent / "site/index.html")) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_pipes_and_devices_in_place_of_images_are_not_copied(
    docs: Path, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(docs / "images/pipe.png")
    (docs / "images/zero.png").symlink_to("/dev/zero")
    (docs / "index.md").write_text("![p](images/pipe.png) ![z](images/zero.png) ![a](images/a.png)")
    site = built(docs, store)
    assert len(pictures(site / "index.html")) == 1
    assert not (site / "images/pipe.png").exists()
    assert not (site / "images/zero.png").exists()
    for name in ("pipe", "zero"):
        assert f"images/{name}.png: is not a file; remove it" in caplog.text


def test_an_unreadable_image_does_not_stop_the_build(
    docs: Path, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (docs / "images/a.png").chmod(0)
    if os.access(docs / "images/a.png", os.R_OK):
        pytest.skip("the superuser can read anything")
    built(docs, store)
    (line,) = warnings(caplog)
    assert "images/a.png: cannot be read; check its permissions" in line


def test_links_within_the_docs_are_no_problem_when_the_docs_are_a_link(
    docs: Path, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alias = docs.parent / "alias"
    alias.symlink_to(docs)
    values_site = built(docs, store, docs_dir=str(alias))
    assert warnings(caplog) == []
    assert len(pictures(values_site / "index.html")) == len(NAMES)


def test_links_may_lead_to_all_of_the_project_and_its_repository(
    docs: Path, store: Path, photos: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """Folders of images beside the docs, as monorepos have them; not what git keeps for itself."""
    repository, project = docs.parent / "repository", docs.parent / "repository/project"
    project.mkdir(parents=True)
    docs = docs.rename(project / "docs")
    for name in ("project/beside", "shared", ".git"):
        (repository / name).mkdir()
        (repository / name / "a.png").write_bytes(photos["a.png"])
    (docs / "beside").symlink_to("../beside")
    (docs / "shared").symlink_to("../../shared")
    (docs / "hidden.png").symlink_to("../../.git/a.png")
    names = ("beside/a.png", "shared/a.png", "hidden.png")
    (docs / "index.md").write_text("\n".join(f"![x]({name})" for name in names))
    (docs / "sub/page.md").unlink()
    site = built(docs, store)
    (line,) = warnings(caplog)
    assert "hidden.png: is a link that leaves the project" in line
    assert len(pictures(site / "index.html")) == 2


def test_the_preview_leaves_the_built_files_as_they_are(docs: Path, tmp_path: Path) -> None:
    values = settings_of(docs, tmp_path / "store", {})
    file = Path(values.pop("config_file"))
    file.write_text(yaml.safe_dump(values))
    config = load_config(str(file))
    config.plugins.on_startup(command="serve", dirty=False)
    build(config)
    config.plugins.on_shutdown()
    site = Path(config.site_dir)
    assert "<picture" not in (site / "index.html").read_text()
    assert not (site / "assets").exists()


def test_the_store_is_beside_the_configuration_by_default(
    docs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (docs / "index.md").write_text("![x](images/a.png)")
    (docs / "sub/page.md").unlink()
    built(docs, None)
    assert (docs.parent / ".cache/sitecodec").is_dir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["project"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 101}, "quality must be between 0 and 100"),
        ({"store": "docs/cache"}, "store must not be inside docs_dir"),
        ({"store": "site"}, "store must not be inside site_dir"),
        ({"asset_dir": "../x"}, "asset_dir must be a plain relative folder"),
        ({"templates": "nowhere"}, "nowhere is not a folder"),
    ],
)
def test_wrong_options_stop_the_build_with_one_line(
    docs: Path, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    store = None if "store" in options else tmp_path / "store"
    with pytest.raises((PluginError, Abort)) as caught:
        built(docs, store, sitecodec=options)
    error = caught.value.__cause__ or caught.value.__context__ or caught.value
    texts = [str(e) for e in (error, caught.value)]
    assert any(message in text for text in texts)


def test_a_site_replaces_the_template(docs: Path, store: Path) -> None:
    folder = docs.parent / "overrides"
    folder.mkdir()
    (folder / "picture.html.jinja").write_text("<b>{{ author.alt }}</b>")
    site = built(docs, store, sitecodec={"templates": "overrides"})
    assert "<b>Alt semi;colon.png</b>" in (site / "index.html").read_text()


def test_the_summary_is_logged(docs: Path, store: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mkdocs.plugins.sitecodec")
    built(docs, store, sitecodec={"exclude": ["images/a.png"]})
    text = "\n".join(caplog.messages)
    assert "sitecodec: 5 images encoded, 1 left alone, 0 problems; 2 of" in text
    assert "excluded" in text


def test_options_are_those_of_the_settings() -> None:
    config = SitecodecConfig()
    assert set(config.keys()) == {field.name for field in fields(Settings)}
    config.load_dict({})
    assert config.validate() == ([], [])
    for field in fields(Settings):
        value = config[field.name]
        default = getattr(Settings, field.name)
        assert (tuple(value) if field.name in ("exclude", "widths") else value) == (
            default.as_posix() if field.name == "store" else default
        )


@pytest.mark.parametrize("theme", ["mkdocs", "readthedocs", "material"])
def test_pages_are_as_valid_as_before(docs: Path, store: Path, theme: str) -> None:
    """html5lib in strict terms: the pictures add no parse error, and no style outside the head."""
    html5lib = pytest.importorskip("html5lib")
    found = []
    for plugins in ([], [{"sitecodec": {"store": str(store), "markup": "picture"}}]):
        site = built(docs, store, theme={"name": theme}, plugins=plugins)
        parser = html5lib.HTMLParser()
        tree = parser.parse((site / "index.html").read_text("utf-8"))
        names = [name for _, name, _ in parser.errors]
        body = tree.find("{http://www.w3.org/1999/xhtml}body")
        styles = len(list(body.iter("{http://www.w3.org/1999/xhtml}style")))
        found.append((names, styles))
        assert len(pictures(site / "index.html")) == len(NAMES) * len(plugins)
    assert found[0] == found[1]


def test_the_plugin_is_found_and_runs_late() -> None:
    assert get_plugins()["sitecodec"].load() is SitecodecPlugin
    assert SitecodecPlugin.on_post_build.mkdocs_priority == -75  # type: ignore[attr-defined]


MEASURE = """<script>addEventListener('load', async () => {
  for (const i of document.images) i.loading = 'eager';
  await new Promise(done => setTimeout(done, 2000));
  const boxes = [...document.images].map(i => {
    const b = i.getBoundingClientRect();
    return [b.x, b.y, b.width, b.height].map(Math.round).concat(getComputedStyle(i).display);
  });
  document.body.append(Object.assign(document.createElement('pre'),
    {id: 'boxes', textContent: JSON.stringify(boxes)}));
});</script></head>"""


def test_the_layout_does_not_move(docs: Path, store: Path, make: Any, tmp_path: Path) -> None:
    """In a browser, every image of a Material page is where it would be without the plugin."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium or google-chrome to measure the layout with")
    (docs / "images/wide.png").write_bytes(make.file(make.photo(300, 1500)))
    (docs / "index.md").write_text(
        "![](images/wide.png)\n\nText ![](images/a.png) text ![](images/a.png#only-dark) and"
        " ![](images/a.png#only-light){ width=50 }\n\n![](images/a.png){ align=left } floats\n\n"
        '<div style="display:flex"><img src="images/a.png"><img src="images/a.png"></div>\n'
        '<div style="display:grid;grid-template-columns:1fr 1fr"><img src="images/a.png">'
        '<img src="images/a.png"></div>\n\n[![](images/a.png)](images/a.png)\n'
    )
    boxes = []
    for plugins in ([], [{"sitecodec": {"store": str(store)}}]):
        site = built(docs, store, theme={"name": "material", "font": False}, plugins=plugins)
        assert (site / "index.html").read_text().count("assets/sitecodec/a-") >= 9 * len(plugins)
        page = site / "measured.html"
        page.write_text((site / "index.html").read_text().replace("</head>", MEASURE, 1))
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        command += ["--window-size=900,900", "--virtual-time-budget=20000"]
        command += [f"--user-data-dir={tmp_path}/profile", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        found = re.search('<pre id="boxes">(.*?)</pre>', done.stdout, re.DOTALL)
        if found is None:
            pytest.skip(f"{browser} does not run here: {done.stderr[-200:]}")
        boxes.append(json.loads(found[1]))
    assert boxes[1] == boxes[0]
    assert len(boxes[0]) >= 10


def test_a_character_of_thousands_of_digits_stops_nothing(docs: Path, store: Path) -> None:
    """Python-Markdown ends in a traceback; browsers show a character."""
    zeros, ones = "0" * 4400, "1" * 4400
    (docs / "index.md").write_text(
        f'# x\n\n<p title="&#{zeros}65;&#{ones};&#x{zeros}41;">x</p>\n\nA &#{ones}; b\n'
    )
    page = (built(docs, store) / "index.html").read_text()
    assert 'title="&#65;&#xFFFD;&#x41;"' in page

"""Sites built by the real hosts, themes and plugins: their images are offered, nothing breaks."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from sitecodec.page.html import scan

HOSTS = {"mkdocs": "mkdocs", "properdocs": "properdocs"}
MODULES = {
    "glightbox": "mkdocs_glightbox",
    "print-site": "mkdocs_print_site_plugin",
    "minify": "mkdocs_minify_plugin",
    "awesome-pages": "mkdocs_awesome_pages_plugin",
    "i18n": "mkdocs_static_i18n",
}
FIXTURES = Path(__file__).with_name("fixtures")
COMMAND = [sys.executable, "-c", "from sitecodec.cli.commands import main; main()"]
ENGLISH = {"locale": "en", "name": "English", "default": True, "build": True}
PAGE = """# Title

![A](images/a.png){ width=60 }

[![B](images/b.png)](images/b.png)

| table |
|---|
| ![in a table](images/a.png) |

!!! note
    ![in a note](images/b.png#only-light)

<figure markdown>
![in a figure](images/a.png)
<figcaption>caption</figcaption>
</figure>
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def needed(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"the package of {name} is not installed; the extra 'dev' has it")


def build(folder, make, store, *, host="mkdocs", theme="material", plugins=(), ours=True, **more):
    """Build a small site; returns its folder."""
    needed(HOSTS[host])
    if theme == "material":
        needed("material")
    docs = folder / "docs"
    if not docs.exists():
        (docs / "images").mkdir(parents=True)
        for seed, name in enumerate("ab"):
            (docs / f"images/{name}.png").write_bytes(make.file(make.photo(80, 120, seed)))
        (docs / "index.md").write_text(PAGE)
        (docs / "sub").mkdir()
        (docs / "sub/page.md").write_text(PAGE.replace("(images", "(../images"))
    config = {
        "site_name": "Site",
        "site_url": "https://example.org/docs/",
        "theme": {"name": theme},
        "markdown_extensions": ["admonition", "attr_list", "md_in_html", "tables"],
        "plugins": [*plugins, *([{"sitecodec": {"store": str(store)}}] if ours else [])],
    } | more
    (folder / "mkdocs.yml").write_text(json.dumps(config))  # JSON is YAML
    site = folder / ("with" if ours else "without")
    command = [sys.executable, "-m", host, "build", "-q", "-f", "mkdocs.yml", "-d", str(site)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if "Unrecognised theme" in done.stderr:
        pytest.skip(f"{host} has no theme {theme} here; install properdocs-theme-{theme}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "sitecodec: " not in done.stderr, done.stderr  # no problem was warned of
    return site


def check(site, *, at_least):
    """Every address in a picture leads to a file; returns how many pictures there are."""
    count = 0
    for page in sorted(site.rglob("*.html")):
        text = page.read_text("utf-8")
        name = page.relative_to(site).as_posix()
        base = "https://example.org/docs/" + name
        # Where a theme's CSS or scripts would notice a <picture>, the <img> has a srcset of ours.
        tags = r"<picture data-sitecodec.*?</picture>|<img[^>]*data-sitecodec[^>]*srcset=[^>]*>"
        for tag in re.findall(tags, text, re.DOTALL):
            count += 1
            found = re.findall(r"""srcset=["']?([^"'>]+)""", tag)
            urls = [part.split()[0] for srcset in found for part in srcset.split(", ")]
            urls += re.findall(r"""<img[^>]*?\ssrc=["']?([^"'\s>]+)""", tag)
            assert len(urls) >= 2
            assert any("assets/sitecodec/" in url for url in urls)
            for url in urls:
                path = unquote(urlsplit(urljoin(base, url)).path).removeprefix("/docs/")
                assert (site / path).is_file(), (name, url)
        assert "<picture data-sitecodec><picture" not in text
        assert text.count("<style data-sitecodec>") <= 1
    assert count >= at_least
    return count


def errors(site):
    """The parse errors of each page, by kind."""
    html5lib = pytest.importorskip("html5lib")
    found = {}
    for page in sorted(site.rglob("*.html")):
        parser = html5lib.HTMLParser()
        parser.parse(page.read_text("utf-8"))
        found[page.relative_to(site).as_posix()] = sorted(kind for _, kind, _ in parser.errors)
    return found


@pytest.mark.parametrize("directory_urls", [True, False])
@pytest.mark.parametrize("theme", ["mkdocs", "readthedocs", "material"])
@pytest.mark.parametrize("host", list(HOSTS))
def test_hosts_and_themes(tmp_path, make, store, host, theme, directory_urls):
    if not directory_urls and host == "properdocs":
        pytest.skip("properdocs differs in nothing that addresses depend on")
    options = {"host": host, "theme": theme, "use_directory_urls": directory_urls}
    site = build(tmp_path, make, store, **options)
    assert check(site, at_least=10) == 10
    plain = build(tmp_path, make, store, ours=False, **options)
    assert errors(site) == errors(plain)


@pytest.mark.parametrize(
    ("plugin", "options", "at_least"),
    [
        ("glightbox", {}, 10),
        ("minify", {"minify_html": True}, 10),
        ("print-site", {}, 20),
        ("awesome-pages", {}, 10),
        ("i18n", {"languages": [ENGLISH]}, 10),
        ("material/privacy", {}, 10),
        ("material/offline", {}, 10),
        ("material/optimize", {}, 10),
    ],
)
def test_plugins(tmp_path, make, store, plugin, options, at_least):
    needed(MODULES.get(plugin, "material"))
    if plugin == "material/optimize" and not shutil.which("pngquant"):
        pytest.skip("pngquant is not installed; see the next test")
    site = build(tmp_path, make, store, plugins=[{plugin: options}])
    check(site, at_least=at_least)
    if plugin == "glightbox":
        text = (site / "index.html").read_text("utf-8")
        # Its script looks around the image, so there is no <picture>.
        assert re.search(
            r'<a [^>]*class="glightbox"[^>]*><picture [^>]*><source [^>]*srcset="assets/', text
        )
        assert re.search(r'href="[^"]*images/a\.png"', text)


def test_material_s_optimize(tmp_path, make, store):
    """It takes images over from MkDocs, and copies them into the site after the pages."""
    (tmp_path / "docs/images").mkdir(parents=True)
    jpeg = make.file(make.photo(160, 240), "JPEG", quality=97)
    (tmp_path / "docs/images/a.jpg").write_bytes(jpeg)
    (tmp_path / "docs/index.md").write_text("# Home\n\n![A](images/a.jpg)\n")
    cache = {
        "cache_dir": str(tmp_path / "cache"),
        "optimize_png": False,
        "optimize_jpg_quality": 90,
    }
    site = build(tmp_path, make, store, plugins=[{"material/optimize": cache}])
    assert (site / "images/a.jpg").stat().st_size < len(jpeg)
    assert check(site, at_least=1) == 1


def test_the_blog(tmp_path, make, store):
    posts = tmp_path / "docs/blog/posts"
    posts.mkdir(parents=True)
    (tmp_path / "docs/images").mkdir()
    for seed, name in enumerate("ab"):
        (tmp_path / f"docs/images/{name}.png").write_bytes(make.file(make.photo(80, 120, seed)))
    (tmp_path / "docs/index.md").write_text("# Home\n\n![A](images/a.png)\n")
    (tmp_path / "docs/blog/index.md").write_text("# Blog\n")
    (posts / "one.md").write_text(
        "---\ndate: 2026-01-01\n---\n# One\n\n![A](../../images/a.png)\n\n<!-- more -->\n\nrest\n"
    )
    site = build(tmp_path, make, store, plugins=["material/blog"])
    check(site, at_least=3)  # home, the list of posts, the post


def rewritten_twice(site, store, pattern):
    """The pages that the command has rewritten, by place; a second run changes none of them."""
    (site.parent / "sitecodec.toml").write_text(f"store = {json.dumps(str(store))}\n")
    command = [*COMMAND, "build", site.name, "--base-path", "/docs/", "--strict"]
    runs = []
    for _ in range(2):
        done = subprocess.run(command, cwd=site.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        runs.append({page: page.read_bytes() for page in site.rglob(pattern)})
    assert runs[1] == runs[0]
    return runs[1]


def test_a_folder_that_hugo_built(tmp_path, store):
    """Absolute addresses under a sub-path, minified, images of several sizes, a pinned sheet."""
    site = tmp_path / "public"
    shutil.copytree(FIXTURES / "hugo/built", site)
    before = {place: place.read_bytes() for place in site.rglob("*.css")}
    rewritten_twice(site, store, "*.*ml")
    data = (site / "posts/one/index.html").read_bytes()
    own, figure, picture = scan(data).images
    assert own.get("srcset").endswith("/docs/posts/one/harbour.jpg 120w")
    avif = re.search(rb'<source type="image/avif" srcset="(/docs/assets/[^ "]*) 120w"', data)
    assert avif
    assert (site / avif[1].decode().removeprefix("/docs/")).is_file()
    assert figure.get("src").startswith("/docs/assets/sitecodec/hill-side-")
    attributes = (figure.get(name) for name in ("width", "height", "loading"))
    assert tuple(attributes) == ("60", "40", "lazy")
    media = [source.get("media") for source in picture.sources]
    assert media[-1] is None
    assert len(media) >= 3
    assert set(media[:-1]) == {"(min-width: 400px)"}
    changed = {place.name for place in before if place.read_bytes() != before[place]}
    assert changed == {"plain.css"}  # `integrity` holds the other
    assert b"image-set(url(../assets/sitecodec/meadow-" in (site / "css/plain.css").read_bytes()


def test_a_folder_that_zensical_built(tmp_path, store):
    """Admonition, tabs, table, link, figure, a blank in an address, a fragment, a background."""
    site = tmp_path / "site"
    shutil.copytree(FIXTURES / "zensical/built", site)
    before = {page: page.read_bytes() for page in site.rglob("*.html")}
    pages = rewritten_twice(site, store, "*.html")
    assert {page.name for page in pages if pages[page] == before[page]} == {"404.html"}
    home = scan(pages[site / "index.html"]).images
    assert [image.get("alt") for image in home] == [
        "The meadow",
        "A hill",
        "The harbour, linked",
        "Small",
    ]
    assert all(image.in_picture and image.in_content for image in home)
    assert not any(image.get("fetchpriority") for image in home)  # all are small
    assert [image.get("loading") for image in home] == [None, None, None, "eager"]
    assert (home[1].get("data-shade"), home[1].get("width")) == ("dusk", "60")
    assert home[2].get("title") == "At noon"
    walk = pages[site / "guide/walk/index.html"]
    shown = scan(walk).images
    assert shown[0].get("src").endswith("#only-light")
    assert shown[1].get("src").startswith("../../assets/sitecodec/hill-side-")
    assert b"image-set(url(../../assets/sitecodec/harbour-" in walk
    for image in (*home, *shown):
        own = image.get("src").partition("#")[0].replace("../", "")
        assert (site / unquote(own)).is_file()


def test_zensical(tmp_path, make, store):
    command = shutil.which("zensical") or shutil.which("zensical", path=Path(sys.executable).parent)
    if command is None:
        pytest.skip("zensical is not installed")
    build(tmp_path, make, store, ours=False)
    (tmp_path / "without").rename(tmp_path / "unused")
    done = subprocess.run(
        [command, "build", "-f", "mkdocs.yml"], cwd=tmp_path, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"zensical does not build here: {done.stderr[-200:]}")
    done = subprocess.run(
        [*COMMAND, "build", "site", "--base-path", "/docs/", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    check(tmp_path / "site", at_least=10)

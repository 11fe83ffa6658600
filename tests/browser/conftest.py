"""One browser and one profile for all tests: each has a site of its own, so an origin of its own,
and with it a worker and a store of its own."""

from __future__ import annotations

import contextlib
import itertools
import shutil

import pytest

from sitecodec import codecs
from tests.browser.firefox import BINARY as FIREFOX
from tests.browser.firefox import running
from tests.browser.serving import serving
from tests.conftest import encode, make_photo, make_text

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *(
        "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
        " --disable-component-update --disable-sync --force-color-profile=srgb"
    ).split(),
    "--host-resolver-rules=MAP plain.test 127.0.0.1",
]


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def context(chromium):
    context = chromium.new_context(viewport={"width": 800, "height": 600})
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def new_page(context):
    """Opens pages, which note the errors that they see."""
    pages = []

    def open_page():
        page = context.new_page()
        pages.append(page)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture
def page(new_page):
    return new_page()


@pytest.fixture(scope="session")
def firefox(tmp_path_factory):
    """The only page of a Firefox."""
    if FIREFOX is None:
        pytest.skip("there is no Firefox here")
    with running(tmp_path_factory.mktemp("firefox")) as page:
        yield page


@pytest.fixture
def new_site(tmp_path):
    """Opens sites, each an origin of its own."""
    with contextlib.ExitStack() as stack:
        count = itertools.count()
        yield lambda: stack.enter_context(serving(tmp_path / f"site{next(count)}"))


@pytest.fixture
def site(new_site):
    return new_site()


@pytest.fixture(scope="session")
def photos():
    """Payloads of small photographs."""
    return [codecs.get("web").encode(make_photo(96, 128, seed), 50) for seed in range(3)]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A small site as `sitecodec build` leaves it, with pages in two folders."""
    from sitecodec.settings import Settings
    from sitecodec.site.build import rewrite_site

    folder = tmp_path_factory.mktemp("built")
    root = folder / "site"
    (root / "deep").mkdir(parents=True)
    files = {
        "photo.png": encode(make_photo(80, 120, 0)),
        "large.jpg": encode(make_photo(300, 400, 1), "JPEG", quality=97),
        "text.png": encode(make_text(200, 300)),
        "tiny.png": encode(make_photo(8, 8)),
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    head = '<!doctype html><title>t</title><link rel=icon href="data:,"><main>'
    body = "".join(f"<p><img id={n.partition('.')[0]} src={{}}{n}></p>" for n in files)
    (root / "index.html").write_text(head + body.replace("{}", ""))
    (root / "deep/index.html").write_text(head + body.replace("{}", "../"))
    summary = rewrite_site(root, Settings(store=folder / "store", browser="always"))
    assert not summary.problems
    assert any(row.payload for row in summary.images)
    return root

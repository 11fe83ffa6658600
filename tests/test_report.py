import json
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner
from PIL import Image

from sitecodec.cli import main
from sitecodec.errors import SettingsError, SiteError
from sitecodec.report import audits, report
from sitecodec.settings import Settings
from sitecodec.site import manifest
from sitecodec.site.build import rewrite_site

FOLDER = "assets/sitecodec"
PAGE = (
    "<!doctype html><html lang=en><head><title>t</title><link rel=stylesheet href=s.css></head>"
    "<body><main><img src=a.png alt=a>" + "<p>far below</p>" * 100 + "<img src=b.png alt=b>"
    "<img src=a.png alt=a></main>"
    "<template><img src=c.png></template></body></html>"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def plain(tmp_path, make):
    site = tmp_path / "site"
    site.mkdir()
    for seed, name in enumerate(("a", "b", "c")):
        (site / f"{name}.png").write_bytes(make.file(make.photo(160, 240, seed)))
    (site / "s.css").write_text("p{}" * 100)
    (site / "index.html").write_text(PAGE)
    return site


@pytest.fixture
def built(plain, store):
    rewrite_site(plain, Settings(store=store, browser="always"))
    return plain


def test_a_plain_site_weighs_what_its_images_weigh(plain):
    result = report.measure(plain, asset_dir=FOLDER)
    (page,) = result.pages
    sizes = [(plain / f"{name}.png").stat().st_size for name in "ab"]
    assert page.before == page.first == page.worker_first == page.after == sum(sizes)
    assert page.other == len(PAGE) + 300
    assert {f.audit for f in page.findings} == {
        "unsized-images",
        "image-delivery",
        "lcp-discovery",
    }


def test_a_built_site_is_lighter_in_the_right_columns(plain, built):
    result = report.measure(built, asset_dir=FOLDER)
    (page,) = result.pages
    files = {f.path: f for e in manifest.read(built, FOLDER).entries for f in e.files}
    by_format = {
        suffix: [f.bytes for p, f in sorted(files.items()) if p.endswith(suffix)]
        for suffix in (".avif", ".slat")
    }
    assert page.before == sum((built / f"{name}.png").stat().st_size for name in "ab")
    assert page.first == sum(by_format[".avif"])
    assert page.after == sum(by_format[".slat"])
    # The first image is eager, so that the worker does not see it on a first visit.
    assert page.worker_first == by_format[".avif"][0] + by_format[".slat"][1]
    assert page.findings == ()
    assert result.worker > 0
    assert result.account.saved == tuple(
        avif - slat for avif, slat in zip(*by_format.values(), strict=True)
    )
    assert "the worker: engine and model take" in report.table(result)
    assert "The service worker's engine and model take" in report.markdown(result)


def test_the_manifest_survives_a_second_run(built, store):
    before = (built / FOLDER / manifest.NAME).read_bytes()
    assert [e.path for e in manifest.read(built, FOLDER).entries] == ["a.png", "b.png"]
    rewrite_site(built, Settings(store=store, browser="always"))
    assert (built / FOLDER / manifest.NAME).read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": [{}]}', "\0", '{"images": 3}'])
def test_a_bad_manifest_is_an_empty_one(tmp_path, text):
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / manifest.NAME).write_text(text)
    assert manifest.read(tmp_path, FOLDER) == manifest.Manifest()


def page_of(tmp_path, tag, size=(400, 300), data=None, name="x.png"):
    (tmp_path / name).write_bytes(data or b"")
    if data is None:
        Image.new("RGB", size).save(tmp_path / name)
    (tmp_path / "p.html").write_text(tag)
    (page,) = report.measure(tmp_path, asset_dir=FOLDER).pages
    return [f.audit for f in page.findings if "fetchpriority" not in f.detail]


@pytest.mark.parametrize(
    ("tag", "audits"),
    [
        ("<img src=x.png width=400 height=300>", []),
        ("<img src=x.png>", ["unsized-images"]),
        ("<img src=x.png style='width:9px'>", []),
        ("<img src=x.png width=400 height=303>", ["image-aspect-ratio"]),
        ("<img src=x.png width=400 height=301>", []),
        ("<img src=x.png width=400 height=300 loading=lazy>", ["lcp-discovery"]),
        ("<img src=missing.png>", []),
        ("<noscript><img src=x.png></noscript>", []),
        ("<img src=x.png width=1200 height=900>", ["image-size-responsive"]),
    ],
)
def test_audits_of_tags(tmp_path, tag, audits):
    assert page_of(tmp_path, tag) == audits


@pytest.mark.parametrize(
    ("before", "tag", "detail"),
    [
        ("", "<img src=x.png width=400 height=300>", "no fetchpriority=high"),
        ("", "<img src=x.png width=400 height=300 fetchpriority=high>", ""),
        (
            "<img src=x.png width=40 height=30><nav><img src=x.png></nav>",
            "<img src=x.png",
            "no fetch",
        ),
        ("", "<img src=x.png width=40 height=30>", ""),
        ("<img src=x.png fetchpriority=high>", "<img src=x.png loading=lazy>", ""),
    ],
)
def test_the_first_large_image_of_the_content_must_come_early(tmp_path, before, tag, detail):
    page_of(tmp_path, f"{before}<main>{tag.rstrip('>')}></main>")
    (page,) = report.measure(tmp_path, asset_dir=FOLDER).pages
    found = [f.detail for f in page.findings if f.audit == "lcp-discovery"]
    assert bool(found) == bool(detail)
    assert all(detail in line for line in found)


def test_delivery_is_a_sixth_of_a_byte_per_pixel_and_four_kilobytes(tmp_path, make):
    tag = "<img src=x.png width=400 height=300>"
    picture = make.file(Image.new("RGB", (400, 300)))
    limit = 400 * 300 // 6 + 4096
    assert page_of(tmp_path, tag, data=picture.ljust(limit, b"\0")) == []
    assert page_of(tmp_path, tag, data=picture.ljust(limit + 1, b"\0")) == ["image-delivery"]


def test_dimensions_count(tmp_path, make):
    tag = "<img src=x.png width=40 height=30>"
    picture = make.file(Image.new("RGB", (400, 300)))
    assert page_of(tmp_path, tag, data=picture.ljust(3000, b"\0")) == []
    assert page_of(tmp_path, tag, data=picture.ljust(9000, b"\0")) == ["image-delivery"]
    assert page_of(tmp_path, f"<picture>{tag}</picture>", data=picture.ljust(9000, b"\0"))


def test_heavy_animations(tmp_path):
    tag = "<img src=x.gif width=9 height=9>"
    gif = b"GIF89a\x09\0\x09\0\x80\0\0" + b"\0" * 6 + b","
    assert (
        page_of(tmp_path, tag, data=gif.ljust(102_400, b"\0"), name="x.gif").count("image-delivery")
        <= 1
    )
    found = page_of(tmp_path, tag, data=gif.ljust(102_401, b"\0"), name="x.gif")
    assert "image-delivery" in found


@pytest.mark.parametrize(
    ("width", "density", "chosen"),
    [(412, 1.75, "b.avif"), (1350, 1.0, "b.avif"), (412, 1.0, "a.avif"), (1350, 2.0, "b.avif")],
)
def test_the_width_that_a_browser_takes(width, density, chosen):
    window = audits.Device("a window", width, density)
    srcset = "b.avif 1440w, a.avif 720w"
    assert audits.candidate(srcset, "(max-width: 760px) 100vw, 760px", window) == chosen


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("page=500kB", ("page", 500_000)),
        ("IMAGE=1.5 M", ("image", 1_500_000)),
        ("page=9", ("page", 9)),
    ],
)
def test_budgets(text, meaning):
    assert report.parse_budget(text) == meaning


@pytest.mark.parametrize("text", ["", "500kB", "page=", "site=1kB", "page=1TB", "page=-1"])
def test_bad_budgets(text):
    with pytest.raises(SettingsError, match="write page=500kB"):
        report.parse_budget(text)


def test_no_site(tmp_path):
    with pytest.raises(SiteError, match="build the site first"):
        report.measure(tmp_path / "x", asset_dir=FOLDER)


def run(site, *options, **kwargs):
    return CliRunner().invoke(main, ["report", str(site), *options], **kwargs)


def test_the_command_prints_a_table(built, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    done = run(built)
    assert done.exit_code == 0, done.output
    assert all(len(line) <= 80 for line in done.output.splitlines())
    assert "index.html" in done.output
    assert "all pass" in done.output


def test_budgets_set_the_exit_status_and_the_step_summary(plain, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    good = run(plain, "--budget", "page=1MB")
    assert good.exit_code == 0
    over = run(plain, "--budget", "page=1kB", "--budget", "image=1kB")
    assert over.exit_code == 1
    assert over.output.count("over budget: ") == 3
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("before\n### sitecodec")
    assert text.count("### sitecodec") == 2
    assert run(plain, "--budget", "x").exit_code == 2


def test_json(built):
    values = json.loads(run(built, "--json").output)
    assert values["total"]["first"] == sum(p["first"] for p in values["pages"])
    assert {i["path"] for i in values["pages"][0]["images"]} == {"a.png", "b.png"}


def test_how_tags_are_marked_up(plain, store, tmp_path):
    style = "<style>p > img { border: 1px solid } .tall { zoom: 1.5 }</style>"
    images = '<p><img src=a.png alt="" class=tall></p><div><img src=b.png alt=""></div>'
    (plain / "index.html").write_text(f"<!doctype html><title>t</title>{style}{images}")
    rewrite_site(plain, Settings(store=store))
    (entry, other) = manifest.read(plain, FOLDER).entries
    assert {form.form for form in entry.forms} == {"img", "unheld"}
    assert {form.form for form in other.forms} == {"picture", "held"}
    tags = json.loads(run(plain, "--json").output)["tags"]
    assert (tags["held"], tags["picture"]) == (1, 1)
    (unheld,), (unwrapped,) = tags["unheld"], tags["unwrapped"]
    assert unheld["image"] == unwrapped["image"] == "a.png"
    assert all((unheld["why"], unwrapped["why"]))
    assert "space is reserved for 1 of 2 encoded image tags" in run(plain).output
    assert run(plain, "--html", str(tmp_path / "r.html")).exit_code == 0
    page = (tmp_path / "r.html").read_text()
    assert "No space is reserved" in page
    assert "A srcset instead of &lt;picture&gt;" in page
    # A second build, which reads pages that are marked up already, knows the same.
    rewrite_site(plain, Settings(store=store))
    assert manifest.read(plain, FOLDER).entries == (entry, other)


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_html_page_needs_no_other_file(built, tmp_path):
    done = run(built, "--html", str(tmp_path / "r.html"))
    assert done.exit_code == 0, done.output
    text = (tmp_path / "r.html").read_text()
    links = Links()
    links.feed(text)
    assert len(links.links) == 4  # two images, original and decoded
    assert all(link.startswith("data:image/webp;base64,") for link in links.links)
    assert "slat" in text
    judged = [f.judge for e in manifest.read(built, FOLDER).entries for f in e.files if f.judge]
    assert len(judged) == 4  # each payload, and the file that it takes the place of
    assert "<th>Second judge</th>" in text
    assert all(f"<td>{judge:.2f}</td>" in text for judge in judged)
    assert "a.png" in text


def test_a_folder_without_pages_is_not_a_site(tmp_path):
    with pytest.raises(SiteError, match="has no pages; build the site first, or name its folder"):
        report.measure(tmp_path, asset_dir="assets")

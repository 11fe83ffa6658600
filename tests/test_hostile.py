"""Pages, manifests and model folders at their worst: one line each, and the build goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sitecodec.disk.store import Store
from sitecodec.encoding import jobs, outcome, trials
from sitecodec.errors import ModelError, SiteError
from sitecodec.page import srcset, tokens
from sitecodec.preview.site_files import site_app
from sitecodec.preview.site_images import look_through
from sitecodec.preview.watch import images_in
from sitecodec.report import report
from sitecodec.sd import adding
from sitecodec.settings import Settings
from sitecodec.site import manifest, survey
from sitecodec.site.build import rewrite_site
from sitecodec.site.encoded import with_widths

MANY = "9" * 4400
TAGS = [
    f'<img src="a.png" alt="&#{"0" * 4400}65;">',
    f'<img src="a.png" alt="&#{MANY};">',
    f'<img src="a.png" alt="&#x{MANY};">',
    '<img src="a.png" srcset="a.png 1e999w">',
    '<picture><source srcset="a.png 1e400x"><img src="a.png"></picture>',
    f'<img src="a.png" srcset="a.png {MANY}w" sizes="{MANY}px">',
    f'<img src="a.png" width="{MANY}" height="5">',
    '<img src="a.png" width="²" height="①">',
    f'<img src="{"a/" * 5000}.png">',
    f'<img src="{"a" * 300}.png">',
    '<img src="a%00.png">',
    '<img src="..%2fout.png" width=5 height=5>',
    '<img src="%ff%fe.png">',
    f'<img src="a.png" data-sitecodec="quality={MANY}">',
    f'<base href="{"x/" * 5000}"><img src="a.png">',
    '<p style="background:url(' + "a" * 5000 + '.png)">',
    f'<style>img{{width:{"(" * 3000}</style><img src="a.png">',
    f'<style>img:is{"(" * 3000}{{width:1px}}</style><img src="a.png">',
    f'<style>@media {"(" * 3000}{{img{{width:1px}}}}</style><img src="a.png">',
    f'<style>@import "a.css" {"(" * 3000};</style><img src="a.png">',
    f'<style>{"a{" * 3000}width:1px</style><img src="a.png">',
    f'<img src="a.png" style="width:{"(" * 3000}">',
    f'{"<div>" * 3000}<img src="a.png">',
]


@pytest.fixture
def site(tmp_path: Path, make: Any) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.png").write_bytes(make.file(make.photo(60, 90)))
    (tmp_path / "out.png").write_bytes(make.file(make.photo(60, 90)))
    return folder


def settings(tmp_path: Path, **values: Any) -> Settings:
    return Settings(store=tmp_path / "store", min_bytes=100, workers=1, **values)


def page(text: str) -> str:
    return f"<html><head><title>t</title></head><body>{text}</body></html>"


def test_no_attribute_stops_a_build_or_a_report(tmp_path: Path, site: Path) -> None:
    for number, tag in enumerate(TAGS):
        (site / f"{number}.html").write_text(page(tag), encoding="utf-8")
    (site / "plain.html").write_text(page('<img src="a.png">'))
    summary = rewrite_site(site, settings(tmp_path))
    assert summary.rewritten
    assert not [p for p in summary.problems if "so it stays as it is" in p.message]
    found = report.measure(site, asset_dir="assets/sitecodec")
    assert len(found.pages) == len(TAGS) + 1
    assert "unreadable-page" not in {f.audit for p in found.pages for f in p.findings}
    assert "../out.png" not in report.as_json(found)


def test_a_page_that_fails_stays_as_it_is(
    tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good", "bad"):
        (site / f"{name}.html").write_text(page('<img src="a.png">'))
    real = survey.survey_document

    def failing(site: Path, name: str, *rest: Any) -> Any:
        if name == "bad.html":
            raise RecursionError("deep")
        return real(site, name, *rest)

    monkeypatch.setattr(survey, "survey_document", failing)
    summary = rewrite_site(site, settings(tmp_path))
    assert summary.rewritten == 1
    assert [(p.page, p.image) for p in summary.problems] == [("bad.html", "")]
    assert "RecursionError deep" in summary.problems[0].message
    assert (site / "bad.html").read_text() == page('<img src="a.png">')


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names")
def test_what_never_ends_is_not_read(tmp_path: Path, site: Path) -> None:
    """Pipes that nobody writes to, and links to a device, in place of all that a build looks at."""
    (site / "assets/sitecodec").mkdir(parents=True)
    for name in (
        *("pipe.html", "CNAME", "sw.js", "_headers", "s.css", "p.js"),
        *("assets/sitecodec/sitecodec.json", "assets/sitecodec/x-0123456789ab-9w.slat"),
        "assets/sitecodec/x-0123456789ab-9w.avif",
    ):
        os.mkfifo(site / name)
    for name in ("index.html", ".htaccess", "z.css", "z.png"):
        (site / name).symlink_to("/dev/zero")
    more = "<link rel=stylesheet href=s.css><link rel=stylesheet href=z.css><script src=p.js>"
    (site / "plain.html").write_text(page(f'{more}</script><img src="a.png"><img src="z.png">'))
    summary = rewrite_site(site, settings(tmp_path, browser="always"))
    assert (summary.pages, summary.rewritten) == (1, 1)
    report.measure(site, asset_dir="assets/sitecodec")
    findings, _ = look_through(site, "/", settings(tmp_path), {})
    assert "a.png" in findings.uses


@pytest.mark.skipif(sys.platform == "win32", reason="no folders so deep")
def test_folders_a_thousand_deep(tmp_path: Path, site: Path) -> None:
    """Deeper than functions may call themselves, in paths that are still short enough."""
    (site / "index.html").write_text(page('<img src="a.png">'))
    place = site
    for _ in range(1200):
        place = place / "d"
        place.mkdir()
    (place / "deep.html").write_text(page('<img src="/a.png">'))
    try:
        changes = {"originals": "drop", "browser": "never"}
        assert rewrite_site(site, settings(tmp_path, **changes)).rewritten == 2
        assert len(report.measure(site, asset_dir="assets/sitecodec").pages) == 2
        assert [path.name for path in images_in(site, settings(tmp_path))] == []
        assert site_app(site)
    finally:
        subprocess.run(["rm", "-rf", str(site / "d")], check=True)


@pytest.mark.parametrize(
    "text", ["a 1e999w", "a 1e999x", f"a {MANY}w", "a 0x", "a 1.5w", "a ²w", f"a {MANY}x"]
)
def test_descriptors_that_no_browser_takes(text: str) -> None:
    assert srcset.parse(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("&#" + "0" * 5000 + "65;b", "Ab"),
        ("&#x" + "0" * 5000 + "41;b", "Ab"),
        (f"&#{MANY};b", "\ufffdb"),
        ("&#00000000065cd", "Acd"),
        ("&amp;#65;", "&#65;"),
        ("&#000000000;", "\ufffd"),
    ],
)
def test_references_of_any_length(text: str, value: str) -> None:
    assert tokens.resolved(text) == value
    assert tokens._unescape(text) == value


WORST = (
    *(None, True, -1, 10**400, 1e309, [], {}, [[]]),
    *("x", "/etc/passwd", "../x", "a/../../x", "\0", "\ud800", "\udcff"),
)


@pytest.mark.parametrize("worst", WORST, ids=repr)
def test_a_manifest_with_any_field_at_its_worst(site: Path, worst: Any) -> None:
    file = {"path": "a.png", "width": 1, "height": 1, "bytes": 1, "score": 1.0, "judge": 9.0}
    image: dict[str, Any] = {"path": "a.png", "bytes": 1, "reason": "", "files": [file]}
    image |= {"digest": "1" * 64, "forms": [["held", "", 1]]}
    place = site / "assets/sitecodec/sitecodec.json"
    place.parent.mkdir(parents=True)
    (site / "index.html").write_text(page('<img src="a.png">'))
    changed: list[Any] = [worst, {"images": worst}, {"images": [worst]}]
    changed += [{"images": [image | {name: worst}]} for name in image]
    changed += [{"images": [image | {"files": [file | {name: worst}]}]} for name in file]
    for values in changed:
        place.write_text(json.dumps(values))
        for entry in manifest.read(site, "assets/sitecodec").entries:
            assert not entry.path.startswith("/")
            assert ".." not in entry.path
        report.as_json(report.measure(site, asset_dir="assets/sitecodec"))
        rewrite_site(site, Settings(store=site.parent / "store"))
    place.write_text(json.dumps({"images": [image | {"path": "../x"}, image]}))
    assert [entry.path for entry in manifest.read(site, "assets/sitecodec").entries] == ["a.png"]
    place.write_text("[" * 100_000)
    assert manifest.read(site, "assets/sitecodec") == manifest.Manifest()


@pytest.mark.parametrize("named", [["a"], {"a": 5}, {"a": 5, "b": "x"}, {"a": ["x"]}, None, "x", 1])
def test_an_index_of_weights_of_another_shape(tmp_path: Path, named: Any) -> None:
    (tmp_path / "vae").mkdir()
    config = {"_class_name": "AutoencoderKL", "block_out_channels": [32] * 4}
    config["down_block_types"] = ["DownEncoderBlock2D"] * 4
    config["up_block_types"] = ["UpDecoderBlock2D"] * 4
    (tmp_path / "vae/config.json").write_text(json.dumps(config))
    index = tmp_path / "vae/diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": named}))
    with pytest.raises(ModelError, match=r"names (?:of|no) files|missing"):
        adding._take(adding._Folder(tmp_path), tmp_path / "stage", "x")


def test_names_in_the_step_summary_are_text(site: Path) -> None:
    name = "x\n\n# All budgets met\n[a](http:e)<img src=x>|@me_`c`\u202e\x1b[2J.html"
    parts = name.split("/")
    (site / parts[0].replace("/", "")).write_text(page('<img src="a.png">'))
    text = report.markdown(report.measure(site, asset_dir="assets/sitecodec"))
    assert "\n# All" not in text
    for mark in ("<", "[", "](", "@", "`", "\u202e", "\x1b"):
        assert mark not in text
    assert "\x1b" not in report.table(report.measure(site, asset_dir="assets/sitecodec"))


@pytest.mark.skipif(sys.platform == "win32", reason="names are not bytes there")
def test_names_that_are_not_utf_8(site: Path) -> None:
    from sitecodec.report import page as report_page

    (site / os.fsdecode(b"caf\xe9.html")).write_text(page('<img src="a.png">'))
    found = report.measure(site, asset_dir="assets/sitecodec")
    for text in (report.markdown(found), report.table(found), report.as_json(found)):
        assert text.encode()
    assert report_page.render(found, site, Settings())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_build_killed_at_its_worker_has_changed_no_page(tmp_path: Path, site: Path) -> None:
    (site / "index.html").write_text(page('<img src="a.png">'))
    (tmp_path / "sitecodec.toml").write_text("browser = 'always'\nmin_bytes = 100\n")
    script = (
        "import os\nfrom sitecodec.visitors import worker\n"
        "worker.write = lambda *a, **k: os.kill(os.getpid(), 9)\n"
        "from sitecodec.cli.commands import main\nmain(['build', 'site'])"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)
    assert killed.returncode in (-signal.SIGKILL, 0)
    assert b"register-" not in (site / "index.html").read_bytes()


def test_without_a_home_images_are_encoded_all_the_same(tmp_path: Path, site: Path) -> None:
    (site / "index.html").write_text(page('<img src="a.png">'))
    (tmp_path / "sitecodec.toml").write_text("min_bytes = 100\n")
    script = "from sitecodec.cli.commands import main; main(['build', 'site'])"
    environment = {"PATH": os.environ["PATH"], "HOME": "/proc"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, env=environment
    )
    assert done.returncode == 0
    assert b"1 image encoded" in done.stdout, done.stdout
    assert done.stderr.count(b"XDG_CACHE_HOME") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_output_that_takes_nothing_is_one_line(tmp_path: Path, site: Path) -> None:
    (site / "index.html").write_text(page('<img src="a.png">'))
    (tmp_path / "sitecodec.toml").write_text("min_bytes = 100\n")

    def run(*arguments: str, to: Any, **more: str) -> subprocess.CompletedProcess[str]:
        script = f"from sitecodec.cli.commands import main; main({list(arguments)!r})"
        command, environment = [sys.executable, "-c", script], os.environ | more
        return subprocess.run(
            command, cwd=tmp_path, env=environment, text=True, stdout=to, stderr=subprocess.PIPE
        )

    with Path("/dev/full").open("w") as full:
        for name in ("build", "report"):
            done = run(name, "site", to=full)
            assert done.returncode == 1
            assert done.stderr.startswith("Error: cannot use the output: no space left")
            assert done.stderr.count("\n") == 1
    done = run("report", "site", to=subprocess.PIPE, GITHUB_STEP_SUMMARY="/dev/full")
    assert done.returncode == 0
    assert "total, each image once" in done.stdout
    assert done.stderr.startswith("warning: cannot write the step's summary to /dev/full")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of processes")
def test_a_full_disk_leaves_pages_whole_and_is_one_line(tmp_path: Path, site: Path) -> None:
    """Files may not grow over a limit: the encoded files do not fit, or a page does not."""
    (site / "0.html").write_text(page('<img src="a.png">'))
    values = "min_bytes = 100\nbrowser = 'never'\nstore = 'kept'\n"
    (tmp_path / "sitecodec.toml").write_text(values)
    rewrite_site(site, Settings(store=tmp_path / "kept", min_bytes=100, browser="never"))
    shutil.rmtree(site / "assets")
    texts = {f"{n}.html": page(f"{'x' * 3000 * n}<img src='a.png'>") for n in range(12)}
    for name, text in texts.items():
        (site / name).write_text(text)
    ends = set()
    for limit in (200, 20_000):
        script = (
            f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
            "from sitecodec.cli.commands import main\nmain(['build', 'site'])"
        )
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("Error: cannot write")
        assert "Traceback" not in done.stderr
        for name, text in texts.items():
            data = (site / name).read_text()
            ends.add(data == text)
            assert data == text or ("<source" in data and data.endswith("</body></html>"))
        assert not [*site.rglob("*.sitecodec-tmp")]
    assert ends == {True, False}


def test_without_a_head_ours_stands_where_browsers_run_it(tmp_path: Path, site: Path) -> None:
    before = "<!doctype html><meta charset=utf-8><title>Page</title>"
    frame = '<nav><svg viewBox="0 0 9 9"><title>Home</title><path d="M0 0"/></svg></nav>'
    (site / "index.html").write_text(f'{before}{frame}<main><img src="a.png"></main>')
    rewrite_site(site, settings(tmp_path, browser="always"))
    data = (site / "index.html").read_text()
    assert frame in data
    assert "data-sitecodec" in data


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_serve_shows_what_a_host_would(site: Path, tmp_path: Path) -> None:
    from werkzeug.test import Client

    (tmp_path / "secret").write_text("secret")
    for name in (".env", ".git/config", "a/.hidden/x", ".well-known/x", "s.css", "index.html"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("x")
    client = Client(site_app(site))
    for path, status in (
        *(("/.env", 404), ("/.git/config", 404), ("/a/.hidden/x", 404), ("/.well-known/x", 200)),
        *(("/s.css", 200), ("/..%2fsecret", 404), ("//etc/passwd", 404), ("/s.css%00", 404)),
    ):
        got, head = client.get(path), client.head(path)
        assert got.status_code == head.status_code == status, path
        assert got.headers.get("Content-Length") == head.headers.get("Content-Length")
    (site / "s.css").unlink()
    (site / "s.css").symlink_to(tmp_path / "secret")
    assert client.get("/s.css").status_code == 404


def test_a_configuration_nested_without_end_says_nothing(tmp_path: Path, site: Path) -> None:
    (site / "index.html").write_text(page('<img src="a.png">'))
    (site / "vercel.json").write_text("[" * 100_000)
    (site / "netlify.toml").write_text("a=" + "[" * 100_000)
    (tmp_path / "netlify.toml").write_text("a=" + "{a=" * 5_000)
    summary = rewrite_site(site, settings(tmp_path, browser="always"))
    assert (summary.rewritten, summary.problems) == (1, ())


def test_a_file_in_the_place_of_ours_is_one_line(tmp_path: Path, site: Path) -> None:
    (site / "index.html").write_text(page('<img src="a.png">'))
    (site / "assets").mkdir()
    (site / "assets/sitecodec").write_text("theirs")
    with pytest.raises(SiteError, match="rename what stands there, or set 'asset_dir'"):
        rewrite_site(site, settings(tmp_path))
    assert (site / "index.html").read_text() == page('<img src="a.png">')


def test_the_reports_pictures_are_those_that_pages_show(tmp_path: Path, site: Path) -> None:
    """Pillow would start Ghostscript for the first, and take gigabytes for the second."""
    from sitecodec.report import page as report_page

    box = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    (site / "eps.png").write_bytes(box)
    Image.new("1", (12_000, 12_000)).save(site / "large.png")
    assert report_page._thumbnail(site, "eps.png") == ""
    assert report_page._thumbnail(site, "large.png") == ""
    assert report_page._thumbnail(site, "a.png").startswith("data:image/webp")


def test_a_foreign_cache_gives_no_image_another_size(tmp_path: Path, site: Path) -> None:
    wanted = settings(tmp_path)
    (site / "index.html").write_text(page('<img src="a.png">'))
    job = jobs.Job(site / "a.png", with_widths(wanted, 0))
    ((_, made),) = jobs.encode_images([job], None, Store(wanted.store))
    assert isinstance(made, jobs.Outcome)
    (entry,) = (
        e for e in wanted.store.rglob("*") if e.is_file() and outcome.MAGIC in e.read_bytes()[:99]
    )
    key = entry.parent.name + entry.name
    variants = tuple(
        v._replace(width=v.width * 50, height=v.height * 50)
        for v in made.variants
        if v.format != "slat"
    )
    worst = made._replace(width=made.width * 50, height=made.height * 50, variants=variants)
    Store(wanted.store).put(key, outcome.pack(worst))
    rewrite_site(site, wanted)
    assert 'width="90" height="60"' in (site / "index.html").read_text()


@pytest.mark.parametrize("size", ["9" * 400, "9" * 5000, "-1", "1e3"])
def test_trials_of_any_size_in_a_foreign_cache_stop_nothing(size: str) -> None:
    trial = '{"avif 50": [' + size + ", 60.0, 50.0, 0.9]}"
    data = trials.MAGIC + f'{{"90": {trial}}}'.encode()
    assert trials.unpack(data) == {}

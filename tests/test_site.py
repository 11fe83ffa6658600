"""sitecodec.site.build: whole sites are rewritten with real encodes, nothing is lost."""

from __future__ import annotations

import gzip
import os
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from PIL import Image

from sitecodec import codecs
from sitecodec.errors import SettingsError, SiteError
from sitecodec.page.html import scan
from sitecodec.settings import Settings
from sitecodec.site import manifest
from sitecodec.site.build import Summary, rewrite_site, with_widths

PHOTOS = ("a", "b", "c")


@pytest.fixture(scope="session")
def photos(make: Any) -> dict[str, bytes]:
    """Three photographs as PNG files, of which the engine makes payloads."""
    return {name: make.file(make.photo(80, 120, seed)) for seed, name in enumerate(PHOTOS)}


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a store that all tests share, so that each photograph is encoded once."""
    return Settings(store=tmp_path_factory.mktemp("store"), workers=2)


@pytest.fixture
def site(tmp_path: Path, photos: dict[str, bytes]) -> Path:
    root = tmp_path / "site"
    (root / "images").mkdir(parents=True)
    for name, data in photos.items():
        (root / "images" / f"{name}.png").write_bytes(data)
    return root


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def assets(root: Path) -> list[str]:
    names = (p.name for p in (root / "assets/sitecodec").iterdir())
    return sorted(name for name in names if name != manifest.NAME)


def addresses(page: Path) -> list[str]:
    """Every address that the page's pictures name, decoded, without fragments."""
    found = re.findall(r"""(?:srcset|src)=["']?([^"'\s>]+)""", page.read_text("utf-8"))
    return [unquote(address.partition("#")[0]) for address in found]


def problems(summary: Summary) -> list[str]:
    return [str(problem) for problem in summary.problems]


def test_a_page_offers_payload_avif_and_jpeg(site: Path, settings: Settings) -> None:
    text = '<title>t</title><p>x <img src="images/a.png#only-light" alt="A"> y</p>'
    (site / "index.html").write_text(text)
    summary = rewrite_site(site, replace(settings, browser="always"))
    new = (site / "index.html").read_text()
    names = [name for name in assets(site) if name.startswith("a-")]
    stem = names[0].removesuffix(".avif")
    assert names == [f"{stem}.avif", f"{stem}.jpg", f"{stem}.slat"]
    assert re.fullmatch(r"a-[0-9a-f]{12}-120w", stem)
    url = f"assets/sitecodec/{stem}"
    added = "<(style|script) data-sitecodec>.*</(style|script)>|<script defer.*</script>"
    assert re.sub(added, "", new) == (
        "<title>t</title><p>x <picture data-sitecodec>"
        f'<source type="image/x-sitecodec" srcset="{url}.slat">'
        f'<source type="image/avif" srcset="{url}.avif">'
        f'<img src="{url}.jpg#only-light" alt="A" width="120" height="80" data-sitecodec="sized"'
        ' decoding="async" style="contain-intrinsic-size:120px 80px">'
        "</picture> y</p>"
    )
    payload = (site / f"{url}.slat").read_bytes()
    assert codecs.get("web").decode(payload).shape == (80, 120, 3)
    (row,) = summary.images
    assert row.path == "images/a.png"
    assert row.before == (site / "images/a.png").stat().st_size
    assert row.payload == len(payload)
    assert row.reason == ""
    assert (summary.pages, summary.rewritten, summary.problems) == (1, 1, ())
    assert summary.after < summary.before


def test_payloads_that_no_visitor_loads_are_not_in_the_site(site: Path, settings: Settings) -> None:
    """The worker is left out, and with it all that only the worker decodes."""
    (site / "index.html").write_text("<p><img src=images/a.png>")
    summary = rewrite_site(site, settings)
    assert "left out" in summary.worker
    assert not [name for name in assets(site) if name.endswith(".slat")]
    assert "x-sitecodec" not in (site / "index.html").read_text()
    (row,) = summary.images
    assert (row.payload, row.reason) == (None, "payload not shipped")
    folder = site / settings.asset_dir
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert summary.added == (len(sizes), sum(sizes))


def test_twice_in_place_changes_nothing_and_a_new_build_gives_the_same_bytes(
    site: Path, settings: Settings, tmp_path: Path, photos: dict[str, bytes]
) -> None:
    (site / "index.html").write_text(
        "<img src=images/a.png><img src=images/b.png width=10 height=10><p>"
    )
    rewrite_site(site, settings)
    first = tree(site)
    times = {p: p.stat().st_mtime_ns for p in site.rglob("*")}
    again = rewrite_site(site, settings)
    assert tree(site) == first
    assert {p: p.stat().st_mtime_ns for p in site.rglob("*")} == times
    assert (again.rewritten, again.removed, again.problems) == (0, 0, ())
    other = Settings(store=tmp_path / "another store", workers=1)
    for name in PHOTOS:
        (site / "images" / f"{name}.png").write_bytes(photos[name])
    (site / "index.html").write_text(
        "<img src=images/a.png><img src=images/b.png width=10 height=10><p>"
    )
    rewrite_site(site, other)
    assert tree(site) == first


def test_the_first_large_content_image_comes_first(site: Path, settings: Settings) -> None:
    large = "<img src=images/b.png width=300 height=200>"
    (site / "index.html").write_text(
        "<header><img src=images/a.png></header><main><nav><img src=images/b.png></nav>"
        f"<article><img src=missing.png>{large}<p>{'far below ' * 900}</p>{large}</article>"
        "</main><footer><img src=images/c.png></footer>"
    )
    rewrite_site(site, settings)
    images = scan((site / "index.html").read_bytes()).images
    loading = [(i.get("fetchpriority"), i.get("loading")) for i in images if i.in_picture]
    eager, high, lazy = (None, None), ("high", None), (None, "lazy")
    assert loading == [eager, eager, high, lazy, lazy]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a b.png",
            "a%20b.png",
            "a;b,c.png",
            "\u00fcn\u00ef \u6587.png",
            "(a) [b].png",
            "a+b&c.png",
        ),
        *(
            "a#b?c.png",
            "'q\".png",
            "-.png",
            "UPPER.PNG",
            "a" * 180 + ".png",
            ".hidden.png",
            "p:q.png",
        ),
        pytest.param(os.fsdecode(b"caf\xe9.png"), id="latin-1"),
    ],
)
def test_odd_names(site: Path, settings: Settings, photos: dict[str, bytes], name: str) -> None:
    folder = site / "odd, folder;%41"
    folder.mkdir()
    (folder / name).write_bytes(photos["a"])
    url = quote(os.fsencode(f"odd, folder;%41/{name}"))
    (site / "sub").mkdir()
    (site / "sub/index.html").write_text(f'<img src="../{url}">')
    summary = rewrite_site(site, settings)
    assert problems(summary) == []
    assert summary.rewritten == 1
    for address in addresses(site / "sub/index.html"):
        assert (site / "sub" / address).is_file()
    for asset in assets(site):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", asset)
        assert len(asset) < 80


def test_an_asset_folder_that_needs_encoding(site: Path, settings: Settings) -> None:
    odd = replace(settings, asset_dir="as, sets/\u00e9 %")
    (site / "index.html").write_text("<img src=images/a.png>")
    rewrite_site(site, odd)
    text = (site / "index.html").read_text()
    assert 'srcset="as%2C%20sets/%C3%A9%20%25/a-' in text
    first = tree(site)
    rewrite_site(site, odd)
    assert tree(site) == first


def test_addresses_are_relative_as_the_author_wrote_them(site: Path, settings: Settings) -> None:
    pages = {
        "index.html": "images/a.png",
        "x/y/index.html": "../../images/a.png",
        "404.html": "/docs/images/a.png",
        "x/base.html": "images/a.png",
    }
    (site / "x/y").mkdir(parents=True)
    for page, src in pages.items():
        base = "<base href='../'>" if "base" in page else ""
        (site / page).write_text(f'{base}<img src="{src}">')
    summary = rewrite_site(site, settings, base_path="/docs/")
    assert summary.rewritten == 4
    starts = {
        "index.html": "assets/",
        "x/y/index.html": "../../assets/",
        "404.html": "/docs/assets/",
        "x/base.html": "assets/",
    }
    for page, start in starts.items():
        found = addresses(site / page)
        assert len(found) == 2
        assert all(address.startswith(f"{start}sitecodec/a-") for address in found)


LEFT_ALONE = b"""<!doctype html>\r\n<title><img src=images/a.png></title>
<img src="https://example.com/a.png"><img src="//example.com/a.png">
<img src="data:image/png;base64,AAAA"><img src="blob:x"><img src=""><img alt=none>
<img src=images/a.png data-sitecodec=off><nav><img src="images/v.svg"></nav>
<img src=images/excluded.png>
<picture><b></b><img src=images/a.png></picture><img src=images/a.png srcset="b 2x 9h">
<img src=images/small.png data-src=images/a.png><noscript><img src=images/a.png></noscript>
<nav><img src=images/small.png><img src=images/clear.png></nav><img src=images/moving.gif
data-sitecodec=off><textarea><img src=images/a.png></textarea> \xff\xfe \0
<!-- <img src=images/a.png> -->"""


def test_what_is_left_alone_stays_byte_for_byte(
    site: Path, settings: Settings, make: Any, photos: dict[str, bytes]
) -> None:
    images = site / "images"
    (images / "v.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (images / "excluded.png").write_bytes(photos["a"])
    (images / "small.png").write_bytes(make.file(make.photo(4, 4)))
    clear = Image.fromarray(make.photo(80, 120)).convert("RGBA")
    clear.putalpha(0)
    (images / "clear.png").write_bytes(make.file(clear))
    frames = [Image.fromarray(make.photo(80, 120, seed)) for seed in (1, 2)]
    frames[0].save(images / "moving.gif", save_all=True, append_images=frames[1:])
    (site / "index.html").write_bytes(LEFT_ALONE)
    before = tree(site)
    summary = rewrite_site(site, replace(settings, exclude=("images/ex*.png",)))
    assert tree(site) == before
    assert problems(summary) == []
    reasons = {row.path: row.reason for row in summary.left_alone}
    assert reasons["images/v.svg"] == "vector (SVG)"
    assert reasons["images/excluded.png"] == "excluded"
    assert reasons["https://example.com/a.png"] == "remote"
    assert reasons["images/a.png"] == 'data-sitecodec="off"'
    assert reasons["images/small.png"]
    assert "transparent" in reasons["images/clear.png"]
    assert not any(path.startswith(("data:", "blob:")) for path in reasons)


@pytest.mark.parametrize(
    ("glob", "excluded"),
    [
        ("images/a.png", True),
        ("images/*", True),
        ("*.png", True),
        ("**/a.*", True),
        ("im?ges/[a].png", False),
        ("images", False),
        ("*/b.png", False),
        ("blog/**", True),
        ("blog/*.html", True),
        ("blog", False),
    ],
)
def test_exclude(site: Path, settings: Settings, glob: str, excluded: bool) -> None:
    (site / "blog").mkdir()
    (site / "blog/x.html").write_text("<img src=../images/a.png>")
    summary = rewrite_site(site, replace(settings, exclude=(glob,)))
    assert summary.rewritten == (not excluded)


def test_a_tag_may_ask_for_a_quality_of_its_own(site: Path, settings: Settings) -> None:
    def sizes(tag: str) -> tuple[Summary, dict[str, int | None]]:
        (site / "index.html").write_text(f'<p>{tag}<img src="images/b.png"></p>')
        summary = rewrite_site(site, settings)
        return summary, {row.path: row.modern for row in summary.images}

    _, plain = sizes('<img src="images/a.png">')
    _, better = sizes('<img src="images/a.png" data-sitecodec="quality=80">')
    _, again = sizes('<img data-sitecodec="quality=80" src="images/a.png"><img src="images/a.png">')
    assert better["images/a.png"] > plain["images/a.png"]
    assert again["images/a.png"] == better["images/a.png"]  # the highest that is asked for
    assert better["images/b.png"] == plain["images/b.png"]
    for wrong in ("quality=101", "quality=much", "size=3"):
        summary, _ = sizes(f'<img src="images/a.png" data-sitecodec="{wrong}">')
        assert [p.image for p in summary.problems] == ["images/a.png"]
        assert "data-sitecodec" in problems(summary)[0]
        assert f'data-sitecodec="{wrong}">' in (site / "index.html").read_text()


def test_bad_images_are_one_problem_each_and_the_build_goes_on(
    site: Path, settings: Settings, tmp_path: Path, photos: dict[str, bytes], make: Any
) -> None:
    images = site / "images"
    outside = tmp_path / "outside.png"
    outside.write_bytes(photos["b"])
    (images / "garbage.png").write_bytes(os.urandom(8000))
    (images / "tiny-garbage.png").write_bytes(b"not an image")
    (images / "truncated.png").write_bytes(photos["a"][:9000])
    (images / "tiny-truncated.png").write_bytes(photos["a"][:900])
    (images / "empty.png").write_bytes(b"")
    (images / "leaves.png").symlink_to(outside)
    (images / "broken.png").symlink_to("nowhere.png")
    (images / "loop.png").symlink_to("loop.png")
    (images / "folder.png").mkdir()
    (site / "linked").symlink_to(tmp_path)
    os.mkfifo(images / "pipe.png")
    (images / "bomb.png").write_bytes(make.file(Image.new("1", (9000, 9000))))
    bad = [
        *("images/garbage.png", "images/tiny-garbage.png", "images/truncated.png"),
        *("images/tiny-truncated.png", "images/empty.png", "images/leaves.png"),
        *("images/broken.png", "images/loop.png", "images/folder.png", "images/pipe.png"),
        *("images/bomb.png", "linked/outside.png", "missing.png", "x\0y.png", "y" * 5000),
    ]
    text = "".join(f'<img src="{src}">\r\n' for src in bad)
    text += '<img src="%2e%2e/images/../../outside.png"><img src="..%2foutside.png">'
    good = '<img src="images/a.png">'
    (site / "index.html").write_bytes((text + good).encode())
    (site / "other.html").write_text("<img src=images/empty.png><img src=images/empty.png>")
    summary = rewrite_site(site, settings)
    new = (site / "index.html").read_bytes().decode()
    assert new.startswith(text + "<style data-sitecodec>")
    lines = problems(summary)
    assert len(lines) == len(bad) + 1
    assert sorted(p.image.replace("\ufffd", "\0") for p in summary.problems) == sorted(
        [*bad, "outside.png"]
    )
    (left,) = (row for row in summary.images if row.reason == "outside the site")
    assert left.path == "..%2foutside.png"  # an encoded slash is none to browsers
    for line in lines:
        assert line.startswith("index.html: ")
        assert line.isprintable()
        assert str(tmp_path) not in line
    (empty,) = (line for line in lines if "empty" in line)
    assert empty.endswith("(also on other.html)")
    assert summary.rewritten == 1


def test_links_may_lead_to_the_site_s_repository_but_not_to_what_git_keeps(
    site: Path, settings: Settings, photos: dict[str, bytes]
) -> None:
    """Only links: an address that climbs out of the site leads nowhere on a host."""
    for name in ("assets", ".git"):
        (site.parent / name).mkdir()
        (site.parent / name / "a.png").write_bytes(photos["b"])
    (site / "linked").symlink_to("../assets")
    (site / "hidden").symlink_to("../.git")
    (site / "index.html").write_text(
        "<img src=linked/a.png><img src=hidden/a.png><img src=..%2fassets/a.png>"
    )
    summary = rewrite_site(site, replace(settings, originals="drop"))
    assert [row.path for row in summary.images if row.encoded] == ["linked/a.png"]
    reasons = {row.path: row.reason for row in summary.images}
    assert reasons["..%2fassets/a.png"] == "outside the site"
    assert sorted(str(p) for p in summary.problems) == [
        "index.html: hidden/a.png: is a link that leaves the repository; replace it by a copy",
    ]
    assert (site.parent / "assets/a.png").is_file()  # it is the author's, not the site's


def test_refused_images_are_problems(site: Path, settings: Settings) -> None:
    (site / "index.html").write_text("<img src=images/a.png><img src=images/b.png>")
    summary = rewrite_site(site, settings, refused={"images/a.png": "is refused"})
    assert problems(summary) == ["index.html: images/a.png: is refused"]
    assert (site / "index.html").read_text().startswith("<img src=images/a.png><style")


def test_pages_that_are_links(site: Path, settings: Settings, tmp_path: Path) -> None:
    outside = tmp_path / "outside.html"
    outside.write_text("<img src=images/a.png>")
    (site / "leaves.html").symlink_to(outside)
    (site / "real.html").write_text("<img src=images/a.png>")
    (site / "alias.html").symlink_to("real.html")
    summary = rewrite_site(site, settings)
    assert outside.read_text() == "<img src=images/a.png>"
    assert (site / "alias.html").is_symlink()
    assert problems(summary) == [
        "leaves.html: is a link that leaves the site; replace it by a copy"
    ]
    assert summary.rewritten == 1


def test_equal_sources_share_their_files(
    site: Path, settings: Settings, photos: dict[str, bytes]
) -> None:
    (site / "images/copy.png").write_bytes(photos["a"])
    (site / "images/same.png").symlink_to("a.png")
    # Same size, other content.
    (site / "images/b.png").write_bytes(photos["b"].ljust(len(photos["a"]) + 99, b"\0"))
    (site / "images/c.png").write_bytes(photos["c"].ljust(len(photos["a"]) + 99, b"\0"))
    (site / "index.html").write_text(
        "".join(f"<img src=images/{n}.png>" for n in ("copy", "a", "same", "b", "c", "a"))
    )
    summary = rewrite_site(site, settings)
    assert summary.problems == ()
    stems = {name.partition("-")[0] for name in assets(site)}
    assert stems == {"a", "b", "c"}
    text = (site / "index.html").read_text()
    assert text.count("/a-") == 4 * 2
    assert len(summary.images) == 5


def test_stale_files_of_earlier_builds_go(site: Path, settings: Settings) -> None:
    index, other = site / "index.html", site / "other.html"
    index.write_text("<img src=images/a.png>")
    other.write_text("<img src=images/b.png>")
    rewrite_site(site, settings)
    folder = site / "assets/sitecodec"
    (folder / "mine.txt").write_text("not ours")
    index.write_text("<img src=images/c.png>")  # a is no longer shown; other.html is not rebuilt
    (site / ".x.html.sitecodec-tmp").write_text("left by a killed build")
    summary = rewrite_site(site, settings)
    assert {name.partition("-")[0] for name in assets(site)} == {"b", "c", "mine.txt"}
    assert summary.removed in (2, 3)
    assert not list(site.rglob("*.sitecodec-tmp"))


def test_the_fallback_is_left_out_where_the_source_is_smaller(
    site: Path, settings: Settings, make: Any
) -> None:
    """A JPEG that is already small keeps its place as the <img>; never is anything heavier."""
    data = make.file(make.photo(240, 360, 7), "JPEG", quality=35, optimize=True)
    (site / "images/j.jpg").write_bytes(data)
    page = "<img src='images/j.jpg?v=1#x'>"
    (site / "index.html").write_text(page)
    summary = rewrite_site(site, replace(settings, min_bytes=100))
    (row,) = summary.images
    for size in (row.fallback, row.modern, row.payload):
        assert size is None or size < len(data)
    text = (site / "index.html").read_text()
    if row.encoded and row.fallback is None:
        assert "<img src='images/j.jpg?v=1#x' width=" in text
    elif not row.encoded:
        assert text == page


def test_pages_keep_their_permissions_and_others_are_not_written(
    site: Path, settings: Settings
) -> None:
    (site / "a.html").write_text("<img src=images/a.png>")
    (site / "a.html").chmod(0o640)
    (site / "b.html").write_text("no images")
    (site / "b.html").chmod(0o400)
    rewrite_site(site, settings)
    assert (site / "a.html").stat().st_mode & 0o777 == 0o640
    umask = os.umask(0)
    os.umask(umask)
    for path in (site / "assets/sitecodec").iterdir():
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_progress_counts_the_images(site: Path, settings: Settings) -> None:
    (site / "index.html").write_text("".join(f"<img src=images/{n}.png>" for n in PHOTOS))
    calls: list[tuple[int, int]] = []
    rewrite_site(site, settings, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_what_cannot_be_written_leaves_pages_whole(site: Path, settings: Settings) -> None:
    """The assets' folder cannot be made: a file is in its place."""
    page = "<img src=images/a.png>"
    (site / "index.html").write_text(page)
    (site / "assets").write_text("in the way")
    with pytest.raises(SiteError, match=r"cannot write .+; rename what stands there"):
        rewrite_site(site, settings)
    assert (site / "index.html").read_text() == page


def test_a_page_that_changes_while_images_are_encoded_is_not_written_over(
    site: Path, settings: Settings
) -> None:
    page = site / "index.html"
    page.write_text("<p>a<img src=images/a.png>")
    changed = "<p>b<img src=images/a.png>"
    with pytest.raises(SiteError, match=r"index.html changed while images were encoded"):
        rewrite_site(
            site, settings, progress=lambda *_: page.write_text("<p>b<img src=images/a.png>")
        )
    assert page.read_text() == changed


def test_a_page_of_two_names_is_changed_under_its_own(site: Path, settings: Settings) -> None:
    page, other = site / "index.html", site.parent / "other.html"
    page.write_text("<p>a<img src=images/a.png>")
    page.chmod(0o640)
    os.link(page, other)
    assert rewrite_site(site, settings).rewritten == 1
    assert b"sitecodec" in page.read_bytes()
    assert other.read_text() == "<p>a<img src=images/a.png>"
    assert stat.S_IMODE(page.stat().st_mode) == 0o640


def test_what_others_read_of_a_page_is_left_alone(site: Path, settings: Settings) -> None:
    """Open Graph, Twitter cards, linked data, feeds: addresses that other sites have fetched."""
    head = (
        '<meta property="og:image" content="https://example.org/images/a.png">'
        '<meta name="twitter:image" content="/images/a.png"><link rel=icon href=images/a.png>'
        '<script type="application/ld+json">{"image": "images/a.png", "x": "<img src=a.png>"}'
        "</script>"
    )
    body = "<body><a href=images/a.png><img src=images/a.png></a>"
    feed = "<rss>&lt;img src=images/a.png&gt;<img src='images/a.png'/></rss>"
    (site / "index.html").write_text(f"<html><head><title>t</title>{head}</head>{body}")
    (site / "feed.xml").write_text(feed)
    (site / "data.json").write_text('{"image": "images/a.png"}')
    rewrite_site(site, replace(settings, originals="drop"))
    new = (site / "index.html").read_text()
    assert head in re.sub("<(style|script) data-sitecodec>.*?</(style|script)>", "", new)
    assert "<body><a href=images/a.png><picture" in new
    assert (site / "feed.xml").read_text() == feed
    assert (site / "images/a.png").is_file()  # which is why 'drop' keeps it


def test_widths_follow_the_theme_and_end_at_1920() -> None:
    assert with_widths(Settings(), 760).widths == (380, 760, 1520)
    assert with_widths(Settings(), 1200).widths == (600, 1200, 1920)
    assert with_widths(Settings(), 0).widths == (480, 960, 1920)
    assert with_widths(Settings(widths=(50,)), 760).widths == (50,)


def test_wrong_use(site: Path, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="is not a folder; build the site first"):
        rewrite_site(tmp_path / "nowhere", settings)
    with pytest.raises(SettingsError, match="templates"):
        rewrite_site(site, replace(settings, templates=tmp_path / "nowhere"))
    (site / "assets").symlink_to(tmp_path)
    with pytest.raises(SiteError, match="leaves the site"):
        rewrite_site(site, settings)


def test_a_warm_build_imports_neither_numpy_nor_pillow_nor_the_engine(
    site: Path, settings: Settings
) -> None:
    page = "<img src=images/a.png><img src=images/b.png>"
    (site / "index.html").write_text(page)
    rewrite_site(site, settings)
    (site / "index.html").write_text(page)
    code = (
        "import sys; from pathlib import Path\n"
        "from sitecodec.settings import Settings; from sitecodec.site.build import rewrite_site\n"
        "s = rewrite_site(Path(sys.argv[1]), Settings(store=Path(sys.argv[2])))\n"
        "assert s.rewritten == 1 and len(s.encoded) == 2, s\n"
        "heavy = {'numpy', 'PIL', 'wasmtime', 'scipy', 'mkdocs', 'torch', 'jinja2'}\n"
        "heavy |= {f'sitecodec.{name}' for name in ('engine', 'page.tokens', 'page.markup')}\n"
        "heavy &= sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code, site, settings.store], check=True)


def test_originals_are_dropped_only_where_nothing_names_them(
    site: Path, settings: Settings, photos: dict[str, bytes]
) -> None:
    """Named in CSS, scripts, JSON, XML, by odd escapes, or by a link: each keeps its file."""
    keepers = {
        "link.png": ("page.html", "<a href='images/link.png'>x</a>"),
        "style.png": ("x.css", "p{background:url(../images/STYLE.png)}"),
        "script.png": ("x.js", "load('images/script.png')"),
        "data.png": ("x.json", '{"image": "data.png"}'),
        "feed.png": ("feed.xml", "<url>images%2Ffeed.png</url>"),
        "a b.png": ("y.html", "<a href='images/a%20b.png'>"),
        "q&r.png": ("z.html", "<a href='images/q&amp;r.png'>"),
        "caf\u00e9.png": ("n.txt", ""),
        "leaf.png": ("css.css", r"p{background:url(images/l\65 af.png)}"),
        "wave.png": ("js.js", r"load('images/w\u0061v\x65.p\u{6e}g')"),
        "split.png": ("split.html", "<a href='images/sp\n\tlit.png'>x</a>"),
        "eight.png": ("o.js", r"load('images/\145ight\56png')"),
        "more.png": ("m.js", r"load('images/m\u{00000006f}re\x252epng')"),
        "turn.png": ("t.css", "p{background:url('images/tu\\\nrn.png')}"),
        "deep.png": ("d.html", "<a href='images/d&#37;65ep&NewLine;.png'>x</a>"),
        "wide.png": ("wide.html", "\ufeff<img src=images/wide.png>"),
        "both.css.png": ("both.html", r"<p style='background:url(bo\74 h&period;css%2Epng)'>"),
    }
    for number, (name, (file, text)) in enumerate(keepers.items()):
        data = photos["a"] + bytes(number)
        (site / "images" / name).write_bytes(data)
        (site / file).write_text(text, "utf-16-le" if text[:1] == "\ufeff" else "utf-8")
    (site / "packed.svgz").write_bytes(gzip.compress(b"<image href='images/packed.png'/>"))
    (site / "images/packed.png").write_bytes(photos["a"] + b"packed")
    (site / "images/solo.png").write_bytes(photos["b"])
    shown = [*keepers, "packed.png", "a.png", "solo.png"]
    (site / "index.html").write_text(
        "".join(f'<img src="images/{quote(n)}">' for n in shown)
        + "<img src=images/c.png data-sitecodec=off>"
    )
    keep = tree(site)
    rewrite_site(site, replace(settings, originals="drop"))
    left = tree(site)
    gone = keep.keys() - left.keys()
    assert gone == {"images/solo.png"}  # "data.png" ends with a.png's name: it could be meant
    for address in addresses(site / "index.html"):
        assert (site / address).is_file()
    rewrite_site(site, replace(settings, originals="drop"))
    assert tree(site) == left


def test_links_keep_the_originals_that_they_lead_to_and_are_not_read_outside(
    site: Path, settings: Settings, photos: dict[str, bytes], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    (site / "linked.png").write_bytes(photos["b"])
    (site / "alias.png").symlink_to("linked.png")
    (site / "other.png").write_bytes(photos["b"] + b"other")
    for text in ("", "other.png"):
        secret.write_text(text)
        (site / "o.txt").symlink_to(secret)
        (site / "index.html").write_text("<img src=linked.png><img src=other.png>")
        rewrite_site(site, replace(settings, originals="drop"))
        assert (site / "other.png").is_file()  # whatever the file says that is not the site's
        (site / "o.txt").unlink()
    (site / "index.html").write_text("<img src=linked.png><img src=other.png>")
    rewrite_site(site, replace(settings, originals="drop"))
    assert (site / "alias.png").read_bytes() == photos["b"]
    assert not (site / "other.png").exists()


def test_a_file_that_only_a_host_can_read_names_every_original(
    site: Path, settings: Settings, photos: dict[str, bytes]
) -> None:
    (site / "other.html.br").write_bytes(b"brotli")
    (site / "solo.png").write_bytes(photos["b"])
    for is_left in (True, False):
        (site / "index.html").write_text("<img src=solo.png>")
        rewrite_site(site, replace(settings, originals="drop"))
        assert (site / "solo.png").is_file() == is_left
        (site / "other.html").write_text("now a browser can read what is packed there")


def test_sizes_without_a_srcset_mean_nothing(site: Path, settings: Settings) -> None:
    """So what they say of the width is not relied on: such an image keeps all its pixels."""
    css = "<style>img{max-width:100%}</style>"
    text = css + '<img src=images/a.png sizes="50vw"><img src=images/b.png>'
    (site / "index.html").write_text(text)
    rewrite_site(site, replace(settings, widths=(60, 120)))
    first, second = re.findall("<picture.*?</picture>", (site / "index.html").read_text())
    assert " 60w" not in first
    assert set(re.findall('sizes="([^"]*)"', second)) == {"120px"}
    assert " 60w" in second


def test_a_background_keeps_its_payload_when_it_is_built_again(
    site: Path, settings: Settings
) -> None:
    def payloads() -> list[str]:
        return [name for name in tree(site) if "/a-" in name and name.endswith(".slat")]

    (site / "index.html").write_text("<link rel=stylesheet href=a.css><img src=images/b.png>")
    (site / "a.css").write_text("p{background:url(images/a.png)}")
    always = replace(settings, browser="always")
    rewrite_site(site, always)
    first = tree(site)
    assert payloads()
    rewrite_site(site, always)
    assert tree(site) == first
    rewrite_site(site, replace(settings, browser="never"))
    assert not payloads()

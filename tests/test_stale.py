"""Pages that a generator leaves unwritten show pictures that have changed since (site/stale.py)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from sitecodec.page import undo
from sitecodec.page.splice import splice
from sitecodec.settings import Settings
from sitecodec.site import manifest, stale
from sitecodec.site.build import rewrite_site
from sitecodec.site.findings import Findings

PAGE = """<!doctype html><html><head><title>t</title>
<style>#hero { background-image: url(i/a.png); color: red }</style></head><body><main>
<p><img src="i/a.png" alt="x &amp; y" class=wide></p>
<p style="background: url(i/b.png)"><img alt='b' src=i/b.png loading="lazy" decoding="async"/></p>
<p><img srcset="i/a.png 240w, i/small.png 120w" sizes="50vw" src="i/small.png"></p>
<picture><source srcset="i/b.png" media="(min-width: 600px)"><img src="i/a.png"></picture>
<p><img src="/i/b.png#only-dark" style="border: 1px solid"><img src="i/clear.png"></p>
<p><img src="i/tiny.png"></p></main></body></html>
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    store = tmp_path_factory.mktemp("store")
    return Settings(store=store, widths=(120, 240), placeholder="colour", browser="never")


@pytest.fixture
def site(tmp_path: Path, make: Any) -> Path:
    images = tmp_path / "site/i"
    images.mkdir(parents=True)
    for number, name in enumerate("ab"):
        (images / f"{name}.png").write_bytes(make.file(make.photo(160, 240, number)))
    (images / "small.png").write_bytes(make.file(make.photo(80, 120, 0)))
    (images / "tiny.png").write_bytes(make.file(make.photo(16, 24, 0)))
    clear = make.photo(120, 240, 3)
    (images / "clear.png").write_bytes(make.file(_with_alpha(clear)))
    (tmp_path / "site/style.css").write_text("p{background:url(i/b.png)}")
    (tmp_path / "site/index.html").write_text(PAGE)
    return tmp_path / "site"


def _with_alpha(pixels: Any) -> Any:
    import numpy as np

    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    alpha[:20] = 90
    return np.concatenate([pixels, alpha], axis=2)


def built(site: Path, settings: Settings) -> dict[str, str]:
    rewrite_site(site, settings)
    return {name: (site / name).read_text() for name in ("index.html", "style.css")}


def test_what_is_left_of_an_old_page_is_its_author_s(
    site: Path, settings: Settings, make: Any
) -> None:
    """A page that was not written anew reads after the build as if it had been."""
    old = built(site, settings)
    for number, name in enumerate("ab"):
        (site / f"i/{name}.png").write_bytes(make.file(make.photo(180, 200, number + 5)))
    (site / "i/tiny.png").write_bytes(make.file(make.photo(20, 20, 1)))
    unwritten = built(site, settings)
    (site / "index.html").write_text(PAGE)
    (site / "style.css").write_text("p{background:url(i/b.png)}")
    written = built(site, settings)
    assert unwritten == written != old
    for address in re.findall(r"assets/sitecodec/[\w.-]+", written["index.html"]):
        assert (site / address).is_file()
    assert built(site, settings) == written


def test_only_pages_that_show_changed_images_are_touched(
    site: Path, settings: Settings, make: Any
) -> None:
    (site / "other.html").write_text('<img src="i/b.png">')
    built(site, settings)
    stamp = (site / "other.html").stat().st_mtime_ns
    same_size = bytearray((site / "i/a.png").read_bytes())
    (site / "i/a.png").write_bytes(make.file(make.photo(160, 240, 9)))
    built(site, settings)
    assert (site / "other.html").stat().st_mtime_ns == stamp
    (site / "i/a.png").write_bytes(same_size)
    assert rewrite_site(site, settings).rewritten == 1


def test_the_content_counts_not_the_size(site: Path, settings: Settings) -> None:
    first = built(site, settings)
    data = (site / "i/a.png").read_bytes()
    other = data + b"\0" * 10
    (site / "i/a.png").write_bytes(other)
    built(site, settings)
    (site / "i/a.png").write_bytes(data + b"\1" * 10)  # of equal size
    entry = {e.path: e for e in manifest.read(site, settings.asset_dir).entries}["i/a.png"]
    built(site, settings)
    now = {e.path: e for e in manifest.read(site, settings.asset_dir).entries}["i/a.png"]
    assert entry.bytes == now.bytes
    assert entry.digest != now.digest
    (site / "i/a.png").write_bytes(data)
    assert built(site, settings) == first


def test_what_stands_between_pictures_is_not_lost(
    site: Path, settings: Settings, make: Any
) -> None:
    """An author's `<PICTURE>` that names an encoded file is not the wrapper before it."""
    first = built(site, settings)["index.html"]
    named = re.findall(r'srcset="([^" ]*/a-[^" ]*)', first)[0]
    inner = f'<source srcset="{named}"><img src="i/a.png">'
    for text in (
        f"<picture data-sitecodec></picture><p>precious</p><PICTURE>{inner}</picture>",
        f"<picture data-sitecodec><b>precious</b>{inner}</picture>",
        f"<picture data-sitecodec><source srcset=x><b>precious</b>{inner}</picture>",
    ):
        (site / "b.html").write_text(f"<html><head></head><body>{text}</body></html>")
        (site / "i/a.png").write_bytes(make.file(make.photo(160, 240, len(text))))
        built(site, settings)
        assert "precious" in (site / "b.html").read_text()


def test_a_manifest_names_no_page_as_the_source_of_a_picture(
    site: Path, settings: Settings
) -> None:
    built(site, settings)
    place = site / settings.asset_dir / manifest.NAME
    text = place.read_text().replace('"path": "i/a.png"', '"path": "index.html"')
    place.write_text(text)
    assert 'src="index.html"' not in built(site, settings)["index.html"]


def test_a_source_that_was_dropped_changes_nothing_until_it_comes_back(
    site: Path, settings: Settings, make: Any
) -> None:
    settings = replace(settings, originals="drop")
    (site / "index.html").write_text('<img src="i/a.png">')
    first = built(site, settings)
    assert not (site / "i/a.png").is_file()
    assert built(site, settings) == first
    (site / "i/a.png").write_bytes(make.file(make.photo(160, 240, 7)))
    second = built(site, settings)
    assert second != first
    assert "/a-" in second["index.html"]


def test_where_two_sources_were_equal_the_page_is_named(
    site: Path, settings: Settings, make: Any
) -> None:
    """Their files have one name, which does not say whose they were on this page."""
    (site / "i/copy.png").write_bytes((site / "i/a.png").read_bytes())
    (site / "index.html").write_text('<img src="i/a.png"><img src="i/copy.png">')
    built(site, settings)
    (site / "i/copy.png").write_bytes(make.file(make.photo(160, 240, 7)))
    summary = rewrite_site(site, settings)
    (problem,) = summary.problems
    assert str(problem).startswith("index.html: i/copy.png: shows the image as it was")


@settings_of_hypothesis(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *("<picture data-sitecodec>", "<picture>", "</picture>", "<source srcset=o.avif>"),
                *('<img src="o.jpg" width="1" data-sitecodec="sized">', "<img src=x>", "<p>"),
                *("<style>a{background:url(x.png);background:image-set(url(o.avif))}", "</style>"),
            ]
        )
    )
)
def test_only_what_is_known_goes(parts: list[str]) -> None:
    data = "".join(parts).encode()
    assert undo.spans(data, lambda _: None) == []
    new = splice(data, undo.spans(data, lambda a: "x.png" if a.startswith("o.") else None))
    assert new.count(b"<img") == data.count(b"<img")
    assert new.count(b"<p>") == data.count(b"<p>")


def test_a_file_that_a_manifest_names_often_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    read: list[Path] = []
    whole = stale.digest_of
    monkeypatch.setattr(stale, "digest_of", lambda place: read.append(place) or whole(place))
    entries = [manifest.Entry(path, 1, "", (), "0" * 64) for path in ("a.bin", "./a.bin")] * 50
    (tmp_path / "assets").mkdir()
    (tmp_path / f"assets/{manifest.NAME}").write_bytes(
        manifest.dump(manifest.Manifest((*entries,)))
    )
    stale.restore(tmp_path, "assets", [], "/", Findings())
    assert len(read) == 1

"""One registry of formats: with a value in it, and an encoder, a site is built with another one."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sitecodec.disk.store import Store
from sitecodec.encoding import encoders, images, jobs, outcome
from sitecodec.encoding.encoders import Encoder
from sitecodec.facts import formats
from sitecodec.facts.formats import Format, Role
from sitecodec.preview import results
from sitecodec.preview.decoded_cache import Pictures
from sitecodec.report import weight
from sitecodec.settings import Settings
from sitecodec.site import assets
from sitecodec.site.build import rewrite_site

ROOT = Path(__file__).resolve().parents[1]
DICTIONARY = images.avif(np.zeros((16, 16, 3), np.uint8), 50)
MADE_UP = Format(
    "squeezed", "Squeezed", ".sqz", "image/x-squeezed", b"SQZ1", 0, Role.SOURCE, everywhere=False
)


def squeezed(pixels, quality: int, quick: bool) -> bytes:
    """An AVIF whose boxes, which hardly differ from one file to the next, take few bytes."""
    packer = zlib.compressobj(9, wbits=-15, zdict=DICTIONARY)
    avif = images.avif(pixels, quality, 9 if quick else 6)
    return MADE_UP.mark + packer.compress(avif) + packer.flush()


def unsqueezed(data: bytes):
    reader = zlib.decompressobj(wbits=-15, zdict=DICTIONARY)
    return images.decode(reader.decompress(data[len(MADE_UP.mark) :]))


@pytest.fixture
def made_up(monkeypatch) -> Format:
    """The registry and the encoders, with one more: all that another format needs."""
    usual = encoders.avif("4:2:0", 6)
    encoder = Encoder(MADE_UP, "squeezed", squeezed, usual.qualities, usual.curve)
    monkeypatch.setattr(formats, "ALL", (formats.SLAT, MADE_UP, *formats.together()))
    monkeypatch.setitem(encoders.LOSSY, MADE_UP.name, lambda task: encoder)
    monkeypatch.setitem(encoders.DECODERS, MADE_UP.name, unsqueezed)
    return MADE_UP


@pytest.fixture
def site(tmp_path: Path, make) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    Image.fromarray(make.photo(180, 240)).save(folder / "photo.jpg", quality=97)
    Image.fromarray(make.photo(180, 240, 3)).save(folder / "sky.jpg", quality=97)
    (folder / "index.html").write_text(
        "<html><head><style>.a{background:url(sky.jpg)}</style></head><body><main>"
        "<p class=a><img src=photo.jpg alt=x></main></body></html>"
    )
    return folder


def settings(tmp_path: Path, browser: str = "always") -> Settings:
    return Settings(
        quality=50, store=tmp_path / "store", placeholder="colour", browser=browser, min_bytes=64
    )


def test_a_site_is_built_with_a_format_that_only_the_registry_knows(made_up, site, tmp_path):
    summary = rewrite_site(site, settings(tmp_path))
    assert [row.path for row in summary.encoded] == ["photo.jpg", "sky.jpg"]
    (file,) = (site / "assets/sitecodec").glob("photo-*.sqz")
    avif = file.with_suffix(".avif")
    assert made_up.is_of(file.read_bytes())
    assert file.stat().st_size < avif.stat().st_size
    page = (site / "index.html").read_text()
    sources = re.findall(r'<source type="([^"]+)" srcset="([^" ]+)', page)
    wanted = [made_up.mime, formats.AVIF.mime]
    assert [kind for kind, _ in sources if kind != formats.SLAT.mime] == wanted
    assert (made_up.mime, f"assets/sitecodec/{file.name}") in sources
    assert re.search(r"image-set\(url\([^)]+\.sqz\) type\('image/x-squeezed'\), url\(", page)
    assert "background:#" in page  # the placeholder

    entries = json.loads((site / "assets/sitecodec/sitecodec.json").read_text())
    assert file.name in json.dumps(entries)
    worker = (site / "sitecodec-sw.js").read_text()
    assert "sqz" in re.search(r"\\d\+w\\\.\(\?:([a-z|]+)\)", worker)[1].split("|")


def test_its_files_are_named_swept_and_reported_as_others_are(made_up, site, tmp_path):
    wanted = settings(tmp_path, browser="never")
    rewrite_site(site, wanted)
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    again = rewrite_site(site, wanted)
    assert again.rewritten == 0
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before

    (file,) = (site / "assets/sitecodec").glob("photo-*.sqz")
    name = f"assets/sitecodec/{file.name}"
    assert assets.is_asset(name, "assets/sitecodec")
    assert assets.may_name_asset(name)
    stray = file.with_name("gone-000000000000-99w.sqz")
    stray.write_bytes(b"")
    assert rewrite_site(site, wanted).removed == 1
    assert not stray.exists()
    (page,) = weight.measure(site, asset_dir="assets/sitecodec").pages
    assert page.images[0].file.endswith(".avif")  # what browsers that do not know it load


def test_its_outcomes_are_kept_and_shown_in_the_preview(made_up, site, tmp_path):
    job = jobs.Job(site / "photo.jpg", settings(tmp_path))
    made = jobs.encode_image(job)
    assert made_up.name in [variant.format for variant in made.variants]
    assert outcome.unpack(outcome.pack(made)) == made
    pictures = Pictures(Store(tmp_path / "kept"), tmp_path / "decoded")
    shown = results.verdict(made, pictures, job.settings, 240)
    assert shown.modern.endswith(".avif")
    (data,) = (v.data for v in made.variants if v.format == made_up.name)
    digest = pictures.keep(data)
    found = pictures.find(digest, made_up)
    assert found is not None
    assert found.data == data


def test_without_it_nothing_knows_it():
    assert formats.of_suffix(MADE_UP.suffix) is None
    assert not assets.may_name_asset("photo-000000000000-99w.sqz")
    with pytest.raises(LookupError):
        formats.named(MADE_UP.name)


def test_names_suffixes_types_and_marks_tell_formats_apart():
    for field in ("name", "label", "suffix", "mime"):
        assert len({getattr(known, field) for known in formats.ALL}) == len(formats.ALL)
    for known in formats.ALL:
        file = bytes(known.mark_at) + known.mark
        assert [other for other in formats.ALL if other.is_of(file)] == [known]
        assert formats.named(known.name) is formats.of_suffix(known.suffix) is known


def test_the_last_source_ends_with_formats_that_every_browser_shows():
    assert formats.together()[-len(formats.fallbacks()) :] == formats.fallbacks()
    assert set(formats.modern()) < set(formats.together())


def test_nothing_else_lists_formats():
    """In the rooms that make, name and offer files, all that is said of formats is said there."""
    literal = re.compile(
        r"""["'](?:slat|avif|webp)["']|\.(?:slat|avif|webp)\b["']|image/(?:webp|x-sitecodec)"""
    )
    rooms = ("encoding", "page", "preview", "report", "site")
    listed = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for room in rooms
        for path in (ROOT / "sitecodec" / room).glob("*.py")
        if path.name not in ("encoders.py", "images.py")  # who make the files
        for line in path.read_text().splitlines()
        if literal.search(line)
    }
    allowed = ("data:image/webp",)  # a placeholder is a WebP inside the page, whatever is offered
    assert [line for line in sorted(listed) if not any(text in line for text in allowed)] == []

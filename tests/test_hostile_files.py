"""Files of a site at their worst: too large, packed, of a million parts. None costs much."""

from __future__ import annotations

import errno
import gzip
import io
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from werkzeug.test import Client

from sitecodec.disk import folders
from sitecodec.encoding import jpeg_scans, sources
from sitecodec.preview.site_files import site_app
from sitecodec.report import report
from sitecodec.settings import Settings
from sitecodec.site import files, manifest, natural
from sitecodec.site.build import Summary, rewrite_site

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>'
TAG = '<img src="a.png">'
HUGE = 2_000_000_000


@pytest.fixture
def site(tmp_path: Path, make: Any) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.png").write_bytes(make.file(make.photo(60, 90)))
    return folder


def build(site: Path, body: str = TAG, **values: Any) -> Summary:
    text = f"<html><head><title>t</title></head><body>{body}</body></html>"
    (site / "index.html").write_text(text)
    settings = Settings(store=site.parent / "store", min_bytes=100, workers=1, **values)
    return rewrite_site(site, settings)


def huge(place: Path, head: bytes = b"") -> None:
    place.write_bytes(head)
    os.truncate(place, HUGE)


def damaged() -> bytes:
    data = bytearray(gzip.compress(SVG.encode() * 200))
    data[20] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("b.svg", f'<?xml version="1.0" encoding="shift_jis"?>{SVG}'.encode()),
        ("b.svg", f'<?xml version="1.0" encoding="x-user"?>{SVG}'.encode()),
        ("b.svg", SVG.replace('"10"', '"1e999"').encode()),
        ("b.svg", SVG.replace("/>", ' viewBox="0 0 1e999 1e-999"/>').encode()),
        ("b.svg", SVG.replace('"10"', f'"{"9" * 9000}"').encode()),
        ("b.svg", b""),
        ("b.svgz", damaged()),
        ("b.svgz", b"\x1f\x8b"),
        ("b.png", b"\x89PNG\r\n\x1a\n" + b"\xff" * 40),
        ("b.jpg", b"\xff\xd8\xff\xe1\0\x10Exif\0\0II*\0\xff\xff\xff\xff"),
    ],
)
def test_a_picture_of_no_size_stops_no_page(site: Path, name: str, data: bytes) -> None:
    (site / name).write_bytes(data)
    summary = build(site, f'{TAG}<img src="{name}">')
    assert summary.rewritten == 1
    assert b"<picture" in (site / "index.html").read_bytes()
    assert natural.size(site / name) is None


def test_packed_drawings_are_unpacked_no_further_than_their_head(tmp_path: Path) -> None:
    place = tmp_path / "b.svgz"
    place.write_bytes(gzip.compress(SVG.encode()))
    assert natural.size(place) == (10, 10)
    with gzip.open(place, "wb") as stream:
        stream.write(SVG.encode())
        for _ in range(40):
            stream.write(bytes(1 << 20))
    import tracemalloc

    tracemalloc.start()
    natural.size(place)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_files_of_gigabytes_are_never_read(site: Path) -> None:
    huge(site / "x.png", (site / "a.png").read_bytes())
    huge(site / "y.png", (site / "a.png").read_bytes())
    huge(site / "clip.mp4")
    huge(site / "s.css")
    huge(site / "s.js")
    huge(site / "old.html")
    huge(site / "notes.txt")
    tags = "".join(f'<img src="{name}">' for name in ("a.png", "x.png", "y.png", "clip.mp4"))
    linked = '<link rel="stylesheet" href="s.css"><script src="s.js"></script>'
    summary = build(site, tags + linked, originals="drop")
    told = {(p.page, p.image) for p in summary.problems}
    assert {("index.html", name) for name in ("x.png", "y.png", "clip.mp4")} <= told
    assert ("old.html", "") in told
    assert (site / "a.png").is_file()  # notes.txt may name it
    (site / "old.html").unlink()
    assert report.measure(site, asset_dir="assets/sitecodec").pages
    with pytest.raises(OSError, match="too large"):
        folders.plain(site / "x.png")


def test_the_preview_sends_large_files_piece_by_piece(site: Path) -> None:
    huge(site / "clip.mp4")
    client = Client(site_app(site))
    answer = client.get("/clip.mp4", headers={"Range": "bytes=5-9"}, buffered=False)
    assert answer.status_code == 206
    assert answer.get_data() == bytes(5)
    for beyond in ("bytes=99999999999-", "bytes=5-2", "bytes=0-1,5-6"):
        answer = client.get("/clip.mp4", headers={"Range": beyond}, buffered=False)
        assert answer.status_code in (200, 206, 416)
        answer.close()
    os.utime(site / "clip.mp4", (1 << 40, 1 << 40))  # in the year 36812
    answer = client.head("/clip.mp4")
    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == str(HUGE)
    answer.close()


def jpeg(side: int, scans: int) -> bytes:
    """A progressive JPEG with so many scans that hold next to nothing."""
    buffer = io.BytesIO()
    Image.new("L", (side, side), 128).save(buffer, "JPEG", progressive=True)
    blocks, bits = ((side + 7) // 8) ** 2, ""
    while blocks > 0:
        run = max(16384, min(blocks, 32767))
        bits += "0" + format(run - 16384, "014b")
        blocks -= run
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    table = b"\xff\xc4" + struct.pack(">H", 20) + b"\x10" + bytes([1] + [0] * 15) + b"\xe0"
    scan = b"\xff\xda\0\x08\x01\x01\0" + bytes([1, 63, 0x10]) + coded
    return buffer.getvalue()[:-2] + table + scan * scans + b"\xff\xd9"


def test_a_jpeg_of_thousands_of_scans_is_left_alone(site: Path) -> None:
    data = jpeg(160, 2000)
    found = sources.load(data, "x.jpg", 10**7)
    assert isinstance(found, sources.LeftAlone)
    assert "scans" in found.reason
    (site / "x.jpg").write_bytes(data)
    summary = build(site, TAG + '<img src="x.jpg">')
    assert [row.reason for row in summary.images if row.path == "x.jpg"] == [found.reason]
    assert report.measure(site, asset_dir="assets/sitecodec").pages


def test_the_scans_that_are_taken_depend_on_the_pixels() -> None:
    assert not jpeg_scans.excess(jpeg(160, 400), 160 * 160)
    assert jpeg_scans.excess(jpeg(160, 400), 50_000_000)
    assert not jpeg_scans.excess(jpeg(160, 40), 250_000_000)
    many = jpeg(16, 1)
    many = many[:2] + b"\xff\xe0\0\x02" * 20_000 + many[2:]
    assert jpeg_scans.excess(many, 256)
    assert isinstance(sources.load(many, "x.jpg", 10**7), sources.LeftAlone)
    assert jpeg_scans.excess(b"\xff\xd8\xff", 1) == ""
    assert jpeg_scans.excess(b"\x89PNG" + b"\xff\xda" * 1000, 1) == ""


class Counted(io.BytesIO):
    """A file that counts how often it is read."""

    steps = 0

    def read(self, size: int | None = -1) -> bytes:
        self.steps += 1
        return super().read(size)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xe0\0\x02" * 100_000,
        b"\xff\xd8" + b"\xff" * 100_000,
        b"II*\0\x08\0\0\0\xff\xff" + bytes(2_000_000),
        b"\0\0\0\x10ftypavif\0\0\0\0" + b"\0\0\0\x08free" * 100_000,
    ],
)
def test_heads_that_do_not_end_are_not_read_to_their_end(data: bytes) -> None:
    import imagesize

    file = Counted(data)
    try:
        imagesize.get(files._Head(file))
    except Exception:
        assert file.steps <= files._MOST_STEPS + 1
    assert file.steps <= files._MOST_STEPS + 1


def test_what_is_no_picture_of_a_browser_has_no_size(tmp_path: Path) -> None:
    place = tmp_path / "b.gif"
    place.write_bytes(b"P6 " + b"1" * 1_000_000)
    assert files.pixels(place) is None
    place.write_bytes(b"P6 5 7 255 " + bytes(105))
    assert files.pixels(place) is None
    Image.new("L", (5, 7)).save(place)
    assert files.pixels(place) == (5, 7)


def test_an_svg_with_entities_has_no_size(tmp_path: Path) -> None:
    place = tmp_path / "a.svg"
    entity = '<!DOCTYPE svg [<!ENTITY a "' + "1" * 300_000 + '">]>'
    place.write_text(f'{entity}<svg xmlns="http://www.w3.org/2000/svg" width="&a;" height="3"/>')
    assert natural.size(place) is None


def test_a_compressed_file_of_too_much_names_everything(site: Path) -> None:
    (site / "x.txt.gz").write_bytes(gzip.compress(bytes(1 << 25)))
    build(site, originals="drop")
    assert (site / "a.png").is_file()


def test_folders_that_cannot_be_looked_into_are_named(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "closed").mkdir()
    real = os.scandir

    def scandir(place: str = ".") -> Any:
        if f"{place}".rstrip("/").endswith("/closed"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    summary = build(site)
    told = [p.message for p in summary.problems if p.page.startswith("closed")]
    assert told == ["cannot be looked into (permission denied), so its pages stay as they are"]


def test_an_original_that_cannot_be_removed_is_a_warning(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlink(place: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", unlink)
    summary = build(site, originals="drop")
    assert any("cannot be removed (permission denied)" in p.message for p in summary.problems)
    assert (site / "assets/sitecodec" / manifest.NAME).is_file()


def test_pages_with_compressed_copies_are_named_and_keep_what_these_name(site: Path) -> None:
    (site / "b.png").write_bytes((site / "a.png").read_bytes())
    (site / "c.png").write_bytes((site / "a.png").read_bytes())
    (site / "other.html").write_text('<head><title>t</title></head><img src="c.png">')
    (site / "data.json.gz").write_bytes(gzip.compress(b'["b.png"]'))
    (site / "index.html.br").write_bytes(b"br")
    (site / "torn.txt.gz").write_bytes(b"\x1f\x8b")
    summary = build(site, originals="drop")
    assert [(p.page, ".br" in p.message) for p in summary.problems] == [("index.html", True)]
    assert (site / "a.png").is_file()
    assert not (site / "c.png").exists()
    (site / "index.html.br").unlink()
    summary = build(site, TAG + '<img src="b.png">', originals="drop")
    assert not summary.problems
    assert not (site / "a.png").exists()
    assert (site / "b.png").is_file()

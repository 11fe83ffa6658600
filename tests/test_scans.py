"""What a page's bytes say, remembered: the same as read, and never of other bytes or code."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec.site import scans
from sitecodec.store import Store

PAGE = (
    b'<html><head><link rel=stylesheet href="a/b.css" integrity="sha-x"><base href="/x/"></head>'
    b'<body class="md-content" style="background: url(b&amp;c.png)"><main>\xff<img src="\xe9.png" '
    b'alt=a><picture><source srcset=c.webp media=x><img src="d.png"></picture></main>'
    b"<style>p { background: url(\xfe.jpg) }</style><img src=outside.png></body></html>"
)
PIECES = st.sampled_from(
    [
        *(b"<img src=a.png>", b"<picture>", b"</picture>", b"<source srcset='a.png 2x'>"),
        *(b"<base href=b/>", b"<p style='background:url(a.png)'>", b"</head>", b"<main>"),
        *(b"<style>a{background:url(\xfe.png)}</style>", b"md-content", b"\xff&amp;\xed\xa0"),
        b"<img alt='\xf0&lt;\"\n'>",
    ]
)


def test_a_page_is_read():
    found = scans.scan(PAGE)
    assert [image.get("src") for image in found.document.images] == [
        *("\u00e9.png", "d.png", "outside.png"),
    ]
    assert found.document.base == "/x/"
    assert len(found.styles) == 2
    assert found.pinned == ("b.css",)
    assert found.content_width == found.page_width == 760


@given(st.lists(PIECES, max_size=9).map(b"".join))
def test_what_is_remembered_is_what_was_found(tmp_path_factory: pytest.TempPathFactory, data):
    store = Store(tmp_path_factory.mktemp("store"))
    for page in (data, PAGE):
        first = scans.recall(store, ["a.html"])
        assert first.scan(page) == scans.scan(page)
        first.keep()
        again = scans.recall(store, ["a.html"])
        assert again.earlier
        assert again.scan(page) == scans.scan(page)


def test_a_page_is_not_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    memory = scans.recall(Store(tmp_path), ["a.html"])
    memory.scan(PAGE)
    memory.keep()
    found = scans.scan(PAGE)
    with monkeypatch.context() as patch:
        patch.setattr(scans, "scan", lambda data: pytest.fail("read again"))
        assert scans.recall(Store(tmp_path), ["a.html"]).scan(PAGE) == found
    other = PAGE.replace(b"outside", b"0utside")
    assert scans.recall(Store(tmp_path), ["a.html"]).scan(other) == scans.scan(other)


def test_other_code_and_other_sites_have_memories_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    memory = scans.recall(Store(tmp_path), ["a.html"])
    memory.scan(PAGE)
    memory.keep()
    assert scans.recall(Store(tmp_path), ["a.html"]).earlier
    assert not scans.recall(Store(tmp_path), ["a.html", "\udcff.html"]).earlier
    monkeypatch.setattr(scans, "_code", lambda: b"of another version")
    assert not scans.recall(Store(tmp_path), ["a.html"]).earlier


def test_pages_that_are_gone_are_forgotten(tmp_path: Path):
    for pages in ([PAGE, b"<img src=a>"], [PAGE]):
        memory = scans.recall(Store(tmp_path), ["a.html"])
        for page in pages:
            memory.scan(page)
        memory.keep()
    assert len(scans.recall(Store(tmp_path), ["a.html"]).earlier) == 1


@pytest.mark.parametrize("entry", [b"[]", b"{", b"\xff", b"null"])
def test_an_entry_of_another_kind_is_none(tmp_path: Path, entry: bytes):
    store = Store(tmp_path)
    memory = scans.recall(store, ["a.html"])
    store.put(memory.key, entry)
    assert scans.recall(store, ["a.html"]).scan(PAGE) == scans.scan(PAGE)


def test_a_page_of_another_kind_is_read(tmp_path: Path):
    memory = scans.recall(Store(tmp_path), ["a.html"])
    memory.scan(PAGE)
    for values in ([], {}, None, [[[], None, None]], [[[[1]], None, None], [], [], 0, 0]):
        damaged = dict.fromkeys(memory.seen, values)
        assert scans.Memory(Store(tmp_path), "", damaged, {}).scan(PAGE) == scans.scan(PAGE)


def test_a_store_that_cannot_be_written_is_no_error(tmp_path: Path):
    (tmp_path / "foreign.txt").write_text("somebody else's")
    memory = scans.recall(Store(tmp_path), ["a.html"])
    memory.scan(PAGE)
    memory.keep()
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.txt"]

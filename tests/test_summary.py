"""sitecodec.site.summary: the figures and the table that a build ends with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sitecodec.site.assets import Asset, Image
from sitecodec.site.rows import ImageRow, Problem, row
from sitecodec.site.summary import Summary, table

SUMMARY = Summary(
    images=(
        ImageRow("images/a.png", 812_400, fallback=41_000, modern=22_100, payload=12_300),
        ImageRow(
            "images/b.jpg", 100_000, fallback=None, modern=50_000, reason="text: worst tile 21"
        ),
        ImageRow("images/c.svg", 5_000, reason="vector (SVG)"),
        ImageRow("https://example.com/d.png", 0, reason="remote"),
        ImageRow("images/e.svg", 5_000, reason="vector (SVG)"),
    ),
    problems=(Problem("index.html", "images/x.png", "not found"),),
    pages=3,
    rewritten=1,
    added=(5, 125_400),
)


def test_figures() -> None:
    assert [row.path for row in SUMMARY.encoded] == ["images/a.png", "images/b.jpg"]
    assert len(SUMMARY.left_alone) == 3
    assert SUMMARY.before == 912_400
    assert SUMMARY.after == 12_300 + 50_000
    assert sum(row.after_modern for row in SUMMARY.encoded) == 72_100
    assert sum(row.after_fallback for row in SUMMARY.encoded) == 141_000


def test_the_table() -> None:
    assert table(SUMMARY) == (
        "sitecodec: 2 images encoded, 2 left alone, 1 problem; 1 of 3 pages rewritten\n"
        "\n"
        "image                                       before  fallback AVIF/WebP   payload\n"
        "images/a.png                              812.4 kB   41.0 kB   22.1 kB   12.3 kB\n"
        "images/b.jpg                              100.0 kB         -   50.0 kB         -\n"
        "total that a visitor loads                912.4 kB  141.0 kB   72.1 kB   62.3 kB\n"
        "                                           100.0 %    15.5 %     7.9 %     6.8 %\n"
        "\n"
        "left alone:\n"
        "     2  vector (SVG)                    images/c.svg, images/e.svg\n"
        "     1  remote                          https://example.com/d.png\n"
        "\n"
        "no payload:\n"
        "     1  text: worst tile 21             images/b.jpg\n"
        "deploy: 5 files, 125.4 kB, beside the originals (912.4 kB); 'originals: drop'\n"
        "  removes those that no page names"
    )


def test_without_payloads_there_is_nothing_to_say_of_them() -> None:
    images = tuple(row._replace(payload=None) for row in SUMMARY.images)
    text = table(SUMMARY._replace(images=images, worker="service worker: left out (why)"))
    assert "fallback AVIF/WebP\n" in text
    assert "no payload" not in text
    assert "service worker: left out (why)\ndeploy: " in text


def test_an_image_that_only_became_a_png_is_encoded() -> None:
    row = ImageRow("a.png", 900, fallback=400, reason="PNG is smaller: 0.4 kB < 0.5 kB")
    assert row.encoded
    assert (row.after, row.after_modern, row.after_fallback) == (400, 400, 400)


def size(width: int, flat: bool = False, **lengths: int) -> Asset:
    files = {name: f"a-{width}w.{name}" for name in lengths}
    return Asset(files, width, width, lengths, dict.fromkeys(lengths, 50.0), flat)


def test_a_row_is_about_the_width_that_pages_show() -> None:
    image = Image(
        1600,
        1600,
        (
            size(1600, avif=900, jpeg=2000),
            size(760, slat=300, avif=400, jpeg=800),
            size(380, slat=90, avif=100, jpeg=200),
        ),
    )
    source = ImageRow("a.jpg", 5000, reason="AVIF is smaller: 0.9 kB < 1.0 kB")
    shown = ImageRow("a.jpg", 5000, fallback=800, modern=400, payload=300)
    assert row(source, image, 760) == shown
    wide = row(source, image, 1000)
    assert (wide.fallback, wide.modern, wide.payload) == (2000, 900, None)
    assert wide.reason == "a payload only where 760 pixels wide"


def test_a_row_says_where_a_payload_is_not_shipped() -> None:
    left = ImageRow("a.jpg", 5000)
    assert row(left, None, 760).reason == "payload not shipped"
    png = row(left, Image(9, 9, (size(760, png=800),)), 760)
    assert (png.fallback, png.modern, png.reason) == (800, None, "payload not shipped")


def test_nothing_at_all() -> None:
    assert table(Summary((), (), 0, 0)) == (
        "sitecodec: 0 images encoded, 0 left alone, 0 problems; 0 of 0 pages rewritten"
    )


def test_reasons_are_grouped_without_their_figures() -> None:
    reasons = [
        "a: 1 < 2",
        "a: 2 < 3",
        "b (a: 1 < 2)",
        "b (a: 2 < 3)",
        "text: worst tile 2",
        "c (d)",
    ]
    rows = [ImageRow(f"{n}.png", 10, reason=reason) for n, reason in enumerate(reasons)]
    lines = table(Summary(tuple(rows), (), 1, 0)).splitlines()[3:]
    assert [" ".join(line.split()) for line in lines] == [
        "2 a 0.png, 1.png",
        "2 b 2.png, 3.png",
        "1 c (d) 5.png",
        "1 text: worst tile 2 4.png",
    ]


def test_problems_are_one_line() -> None:
    assert str(Problem("a.html", "b.png", "c")) == "a.html: b.png: c"
    assert str(Problem("a.html", "", "c")) == "a.html: c"


sizes = st.integers(0, 10**10)
rows = st.builds(
    lambda path, sizes, kept, reason: ImageRow(
        path,
        max(1, *sizes),  # no file is larger than its source
        *(size if keep else None for size, keep in zip(sizes, kept, strict=True)),
        reason=reason,
    ),
    path=st.text(st.characters(categories=["L", "P", "N"]), min_size=1, max_size=200),
    sizes=st.tuples(sizes, sizes, sizes),
    kept=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    reason=st.text(st.characters(categories=["L"]), max_size=99),
)


@given(st.lists(rows, max_size=40, unique_by=lambda row: row.path))
def test_any_summary_fits_80_columns_and_few_lines(images: list[ImageRow]) -> None:
    text = table(Summary(tuple(images), (), 1, 1))
    lines = text.split("\n")
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    assert len(lines) < 60
    encoded = [row for row in images if row.encoded]
    if len(encoded) > 12:
        assert f"... and {len(encoded) - 11} more" in text

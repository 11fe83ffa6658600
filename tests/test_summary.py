"""sitecodec.site.summary: the figures and the table that a build ends with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sitecodec.site.summary import ImageRow, Problem, Summary, table

SUMMARY = Summary(
    images=(
        ImageRow("images/a.png", 812_400, jpeg=41_000, avif=22_100, payload=12_300),
        ImageRow("images/b.jpg", 100_000, jpeg=None, avif=50_000, reason="text: worst tile 21"),
        ImageRow("images/c.svg", 5_000, reason="vector (SVG)"),
        ImageRow("https://example.com/d.png", 0, reason="remote"),
        ImageRow("images/e.svg", 5_000, reason="vector (SVG)"),
    ),
    problems=(Problem("index.html", "images/x.png", "not found"),),
    pages=3,
    rewritten=1,
)


def test_figures() -> None:
    assert [row.path for row in SUMMARY.encoded] == ["images/a.png", "images/b.jpg"]
    assert len(SUMMARY.left_alone) == 3
    assert SUMMARY.before == 912_400
    assert SUMMARY.after == 12_300 + 50_000
    assert sum(row.after_avif for row in SUMMARY.encoded) == 72_100
    assert sum(row.after_jpeg for row in SUMMARY.encoded) == 141_000


def test_the_table() -> None:
    assert table(SUMMARY) == (
        "sitecodec: 2 images encoded, 3 left alone, 1 problem; 1 of 3 pages rewritten\n"
        "\n"
        "image                                       before      jpeg      avif   payload\n"
        "images/a.png                              812.4 kB   41.0 kB   22.1 kB   12.3 kB\n"
        "images/b.jpg                              100.0 kB         -   50.0 kB         -\n"
        "total that a visitor loads                912.4 kB  141.0 kB   72.1 kB   62.3 kB\n"
        "                                           100.0 %    15.5 %     7.9 %     6.8 %\n"
        "\n"
        "left alone:\n"
        "     2  vector (SVG)                    images/c.svg, images/e.svg\n"
        "     1  remote                          https://example.com/d.png\n"
        "\n"
        "no payload, only AVIF:\n"
        "     1  text: worst tile 21             images/b.jpg"
    )


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

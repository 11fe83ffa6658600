"""sitecodec.visitors.break_even: when a visitor breaks even, and how that is said."""

from __future__ import annotations

import pytest

from sitecodec.site.assets import Asset
from sitecodec.visitors import break_even, worker
from sitecodec.visitors.break_even import describe, sentence


def account(pages):
    return break_even.account(pages, worker.cost(0))


def pages(number, saved, *, empty=0):
    """Pages with a picture each, and some without."""
    return [{f"{n}.png": saved} for n in range(number)] + [{}] * empty


def test_the_cost_is_scripts_engine_and_model():
    assert 250_000 < worker.cost(0) < 500_000
    assert worker.cost(100) - worker.cost(0) == 700  # the list of payloads


def test_a_visit_comes_out_ahead_when_later_pages_save_more_than_the_cost():
    few = account(pages(10, 1000))
    assert not few.ahead
    assert few.saved_by_visit == 2000
    assert few.images_needed == -(-few.cost // 1000)
    cost = few.cost
    many = account(pages(20, cost))
    assert many.ahead
    assert many.images_needed == 2  # one picture more than the cost of a list this long
    # One picture on every page is loaded once only.
    assert not account([{"a.png": cost // 2}] * 50).ahead
    # Pages without pictures count: a visit may see them only.
    assert account(pages(2, cost)).ahead
    assert not account(pages(2, cost, empty=48)).ahead


@pytest.mark.parametrize("of", [[], [{}, {}]])
def test_a_site_without_payloads(of):
    nothing = account(of)
    assert not nothing.ahead
    assert nothing.images_needed is None
    assert sentence(nothing) == ""
    assert describe(nothing, "always", included=True) == ""


def test_the_width_that_counts_is_the_narrowest_that_fills_the_page():
    def size(width, **lengths):
        files = {name: f"{width}.{name}" for name in lengths}
        return Asset(files, width, width, lengths, {}, flat=width == 960)

    wide, middle, narrow = (
        size(1920, slat=50, avif=70, jpeg=90),
        size(960, slat=30, webp=35),
        size(480, avif=10, jpeg=20),
    )
    assert break_even.saving([wide, middle, narrow], 961) == (20, False)
    assert break_even.saving([wide, middle, narrow], 960) == (5, True)
    assert break_even.saving([wide, middle, narrow], 300) is None
    assert break_even.saving([narrow], 960) is None
    assert break_even.saving([middle], 2000) == (5, True)
    assert break_even.saving([], 960) is None
    assert break_even.saving([size(960, slat=30)], 960) is None


def test_in_words():
    cost = worker.cost(0)
    assert sentence(account(pages(10, cost // 4))) == (
        f"engine and model take {cost / 1e3:.0f} kB once;"
        " 10 images have payloads at the width that pages show,"
        " and a visitor breaks even after 5 of them"
    )
    assert sentence(account(pages(2, cost // 4))).endswith(
        "2 images have payloads at the width that pages show,"
        " and a visitor would need 5 such images to break even"
    )
    assert sentence(account(pages(2, -10))).endswith("no visitor breaks even")
    some = account(pages(2, 1000))
    assert describe(some, "auto", included=True).startswith("service worker: included (engine")
    assert describe(some, "auto", included=False).endswith("'browser: always' includes it")
    assert describe(some, "never", included=False) == ""


def test_an_average_visit():
    assert break_even.PAGES_PER_VISIT == 3
    assert account(pages(4, 100)).saved_by_visit == 200
    assert account(pages(1, 100)).saved_by_visit == 100  # there is no more

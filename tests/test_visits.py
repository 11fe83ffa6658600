"""sitecodec.site.visits: when a visit comes out ahead, and what is said of it."""

from __future__ import annotations

import pytest

from sitecodec.site import visits, worker
from sitecodec.site.visits import describe, sentence


def account(pages):
    return visits.account(pages, worker.cost(0))


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
    wide, middle, narrow = (
        (1920, {"slat": 50, "avif": 70, "jpeg": 90}),
        (960, {"slat": 30, "webp": 35}),
        (480, {"avif": 10, "jpeg": 20}),
    )
    assert visits.saving([wide, middle, narrow], 961) == 20
    assert visits.saving([wide, middle, narrow], 960) == 5
    assert visits.saving([wide, middle, narrow], 300) is None
    assert visits.saving([narrow], 960) is None
    assert visits.saving([middle], 2000) == 5
    assert visits.saving([], 960) is None
    assert visits.saving([(960, {"slat": 30})], 960) is None


def test_in_words():
    cost = worker.cost(0)
    assert sentence(account(pages(10, cost // 4))) == (
        f"engine and model take {cost / 1e3:.0f} kB once;"
        " 10 images have payloads at the width that pages show,"
        " and a visit comes out ahead after 5 of them"
    )
    assert sentence(account(pages(2, cost // 4))).endswith(
        "2 images have payloads at the width that pages show,"
        " and a visit would come out ahead after 5 such"
    )
    assert sentence(account(pages(2, -10))).endswith("no visit comes out ahead")
    some = account(pages(2, 1000))
    assert describe(some, "auto", included=True).startswith("service worker: included (engine")
    assert describe(some, "auto", included=False).endswith("'browser: always' includes it")
    assert describe(some, "never", included=False) == ""


def test_an_average_visit():
    assert visits.PAGES_PER_VISIT == 3
    assert account(pages(4, 100)).saved_by_visit == 200
    assert account(pages(1, 100)).saved_by_visit == 100  # there is no more

"""What the service worker does in Firefox: tests of the other modules, with its page.

Left out is what takes a hard reload, a worker's end or a screenshot of a part, what only pages
decide, and pages that come from a worker: Firefox under load at times loads one past it, in one of
some hundred visits here.
"""

import pytest

from tests.browser import test_failures as failures
from tests.browser import test_surroundings as surroundings
from tests.browser import test_worker as visits
from tests.browser.looking import shows, visit_twice
from tests.browser.serving import blank

for test in (
    visits.test_a_second_visit_shows_the_payloads_bit_for_bit,
    visits.test_what_the_browser_still_has_is_not_fetched_again,
    visits.test_lazy_images_after_the_claim_come_as_payloads_on_the_first_visit,
    visits.test_back_and_forward,
    visits.test_offline_after_one_visit,
    visits.test_a_new_version_takes_over_and_clears_away,
    visits.test_the_visitor_s_switch,
    visits.test_a_hundred_images,
    failures.test_a_corrupt_payload,
    failures.test_three_failures_end_it_until_the_next_version,
    surroundings.test_a_strict_policy_that_allows_it,
    failures.test_a_decoder_that_is_too_slow,
    failures.test_a_failure_half_way_through_a_stream_is_repaired_from_the_network,
    failures.test_a_picture_that_is_far_too_large_turns_nobody_away,
    failures.test_memory_that_runs_out,
    failures.test_engine_and_model_that_the_browser_has_cleared_away,
    failures.test_a_host_that_takes_requests_and_sends_nothing,
    failures.test_storage_that_does_not_answer,
    failures.test_a_decoder_that_never_ends_holds_up_nobody_for_ever,
    failures.test_messages_of_the_wrong_shape_are_ignored,
    failures.test_after_a_rest_all_is_tried_again,
):
    globals()[test.__name__] = test
del test


@pytest.fixture
def page(firefox):
    yield firefox
    firefox.goto("about:blank")


def test_a_large_picture_is_streamed(site, page):
    payload = blank(1700, 1300, bytes(range(250)))
    site.page("index.html", site.add("a", payload))
    visit_twice(page, site.url)
    assert shows(page, "a", payload) == "payload"

import math

import pytest

from sitecodec.bench.bdrate import bd_rate


def curve(*points):
    return [(float(rate), float(quality)) for rate, quality in points]


ANCHOR = curve((1, 30), (2, 33), (4, 37), (8, 40))


def test_bd_rate_of_a_curve_with_itself_is_zero():
    assert bd_rate(ANCHOR, list(reversed(ANCHOR))) == pytest.approx(0)


@pytest.mark.parametrize("factor", [0.9, 0.5, 1.25])
def test_bd_rate_of_scaled_rates(factor):
    scaled = [(rate * factor, quality) for rate, quality in ANCHOR]
    assert bd_rate(ANCHOR, scaled) == pytest.approx((factor - 1) * 100)


def test_bd_rate_worked_by_hand():
    # log2(rate) is q for the anchor and 1.5 q for the other; over their common 1 <= q <= 3 the
    # mean difference is the integral of 0.5 q over two: 0.5 * (9 - 1) / 2 / 2 = 1 octave.
    anchor = curve(*((2**q, q) for q in (0, 1, 2, 3)))
    other = curve(*((2 ** (1.5 * q), q) for q in (1, 2, 3, 4)))
    assert bd_rate(anchor, other) == pytest.approx(100)
    assert bd_rate(other, anchor) == pytest.approx(-50)


def test_bd_rate_needs_curves_that_overlap():
    assert bd_rate(ANCHOR, [(rate, quality + 50) for rate, quality in ANCHOR]) is None
    assert bd_rate(ANCHOR, ANCHOR[:1]) is None
    assert bd_rate(ANCHOR, []) is None
    assert bd_rate(ANCHOR, curve((1, math.inf), (2, math.nan))) is None


def test_bd_rate_passes_over_points_that_pay_more_for_less():
    dented = [*ANCHOR, (3.0, 32.0), (4.0, 36.0)]
    assert bd_rate(ANCHOR, dented) == pytest.approx(0, abs=1e-9)

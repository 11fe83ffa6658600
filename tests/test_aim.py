import pytest

from sitecodec.codecs import aim
from sitecodec.errors import SettingsError


def encode(quality):
    return bytes(100 + round(quality * 100))


def score(payload):
    return len(payload) / 100 - 20


@pytest.mark.parametrize("limit", [100, 101, 4321, 10099, 10100, 99999])
def test_as_many_bytes_as_are_allowed(limit):
    assert len(aim.for_bytes(encode, limit)) == min(limit, 10099)


def test_too_few_bytes_are_refused_with_what_it_takes():
    with pytest.raises(SettingsError, match=r"has 100 bytes: allow more than 99"):
        aim.for_bytes(encode, 99)


@pytest.mark.parametrize("target", [-19.5, -19, 0, 33.33, 80.9])
def test_no_more_bytes_than_the_score_takes(target):
    payload = aim.for_score(encode, score, target)
    assert score(payload) >= target
    assert score(payload) - 0.02 < target or len(payload) == 100


def test_a_score_out_of_reach_is_refused_with_what_is():
    with pytest.raises(SettingsError, match=r"scores 81\.0 at most"):
        aim.for_score(encode, score, 82)


def test_coarse_steps_take_few_trials():
    tried = []

    def counted(quality):
        tried.append(quality)
        return encode(quality)

    payload = aim.for_bytes(counted, 5000, step=100)
    assert 4900 <= len(payload) <= 5000
    assert len(tried) <= 9

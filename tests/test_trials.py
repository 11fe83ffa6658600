import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec.encoding import trials
from sitecodec.encoding.trials import Encoded, Trial

scores = st.floats(-500, 100)
trial = st.builds(Trial, st.integers(1, 10**9), scores, scores, st.floats(-1, 1))
memos = st.dictionaries(
    st.integers(1, 5000),
    st.dictionaries(st.text(max_size=20), trial),
    max_size=3,
)


@given(memos)
def test_trials_survive_packing(found):
    assert trials.unpack(trials.pack(found)) == found


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"9": []},
        {"x": {}},
        {"9": {"a": [1, 2, 3]}},
        {"9": {"a": [1.5, 2, 3, 1]}},
        {"9": {"a": [-1, 2, 3, 1]}},
        {"9": {"a": [1, "2", 3, 1]}},
        {"9": {"a": [1, math.nan, 3, 1]}},
        {"9": {"a": [1, 10**400, 3, 1]}},
        {"9": {"a": None}},
    ],
)
def test_hostile_entries_are_no_trials(content):
    assert trials.unpack(trials.MAGIC + json.dumps(content).encode()) == {}


@given(st.binary(max_size=40))
def test_foreign_bytes_are_no_trials(data):
    assert trials.unpack(data) == {} or trials.unpack(data)


def test_no_entry_is_no_trials():
    assert trials.unpack(None) == trials.unpack(trials.MAGIC + b"[" * 100_000) == {}


def test_levels():
    assert Trial(1, 55, 100, 1.0).level(30, 50) == 55
    assert Trial(1, 55, 20, 1.0).level(30, 50) == 40
    assert Encoded(1, 45, 40, 1.0, b"", 1).level(30, 50) == 45
    assert Trial(1, 55, 100, trials.TEXT).level(30, 50) == 50
    assert Trial(1, 55, 100, 0.86).level(30, 50) == pytest.approx(40)  # twice as far from alike

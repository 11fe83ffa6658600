import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec.encoding.outcome import Outcome, Variant, pack, unpack

scores = st.none() | st.floats(allow_nan=False, allow_infinity=False)
variants = st.builds(
    Variant,
    format=st.sampled_from(["slat", "avif", "webp", "png", "jpeg"]),
    width=st.integers(0, 2**31),
    height=st.integers(0, 2**31),
    data=st.binary(max_size=50),
    score=scores,
    quality=st.floats(0, 100),
)
outcomes = st.builds(
    Outcome,
    width=st.integers(0, 2**31),
    height=st.integers(0, 2**31),
    source_bytes=st.integers(0, 2**40),
    variants=st.lists(variants, max_size=3).map(tuple),
    reason=st.text(max_size=40),
    score=scores,
    worst_tile=scores,
)


@given(outcomes)
def test_outcomes_survive_packing_and_pickling(outcome):
    assert unpack(pack(outcome)) == outcome
    assert pickle.loads(pickle.dumps(outcome)) == outcome


@given(outcomes, st.data())
def test_truncated_and_foreign_bytes_are_no_outcome(outcome, data):
    packed = pack(outcome)
    end = data.draw(st.integers(0, len(packed) - 1))
    assert unpack(packed[:end]) is None
    assert unpack(packed + b"\0") is None
    assert unpack(data.draw(st.binary(max_size=200))) is None


@given(outcomes, st.data())
def test_damaged_bytes_never_raise(outcome, data):
    packed = bytearray(pack(outcome))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    result = unpack(bytes(packed))
    assert result is None or isinstance(result, Outcome)


@pytest.mark.parametrize(
    "header",
    [
        [],
        None,
        {"variants": None},
        {"variants": [1]},
        {"variants": [], "width": -1, "height": 1, "source_bytes": 1, "reason": ""},
        {"variants": [], "width": True, "height": 1, "source_bytes": 1, "reason": ""},
        {"variants": [], "width": 1e999, "height": 1, "source_bytes": 1, "reason": ""},
    ],
)
def test_hostile_headers_are_no_outcome(header):
    raw = json.dumps(header).encode()
    assert unpack(b"SCO1" + len(raw).to_bytes(4, "little") + raw) is None
    deep = b"[" * 100_000
    assert unpack(b"SCO1" + len(deep).to_bytes(4, "little") + deep) is None

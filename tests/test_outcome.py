import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitecodec import payload
from sitecodec.encoding.outcome import Outcome, Variant, pack, unpack
from sitecodec.facts import formats

scores = st.none() | st.floats(allow_nan=False, allow_infinity=False)
FORMATS = tuple(known.name for known in formats.ALL)
BEGINNINGS = {known.name: bytes(known.mark_at) + known.mark for known in formats.conventional()}


@st.composite
def outcomes(draw):
    """Outcomes as builds make them."""
    width, height = draw(st.integers(1, 9000)), draw(st.integers(1, 9000))
    widths = sorted(draw(st.sets(st.integers(1, width), max_size=3)), reverse=True)
    variants = [
        draw(variant(name, w, max(1, round(height * w / width))))
        for w in widths
        for name in draw(st.sets(st.sampled_from(FORMATS), min_size=1))
    ]
    reason = draw(st.text(max_size=40).filter(str.isprintable))
    size = draw(st.integers(0, 2**40))
    return Outcome(width, height, size, tuple(variants), reason, draw(scores), draw(scores))


@st.composite
def variant(draw, name, width, height):
    body = draw(st.binary(max_size=50))
    if name == "slat":
        data = payload.pack(payload.Header("flat", 0, width, height, 100), body)
    else:
        data = BEGINNINGS[name] + body
    return Variant(name, width, height, data, draw(scores), draw(st.floats(0, 100)))


@given(outcomes())
def test_outcomes_survive_packing_and_pickling(outcome):
    assert unpack(pack(outcome)) == outcome
    assert pickle.loads(pickle.dumps(outcome)) == outcome


@given(outcomes(), st.data())
def test_truncated_and_foreign_bytes_are_no_outcome(outcome, data):
    packed = pack(outcome)
    end = data.draw(st.integers(0, len(packed) - 1))
    assert unpack(packed[:end]) is None
    assert unpack(packed + b"\0") is None
    assert unpack(data.draw(st.binary(max_size=200))) is None


@given(outcomes(), st.data())
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


WHOLE = Outcome(
    200,
    100,
    9000,
    (
        Variant(
            "slat", 200, 100, payload.pack(payload.Header("flat", 0, 200, 100, 1), b""), 90.0, 1.0
        ),
        Variant("avif", 200, 100, BEGINNINGS["avif"], 80.0, 1.0),
        Variant("jpeg", 200, 100, BEGINNINGS["jpeg"], None, 0.0),
        Variant("avif", 100, 50, BEGINNINGS["avif"], 80.0, 1.0),
    ),
    "",
    80.0,
    70.0,
)
WORST = (
    *(None, True, -1, 0, 1, 2**31, 10**400, 1e308, float("nan"), float("inf"), "", "avif", "png"),
    *(
        "../../x",
        "/etc/passwd",
        "\x1b[2J",
        "\u202e",
        "x\n# y",
        "\0",
        "\ud800",
        "9" * 4000,
        "<script>",
    ),
    *([], {}, [[]], {"data": 1}),
)


@pytest.mark.parametrize("worst", WORST, ids=repr)
def test_each_field_at_its_worst_is_harmless_or_no_outcome(worst):
    """Names of files and texts for pages are made of these: they have to be what they say."""
    assert unpack(pack(WHOLE)) == WHOLE
    fields = [(None, name) for name in Outcome._fields]
    fields += [(n, name) for n in range(4) for name in Variant._fields]
    for number, name in fields:
        packed = pack(WHOLE)
        size = int.from_bytes(packed[4:8], "little")
        header = json.loads(packed[8 : 8 + size])
        (header if number is None else header["variants"][number])[name] = worst
        raw = json.dumps(header).encode()
        result = unpack(packed[:4] + len(raw).to_bytes(4, "little") + raw + packed[8 + size :])
        if result is not None:
            assert all(v.format in FORMATS and 1 <= v.width <= 200 for v in result.variants)
            assert all(abs(v.height * 2 - v.width) <= 2 for v in result.variants)
            assert result.reason.isprintable()
            assert all(n is None or abs(n) < 1e309 for n in (result.score, result.worst_tile))

"""Models and payloads that ask for too much, and odd ones on which both decoders have to agree."""

from dataclasses import replace

import numpy as np
import pytest

from sitecodec import codecs, engine
from sitecodec.errors import ModelError, PayloadError, SitecodecError
from sitecodec.payload import Header, pack
from tests import second_decoder
from tests.model_files import (
    ADD,
    CONVOLUTION,
    DEPTHWISE,
    RELU,
    SHUFFLE,
    UNSHUFFLE,
    Layer,
    Model,
    Operation,
    any_model,
    any_payload,
    payload_for,
    spoilt,
)

SOUND = Model()
INFINITE = float("inf")
BODY = bytes(range(3, 200, 7))


def decode_both(payload, model):
    """The pixels of both decoders; None for a decoder that rejects."""
    try:
        with np.errstate(all="ignore"):
            ours = second_decoder.decode(payload, model)
    except ValueError:
        ours = None
    try:
        shown = engine.decode(payload, engine.Models(model))
    except SitecodecError:
        shown = None
    return ours, shown


def agree(payload, model):
    ours, shown = decode_both(payload, model)
    assert (ours is None) == (shown is None)
    if ours is not None:
        np.testing.assert_array_equal(ours, shown)
    return ours is not None


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_both_decoders_agree_on_any_model(first):
    accepted = 0
    for seed in range(first, first + 20):
        model = any_model(seed).pack()
        accepted += agree(any_payload(seed, model), model)
    assert accepted > 10


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_both_decoders_agree_on_any_spoilt_model(first):
    accepted = 0
    for seed in range(first, first + 20):
        model = spoilt(seed, any_model(seed).pack())
        accepted += agree(any_payload(seed, model), model)
    assert 0 < accepted < 20


def with_bias(*biases):
    layer = Layer(8, 768, biases=biases)
    return replace(SOUND, operations=(Operation(CONVOLUTION, layer=layer), SOUND.operations[1]))


ODD = {
    "T[0] is not 0": replace(SOUND, transform=(700, 400, 900)),
    "T has the least number": replace(SOUND, transform=(-32768, -32768)),
    "one row of infinite biases": with_bias(INFINITE),
    "infinite biases in two rows": with_bias(INFINITE, -INFINITE),
    "biases too far apart": with_bias(3e38, -3e38),
    "a bias that is no number": with_bias(float("nan")),
    "reserved fields": replace(SOUND, reserved=513, parent=5),
    "a b that nobody needs": replace(
        SOUND, operations=(replace(SOUND.operations[0], b=999), SOUND.operations[1])
    ),
}


@pytest.mark.parametrize("quality", [0, 5000, 10000])
@pytest.mark.parametrize("name", ODD)
def test_both_decoders_agree_on_odd_numbers(name, quality):
    model = ODD[name].pack()
    assert agree(payload_for(model, BODY, quality=quality), model)


def operations(*made):
    """A graph that begins with these and ends well, if they leave 8 channels at 1/16."""
    layer = Layer(8, 768)
    end = (
        Operation(CONVOLUTION, a=len(made), layer=layer),
        Operation(SHUFFLE, 16, a=len(made) + 1),
    )
    return replace(SOUND, operations=(*made, *end))


WRONG = {
    "magic": replace(SOUND, magic=b"SLM2"),
    "kind": replace(SOUND, kind=3),
    "one level": replace(SOUND, levels=1),
    "17 levels": replace(SOUND, levels=17),
    "no channels": replace(SOUND, channels=0, context=Layer(0, 8), output=Layer(8, 0)),
    "channels that are no multiple of 8": replace(SOUND, channels=12),
    "more channels than a model may have": replace(
        SOUND, channels=520, context=Layer(520, 8), output=Layer(8, 1040)
    ),
    "latent bits": replace(SOUND, bits=15),
    "more operations than there are": replace(SOUND, count=3),
    "fewer operations than there are": replace(SOUND, count=1),
    "no operations": replace(SOUND, operations=()),
    "128 operations": operations(*(Operation(RELU, a=i) for i in range(126))),
    "a short transform": replace(SOUND, transform=(0,)),
    "a short scale table": replace(SOUND, scales=(65536,)),
    "a scale too small": replace(SOUND, scales=(65536, 1023)),
    "a scale too large": replace(SOUND, scales=(1638401, 65536)),
    "no taps": replace(SOUND, taps=(), context=Layer(8, 8, rows=0)),
    "33 taps": replace(SOUND, taps=((-1, 0),) * 33, context=Layer(8, 8, rows=33)),
    "a tap that is not decoded yet": replace(SOUND, taps=((0, 0),)),
    "a tap below": replace(SOUND, taps=((1, -1),)),
    "a tap too far up": replace(SOUND, taps=((-4, 0),)),
    "a tap too far aside": replace(SOUND, taps=((-1, 4),)),
    "a context layer of other taps": replace(SOUND, context=Layer(8, 8, rows=2)),
    "a wide hidden layer": replace(SOUND, hidden=Layer(8, 8, columns=2)),
    "an output layer of other channels": replace(SOUND, output=Layer(8, 24)),
    "outputs that are no multiple of 8": replace(SOUND, hidden=Layer(8, 12), output=Layer(12, 16)),
    "more outputs than a layer may have": replace(
        SOUND, hidden=Layer(8, 1032), output=Layer(1032, 16)
    ),
    "weights of three bytes": replace(SOUND, hidden=Layer(8, 8, size=3)),
    "an unknown activation": replace(SOUND, hidden=Layer(8, 8, activation=3)),
    "no biases": replace(SOUND, hidden=Layer(8, 8, biases=())),
    "more biases than levels": replace(SOUND, hidden=Layer(8, 8, biases=(1.0, 2.0, 3.0))),
    "an unknown operation": operations(Operation(7)),
    "operation 0": operations(Operation(0)),
    "a value that is its own source": operations(Operation(RELU, a=1)),
    "a later value to add": operations(Operation(ADD, b=1)),
    "adding what differs in channels": operations(
        Operation(CONVOLUTION, layer=Layer(8, 16)), Operation(ADD, a=0, b=1)
    ),
    "adding what differs in size": replace(
        SOUND, operations=(*SOUND.operations, Operation(ADD, a=2, b=0))
    ),
    "a kernel that is not square": operations(
        Operation(CONVOLUTION, pad=1, layer=Layer(8, 8, rows=3, columns=1))
    ),
    "a kernel without its padding": operations(
        Operation(CONVOLUTION, layer=Layer(8, 8, rows=3, columns=3))
    ),
    "an even kernel": operations(
        Operation(CONVOLUTION, pad=1, layer=Layer(8, 8, rows=2, columns=2))
    ),
    "a stride of 3": operations(Operation(CONVOLUTION, 3, layer=Layer(8, 8))),
    "smaller than latents": operations(
        Operation(CONVOLUTION, 2, 1, layer=Layer(8, 8, rows=4, columns=4))
    ),
    "a depthwise layer that adds channels": operations(
        Operation(DEPTHWISE, layer=Layer(8, 16, depthwise=True))
    ),
    "a depthwise layer with a stride": operations(
        Operation(DEPTHWISE, 2, 1, layer=Layer(8, 8, rows=4, columns=4, depthwise=True))
    ),
    "a shuffle by 3": replace(SOUND, operations=(SOUND.operations[0], Operation(SHUFFLE, 3, a=1))),
    "a shuffle by 1": operations(Operation(SHUFFLE, 1)),
    "a shuffle by 32": replace(
        SOUND,
        operations=(Operation(CONVOLUTION, layer=Layer(8, 1024)), Operation(SHUFFLE, 32, a=1)),
    ),
    "a shuffle of channels that do not divide": replace(
        SOUND, operations=(Operation(CONVOLUTION, layer=Layer(8, 776)), Operation(SHUFFLE, 16, a=1))
    ),
    "larger than the picture": replace(
        SOUND, operations=(*SOUND.operations, Operation(SHUFFLE, 2, a=1))
    ),
    "an unshuffle below latents": operations(Operation(UNSHUFFLE, 2)),
    "too many channels": replace(
        SOUND,
        operations=(
            Operation(CONVOLUTION, layer=Layer(8, 1024)),
            Operation(SHUFFLE, 2, a=1),
            Operation(UNSHUFFLE, 4, a=2),
        ),
    ),
    "a result that is no picture": replace(
        SOUND,
        operations=(Operation(CONVOLUTION, layer=Layer(8, 1024)), Operation(SHUFFLE, 16, a=1)),
    ),
    "a result of half the size": replace(
        SOUND, operations=(Operation(CONVOLUTION, layer=Layer(8, 192)), Operation(SHUFFLE, 8, a=1))
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_model_with_one_error_is_rejected(name):
    model = WRONG[name].pack()
    with pytest.raises(ModelError):
        engine.decode(payload_for(model, BODY), engine.Models(model))
    assert decode_both(payload_for(model, BODY), model) == (None, None)


def test_bytes_left_over_are_an_error():
    model = SOUND.pack(tail=b"\0")
    assert decode_both(payload_for(model, BODY), model) == (None, None)


def test_the_sound_model_that_the_others_spoil_decodes():
    model = SOUND.pack()
    assert agree(payload_for(model, BODY), model)
    model = operations(*(Operation(RELU, a=i) for i in range(125))).pack()
    assert agree(payload_for(model, BODY), model)


def wide_model(outputs=1024, ahead=11):
    """At full size a value of that many channels that is kept until a long chain has caught up."""
    made = [
        Operation(CONVOLUTION, layer=Layer(8, 1024)),
        Operation(SHUFFLE, 8, a=1),
        Operation(CONVOLUTION, a=2, layer=Layer(16, 32)),
        Operation(SHUFFLE, 2, a=3),
        Operation(CONVOLUTION, a=4, layer=Layer(8, outputs)),
        Operation(CONVOLUTION, a=5, layer=Layer(outputs, 8)),
    ]
    deep = Layer(8, 8, rows=7, columns=7, depthwise=True)
    made += [Operation(DEPTHWISE, pad=3, a=6 + i, layer=deep) for i in range(ahead)]
    made += [Operation(CONVOLUTION, a=len(made), layer=Layer(8, outputs))]
    made += [Operation(ADD, a=len(made), b=5)]
    made += [Operation(CONVOLUTION, a=len(made), layer=Layer(outputs, 48))]
    made += [Operation(UNSHUFFLE, 4, a=len(made))]
    made += [Operation(CONVOLUTION, a=len(made), layer=Layer(768, 48))]
    made += [Operation(SHUFFLE, 4, a=len(made))]
    return replace(SOUND, operations=tuple(made)).pack()


def opened(session, model, payload, max_pixels=0):
    """Bytes that the session's memory grew by when the payload was opened."""
    pointer = session.load(model)
    place = session.put(payload)
    before = session.call("sc_mark")
    session.call("sc_open", pointer, place, len(payload), max_pixels)
    return session.call("sc_mark") - before


@pytest.mark.parametrize("size", [(65536, 64), (65536, 16), (40000, 30)])
def test_rings_that_take_too_much_are_refused_before_they_are_allocated(size):
    model = wide_model()
    with engine.session() as session:
        session.load(model)
        before = session.size
        with pytest.raises(PayloadError, match="asks for too much"):
            opened(session, model, payload_for(model, bytes(600), size), 50_000_000)
        assert session.size - before < 4 * len(model)


def test_the_same_model_decodes_small_pictures():
    model = wide_model()
    with engine.session() as session:
        assert opened(session, model, payload_for(model, BODY, (64, 64))) < 30_000_000
    model = wide_model(outputs=64, ahead=3)
    assert agree(payload_for(model, BODY, (20, 40)), model)


def test_a_model_with_too_many_multiplications_for_the_picture_is_refused():
    layers = [Operation(CONVOLUTION, layer=Layer(8, 1024)), Operation(SHUFFLE, 8, a=1)]
    for i in range(20):
        layers += [Operation(CONVOLUTION, pad=3, a=2 + i, layer=Layer(16, 16, rows=7, columns=7))]
    layers += [Operation(CONVOLUTION, a=22, layer=Layer(16, 48))]
    layers += [Operation(UNSHUFFLE, 2, a=23), Operation(CONVOLUTION, a=24, layer=Layer(192, 48))]
    layers += [Operation(SHUFFLE, 4, a=25)]
    model = replace(SOUND, operations=tuple(layers)).pack()
    payload = payload_for(model, bytes(12000), (7000, 7000))
    with engine.session() as session, pytest.raises(PayloadError, match="asks for too much"):
        opened(session, model, payload)
    with engine.session() as session:
        opened(session, model, payload_for(model, b"", (1000, 1000)))


@pytest.mark.parametrize("size", [(2048, 1025), (2048, 2048), (7071, 7071)])
def test_a_payload_has_a_byte_for_every_4096_pixels_beyond_two_million(size):
    model = SOUND.pack()
    least = -(-(size[0] * size[1] - (1 << 21)) // 4096)
    for extra, fits in ((0, True), (-1, False)):
        payload = payload_for(model, bytes(max(least - 20 + extra, 0)), size)
        with engine.session() as session:
            if fits or len(payload) >= least:
                opened(session, model, payload)
            else:
                with pytest.raises(PayloadError, match="size limit"):
                    opened(session, model, payload)
                opened(session, model, payload, size[0] * size[1])


def test_a_flat_payload_has_them_too():
    body = b"\0\0\0\0"
    payload = pack(Header("flat", 0, 4096, 4096, 100.0), body)
    with pytest.raises(PayloadError, match="size limit"):
        codecs.get("flat").decode(payload)
    payload = pack(Header("flat", 0, 4096, 4096, 100.0), body + bytes(3600))
    assert codecs.get("flat").decode(payload).shape == (4096, 4096, 3)


@pytest.mark.parametrize("codec", ["web", "flat"])
def test_encoders_fill_what_would_be_too_short(codec):
    """A blank picture costs next to nothing; the zeros behind it change nothing."""
    pixels = np.full((2100, 1400, 3), 255, np.uint8)
    payload = codecs.get(codec).encode(pixels, 0)
    assert len(payload) >= (2100 * 1400 - (1 << 21)) / 4096
    shown = codecs.get(codec).decode(payload)
    assert np.abs(shown.astype(int) - 255).max() < 12
    if codec == "flat":
        assert payload.endswith(bytes(100))
        assert len(codecs.get(codec).encode(pixels[:1400], 100)) < 60

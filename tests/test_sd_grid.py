"""Quantisation and the grid coder: no torch, no network."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitecodec import engine
from sitecodec.engine import grid as coder
from sitecodec.engine import tables
from sitecodec.errors import PayloadError
from sitecodec.sd import container, grid
from tests import second_grid_decoder
from tests.goldens import make_sd

GOLDENS = Path(make_sd.__file__).parent
INDEX = json.loads((GOLDENS / "sd.json").read_text())
GRIDS = [name for name, case in make_sd.CASES.items() if case[3] is not None]
NODE = shutil.which("node")


def structured(height, width, channels, seed=0):
    """Latents with edges and smooth parts, of about unit variance."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    shape = np.sin(x / 7)[..., None] * rng.normal(size=channels) + (x + y > width)[..., None] * 1.5
    return (shape - 0.5 + 0.35 * rng.normal(size=(height, width, channels))).astype(np.float32)


def opened(name):
    body = container.unpack((GOLDENS / f"{name}.slat").read_bytes())
    own = 0 if body.defaults else coder.parameters_size(body.channels)
    data = body.data[body.channels :]
    parameters = data[:own] or grid.default_parameters(body.channels)
    return body, parameters, data[own:]


@pytest.mark.parametrize("name", INDEX)
def test_golden_latents_are_the_same_for_ever(name):
    latents = container.unpack((GOLDENS / f"{name}.slat").read_bytes()).latents()
    assert hashlib.sha256(latents.tobytes()).hexdigest() == INDEX[name]


@pytest.mark.parametrize("name", GRIDS)
def test_a_decoder_written_from_the_specification_agrees(name):
    body, parameters, data = opened(name)
    ours = coder.decode(data, parameters, body.rows, body.columns, body.channels)
    theirs = second_grid_decoder.decode(data, parameters, body.rows, body.columns, body.channels)
    assert ours.tolist() == theirs


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("name", GRIDS)
def test_node_decodes_the_same(name, tmp_path):
    body, parameters, data = opened(name)
    ours = coder.decode(data, parameters, body.rows, body.columns, body.channels)
    (tmp_path / "parameters").write_bytes(parameters)
    (tmp_path / "body").write_bytes(data)
    script = Path(__file__).with_name("sd_grid.mjs")
    size = [str(n) for n in (body.rows, body.columns, body.channels)]
    files = [engine.WASM, tmp_path / "parameters", tmp_path / "body"]
    done = subprocess.run([NODE, script, *files, *size], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == hashlib.sha256(ours.tobytes()).hexdigest()


def test_the_goldens_cover_default_and_own_parameters_and_far_values():
    assert opened("sd-small")[0].defaults != opened("sd-photo")[0].defaults
    body, parameters, data = opened("sd-fine")
    values = coder.decode(data, parameters, body.rows, body.columns, body.channels)
    assert np.abs(np.diff(values[..., 0].astype(int), axis=1)).max() > 64 * 45


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 16), st.integers(0, 2**32 - 1), st.data()
)
def test_any_grid_and_parameters_come_back(height, width, channels, seed, data):
    rng = np.random.default_rng(seed)
    spread = data.draw(st.sampled_from([1, 40, 400, 9000]))
    source = rng.integers(-spread, spread, (height, width, channels)).clip(-8192, 8128)
    parameters = rng.bytes(coder.parameters_size(channels))
    body, values = coder.encode(source.astype(np.int16), parameters)
    assert np.array_equal(values, ((source + 32) >> 6).clip(-128, 127))
    decoded = coder.decode(body, parameters, height, width, channels)
    assert np.abs(decoded - 64 * values.astype(int)).max() <= 32
    theirs = second_grid_decoder.decode(body, parameters, height, width, channels)
    assert decoded.tolist() == theirs


def test_garbage_gives_a_grid_or_an_error():
    rng = np.random.default_rng(1)
    refused = 0
    for i in range(200):
        wild = rng.bytes(coder.parameters_size(4))
        parameters = wild if i % 2 else grid.default_parameters(4)
        try:
            shape = coder.decode(rng.bytes(60), parameters, 9, 7, 4).shape
        except PayloadError:
            refused += 1
        else:
            assert shape == (9, 7, 4)
    assert 0 < refused < 200


def test_parameters_of_a_wrong_size_are_refused():
    with pytest.raises(PayloadError):
        coder.decode(b"", bytes(41), 4, 4, 4)
    with pytest.raises(PayloadError, match="cut short"):
        grid.decode(grid.Coded(bytes(4), bytes(7), b""), 4, 4)


def test_the_table_is_correctly_rounded():
    text = (Path(engine.__file__).parent / "src" / "tail.h").read_text()
    (body,) = re.findall(r"\{([\d,\s]+)\}", text)
    assert [int(n) for n in body.split(",") if n.strip()] == tables.tail_table()
    assert tables.tail_table()[0] == 2**23
    assert tables.tail_table()[16] == round(2**24 * 0.2689414213699951)  # 1 / (1 + e)


def test_steps_by_hand():
    assert grid.step_of(128) == 1
    assert grid.step_of(144) == 2
    assert grid.step_of(112) == 0.5
    assert grid.step_codes(50, (), 2) == bytes([106, 106])  # 16 · (0.9 - 3.7) / 2 = -22.4
    # A channel four times as sensitive gets half the step of the other: an octave, 16 codes.
    fine, coarse = grid.step_codes(50, (4.0, 1.0), 2)
    assert coarse - fine == 16


def test_noise_costs_little_more_than_its_entropy():
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(64, 64, 4)).astype(np.float32)
    for quality in (25, 50, 75, 100):
        steps = grid.step_codes(quality, (), 4)
        step = grid.step_of(steps[0])
        # The differential entropy of a unit Gaussian, in steps.
        ideal = noise.size * (0.5 * np.log2(2 * np.pi * np.e) - np.log2(step)) / 8
        assert grid.encode(noise, steps, 0).size < 1.03 * ideal + 60


def test_neighbours_and_channels_save_bits():
    latents = structured(64, 64, 4)
    steps = grid.step_codes(60, (), 4)
    whole = grid.encode(latents, steps, 0).size
    shuffled = np.random.default_rng(0).permutation(latents.reshape(-1, 4)).reshape(latents.shape)
    assert whole < 0.9 * grid.encode(shuffled, steps, 0).size
    same = np.repeat(latents[..., :1], 4, axis=2)
    assert grid.encode(same, steps, 0).size < 0.4 * whole


def test_error_is_bounded_and_the_knob_is_ordered():
    latents = structured(64, 64, 4)
    sizes, errors = [], []
    for quality in (0, 10, 25, 40, 55, 70, 85, 100):
        steps = grid.step_codes(quality, (), 4)
        step = grid.step_of(steps[0])
        coded = grid.encode(latents, steps, 0)
        off = np.abs(grid.decode(coded, 64, 64) - latents)
        assert off.max() <= 1.02 * step  # half a step, and half of the pull at most
        assert np.square(off).mean() < 1.02 * step**2 / 12
        rough = grid.encode(latents, steps)
        sizes.append(rough.size)
        errors.append(np.square(grid.decode(rough, 64, 64) - latents).mean())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    assert sizes[0] < 1000 < 9000 < sizes[-1] < 12_500


@pytest.mark.parametrize("target", [700, 1200, 2000])
def test_optimised_rounding_is_better_at_equal_bytes(target):
    latents = structured(64, 64, 4)
    errors = []
    for rdo in (0.0, grid.RDO):
        fitting = []
        for code in range(90, 170):
            coded = grid.encode(latents, bytes([code] * 4), rdo)
            if coded.size <= target:
                fitting.append(np.square(grid.decode(coded, 64, 64) - latents).mean())
        errors.append(min(fitting))
    assert errors[1] < 0.97 * errors[0]


def test_the_fit_predicts_what_the_engine_predicts():
    """With a pull of all the way, what is decoded shows the engine's prediction."""
    values = (np.rint(structured(12, 10, 3) * 4)).astype(np.int64)
    parameters = bytearray(grid.fit((values * 64).astype(np.int16), values))
    starts = [0, 9, 19]
    for start in starts:
        parameters[start + 1] = 255
    body, _ = coder.encode((values * 64).astype(np.int16), bytes(parameters))
    decoded = coder.decode(body, bytes(parameters), 12, 10, 3).astype(int)
    signed = np.frombuffer(bytes(parameters), np.int8).astype(int)
    around = grid.neighbours(values[..., 0])
    predicted = around @ signed[3:9] + 4 * signed[2]
    towards = np.clip(predicted - 64 * values[..., 0], -32, 32)
    assert np.array_equal(decoded[..., 0], 64 * values[..., 0] + ((towards * 255 + 128) >> 8))


def test_latents_beyond_the_range_are_limited_not_wrapped():
    latents = np.full((4, 4, 1), 1e6, np.float32)
    latents[0, 0] = -1e6
    decoded = grid.decode(grid.encode(latents, bytes([128])), 4, 4)
    assert decoded[0, 0, 0] < -127
    assert decoded[3, 3, 0] > 126

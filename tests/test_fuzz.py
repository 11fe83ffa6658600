"""The engine's decoders under sanitizers, from the seeds in tests/fuzz: some seconds of mutants."""

import shutil
import subprocess

import pytest

from tests.fuzz import native


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    if not shutil.which("clang"):
        pytest.skip("clang is not installed")
    folder = tmp_path_factory.mktemp("fuzz")
    trial = folder / "trial.c"
    trial.write_text("int LLVMFuzzerTestOneInput(void) { return 0; }\n")
    command = ["clang", "-fsanitize=fuzzer,address,undefined", str(trial), "-o", f"{folder}/trial"]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("clang has no runtime for libFuzzer and sanitizers: install libclang-rt-dev")
    return native.build(folder), folder


def test_sanitizers_have_nothing_to_report(fuzzer):
    program, folder = fuzzer
    done = native.run(program, folder, "-runs=10000", "-max_total_time=40", "-seed=1")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "DONE" in done.stderr


def test_every_seed_reaches_a_decoder(fuzzer):
    """A seed that is turned away at once would test nothing."""
    program, folder = fuzzer
    for seed in native.SEEDS.iterdir():
        alone = folder / "alone"
        shutil.rmtree(alone, ignore_errors=True)
        alone.mkdir()
        shutil.copy(seed, alone)
        command = [str(program), "-runs=0", f"-max_len={1 << 14}", str(alone)]
        done = subprocess.run(command, capture_output=True, text=True)
        covered = int(done.stderr.split(" cov: ")[-1].split()[0])
        assert covered > 100, seed.name

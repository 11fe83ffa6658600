"""Fuzzes the engine's decoders natively, with AddressSanitizer and UndefinedBehaviorSanitizer.

`python -m tests.fuzz.native --runs 1000000` mutates the seeds beside this file that often;
libFuzzer keeps what reaches new code. An input that ends in a report is written to the folder of
`--work`. With `--seeds` the seeds are written anew. Needs clang and its runtime (Debian: clang and
libclang-rt-dev).
"""

from __future__ import annotations

import argparse
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.model_files import CONVOLUTION, SHUFFLE, Layer, Model, Operation, any_model, payload_for

HERE = Path(__file__).parent
SEEDS = HERE / "seeds"
ENGINE = HERE.parents[1] / "sitecodec" / "engine" / "src"
A_PAYLOAD, A_MODEL, A_GRID = range(3)
"""What the first byte of an input says of the rest."""
_MOST = 8192  # bytes of an input

_FLAGS = (
    "-g -O2 -std=gnu17 -fwrapv -ffp-contract=off -fsanitize=fuzzer,address,undefined"
    " -fno-sanitize-coverage=trace-cmp,trace-div,trace-gep -fno-sanitize-recover=all"
    " -Wno-unknown-attributes -Wno-ignored-attributes"
).split()


def build(folder: Path) -> Path:
    """The fuzzer's program. Raises CalledProcessError or FileNotFoundError where clang cannot."""
    program = folder / "fuzz"
    sources = [path for path in sorted(ENGINE.glob("*.c")) if path.name not in _NOT_HERE]
    defined = f'-DMODEL_SEED="{SEEDS / "model"}"'
    command = ["clang", *_FLAGS, defined, f"-I{HERE}", f"-I{ENGINE}", str(HERE / "fuzz.c")]
    subprocess.run([*command, *map(str, sources), "-o", str(program)], check=True)
    return program


_NOT_HERE = {"memory.c", "score.c"}


def run(program: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Let libFuzzer work from the seeds; what it finds new goes to the folder."""
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    command = [str(program), f"-max_len={_MOST}", "-timeout=10", "-rss_limit_mb=2048"]
    command.append("-entropic_scale_per_exec_time=1")  # rather many inputs than slow ones
    places = [f"-artifact_prefix={folder}/", str(corpus), str(SEEDS)]
    environment = os.environ | {"ASAN_OPTIONS": "quarantine_size_mb=4:malloc_context_size=2"}
    return subprocess.run(
        [*command, *options, *places], env=environment, capture_output=True, text=True
    )


def small_model() -> Model:
    """A model of 4 kB with all that a graph needs."""
    return replace(
        Model(),
        operations=(
            Operation(CONVOLUTION, layer=Layer(8, 128, activation=1)),
            Operation(SHUFFLE, 4, a=1),
            Operation(CONVOLUTION, pad=1, a=2, layer=Layer(8, 48, rows=3, columns=3)),
            Operation(SHUFFLE, 4, a=3),
        ),
    )


def write_seeds() -> None:
    """Inputs of every kind, each the smallest that reaches most of its code."""
    from sitecodec import codecs, engine
    from tests.conftest import make_page

    shutil.rmtree(SEEDS, ignore_errors=True)
    SEEDS.mkdir()
    model = small_model().pack()
    body = bytes(i * 73 % 256 for i in range(200))
    page = make_page(120, 200)[20:44, 90:130]
    plane = engine.encode_alpha(page[..., 0])
    seeds = {
        "model": (A_MODEL, model[:-4]),
        "payload": (A_PAYLOAD, payload_for(model, body)),
        "payload-alpha": (A_PAYLOAD, payload_for(model, plane + body, version=2)),
        "payload-flat": (A_PAYLOAD, codecs.get("flat").encode(page, 100)),
        "payload-long": (A_PAYLOAD, payload_for(model, body, (3, 64600))),
        "grid": (A_GRID, struct.pack("<4B", 9, 9, 2, 19) + body[:19] + body),
    }
    for seed in sorted(range(300), key=lambda seed: len(any_model(seed).pack()))[:6]:
        seeds[f"model-{seed}"] = (A_MODEL, any_model(seed).pack()[:-4])
    for name, (kind, data) in seeds.items():
        (SEEDS / name).write_bytes(bytes([kind]) + data)


def main() -> int:
    """Build and run; libFuzzer's words, and 1 when a sanitizer had something to report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--seeds", action="store_true")
    options = parser.parse_args()
    if options.seeds:
        write_seeds()
        return 0
    options.work.mkdir(parents=True, exist_ok=True)
    limits = [f"-runs={options.runs}", f"-max_total_time={options.seconds}"]
    done = run(build(options.work), options.work, *limits, "-print_final_stats=1")
    print(done.stderr[-6000:])
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())

"""Compiles src/*.c to three modules, which are committed.

engine.wasm is the whole engine, run by Python; decoder.wasm, from the same sources, is the part
that visitors' browsers get, and is made small. score.wasm is score.c and judge.c, for
builds of sites.

Run as `python -m sitecodec.engine.build` (writes the files) or with `--check` (compares the
committed ones with a fresh build). Needs the wheel `ziglang` of the version in pyproject.toml:
another compiler's output differs in bytes, not in behaviour.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# Loop strength reduction replaces offsets, which WebAssembly has, by pointers: larger and slower.
FLAGS = (
    "-target wasm32-freestanding -mcpu=generic+simd128+bulk_memory -std=c17 -nostdlib"
    " -ffp-contract=off -fno-math-errno -fwrapv -mllvm -disable-lsr -Wall -Wextra -Werror"
    " -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=65536"
).split()
_SCORES = ("score.c", "judge.c")
_ENGINE = sorted({path.name for path in (HERE / "src").glob("*.c")}.difference(_SCORES))
MODULES = {
    "engine.wasm": (["-O3"], _ENGINE),
    "decoder.wasm": (["-Os", "-DDECODER_ONLY"], _ENGINE),
    "score.wasm": (["-O3"], ["memory.c", *_SCORES]),
}
"""Flags and sources of each."""


def compile_module(name: str, output: Path) -> None:
    """Compile one of MODULES to `output`. Raises CalledProcessError with the compiler's words."""
    flags, sources = MODULES[name]
    paths = [str(HERE / "src" / source) for source in sources]
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *flags, *paths, "-o", str(output)]
    subprocess.run(command, check=True)


def main() -> int:
    """Build, or check; 1 when a committed file is not what the sources give."""
    if "--check" not in sys.argv:
        for name in MODULES:
            compile_module(name, HERE / name)
        return 0
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        for name in MODULES:
            fresh = Path(folder) / name
            compile_module(name, fresh)
            if (HERE / name).read_bytes() != fresh.read_bytes():
                stale.append(name)
    if stale:
        print(f"{' and '.join(stale)}: rebuild and commit")
    else:
        print(f"{', '.join(MODULES)} are up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

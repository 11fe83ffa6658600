"""Compiles src/*.c to engine.wasm, the one build of the engine that Python and browsers run.

score.c is not part of it: it makes score.wasm, which only builds of sites run.

Run as `python -m sitecodec.engine.build` (writes both files) or with `--check` (compares the
committed ones with a fresh build). Needs the wheel `ziglang` of the version in pyproject.toml:
another compiler's output differs in bytes, not in behaviour.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
WASM = HERE / "engine.wasm"
SCORE = HERE / "score.wasm"
FLAGS = (
    "-target wasm32-freestanding -mcpu=generic+simd128+bulk_memory -O3 -std=c17 -nostdlib"
    " -ffp-contract=off -fno-math-errno -fwrapv -Wall -Wextra -Werror"
    " -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=65536"
).split()


def compile_engine(output: Path) -> None:
    """Compile the engine to `output`. Raises CalledProcessError with the compiler's words."""
    _compile(sorted({path.name for path in (HERE / "src").glob("*.c")} - {"score.c"}), output)


def compile_score(output: Path) -> None:
    """Compile the scoring module to `output`. Raises CalledProcessError."""
    _compile(["memory.c", "score.c"], output)


def _compile(names: list[str], output: Path) -> None:
    sources = [str(HERE / "src" / name) for name in names]
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *sources, "-o", str(output)]
    subprocess.run(command, check=True)


def main() -> int:
    """Build, or check; 1 when a committed file is not what the sources give."""
    outputs = ((WASM, compile_engine), (SCORE, compile_score))
    if "--check" not in sys.argv:
        for path, compile_to in outputs:
            compile_to(path)
        return 0
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        for path, compile_to in outputs:
            fresh = Path(folder) / path.name
            compile_to(fresh)
            if path.read_bytes() != fresh.read_bytes():
                stale.append(path.name)
    names = " and ".join(stale)
    print(f"{names}: rebuild and commit" if stale else "engine.wasm and score.wasm are up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

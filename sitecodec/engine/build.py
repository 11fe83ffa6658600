"""Compiles src/*.c to engine.wasm, the one build of the engine that Python and browsers run.

Run as `python -m sitecodec.engine.build` (writes engine.wasm) or with `--check` (compares the
committed file with a fresh build). Needs the wheel `ziglang` of the version in pyproject.toml:
another compiler's output differs in bytes, not in behaviour.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
WASM = HERE / "engine.wasm"
FLAGS = (
    "-target wasm32-freestanding -mcpu=generic+simd128+bulk_memory -O3 -std=c17 -nostdlib"
    " -ffp-contract=off -fno-math-errno -fwrapv -Wall -Wextra -Werror"
    " -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=65536"
).split()


def compile_engine(output: Path) -> None:
    """Compile the engine to `output`. Raises CalledProcessError with the compiler's words."""
    sources = sorted(str(path) for path in (HERE / "src").glob("*.c"))
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *sources, "-o", str(output)]
    subprocess.run(command, check=True)


def main() -> int:
    """Build, or check; 1 when the committed file is not what the sources give."""
    if "--check" not in sys.argv:
        compile_engine(WASM)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "engine.wasm"
        compile_engine(fresh)
        same = WASM.read_bytes() == fresh.read_bytes()
    print("engine.wasm is up to date" if same else "engine.wasm differs: rebuild and commit it")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())

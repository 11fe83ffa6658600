"""Speed, memory and size against their limits, beside Pillow's AVIF (speed 6) in the same run.

Everything runs on one core: this process and its children are bound to one. Speeds are medians of
five rounds in which the codecs take turns, in CPU seconds: with one thread and no waiting these
are what the clock shows on an idle machine, and other work on the machine moves them less. The
clock's are beside them. The pictures are made here, so any checkout can run this.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels

    Coder: TypeAlias = tuple[Callable[[Pixels], bytes], Callable[[bytes], Pixels]]

ROUNDS = 5
# How fast the texture's octaves fall: so it takes as many bits as a detailed photograph.
FALL = 0.3
SIDE = 1024
LARGE = (4000, 3000)
QUALITY = {"web": 50, "avif": 45}  # about the same bytes
ENCODE_LIMIT = 2.0  # seconds per megapixel
DECODE_LIMIT = 0.6
MEMORY_LIMIT = 300.0  # MB, for 12 megapixels, the interpreter included
IMPORT_LIMIT = 0.2  # seconds
DECODER_LIMIT = 40.0  # kB, compressed by brotli
MODEL_LIMIT = 500.0


@dataclass(frozen=True)
class Row:
    """One figure and its limit, if it has one."""

    name: str
    figure: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def over(self) -> bool:
        """Whether the figure is over the limit."""
        return self.limit is not None and self.figure > self.limit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--child", nargs=3, metavar=("ACTION", "IN", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(*arguments.child)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    rows = [*speed_rows(), *large_rows(), import_row(), *size_rows()]
    load = os.getloadavg()[0]
    print(f"load average {load:.1f}, {os.cpu_count()} processors, one used")
    print(f"{'':<40}{'figure':>9}{'limit':>8}")
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:g}"
        verdict = "" if row.limit is None else "over" if row.over else "ok"
        name = f"{row.name}, {row.unit}"
        figure = f"{row.figure:.0f}" if row.figure >= 100 else f"{row.figure:.3g}"
        print(f"{name:<40}{figure:>9}{limit:>8}  {verdict:<5} {row.note}".rstrip())
    if arguments.json:
        table = {
            row.name: {"figure": row.figure, "unit": row.unit, "limit": row.limit} for row in rows
        }
        arguments.json.write_text(json.dumps({"load": load, "rows": table}, indent=1) + "\n")
    return 1 if any(row.over for row in rows) else 0


def texture(width: int, height: int) -> Pixels:
    """A picture with detail at every scale, as photographs have: octaves of noise."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(1)
    total = np.full((height, width, 3), 127.0, np.float32)
    octave = 2
    while octave <= max(width, height):
        for channels, strength in ((1, 55.0), (3, 12.0)):
            noise = generator.standard_normal((octave, octave, channels)).astype(np.float32)
            for channel in range(channels):
                small = Image.fromarray(noise[..., channel])
                plane = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
                if channels == 1:
                    total += plane[..., None] * (strength / octave**FALL)
                else:
                    total[..., channel] += plane * (strength / octave**FALL)
        octave *= 2
    return np.clip(total, 0, 255).astype(np.uint8)


def coders() -> dict[str, Coder]:
    """(encode, decode) of each codec at a quality that gives similar bytes."""
    from PIL import AvifImagePlugin

    from sitecodec import codecs
    from sitecodec.encoding import images

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # of the decoder; `images.avif` sets the encoder's
    web = codecs.get("web")
    return {
        "web": (lambda pixels: web.encode(pixels, QUALITY["web"]), web.decode),
        "avif": (lambda pixels: images.avif(pixels, QUALITY["avif"]), images.decode),
    }


def speed_rows() -> list[Row]:
    picture = texture(SIDE, SIDE)
    megapixels = SIDE * SIDE / 1e6
    codecs = coders()
    wall: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    sizes = {}
    for codec_name, (encode, decode) in codecs.items():
        decode(encode(picture[:64, :64]))  # loads what is loaded once
        sizes[codec_name] = len(encode(picture)) * 8 / (SIDE * SIDE)
    for _ in range(ROUNDS):
        for codec_name, (encode, decode) in codecs.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            data = encode(picture)
            middle, middle_cpu = time.perf_counter(), time.process_time()
            decode(data)
            end, end_cpu = time.perf_counter(), time.process_time()
            for part, seconds, cpu_seconds in (
                ("encode", middle - start, middle_cpu - start_cpu),
                ("decode", end - middle, end_cpu - middle_cpu),
            ):
                wall.setdefault(f"{codec_name} {part}", []).append(seconds / megapixels)
                cpu.setdefault(f"{codec_name} {part}", []).append(cpu_seconds / megapixels)
    rows = []
    limits = {"web encode": ENCODE_LIMIT, "web decode": DECODE_LIMIT}
    for name in ("web encode", "avif encode", "web decode", "avif decode"):
        codec_name, part = name.split()
        note = f"clock {statistics.median(wall[name]):.3f}, {sizes[codec_name]:.2f} bpp"
        if codec_name == "web":
            ratio = statistics.median(cpu[name]) / statistics.median(cpu[f"avif {part}"])
            note += f", {ratio:.1f} x AVIF's"
        rows.append(Row(name, statistics.median(cpu[name]), "s/MP", limits.get(name), note))
    return rows


def large_rows() -> list[Row]:
    """Peak memory for 12 megapixels, from a PNG file to a file and from that to pixels."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.png"
        run_child("texture", "", str(source))
        for codec in ("web", "avif"):
            encoded = Path(folder) / f"encoded.{codec}"
            for part, given, output in (
                ("encode", source, str(encoded)),
                ("decode", encoded, ""),
            ):
                answer = run_child(f"{codec}-{part}", str(given), output)
                limit = MEMORY_LIMIT if codec == "web" else None
                note = f"{answer['seconds'] / (LARGE[0] * LARGE[1] / 1e6):.2f} s/MP"
                name = f"{codec} {part} of 12 MP, peak memory"
                rows.append(Row(name, answer["peak"], "MB", limit, note))
    return rows


def run_child(action: str, source: str, output: str) -> dict[str, float]:
    """What a fresh interpreter reports of one action."""
    command = [sys.executable, str(Path(__file__)), "--child", action, source, output]
    answer: dict[str, float] = json.loads(subprocess.check_output(command))
    return answer


def child(action: str, source: str, output: str) -> int:
    """One action in this process; prints its seconds and the process's peak memory in MB."""
    if action == "texture":
        from PIL import Image

        Image.fromarray(texture(*LARGE)).save(output, compress_level=1)
        print(json.dumps({}))
        return 0
    from sitecodec.encoding import sources

    codec_name, part = action.split("-")
    encode, decode = coders()[codec_name]
    data = Path(source).read_bytes()
    start = time.process_time()
    if part == "encode":
        loaded = sources.load(data, source, LARGE[0] * LARGE[1])
        assert isinstance(loaded, sources.Source)
        del data
        start = time.process_time()
        Path(output).write_bytes(encode(loaded.pixels))
    else:
        decode(data)
    print(json.dumps({"seconds": time.process_time() - start, "peak": peak_megabytes()}))
    return 0


def peak_megabytes() -> float:
    """This process's largest resident size."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its figure includes what the parent had before exec.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def import_row() -> Row:
    code = "import time; t = time.perf_counter(); import sitecodec; print(time.perf_counter() - t)"
    times = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(ROUNDS)]
    return Row("import sitecodec", statistics.median(times), "s", IMPORT_LIMIT)


def size_rows() -> list[Row]:
    try:
        import brotli
    except ImportError:
        print("sizes not measured: pip install brotli", file=sys.stderr)
        return []
    from sitecodec import engine, models

    def kilobytes(data: bytes) -> float:
        return len(brotli.compress(data)) / 1000

    encoder, decoder = (models.read(models.DEFAULT, part) for part in ("encoder", "decoder"))
    return [
        Row("decoder.wasm, brotli", kilobytes(engine.DECODER.read_bytes()), "kB", DECODER_LIMIT),
        Row("model file (decoder), brotli", kilobytes(decoder), "kB", MODEL_LIMIT),
        Row("encoder's part, never sent, brotli", kilobytes(encoder), "kB"),
    ]


if __name__ == "__main__":
    sys.exit(main())

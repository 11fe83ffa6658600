"""Rate and quality on a folder of pictures, beside other codecs and the float weights.

Runs the library's own benchmark, draws docs/figures/rd-<folder>.svg, writes
benchmarks/results/rd-<folder>.json, and measures what quantising the model for shipping costs.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sitecodec import bench, metrics, payload
from sitecodec.bench import bdrate
from sitecodec.encoding import sources
from sitecodec.settings import Settings
from sitecodec.terminal.progress import progress_bar

REPOSITORY = Path(__file__).resolve().parent.parent
KODAK = REPOSITORY.parent / "shared" / "data" / "kodak"
QUANTISATION_LIMIT = 1.0  # per cent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=KODAK, help="default: Kodak")
    parser.add_argument("--weights", type=Path, help="float weights: what does the engine lose?")
    parser.add_argument("--figures", type=Path, default=REPOSITORY / "docs" / "figures")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "benchmarks" / "results")
    parser.add_argument("--codecs", help=f"some of {','.join(bench.ALL)}; avif is the anchor")
    parser.add_argument("--every", type=int, default=1, help="only every n-th picture")
    arguments = parser.parse_args()
    suffixes = (".png", ".webp", ".jpg", ".jpeg")
    pictures = [path for path in sorted(arguments.folder.glob("*")) if path.suffix in suffixes]
    if not pictures:
        print(f"{arguments.folder}: no pictures there; name a folder of PNG or WebP files")
        return 2

    names = arguments.codecs.split(",") if arguments.codecs else bench.USUAL
    results = measure(pictures[:: arguments.every], names)
    for problem in results.problems:
        print(problem, file=sys.stderr)
    print(bench.render_table(results), end="\n\n")
    if not results.curves:
        return 1
    arguments.figures.mkdir(parents=True, exist_ok=True)
    arguments.results.mkdir(parents=True, exist_ok=True)
    name = f"rd-{arguments.folder.name}{'-peers' if arguments.codecs else ''}"
    bench.plot(results, arguments.figures / f"{name}.svg")
    bench.write_json(results, arguments.results / f"{name}.json")

    if not arguments.weights:
        return 1 if results.problems else 0
    cost = quantisation_cost(pictures, results, arguments.weights)
    if isinstance(cost, str):
        print(f"quantisation cost not measured: {cost}")
        return 1 if results.problems else 0
    print_quantisation_cost(cost)
    (arguments.results / f"{name}-quantisation.json").write_text(json.dumps(cost, indent=1) + "\n")
    over = max(cost["bd_rate"].values()) > QUANTISATION_LIMIT
    return 1 if over or results.problems else 0


def measure(pictures: Sequence[Path], names: Sequence[str] = bench.USUAL) -> bench.Results:
    """Run the library's benchmark."""
    with progress_bar("Measuring") as progress:
        return bench.run(pictures, names, progress=progress)


def quantisation_cost(
    pictures: Sequence[Path], results: bench.Results, weights_file: Path
) -> dict[str, Any] | str:
    """The engine's curve against that of the float weights, or why it cannot be had.

    Float latents cost their ideal code length plus the payload's header; both pictures are
    rounded to 8 bits, as every file's must be. So what remains is what 8-bit weights, integer
    activations, the integer entropy model and the range coder lose.
    """
    if not weights_file.exists():
        return f"no weights at {weights_file.name}; name them with --weights"
    try:
        from safetensors.torch import load_file

        from sitecodec.training import quantise
    except ImportError:
        return "needs torch and safetensors; pip install 'sitecodec[torch]'"
    weights = quantise.straight_through(load_file(weights_file))
    levels = len(weights["level_t"])
    points: list[list[tuple[float, float, float]]] = [[] for _ in range(levels)]
    for path in pictures:
        source = sources.load(path.read_bytes(), path.name, Settings().max_pixels)
        if isinstance(source, sources.Source):
            for level, point in enumerate(float_points(source.pixels, weights, levels)):
                points[level].append(point)
    means = [[statistics.fmean(column) for column in zip(*p, strict=True)] for p in points]
    for mean in means:  # the mean of the index, as decibel: as the benchmark does it
        mean[2] = -10 * math.log10(1 - mean[2])
    engine = results.curves["web"]
    return {
        "float": [dict(zip(("bpp", "psnr", "ms_ssim"), mean, strict=True)) for mean in means],
        "engine": [{"bpp": p.bpp, "psnr": p.psnr, "ms_ssim": p.ms_ssim_db} for p in engine],
        "bd_rate": {
            "psnr": bdrate.bd_rate(
                [(m[0], m[1]) for m in means], [(p.bpp, p.psnr) for p in engine]
            ),
            "ms_ssim": bdrate.bd_rate(
                [(m[0], m[2]) for m in means], [(p.bpp, p.ms_ssim_db) for p in engine]
            ),
        },
    }


def float_points(
    pixels: np.ndarray, weights: dict[str, Any], levels: int
) -> list[tuple[float, float, float]]:
    """(bpp, PSNR, MS-SSIM) of the float model at each of its levels."""
    import torch

    from sitecodec.training import architecture

    height, width = pixels.shape[:2]
    points = []
    with torch.inference_mode():
        rgb = torch.tensor(pixels).permute(2, 0, 1)[None] / 255
        padded = architecture.to_colour(architecture.pad_to_stride(rgb))
        y = architecture.run(architecture.analysis_ops(), weights, padded)[-1]
        for level in range(levels):
            q = torch.round(y * weights["log_gain"][level].exp().view(1, -1, 1, 1))
            prediction = architecture.predict(weights, q, weights["level_t"][level])
            bits = architecture.ideal_bits(prediction, q) + 8 * payload.HEADER_BYTES
            dequantised = q * weights["log_inverse_gain"][level].exp().view(1, -1, 1, 1)
            out = architecture.run(architecture.synthesis_ops(), weights, dequantised)[-1]
            out = architecture.from_colour(out).clamp(0, 1)[0, :, :height, :width].permute(1, 2, 0)
            picture = torch.round(out * 255).to(torch.uint8).numpy()
            scores = metrics.psnr(pixels, picture), metrics.ms_ssim(pixels, picture)
            points.append((bits / (height * width), *scores))
    return points


def print_quantisation_cost(cost: dict[str, Any]) -> None:
    print("quantisation: the engine's integer model / the float weights")
    print("level        bpp               PSNR           MS-SSIM")
    for level, (ours, theirs) in enumerate(zip(cost["engine"], cost["float"], strict=True)):
        print(
            f"{level:<5}  {ours['bpp']:.4f} / {theirs['bpp']:.4f}"
            f"   {ours['psnr']:.3f} / {theirs['psnr']:.3f}"
            f"   {ours['ms_ssim']:.3f} / {theirs['ms_ssim']:.3f}"
        )
    for metric, rate in cost["bd_rate"].items():
        verdict = "ok" if rate <= QUANTISATION_LIMIT else "over"
        print(f"BD-rate, {metric}: {rate:+.2f} % (limit {QUANTISATION_LIMIT:g} %) {verdict}")


if __name__ == "__main__":
    sys.exit(main())

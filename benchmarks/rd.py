"""Rate and quality on a folder of pictures, beside the model card's figures and float weights.

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

from sitecodec import bdrate, bench, images, metrics, payload
from sitecodec.cli import progress_bar
from sitecodec.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
KODAK = REPOSITORY.parent / "shared" / "data" / "kodak"
WEIGHTS = REPOSITORY.parent / "shared" / "weights" / "web-0.safetensors"
QUANTISATION_LIMIT = 1.0  # per cent

# The model card's figures: (bpp, PSNR, MS-SSIM in dB) on all 24 pictures of Kodak, then (bpp,
# SSIMULACRA2) on four of them. Those of `web` are of float weights and ideal code lengths.
CARD_SUBSET = ("kodim01", "kodim07", "kodim13", "kodim19")
CARD = {
    "web": {
        0: (0.106, 26.5, 10.4, 0.128, -11.7),
        20: (0.181, 28.2, 12.4, 0.224, 15.6),
        40: (0.304, 29.9, 14.6, 0.381, 38.1),
        60: (0.493, 31.6, 16.9, 0.608, 54.6),
        80: (0.710, 32.7, 18.7, 0.851, 63.6),
        100: (0.949, 33.4, 20.0, 1.104, 67.9),
    },
    "avif": {
        10: (0.105, 26.8, 10.2, 0.117, -17.7),
        20: (0.162, 28.1, 11.7, 0.189, 5.5),
        30: (0.247, 29.6, 13.3, 0.296, 25.8),
        40: (0.381, 31.3, 15.1, 0.461, 45.1),
        50: (0.602, 33.4, 17.2, 0.732, 61.1),
        65: (1.005, 36.1, 19.6, 1.231, 75.3),
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=KODAK, help="default: Kodak")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="float weights")
    parser.add_argument("--figures", type=Path, default=REPOSITORY / "docs" / "figures")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "benchmarks" / "results")
    parser.add_argument("--all", action="store_true", help="more peers, and efforts 6 and 9")
    parser.add_argument("--every", type=int, default=1, help="only every n-th picture")
    arguments = parser.parse_args()
    suffixes = (".png", ".webp", ".jpg", ".jpeg")
    pictures = [path for path in sorted(arguments.folder.glob("*")) if path.suffix in suffixes]
    if not pictures:
        print(f"{arguments.folder}: no pictures there; name a folder of PNG or WebP files")
        return 2

    results = measure(pictures[:: arguments.every], bench.ALL if arguments.all else bench.USUAL)
    for problem in results.problems:
        print(problem, file=sys.stderr)
    print(bench.render_table(results), end="\n\n")
    if not results.curves:
        return 1
    arguments.figures.mkdir(parents=True, exist_ok=True)
    arguments.results.mkdir(parents=True, exist_ok=True)
    name = f"rd-{arguments.folder.name}{'-all' if arguments.all else ''}"
    bench.plot(results, arguments.figures / f"{name}.svg")
    bench.write_json(results, arguments.results / f"{name}.json")

    if arguments.all:
        return 1 if results.problems else 0
    subset = [path for path in pictures if path.stem in CARD_SUBSET]
    if results.pictures == 24 and len(subset) == len(CARD_SUBSET):
        print_beside_card(results, measure(subset))
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


def print_beside_card(results: bench.Results, subset: bench.Results) -> None:
    print("beside the model card: measured here / card")
    print("codec  quality      bpp            PSNR         MS-SSIM     [bpp]  SSIMULACRA2")
    for name, rows in CARD.items():
        for whole, part in zip(results.curves[name], subset.curves[name], strict=True):
            bpp, psnr, ms_ssim, part_bpp, score = rows[int(whole.quality)]
            print(
                f"{name:<5}{whole.quality:>8g}   {whole.bpp:.3f} / {bpp:.3f}"
                f"   {whole.psnr:.2f} / {psnr:.1f}   {whole.ms_ssim_db:5.2f} / {ms_ssim:.1f}"
                f"  [{part.bpp:.3f} / {part_bpp:.3f}] {part.ssimulacra2:5.1f} / {score:.1f}"
            )
    print()


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
    except ImportError:
        return "needs torch and safetensors; pip install 'sitecodec[torch]'"
    weights = load_file(weights_file)
    levels = len(weights["level_t"])
    points: list[list[tuple[float, float, float]]] = [[] for _ in range(levels)]
    for path in pictures:
        source = images.load(path.read_bytes(), path.name, Settings().max_pixels)
        if isinstance(source, images.Source):
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

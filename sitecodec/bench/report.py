"""Show what a run of the benchmark measured: table, plot, JSON and Bjøntegaard rates."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sitecodec.bench.measure import Point, Results
from sitecodec.errors import SitecodecError

ANCHOR = "avif"
"""The codec whose rates the others' are compared with."""

_METRICS = {
    "psnr": "psnr",
    "ms_ssim": "ms_ssim_db",
    "ssimulacra2": "ssimulacra2",
    "butteraugli": "butteraugli_db",
    "cvvdp": "cvvdp",
}
"""The metrics by name, and which property of a point their curves and rates are taken from."""

_LABELS = {
    "jpeg": "JPEG",
    "webp": "WebP",
    "avif": "AVIF, untuned",
    "avif-2": "AVIF, speed 2",
    "avif-tuned": "AVIF, effort 3",
    "avif@6": "AVIF, effort 6",
    "jxl": "JPEG XL",
    "web": "web, effort 3",
    "web@0": "web, effort 0",
    "web@6": "web, effort 6",
    "web@9": "web, effort 9",
}
_STYLES = {
    "jpeg": ("#8a8a8a", "s"),
    "webp": ("#c27c0e", "^"),
    "avif": ("#1f6fb4", "D"),
    "avif-2": ("#6fa8d6", "d"),
    "avif-tuned": ("#12406b", "D"),
    "avif@6": ("#0b2a47", "<"),
    "jxl": ("#2f8f4e", "v"),
    "web": ("#c0304a", "o"),
    "web@0": ("#c78ac2", "x"),
    "web@6": ("#8a1c7c", "P"),
    "web@9": ("#4b1c8a", "*"),
}
_COLUMNS = {
    "psnr": "PSNR",
    "ms_ssim": "MS-SSIM",
    "ssimulacra2": "SSIMULACRA2",
    "butteraugli": "butteraugli",
    "cvvdp": "CVVDP",
}
_AXES = {
    "psnr": "PSNR (dB)",
    "ms_ssim": "MS-SSIM (dB)",
    "ssimulacra2": "SSIMULACRA2",
    "butteraugli": "butteraugli, 3-norm (-log)",
    "cvvdp": "ColorVideoVDP (JOD)",
}


def bd_rates(results: Results) -> dict[str, dict[str, float | None]]:
    """Bjøntegaard rates against AVIF by codec and metric, in per cent; negative is smaller.

    Over the interval of quality that both curves cover; None where there is none.
    """
    return {
        name: {metric: _bd_rate(results.curves[ANCHOR], curve, metric) for metric in _METRICS}
        for name, curve in results.curves.items()
        if name != ANCHOR
    }


def to_json(results: Results) -> dict[str, Any]:
    """The curves and Bjøntegaard rates as values that JSON has; None for what is infinite."""

    def values(point: Point) -> dict[str, float | None]:
        pairs = (vars(point) | {"ms_ssim_db": point.ms_ssim_db}).items()
        return {key: value if math.isfinite(value) else None for key, value in pairs}

    return {
        "curves": {name: [values(p) for p in curve] for name, curve in results.curves.items()},
        "bd_rate": bd_rates(results),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The versions of Pillow and of the libraries that it makes and reads AVIFs with."""
    import PIL
    from PIL import _avif, features  # type: ignore[attr-defined, unused-ignore]

    found = {"pillow": PIL.__version__, "libavif": str(features.version("avif"))}
    for part in _avif.codec_versions().split(", "):
        name, _, version = part.partition(":")
        found[name.partition(" ")[0].replace("aom", "libaom")] = version
    return found


def write_json(results: Results, path: Path) -> None:
    """Write `to_json` to a file. Raises SitecodecError if it cannot be written."""
    try:
        path.write_text(json.dumps(to_json(results), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise SitecodecError(
            f"{path}: cannot write the results ({error.strerror}); name another file"
        ) from error


def render_table(results: Results) -> str:
    """Curves and Bjøntegaard rates as text of at most 80 columns."""
    if not results.curves:
        return "no picture could be measured"
    lines = [
        f"{results.pictures} picture{'s' * (results.pictures != 1)},"
        f" {results.pixels / 1e6:.2f} megapixels; encode and decode on one thread",
        "",
        "                            PSNR  MS-SSIM  SSIMULA-    encode    decode",
        "codec          quality    bpp    dB       dB      CRA2      s/MP      s/MP",
    ]
    for name, curve in results.curves.items():
        for i, p in enumerate(curve):
            lines.append(
                f"{_LABELS[name] if not i else '':<14} {p.quality:>7g} {p.bpp:>6.3f}"
                f" {p.psnr:>5.2f} {p.ms_ssim_db:>8.2f} {p.ssimulacra2:>9.1f}"
                f" {p.encode_seconds:>9.3f} {p.decode_seconds:>9.3f}"
            )
    asked = [name for name in _METRICS if _asked(results, name)]
    lines += [
        "",
        f"bytes at equal quality against {_LABELS[ANCHOR]} (BD-rate)",
        f"{'codec':<14}" + "".join(f"{_COLUMNS[name]:>13}" for name in asked),
    ]
    for name, rates in bd_rates(results).items():
        cells = ("-" if rates[m] is None else f"{rates[m]:+.1f} %" for m in asked)
        lines.append(f"{_LABELS[name]:<14}" + "".join(f"{cell:>13}" for cell in cells))
    lines += ["", *results.missing] if results.missing else []
    if results.sampled:
        lines += [
            "",
            f"{results.sampled} over a megapixel: MS-SSIM and SSIMULACRA2 of 16 parts of each",
        ]
    return "\n".join(lines)


def plot(results: Results, path: Path) -> None:
    """Draw the curves, a panel for each measure; the file's suffix (.svg, .png, .pdf) says how.

    Raises SitecodecError without matplotlib, for an unknown suffix or an unwritable file.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SitecodecError(
            "plots need matplotlib: install it with  pip install 'sitecodec[bench]'"
        ) from error
    # A fixed salt and no date: the same results give the same file.
    with matplotlib.rc_context({"svg.hashsalt": "sitecodec", "font.size": 10}):
        shown = [metric for metric in _METRICS if _asked(results, metric)]
        size = (4.4 * len(shown), 4.4)
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        for axes, metric in zip(figure.subplots(1, len(shown)), shown, strict=True):
            for name, curve in results.curves.items():
                colour, marker = _STYLES[name]
                axes.plot(
                    *zip(*_scores(curve, metric), strict=True),
                    color=colour,
                    marker=marker,
                    markersize=5,
                    linewidth=2.2 if name.partition("-")[0] == "web" else 1.5,
                    label=_LABELS[name],
                )
            axes.set_xlabel("bits per pixel")
            axes.set_ylabel(_AXES[metric])
            axes.set_xlim(left=0)
            axes.grid(color="#dddddd", linewidth=0.7)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(loc="lower right", frameon=False)
        figure.suptitle(
            f"{results.pictures} picture{'s' * (results.pictures != 1)}, mean at each quality"
        )
        date = {"Date": None} if path.suffix.lower() == ".svg" else {}
        try:
            figure.savefig(path, dpi=150, metadata=date)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise SitecodecError(
                f"{path}: cannot write the plot ({reason[:100]}); name another file"
            ) from error


def _asked(results: Results, metric: str) -> bool:
    """Whether a measure was taken at all."""
    return any(_scores(curve, metric) for curve in results.curves.values())


def _bd_rate(anchor: Sequence[Point], curve: Sequence[Point], metric: str) -> float | None:
    from sitecodec.bench import bdrate

    if not bdrate.has_scipy():
        return None  # `Results.missing` says so
    return bdrate.bd_rate(_scores(anchor, metric), _scores(curve, metric))


def _scores(curve: Sequence[Point], metric: str) -> list[tuple[float, float]]:
    """(rate, score), those of lossless results left out."""
    pairs = [(point.bpp, float(getattr(point, _METRICS[metric]))) for point in curve]
    return [pair for pair in pairs if math.isfinite(pair[1])]

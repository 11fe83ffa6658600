"""Writes src/judge_tables.h: how sensitive eyes are to a pattern, for the second judge.

Run as `python -m sitecodec.engine.judge_tables`; needs the package `cvvdp`, whose table of the
castleCSF model (Ashraf et al. 2024; MIT licence) this is an excerpt of: the spatial frequencies of
the bands that a picture has on the package's display `standard_fhd`, at rest.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

HEADER = Path(__file__).with_name("src") / "judge_tables.h"
PIXELS_PER_DEGREE = 37.842503853602885
"""The resolution of a 24-inch screen of 1920 × 1080 pixels, seen from 60 cm."""
BANDS = 8
CORRECTION = -0.2797423303127289
"""The metric's calibration of sensitivity, in decibels."""


def frequencies() -> list[float]:
    """Cycles per degree of each band, and last of what is left below them."""
    nyquist = PIXELS_PER_DEGREE / 2
    return [nyquist, *(nyquist * 0.3228 / 2**band for band in range(BANDS - 2)), 0.1]


def header(table: Path) -> str:
    """The header, from the package's csf_lut_weber_fixed_size.json."""
    values = json.loads(table.read_text(encoding="utf-8"))
    places = [math.log10(rho) for rho in values["rho"]]
    lines = [
        "// Written by judge_tables.py; not edited by hand.",
        "// castleCSF's sensitivities, from ColorVideoVDP (MIT licence): log2, for bands, channels",
        "// (luminance, red-green, violet-yellow) and 32 luminances, evenly",
        "// spread in logarithm from 0.005 to 10,000 cd/m².",
        "#pragma once",
        "",
        f"static const float SENSITIVITY[{BANDS}][3][32] = {{",
    ]
    for frequency in frequencies():
        place = math.log10(frequency)
        low = max(i for i in range(len(places) - 1) if places[i] <= place or i == 0)
        part = (place - places[low]) / (places[low + 1] - places[low])
        lines.append("    {")
        for channel in (1, 2, 3):
            rows = values[f"o0_c{channel}"]
            logs = [row[low] + (row[low + 1] - row[low]) * part for row in rows]
            cells = [f"{(log + CORRECTION / 20) * math.log2(10):.5f}f" for log in logs]
            for start in range(0, 32, 8):
                opening = "{" if start == 0 else " "
                closing = "}," if start == 24 else ","
                lines.append(f"     {opening}{', '.join(cells[start : start + 8])}{closing}")
        lines.append("    },")
    return "\n".join([*lines, "};", ""])


def main() -> None:
    """Write the header."""
    import pycvvdp  # type: ignore[import-not-found, import-untyped, unused-ignore]

    folder = Path(pycvvdp.__file__).with_name("vvdp_data")
    HEADER.write_text(header(folder / "csf_lut_weber_fixed_size.json"), encoding="utf-8")


if __name__ == "__main__":
    main()

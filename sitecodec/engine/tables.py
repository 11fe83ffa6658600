"""Writes src/tables.h and src/tail.h: the tables of docs/format.md, correctly rounded.

Run as `python -m sitecodec.engine.tables`.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from pathlib import Path

DIGITS = 60
PHI_SIZE = 321
"""Entries of PHI: the standard normal distribution from 0 to 5 in steps of 1/64."""
TAIL_SIZE = 257
"""Entries of TAIL: the tail of the logistic distribution from 0 to 16 in steps of 1/16."""


def exp2_table() -> list[int]:
    """Round(2^15 · 2^(i/256)) for i in 0…255."""
    with localcontext(prec=DIGITS):
        powers = [Decimal(2) ** (Decimal(i) / 256) * 2**15 for i in range(256)]
        return [int(power.to_integral_value()) for power in powers]


def phi_table() -> list[int]:
    """Round(2^16 · Φ(i/64)) for i in 0…320, from the series of Φ about 0."""
    with localcontext(prec=DIGITS):
        root = (2 * _pi()).sqrt()
        values = [Decimal("0.5") + _integral(Decimal(i) / 64) / root for i in range(PHI_SIZE)]
        return [int((value * 2**16).to_integral_value()) for value in values]


def tail_table() -> list[int]:
    """Round(2^24 / (1 + e^(i/16))) for i in 0…256."""
    with localcontext(prec=DIGITS):
        values = [2**24 / (1 + (Decimal(i) / 16).exp()) for i in range(TAIL_SIZE)]
        return [int(value.to_integral_value()) for value in values]


def _integral(z: Decimal) -> Decimal:
    # ∫₀ᶻ exp(-t²/2) dt = Σ (-1)ᵏ z²ᵏ⁺¹ / (2ᵏ k! (2k+1))
    total, power = Decimal(0), z
    for k in range(200):
        total += power / (2 * k + 1)
        power *= -z * z / (2 * (k + 1))
    return total


def _pi() -> Decimal:
    # Machin: π = 16 atan(1/5) − 4 atan(1/239)

    def atan(n: int) -> Decimal:
        x = Decimal(1) / n
        return sum(((-1) ** k * x ** (2 * k + 1) / (2 * k + 1) for k in range(60)), Decimal(0))

    return 16 * atan(5) - 4 * atan(239)


def _rows(values: list[int]) -> str:
    lines = [values[i : i + 12] for i in range(0, len(values), 12)]
    return "\n".join("    " + " ".join(f"{value}," for value in line) for line in lines)


def main() -> None:
    """Write the header."""
    text = (
        "// Written by tables.py; not edited by hand.\n#pragma once\n#include <stdint.h>\n\n"
        "// 2^15 * 2^(i / 256)\n"
        f"static const int32_t EXP2[256] = {{\n{_rows(exp2_table())}\n}};\n\n"
        "// 2^16 times the standard normal distribution at i / 64\n"
        f"enum {{ PHI_SIZE = {PHI_SIZE} }};\n"
        f"static const uint32_t PHI[PHI_SIZE] = {{\n{_rows(phi_table())}\n}};\n"
    )
    tail = (
        "// Written by tables.py; not edited by hand.\n#pragma once\n#include <stdint.h>\n\n"
        "// 2^24 times the tail of the standard logistic distribution at i / 16\n"
        f"enum {{ TAIL_SIZE = {TAIL_SIZE} }};\n"
        f"static const uint32_t TAIL[TAIL_SIZE] = {{\n{_rows(tail_table())}\n}};\n"
    )
    folder = Path(__file__).with_name("src")
    folder.joinpath("tables.h").write_text(text, encoding="utf-8")
    folder.joinpath("tail.h").write_text(tail, encoding="utf-8")


if __name__ == "__main__":
    main()

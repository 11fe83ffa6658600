"""Rate, quality and speed of the `web` codec beside JPEG, WebP and AVIF on given pictures.

`measure` makes the numbers, `report` shows them.
"""

from sitecodec.bench.measure import ALL, USUAL, Point, Results, run
from sitecodec.bench.report import bd_rates, plot, render_table, to_json, write_json

__all__ = [
    "ALL",
    "USUAL",
    "Point",
    "Results",
    "bd_rates",
    "plot",
    "render_table",
    "run",
    "to_json",
    "write_json",
]

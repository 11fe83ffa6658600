"""The result of a check as one HTML page, with both sides of each difference."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from sitecodec.check.findings import KINDS, NOTES
from sitecodec.check.report import summary
from sitecodec.check.site import Difference, Result
from sitecodec.page.templates import builtin_folder

TEMPLATE = "check.html.jinja"
_MOST_PICTURES = 120  # differences of which the page holds two pictures
_WIDEST = 900


@dataclass(frozen=True)
class Row:
    """A difference for the template; pictures are data URLs, '' where there is none."""

    one: Difference
    plain: str
    built: str


def render(result: Result) -> bytes:
    """The page, which needs no other file."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(builtin_folder()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    left = _MOST_PICTURES
    kinds = []
    for kind, about in KINDS.items():
        rows = []
        for one in result.differences:
            if one.finding.kind != kind:
                continue
            proof = one.evidence if left > 0 else None
            left -= proof is not None
            pictures = (_picture(proof.plain), _picture(proof.built)) if proof else ("", "")
            rows.append(Row(one, *pictures))
        if rows:
            kinds.append((about, kind in NOTES, rows))
    text = environment.get_template(TEMPLATE).render(summary=summary(result), kinds=kinds)
    return text.encode()


def _picture(png: bytes) -> str:
    """A screenshot as a data URL, no wider than the page shows it."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB")
    picture.thumbnail((_WIDEST, 2 * _WIDEST))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=90)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()

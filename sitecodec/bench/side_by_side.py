"""One image in each format at about the same bytes: `sitecodec compare`."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.engine.judge import BEST
from sitecodec.errors import ImageError, ModelError

if TYPE_CHECKING:
    from PIL import Image

    from sitecodec.facts.pixels import Pixels

DEFAULT_BYTES = 5000
TEMPLATE = "compare.html.jinja"
CROP = 96
ZOOM = 3
_CELL = CROP * ZOOM
_CROPS = 2
_LINE = 15
_COLUMNS = 80


@dataclass(frozen=True)
class Shown:
    """The image in one format."""

    name: str
    size: int
    """Bytes; 0 for the source."""

    pixels: Pixels
    psnr: float
    ms_ssim: float
    ssimulacra2: float
    judge: float
    """ColorVideoVDP's just objectionable differences, the second judge: 10 is the same picture."""

    note: str = ""

    @property
    def label(self) -> str:
        """A few words with size and scores."""
        if not self.size:
            return self.name
        return (
            f"{self.name}  {self.size / 1000:.2f} kB\n"
            f"PSNR {self.psnr:.2f}  SSIMULACRA2 {self.ssimulacra2:.1f}"
        )


def measure(
    source: Pixels, model: str = "", max_bytes: int | None = None, device: str = "auto"
) -> list[Shown]:
    """The source and each format of it, those after the first at about the same bytes.

    The size is that of sd's preset `seed`, or `max_bytes`. As in the experiment, the others get the
    lowest quality whose file is at least as large. Without a model, or without torch, sd is left
    out with a note on the source.
    """
    from sitecodec import codecs
    from sitecodec.encoding import images

    shown: list[Shown] = []
    note = ""
    limit = max_bytes or DEFAULT_BYTES
    try:
        shown, limit = _sd(source, model, max_bytes, device)
    except ModelError as error:
        if model:
            raise
        note = f"without sd: {error}"
    web = codecs.get("web")
    for name, encode, decode in (
        ("JPEG", pillow("JPEG", optimize=True, progressive=True), opened),
        ("WebP", pillow("WEBP", method=6), opened),
        ("AVIF", lambda pixels, quality: images.avif(pixels, quality), opened),
        ("web", lambda pixels, quality: web.encode(pixels, quality), web.decode),
    ):
        data, extreme = matched(source, encode, limit)
        shown.append(_scored(name, source, data, decode(data), extreme))
    return [Shown("source", 0, source, float("inf"), 1.0, 100.0, BEST, note), *shown]


def table(shown: Sequence[Shown]) -> str:
    """The experiment's table for this image: kB and scores by format; at most 80 columns."""
    lines = ["format            kB    PSNR  MS-SSIM  SSIMULACRA2  ColorVideoVDP"]
    for item in shown:
        if item.size:
            row = (
                f"{item.name:<14} {item.size / 1000:>5.2f} {item.psnr:>7.2f} {item.ms_ssim:>8.4f}"
                f" {item.ssimulacra2:>12.1f} {item.judge:>14.2f}"
            )
            beside = f"{row}  {item.note}".rstrip()
            if len(beside) <= _COLUMNS:
                lines.append(beside)
            else:
                lines += [
                    row,
                    *textwrap.wrap(
                        f"({item.note})", _COLUMNS, initial_indent="  ", subsequent_indent="  "
                    ),
                ]
        elif item.note:
            lines.append(f"note: {item.note}")
    return "\n".join(lines)


def crops(source: Pixels, others: Sequence[Pixels]) -> list[tuple[int, int]]:
    """(top, left) of the parts to zoom into: where the formats differ from the source most."""
    import numpy as np

    height, width = source.shape[:2]
    side_y, side_x = min(CROP, height), min(CROP, width)
    error = np.zeros((height, width), np.float64)
    for other in others:
        error += np.square(other.astype(np.float32) - source).mean(2)
    places = [
        (top, left)
        for top in sorted({*range(0, height - side_y + 1, 32), height - side_y})
        for left in sorted({*range(0, width - side_x + 1, 32), width - side_x})
    ]
    sums = {(y, x): error[y : y + side_y, x : x + side_x].sum() for y, x in places}
    chosen: list[tuple[int, int]] = []
    for place in sorted(places, key=lambda at: -sums[at]):
        if all(abs(place[0] - y) >= CROP or abs(place[1] - x) >= CROP for y, x in chosen):
            chosen.append(place)
        if len(chosen) == _CROPS:
            break
    return chosen


def write_picture(source: Pixels, shown: Sequence[Shown], path: Path) -> None:
    """One picture: a column for each format, whole and zoomed. Raises ImageError."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = source.shape[:2]
    whole = (_CELL, max(round(height * _CELL / width), 1))
    zoomed = crops(source, [item.pixels for item in shown if item.size])
    gap, text = 8, 3 * _LINE
    column = _CELL + gap
    size = (gap + column * len(shown), text + whole[1] + len(zoomed) * column + 2 * gap)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for i, item in enumerate(shown):
        left = gap + i * column
        draw.multiline_text((left, gap // 2), item.label, "black", font)
        image = Image.fromarray(item.pixels)
        sheet.paste(image.resize(whole, Image.Resampling.LANCZOS), (left, text))
        for row, place in enumerate(zoomed):
            sheet.paste(_zoom(image, place), (left, text + whole[1] + gap + row * column))
    _save(path, _png(sheet))


def write_page(title: str, source: Pixels, shown: Sequence[Shown], path: Path) -> None:
    """A page that stands alone, pictures included. Raises ImageError."""
    import jinja2
    from PIL import Image

    from sitecodec.page.templates import builtin_folder

    zoomed = crops(source, [item.pixels for item in shown if item.size])
    items = []
    for item in shown:
        image = Image.fromarray(item.pixels)
        parts = [_data_url(_zoom(image, place)) for place in zoomed]
        items.append({"shown": item, "whole": _data_url(image), "crops": parts})
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(builtin_folder()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template(TEMPLATE).render(title=title, items=items)
    _save(path, page.encode())


def _sd(source: Pixels, model: str, max_bytes: int | None, device: str) -> tuple[list[Shown], int]:
    from sitecodec.errors import SettingsError
    from sitecodec.sd import invented
    from sitecodec.sd.codec import SdCodec

    shown = []
    limit = max_bytes or DEFAULT_BYTES
    for preset in ("seed", "rd"):
        codec = SdCodec(model, preset, device=device)
        try:
            fits = preset == "rd"
            data = codec.encode_to(source, limit) if fits else codec.encode(source, 50)
        except SettingsError:  # no seed for models of other than 4 channels
            continue
        if preset == "seed" and max_bytes is None:
            limit = len(data)
        decoded = codec.decode(data)
        verdict = invented.judge(source, decoded)
        note = f"not for pages: {verdict.reason}" if verdict.reason else ""
        shown.append(_scored(f"sd, {preset}", source, data, decoded, note))
    return shown, limit


def _scored(name: str, source: Pixels, data: bytes, decoded: Pixels, note: str) -> Shown:
    from sitecodec import metrics

    sample, other = metrics.sample(source), metrics.sample(decoded)
    with metrics.judged_against(source) as judged:
        judge = judged(decoded)
    return Shown(
        name,
        len(data),
        decoded,
        metrics.psnr(source, decoded),
        metrics.ms_ssim(sample, other),
        metrics.ssimulacra2(sample, other),
        judge,
        note,
    )


def matched(
    source: Pixels, encode: Callable[[Pixels, int], bytes], limit: int
) -> tuple[bytes, str]:
    """The file of the lowest quality that is at least `limit` bytes, and a note where none is."""
    low, high = 0, 100
    best = encode(source, high)
    if len(best) < limit:
        return best, "smaller at its best quality"
    while low < high:
        quality = (low + high) // 2
        data = encode(source, quality)
        if len(data) >= limit:
            best, high = data, quality
        else:
            low = quality + 1
    return best, "" if len(best) < 1.15 * limit else "larger at its lowest quality"


def pillow(kind: str, **options: object) -> Callable[[Pixels, int], bytes]:
    """An encoder of Pillow's for a picture and a quality of 0-100."""

    def encode(pixels: Pixels, quality: int) -> bytes:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, quality=quality, **options)
        return buffer.getvalue()

    return encode


def opened(data: bytes) -> Pixels:
    """The picture of a JPEG, WebP or AVIF file."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=["JPEG", "WEBP", "AVIF"]) as image:
        return np.asarray(image.convert("RGB"))


def _zoom(image: Image.Image, place: tuple[int, int]) -> Image.Image:
    from PIL import Image

    top, left = place
    part = image.crop((left, top, min(left + CROP, image.width), min(top + CROP, image.height)))
    return part.resize((part.width * ZOOM, part.height * ZOOM), Image.Resampling.NEAREST)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _data_url(image: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(_png(image)).decode()


def _save(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error

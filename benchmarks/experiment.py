"""The experiment of 2022 made again: three pictures at its sizes, and what each of its steps costs.

`python benchmarks/experiment.py --model sd14` writes the table and the pictures of
docs/experiment.md with the model of that name (`sitecodec models add sd14 --from sd14`).
Sizes of JPEG, WebP and latents are those of the experiment's llama. butteraugli is asked where
`butteraugli_main` (Debian: libjxl-devtools) is installed.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "example_site")]

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels
    from sitecodec.sd.grid import Latents
    from sitecodec.sd.networks import Networks

SIDE = 512
JPEG, WEBP = 5660, 6740
"""Bytes of the llama in the experiment; its latents have 4,970."""

FIGURES = ROOT / "docs" / "figures"


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    picture: str
    name: str
    size: int
    """Bytes; 0 where nothing is stored yet."""

    pixels: Pixels
    latents: float | None = None
    """Mean squared error of the latents, in scaled units."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a model of four channels, as sd14")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder of the pictures")
    arguments = parser.parse_args()
    from sitecodec.sd import loading, registry

    networks = loading.load(registry.read(arguments.model), arguments.device)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, source in pictures().items():
        rows = [*formats(name, source, arguments.model, arguments.device)]
        rows += steps(name, source, networks)
        print(table(source, rows), flush=True)
        sheet(source, rows, arguments.out / f"experiment-{name}.jpg")
    return 0


def pictures() -> dict[str, Pixels]:
    """Three photographs of the example site, 512x512: a face, buildings, a still life."""
    import numpy as np
    import prepare
    from PIL import Image

    photos = {photo.name: photo for photo in prepare.PHOTOGRAPHS}
    paths = {
        "astronaut": prepare.source_path(photos["astronaut.jpg"]),
        "temple": prepare.source_path(photos["temple.jpg"]),
        "coffee": prepare.source_path(photos["café crème.jpg"]),
    }
    made = {}
    for name, path in paths.items():
        with Image.open(path) as image:
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = image.convert("RGB").crop((left, top, left + side, top + side))
            made[name] = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return made


def formats(name: str, source: Pixels, model: str, device: str) -> list[Row]:
    """What the formats make of a picture at the experiment's sizes, by `sitecodec compare`."""
    from sitecodec.bench import side_by_side

    jpeg = side_by_side.pillow("JPEG", optimize=True, progressive=True)
    webp = side_by_side.pillow("WEBP", method=6)
    rows = []
    for kind, encode, size in (("JPEG", jpeg, JPEG), ("WebP", webp, WEBP)):
        data, _ = side_by_side.matched(source, encode, size)
        rows.append(Row(name, kind, len(data), side_by_side.opened(data)))
    for item in side_by_side.measure(source, model, None, device):
        if item.name not in ("source", "JPEG", "WebP"):
            rows.append(Row(name, item.name, item.size, item.pixels))
    return rows


def steps(name: str, source: Pixels, networks: Networks) -> list[Row]:
    """The experiment's steps, each on what the one before left."""
    import zlib

    import numpy as np

    from sitecodec.sd import palette

    latents = networks.encode(source[None])[0]

    def row(step: str, size: int, now: Latents) -> Row:
        error = float(np.square(now - latents).mean())
        return Row(name, step, size, networks.decode(now, SIDE, SIDE), error)

    values = palette.quantise(latents)
    colours = palette.make_palette(values.reshape(-1, palette.CHANNELS))
    flat, dithered = (palette.diffuse(values, colours, amount) for amount in (0.0, 1.0))
    raw = colours.size + flat.size
    noisy = palette.dequantise(colours[dithered])
    deflated = len(zlib.compress(colours.tobytes() + dithered.tobytes(), 9))
    rows = [
        row("latents, 32 bits", latents.nbytes, latents),
        row("8 bits", values.nbytes, palette.dequantise(values)),
        row(
            "8 bits, deflated", len(zlib.compress(values.tobytes(), 9)), palette.dequantise(values)
        ),
        row("palette of 256", raw, palette.dequantise(colours[flat])),
        row("dithered", raw, noisy),
        row("deflated", deflated, noisy),
    ]
    if networks.unet is not None:
        rows.append(row("denoised", deflated, networks.denoise(noisy)))
    return rows


def table(source: Pixels, rows: list[Row]) -> str:
    """Markdown: kB, scores by all judges at hand, and the error of the latents."""
    from sitecodec import metrics

    judge = bool(shutil.which("butteraugli_main"))
    lines = [
        "| picture | | kB | SSIMULACRA2 | MS-SSIM | PSNR | ColorVideoVDP | butteraugli"
        " | latents' error |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    with metrics.judged_against(source) as judged:
        for row in rows:
            scores = (
                f"{metrics.ssimulacra2(source, row.pixels):.1f}",
                f"{metrics.ms_ssim(source, row.pixels):.4f}",
                f"{metrics.psnr(source, row.pixels):.2f}",
                f"{judged(row.pixels):.2f}",
                f"{butteraugli(source, row.pixels):.2f}" if judge else "",
                "" if row.latents is None else f"{row.latents:.5f}",
            )
            lines.append(
                f"| {row.picture} | {row.name} | {row.size / 1000:.2f} | {' | '.join(scores)} |"
            )
    return "\n".join(lines)


def butteraugli(source: Pixels, pixels: Pixels) -> float:
    """The 3-norm of butteraugli: 0 is identical."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{part}.png" for part in ("source", "decoded")]
        for path, picture in zip(paths, (source, pixels), strict=True):
            Image.fromarray(picture).save(path)
        command = ["butteraugli_main", *paths, "--pnorm", "3"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def sheet(source: Pixels, rows: list[Row], path: Path) -> None:
    """The source and what the experiment compared with it, side by side."""
    from PIL import Image, ImageDraw, ImageFont

    wanted = [row for row in rows if row.name in ("JPEG", "WebP", "sd, seed", "sd, rd")]
    side, text = SIDE // 2, 18
    page = Image.new("RGB", (side * (len(wanted) + 1), side + text), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    shown = [("source", source), *((f"{r.name} {r.size / 1000:.2f} kB", r.pixels) for r in wanted)]
    for i, (label, pixels) in enumerate(shown):
        draw.text((i * side + 4, 2), label, "black", font)
        page.paste(Image.fromarray(pixels).resize((side, side)), (i * side, text))
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=85, optimize=True)
    path.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    sys.exit(main())

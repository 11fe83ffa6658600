"""Draw the example site's graphics: diagram (light and dark), transparency, animation, favicon.

    python example_site/scenes/graphics.py

Needs matplotlib, numpy and Pillow. Everything is drawn from nothing; the results are committed.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image, ImageDraw, ImageFilter

mpl.use("Agg")
import matplotlib.pyplot as plt

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


def diagram(name: str, ink: str, paper: str, box: str, accent: str) -> None:
    """How one image passes through the build, in one palette."""
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 11})
    fig, ax = plt.subplots(figsize=(9.6, 4.3), dpi=125, facecolor=paper)
    ax.set_xlim(0, 96)
    ax.set_ylim(0, 43)
    ax.axis("off")

    def place(x: float, y: float, w: float, title: str, note: str, edge: str = ink) -> None:
        ax.add_patch(
            FancyBboxPatch(
                (x, y), w, 9, boxstyle="round,pad=0.2,rounding_size=1.4", fc=box, ec=edge, lw=1.4
            )
        )
        ax.text(x + w / 2, y + 5.8, title, ha="center", va="center", color=ink, weight="bold")
        ax.text(x + w / 2, y + 2.7, note, ha="center", va="center", color=ink, fontsize=8.5)

    def arrow(
        a: tuple[float, float], b: tuple[float, float], text: str = "", up: float = 1.4
    ) -> None:
        ax.add_patch(FancyArrowPatch(a, b, arrowstyle="-|>", mutation_scale=13, color=ink, lw=1.3))
        if text:
            ax.text(
                (a[0] + b[0]) / 2,
                (a[1] + b[1]) / 2 + up,
                text,
                ha="center",
                color=ink,
                fontsize=8.5,
            )

    place(1, 17, 15, "source", "photo.jpg, 197 kB")
    place(24, 29, 17, "encode", "latents, entropy-coded")
    place(24, 5, 17, "convert", "AVIF and JPEG")
    place(49, 29, 17, "decode", "the visitor's engine")
    place(49, 5, 17, "keep", "in the built site")
    place(76, 29, 18, "compare", "whole and worst tile", accent)
    place(76, 5, 18, "<picture>", "payload, AVIF, JPEG", accent)
    arrow((16.4, 23.5), (23.6, 32))
    arrow((16.4, 19.5), (23.6, 11))
    arrow((41.4, 33.5), (48.6, 33.5), ".slat", 1.2)
    arrow((66.4, 33.5), (75.6, 33.5), "pixels", 1.2)
    arrow((41.4, 9.5), (48.6, 9.5))
    arrow((66.4, 9.5), (75.6, 9.5))
    arrow((85, 28.6), (85, 14.8))
    ax.text(86.2, 21.5, "good enough\nand smaller", color=ink, fontsize=8.5, va="center")
    arrow((77.5, 28.6), (62.5, 14.8))
    ax.text(56.5, 22.4, "otherwise:\nno payload", color=ink, fontsize=8.5, va="center", ha="center")
    fig.subplots_adjust(0, 0, 1, 1)
    fig.savefig(IMAGES / name, facecolor=paper)
    plt.close(fig)
    with Image.open(IMAGES / name) as image:
        image.convert("RGB").quantize(64).save(IMAGES / name, optimize=True)


def leaf(path: Path) -> None:
    """A translucent leaf on nothing: soft edges and a soft shadow, in an RGBA PNG."""
    size, scale = 360, 2
    side = size * scale
    y, x = np.mgrid[0:side, 0:side] / side
    u, v = (x - y) / np.sqrt(2), (x + y - 1) / np.sqrt(2)
    half = 0.21 * np.clip(1 - (v / 0.52) ** 2, 0, 1) ** 0.8 * (1 - 0.45 * v)
    t = u / np.maximum(half, 1e-6)
    inside = np.clip((half - np.abs(u)) * side / 2, 0, 1) * (np.abs(v) < 0.52)
    veins = np.abs(np.sin((v * 1.15 - np.abs(u) * 1.1) * 34))
    rib = np.exp(-((u / 0.006) ** 2)) + 0.55 * np.exp(-((veins / 0.16) ** 2)) * (
        1 - 0.5 * np.abs(t)
    )
    rng = np.random.default_rng(2)
    mottle = np.zeros((side, side))
    for cells in (6, 14, 40, 120):
        patch = rng.standard_normal((cells, cells)).astype(np.float32)
        mottle += (
            np.asarray(Image.fromarray(patch).resize((side, side), Image.Resampling.BICUBIC)) / 4
        )
    base = np.stack(
        [70 + 26 * mottle + 70 * rib, 128 + 18 * mottle + 42 * rib, 48 + 9 * mottle + 34 * rib], -1
    )
    base *= (1 - 0.16 * t.clip(-1, 1))[..., None]
    alpha = inside * (0.86 + 0.1 * np.clip(rib, 0, 1))
    body = np.dstack([np.clip(base, 0, 255), alpha * 255]).astype(np.uint8)
    picture = Image.fromarray(body, "RGBA")
    stem = ImageDraw.Draw(picture)
    stem.line(
        [(side * 0.10, side * 0.10), (side * 0.16, side * 0.16)], fill=(104, 92, 44, 255), width=9
    )
    shadow = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    shadow.putalpha(
        picture.getchannel("A").point(lambda a: a * 0.42).filter(ImageFilter.GaussianBlur(16))
    )
    out = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    out.alpha_composite(shadow, (14, 22))
    out.alpha_composite(picture)
    out.resize((size, size), Image.Resampling.LANCZOS).save(path, optimize=True)


def animation(path: Path) -> None:
    """Two waves crossing a pond, 12 frames, 16 blues."""
    w, h, frames = 240, 136, 12
    y, x = np.mgrid[0:h, 0:w]
    ramp = np.linspace(0, 1, 16)[:, None]
    palette = ((1 - ramp) * [11, 40, 72] + ramp * [206, 229, 236]).astype(np.uint8).reshape(-1)
    pictures = []
    for k in range(frames):
        phase = 2 * np.pi * k / frames
        level = np.zeros((h, w))
        for cx, cy, length in ((60, 45, 26), (188, 98, 34)):
            r = np.hypot(x - cx, (y - cy) * 1.7)
            level += np.sin(2 * np.pi * r / length - phase) / (1 + r / 70)
        image = Image.fromarray(np.clip(8 + 4.6 * level, 0, 15).astype(np.uint8), "P")
        image.putpalette(palette.tolist())
        pictures.append(image)
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=90, loop=0, optimize=True
    )


def main() -> None:
    """Write all of them."""
    diagram("pipeline-light.png", "#27323a", "#ffffff", "#eef3f5", "#00796b")
    diagram("pipeline-dark.png", "#dfe6ea", "#1e2129", "#2a2f3a", "#4db6ac")
    leaf(IMAGES / "leaf.png")
    animation(IMAGES / "ripples.gif")


if __name__ == "__main__":
    main()

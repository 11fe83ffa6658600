"""Render the example site's own pictures: geometry from numpy, POV-Ray, then a little film.

    python example_site/scenes/render.py [lake pebbles table] [--width 1600] [--out DIR]

Needs POV-Ray 3.7 (Debian: `apt-get install povray povray-includes`), numpy and Pillow.
Each scene is one `.pov` file beside this script; what is awkward to write in POV-Ray's language
(an eroded height field, the shapes and resting places of stones and trees) is made here with
numpy, from fixed seeds. POV-Ray writes linear light (Radiance HDR); `develop` turns it into a
photograph-like JPEG: filmic tone curve, slight halation and softness, vignette, grain. Real
photographs have grain and no razor edges, and codecs care, so the renders should have them too.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parent / "docs" / "images"
Array = NDArray[np.float64]

EXPOSURE = {"lake": 1.0, "pebbles": 1.0, "table": 1.0}
"""Factor on linear light before the tone curve."""


FOCAL_BLUR = ("pebbles",)
"""Scenes whose lens blur already takes many samples for each pixel."""

WIDTH = {"lake": 1600, "pebbles": 1600, "table": 1200}
"""Pixels; each scene then takes at most some five minutes on one core."""


def value_noise(x: Array, y: Array, seed: int) -> tuple[Array, Array, Array]:
    """Value noise in [-1, 1] with quintic interpolation, and its two partial derivatives."""
    table = np.random.default_rng(seed).uniform(-1, 1, (256, 256))
    xi, yi = np.floor(x), np.floor(y)
    fx, fy = x - xi, y - yi
    ix, iy = xi.astype(int) & 255, yi.astype(int) & 255
    jx, jy = (ix + 1) & 255, (iy + 1) & 255
    u, v = fx**3 * (fx * (fx * 6 - 15) + 10), fy**3 * (fy * (fy * 6 - 15) + 10)
    du, dv = 30 * fx**2 * (fx - 1) ** 2, 30 * fy**2 * (fy - 1) ** 2
    a, b, c, d = table[iy, ix], table[iy, jx], table[jy, ix], table[jy, jx]
    k1, k2, k4 = b - a, c - a, a - b - c + d
    return a + k1 * u + k2 * v + k4 * u * v, du * (k1 + k4 * v), dv * (k2 + k4 * u)


def fractal(x: Array, y: Array, octaves: int, seed: int, damping: float = 0.0) -> Array:
    """Sum of octaves; with `damping`, steep places get less detail, as if eroded.

    The derivative damping is Inigo Quilez's ("value noise derivatives", 2008).
    """
    total, weight = np.zeros_like(x), 1.0
    sx, sy = np.zeros_like(x), np.zeros_like(x)
    for octave in range(octaves):
        n, dx, dy = value_noise(x, y, seed + octave)
        sx, sy = sx + dx, sy + dy
        total += weight * n / (1 + damping * (sx * sx + sy * sy))
        weight *= 0.5
        x, y = 1.6 * x - 1.2 * y, 1.2 * x + 1.6 * y
    return total


# ---------------------------------------------------------------------------------------- lake


def lake_assets(folder: Path) -> None:
    """The height field (16-bit PNG, 60 x 60 world units, 10 high) and the forest on it."""
    size, span, top = 2048, 60.0, 10.0
    axis = (np.arange(size) + 0.5) / size
    u, z = np.meshgrid(axis, axis)
    z = 1 - z  # the first row of a POV-Ray height field is its far edge
    x, depth = (u - 0.5) * span, z * span
    warp_x = x / 13 + 0.35 * fractal(x / 17, depth / 17, 3, 80)
    relief = fractal(warp_x + 3.1, depth / 13 + 7.7, 12, 11, damping=0.9)
    relief = (relief - relief.min()) / np.ptp(relief)
    # A basin for the lake in front, valley walls left and right, the range behind.
    wall = np.clip((np.abs(x + 1.0 + 2.2 * np.sin(depth / 7)) - 2.0 - 0.14 * depth) / 9, 0, 1)
    back = np.clip((depth - 19) / 22, 0, 1)
    envelope = 0.05 + 0.42 * wall**1.3 * (1 - 0.35 * back) + 0.95 * back**1.25
    rough = fractal(x / 1.3, depth / 1.3, 7, 41)
    height = envelope * (0.25 + 1.35 * relief**1.35) - 0.075 + 0.006 * rough
    # Bend what is too high for the field instead of cutting the summits flat.
    bent = 0.7 + 0.26 * np.tanh((height - 0.7) / 0.42)
    height = np.clip(np.where(height > 0.7, bent, height), 0, 1)
    Image.fromarray((height * 65535).astype(np.uint16)).save(folder / "lake_height.png")

    rng = np.random.default_rng(5)
    gy, gx = np.gradient(height * top, span / size)
    slope = np.hypot(gx, gy)
    lines = []
    for _ in range(600_000):
        distance = 4.0 + 40 * rng.random() ** 1.8
        px = rng.uniform(-0.62, 0.62) * distance * 1.25
        col = int((px / span + 0.5) * size)
        row = int((1 - distance / span) * size)
        if not (0 <= col < size and 0 <= row < size):
            continue
        h, s = height[row, col] * top, slope[row, col]
        if not 0.045 < h < 2.3 + 0.5 * rng.standard_normal() or s > 1.15 + 0.2 * rng.random():
            continue
        if rough[row, col] + 0.5 * rng.standard_normal() < -0.15:
            continue
        tall = rng.uniform(0.13, 0.24) * (1 - 0.13 * h)
        lines.append(
            f"object{{Conifer{rng.integers(4)} scale <{tall * rng.uniform(0.8, 1.1):.4f},"
            f"{tall:.4f},{tall * 0.95:.4f}> rotate {rng.integers(360)}*y"
            f" translate <{px:.4f},{h - 0.012:.4f},{distance:.4f}>}}"
        )
        if len(lines) == 60_000:
            break
    (folder / "lake_forest.inc").write_text("union{\n" + "\n".join(lines) + "\n}\n")

    shapes = []
    for kind in range(4):
        r = np.random.default_rng(900 + kind)
        triangles = []
        for level in np.linspace(0.08, 0.93, 15):
            radius = 0.25 * (1 - level) ** 0.85 + 0.01
            spokes = 9
            for spoke in range(spokes):
                a = 2 * np.pi * (spoke + r.random()) / spokes
                reach = radius * r.uniform(0.7, 1.25)
                half = 0.42
                tip = (reach * np.cos(a), level - 0.07 - 0.05 * r.random(), reach * np.sin(a))
                left = (
                    0.35 * reach * np.cos(a - half),
                    level + 0.02,
                    0.35 * reach * np.sin(a - half),
                )
                right = (
                    0.35 * reach * np.cos(a + half),
                    level + 0.02,
                    0.35 * reach * np.sin(a + half),
                )
                apex = (0.0, level + 0.1, 0.0)
                for tri in ((tip, left, apex), (tip, apex, right), (tip, right, left)):
                    points = ",".join(f"<{a:.4f},{b:.4f},{c:.4f}>" for a, b, c in tri)
                    triangles.append(f"triangle{{{points}}}")
        shapes.append(
            f"#declare Conifer{kind}=mesh{{{' '.join(triangles)} texture{{Needles{kind}}}}};"
        )
    (folder / "lake_trees.inc").write_text("\n".join(shapes) + "\n")


# ------------------------------------------------------------------------------------- pebbles


def sphere_grid(rows: int, columns: int) -> tuple[Array, NDArray[np.int64]]:
    """Unit sphere: vertices (N, 3) and triangles (M, 3)."""
    theta = np.linspace(0, np.pi, rows + 1)[:, None]
    phi = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None, :]
    ones = np.ones_like(phi)
    grid = np.stack(
        [np.sin(theta) * np.cos(phi), np.cos(theta) * ones, np.sin(theta) * np.sin(phi)], -1
    )
    r, c = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    a, b = r * columns + c, r * columns + (c + 1) % columns
    d, e = a + columns, b + columns
    faces = np.concatenate(
        [np.stack([a, d, b], -1).reshape(-1, 3), np.stack([b, d, e], -1).reshape(-1, 3)]
    )
    return grid.reshape(-1, 3), faces


def mesh2(name: str, vertices: Array, faces: NDArray[np.int64], extra: str = "") -> str:
    """A POV-Ray mesh2 with smooth normals."""
    corner = vertices[faces]
    flat = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], flat)
    # Rings that coincide (poles) share one normal.
    _, group = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    group = group.reshape(-1)
    joined = np.zeros((group.max() + 1, 3))
    np.add.at(joined, group, normals)
    normals = joined[group]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12

    def vectors(rows: Any) -> str:  # noqa: ANN401 - float or int rows
        return f"{len(rows)}," + ",".join(
            "<" + ",".join(f"{v:.5g}" for v in row) + ">" for row in rows
        )

    return (
        f"#declare {name}=mesh2{{vertex_vectors{{{vectors(vertices)}}}"
        f"normal_vectors{{{vectors(normals)}}}face_indices{{{vectors(faces)}}}{extra}}};\n"
    )


def lump(vertices: Array, rng: np.random.Generator, amount: float, lobes: int = 14) -> Array:
    """Push unit-sphere points in and out along smooth random waves."""
    offset = np.zeros(len(vertices))
    for _ in range(lobes):
        direction = rng.standard_normal(3)
        offset += np.sin(vertices @ direction * rng.uniform(0.8, 2.2) + rng.uniform(0, 6.28))
    lumpy: Array = vertices * (1 + amount * offset / np.sqrt(lobes))[:, None]
    return lumpy


def pebbles_assets(folder: Path) -> None:
    """Twelve stone shapes, and stones dropped one by one until a bed of them lies there."""
    rng = np.random.default_rng(21)
    sphere, faces = sphere_grid(48, 72)
    shapes = []
    for kind in range(12):
        power = rng.uniform(0.78, 0.95)  # slightly boxy, as worn stones are
        body = np.sign(sphere) * np.abs(sphere) ** power
        body = lump(body, rng, 0.055)
        body *= np.array([rng.uniform(0.95, 1.25), 1.0, rng.uniform(0.78, 1.0)])
        shapes.append(mesh2(f"Stone{kind}", body, faces))
    (folder / "pebbles_shapes.inc").write_text("".join(shapes))

    flat = 0.6  # stones are spheres in a space squeezed vertically by this factor
    placed: list[tuple[float, float, float, float]] = []
    lines = []
    for index in range(2400):
        big = index < 190
        r = (
            rng.uniform(0.55, 0.95)
            if big
            else float(np.clip(rng.lognormal(-1.35, 0.45), 0.08, 0.6))
        )
        others = np.array(placed) if placed else np.zeros((0, 4))
        best = None
        for _ in range(14):
            x, z = rng.uniform(-9, 9), rng.uniform(-4, 15)
            y = r
            if len(others):
                gap2 = (others[:, 0] - x) ** 2 + (others[:, 2] - z) ** 2
                reach = r + others[:, 3]
                near = gap2 < reach**2
                if near.any():
                    y = max(
                        y, float((others[near, 1] + np.sqrt(reach[near] ** 2 - gap2[near])).max())
                    )
            if best is None or y - 0.4 * r < best[1] - 0.4 * r:
                best = (x, y, z)
        assert best is not None
        placed.append((*best, r))
        x, y, z = best
        lines.append(
            f"object{{Stone{rng.integers(12)} scale <{r:.3f},{r * flat:.3f},{r:.3f}>"
            f" rotate <{rng.normal(0, 9):.1f},{rng.uniform(0, 360):.1f},{rng.normal(0, 9):.1f}>"
            f" Look({rng.integers(9)},{index}) translate <{x:.3f},{y * flat * 0.94:.3f},{z:.3f}>}}"
        )
    (folder / "pebbles_bed.inc").write_text("\n".join(lines) + "\n")


# --------------------------------------------------------------------------------------- table


def turned(profile: list[tuple[float, float]], steps: int = 12) -> tuple[Array, NDArray[np.int64]]:
    """A body turned on the lathe: `profile` (radius, height) from axis to axis, as Catmull-Rom.

    Vertices (N, 3) and triangles (M, 3).
    """
    points = np.array([profile[0], *profile, profile[-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(points, points[1:], points[2:], points[3:], strict=False)
    ]
    curve = np.concatenate([*pieces, points[-1:]])
    rows, columns = len(curve) - 1, 120
    phi = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    radius = np.maximum(curve[:, :1], 0)
    height = np.repeat(curve[:, 1:], columns, axis=1)
    grid = np.stack([radius * np.cos(phi), height, radius * np.sin(phi)], -1)
    return grid.reshape(-1, 3), sphere_grid(rows, columns)[1]


BOTTLE = [
    (0, 0.12), (0.9, 0.05), (1.2, 0.06), (1.3, 0.25), (1.3, 1.2), (1.3, 2.5), (1.29, 3.9),
    (1.12, 4.7), (0.6, 5.6), (0.43, 6.4), (0.42, 7.3), (0.52, 7.42), (0.52, 7.7),
    (0.44, 7.78), (0.33, 7.7), (0.3, 7.3), (0.3, 6.4), (0.46, 5.6), (0.98, 4.65),
    (1.16, 3.9), (1.18, 2.5), (1.18, 1.2), (1.16, 0.5), (1.0, 0.3), (0, 0.34),
]  # fmt: skip
BOWL = [
    (0, 0.1), (0.6, 0.08), (0.7, 0.0), (0.8, 0.0), (0.9, 0.2), (1.4, 0.52), (1.85, 1.1),
    (2.04, 1.72), (1.98, 1.8), (1.9, 1.74), (1.72, 1.16), (1.28, 0.64), (0.7, 0.4),
    (0, 0.36),
]  # fmt: skip
PEAR = [
    (0, -0.92), (0.25, -1.0), (0.62, -0.9), (0.91, -0.55), (1.0, -0.1), (0.93, 0.35), (0.71, 0.8),
    (0.5, 1.15), (0.41, 1.42), (0.29, 1.57), (0.1, 1.6), (0, 1.53),
]  # fmt: skip


def table_assets(folder: Path) -> None:
    """A bottle and a bowl from the lathe; lemons and pears, turned and then made irregular."""
    rng = np.random.default_rng(8)
    sphere, faces = sphere_grid(80, 96)
    parts = [mesh2("BottleShape", *turned(BOTTLE)), mesh2("BowlShape", *turned(BOWL))]
    for kind in range(3):
        t = sphere[:, 1]
        lemon = lump(sphere, rng, 0.012)
        tip = np.exp(-((1 - np.abs(t)) / 0.035)) * np.where(t > 0, 0.20, 0.10)
        lemon[:, 1] = lemon[:, 1] * 1.22 + np.sign(t) * tip
        parts.append(mesh2(f"Lemon{kind}", lemon, faces))
    pear, faces = turned(PEAR)
    parts.append(mesh2("Pear", lump(pear, rng, 0.02), faces))
    (folder / "table_shapes.inc").write_text("".join(parts))


# ----------------------------------------------------------------------------------- the film


def read_hdr(path: Path) -> Array:
    """Linear light, shape (height, width, 3), from a Radiance RGBE file as POV-Ray writes it."""
    data = path.read_bytes()
    head = data.index(b"\n\n") + 2
    end = data.index(b"\n", head)
    words = data[head:end].split()
    height, width = int(words[1]), int(words[3])
    raw = np.frombuffer(data, np.uint8, offset=end + 1)
    out = np.zeros((height, 4, width), np.uint8)
    at = 0
    for row in range(height):
        at += 4  # marker 2, 2, width
        for plane in range(4):
            col = 0
            while col < width:
                count = int(raw[at])
                if count > 128:
                    out[row, plane, col : col + count - 128] = raw[at + 1]
                    col, at = col + count - 128, at + 2
                else:
                    out[row, plane, col : col + count] = raw[at + 1 : at + 1 + count]
                    col, at = col + count, at + 1 + count
    rgbe = out.transpose(0, 2, 1).astype(np.float64)
    return rgbe[..., :3] * np.exp2(rgbe[..., 3:] - 136)


def blur(picture: Array, radius: float) -> Array:
    """A cheap wide blur of an (H, W, 3) picture: shrink by half the radius, then enlarge."""
    height, width, _ = picture.shape
    step = max(1.0, radius / 2)
    small = (max(1, int(width / step)), max(1, int(height / step)))
    planes = [Image.fromarray(picture[..., k].astype(np.float32)) for k in range(3)]
    wide = [
        plane.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BICUBIC)
        for plane in planes
    ]
    return np.stack([np.asarray(plane, np.float64) for plane in wide], -1)


def develop(light: Array, name: str, exposure: float) -> Image.Image:
    """Linear light to an 8-bit sRGB picture with the manners of a photograph."""
    h, w, _ = light.shape
    light = np.maximum(light, 0) * exposure
    glow = blur(np.clip(light - 0.8, 0, 4), w / 40)
    light = light + 0.10 * glow
    yy, xx = np.mgrid[0:h, 0:w]
    radius2 = ((xx - w / 2) ** 2 + (yy - h / 2) ** 2) / ((w / 2) ** 2 + (h / 2) ** 2)
    light *= (1 - 0.24 * radius2)[..., None]
    # Filmic curve of Krzysztof Narkowicz's fit to ACES (2016).
    light = light * 0.72
    toned = np.clip(light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14), 0, 1)
    srgb = np.where(toned <= 0.0031308, 12.92 * toned, 1.055 * toned ** (1 / 2.4) - 0.055)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    grain = rng.standard_normal((h, w, 1)) + 0.35 * rng.standard_normal((h, w, 3))
    grain_strength = 0.0085 * (1.25 - 0.8 * srgb.mean(-1, keepdims=True))
    image = Image.fromarray((srgb * 255 + 0.5).astype(np.uint8))
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.45 * w / 1600))) / 255
    return Image.fromarray(
        (np.clip(soft + grain_strength * grain, 0, 1) * 255 + 0.5).astype(np.uint8)
    )


ASSETS = {"lake": lake_assets, "pebbles": pebbles_assets, "table": table_assets}


def render(name: str, width: int, out: Path) -> Path:
    """Render one scene at `width` x 2/3 `width` pixels and save its JPEG in `out`."""
    height = round(width * 2 / 3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ASSETS[name](folder)
        target = folder / f"{name}.hdr"
        smooth = ["-A"] if name in FOCAL_BLUR else ["+A0.1", "+AM2", "+R2"]
        files = [f"+I{HERE / name}.pov", f"+O{target}", f"+L{folder}", f"+L{HERE}"]
        size = [f"+W{width}", f"+H{height}"]
        quiet = ["-D", "-V", "-GR", "-GS", "-GD"]
        subprocess.run(
            ["povray", *files, *size, *smooth, "+FH", "+WT1", "+Q9", *quiet], check=True, cwd=folder
        )
        image = develop(read_hdr(target), name, EXPOSURE[name])
    path = out / f"{name}.jpg"
    image.save(path, quality=88, progressive=True, optimize=True)
    return path


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="render the example site's pictures")
    parser.add_argument("names", nargs="*", default=list(ASSETS), metavar="NAME")
    parser.add_argument("--width", type=int, help="pixels; the default differs by scene")
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    for name in options.names:
        path = render(name, options.width or WIDTH[name], options.out)
        print(f"{path} {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

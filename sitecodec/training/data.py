"""Training pictures: random crops that depend on nothing but the seed and the step."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sitecodec.errors import ImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
HELD_OUT = 50  # one picture in so many is not trained on


@dataclass(frozen=True)
class Pictures:
    """Files to train on, and files to measure on."""

    training: tuple[Path, ...]
    held_out: tuple[Path, ...]


def find(folder: Path) -> Pictures:
    """The pictures of a folder and those below it, split by name. Raises ImageError for none."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    held = {p for p in paths if _number(p.relative_to(folder).as_posix()) % HELD_OUT == 0}
    if len(paths) < 2:
        raise ImageError(f"{folder} holds no pictures to train on; name a folder of photographs")
    held = held or {paths[0]}
    return Pictures(tuple(p for p in paths if p not in held), tuple(sorted(held)))


def read(path: Path) -> Tensor:
    """A picture as (3, H, W) uint8."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def batch(paths: tuple[Path, ...], step: int, size: int, crop: int, seed: int) -> Tensor:
    """Crops for one step as (N, 3, crop, crop) uint8; the same for the same step and seed."""
    random = np.random.default_rng((seed, step))
    picks = random.integers(len(paths), size=size)
    draws = random.random((size, 3))
    with ThreadPoolExecutor(4) as pool:
        crops = pool.map(lambda i: _crop(paths[picks[i]], draws[i], crop), range(size))
        return torch.stack(list(crops))


def _crop(path: Path, draw: np.ndarray[tuple[int], np.dtype[np.float64]], crop: int) -> Tensor:
    picture = read(path)
    _, height, width = picture.shape
    if height < crop or width < crop:  # mirror what is too small
        rows = _mirror(height, max(height, crop))
        picture = picture[:, rows][:, :, _mirror(width, max(width, crop))]
        _, height, width = picture.shape
    top, left = int(draw[0] * (height - crop + 1)), int(draw[1] * (width - crop + 1))
    picture = picture[:, top : top + crop, left : left + crop]
    return picture.flip(2) if draw[2] < 0.5 else picture


def _mirror(size: int, wanted: int) -> Tensor:
    index = torch.arange(wanted) % (2 * size)
    return torch.where(index < size, index, 2 * size - 1 - index)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")

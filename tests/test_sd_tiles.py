"""Tiles: no seams, in arithmetic and with Stable Diffusion's architecture at random weights."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from sitecodec.sd import tiles


@pytest.mark.parametrize(("length", "tile"), [(1, 40), (40, 40), (41, 40), (97, 40), (1000, 96)])
def test_tiles_cover_everything_and_overlap(length, tile):
    starts = tiles.starts(length, tile)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - tile)
    assert all(b - a <= tile - tiles.OVERLAP for a, b in pairwise(starts))


def test_what_a_network_does_point_by_point_comes_out_as_in_one_piece():
    grid = np.random.default_rng(0).normal(size=(150, 130, 3)).astype(np.float32)
    tiled = tiles.run(lambda part: part * 2 + 1, grid, 40, 1, Fraction(1))
    assert np.abs(tiled - (grid * 2 + 1)).max() < 1e-5


def test_what_tiles_disagree_on_changes_slowly():
    # The worst network for tiles: each is of another brightness.
    levels = iter(range(100))
    flat = np.zeros((100, 120, 1), np.float32)
    tiled = tiles.run(lambda part: part + next(levels), flat, 40, 1, Fraction(1))
    steps = max(float(np.abs(np.diff(tiled, axis=axis)).max()) for axis in (0, 1))
    highest = tiled.max() - tiled.min()
    assert steps <= 1.01 * highest / (tiles.OVERLAP / 3)


def seam(picture, whole):
    """How far the difference's mean step, from column to column, stands out at most.

    Of what is around: a seam is a single column. The outer columns are the picture's own border.
    """
    steps = np.abs(np.diff(picture.astype(np.float64) - whole, axis=1)).mean((0, 2))
    inner = range(100, len(steps) - 100)
    return max(float(steps[x] / np.median(steps[x - 32 : x + 33])) for x in inner)


def test_stable_diffusion_s_architecture_shows_no_seams(make, monkeypatch):
    """Group norms and attention see the whole of a tile, so tiles differ; but nowhere suddenly."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra 'torch')")
    pytest.importorskip("diffusers", reason="diffusers is not installed (extra 'torch')")
    from sitecodec.sd import networks
    from sitecodec.sd.description import LatentSpace, Model
    from tests import sd_models

    torch.manual_seed(7)
    model = Model("kl", "", "", LatentSpace("AutoencoderKL", 4, 8, 0.18215, 0.0), (), {})
    vae = sd_models.kl().eval().requires_grad_(False)
    both = networks.Networks(model, "cpu", vae, None, None, {})
    latents = both.encode(make.photo(320, 544, seed=9)[None])[0]
    whole = both._decode(latents)
    monkeypatch.setattr(networks, "TILES", (40, 32))
    tiled = both._tiled(both._decode, latents, 1, Fraction(8))
    assert tiled.shape == whole.shape == (320, 544, 3)
    # The same tiles put beside one another without blending: the measure sees that.
    left, right = both._decode(latents[:, :40]), both._decode(latents[:, 28:])
    joined = np.concatenate([left[:, :272], right[:, 272 - 224 :]], axis=1)
    assert seam(joined, whole) > 3
    assert seam(tiled, whole) < 2

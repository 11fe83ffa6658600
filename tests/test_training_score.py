import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="torch is not installed")

import torch

from sitecodec import metrics
from sitecodec.training import score


def picture(seed=3, height=256, width=272):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    base = 120 + 70 * np.sin(x / 9 + seed) * np.cos(y / 13) + 30 * (x > y)
    noisy = base[..., None] + rng.normal(0, 6, (height, width, 3)) + [25, 0, -25]
    return noisy.clip(0, 255).astype(np.uint8)


def jpeg(pixels, quality):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data))


def tensor(pixels):
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("quality", [5, 30, 80])
def test_scores_are_those_of_the_gate(quality):
    pixels = picture()
    shown = jpeg(pixels, quality)
    expected = metrics.ssimulacra2(pixels, shown)
    assert float(score.ssimulacra2(tensor(pixels), tensor(shown))) == pytest.approx(
        expected, abs=0.1
    )


def test_ms_ssim_of_grey_pictures_is_that_of_the_benchmarks():
    grey = np.repeat(picture()[:, :, :1], 3, 2)
    shown = np.repeat(jpeg(grey, 20)[:, :, :1], 3, 2)
    # Sides divisible by 16 only: the two treat odd rows differently.
    grey, shown = grey[:, :256], shown[:, :256]
    found = float(score.ms_ssim(tensor(grey), tensor(shown)))
    assert found == pytest.approx(metrics.ms_ssim(grey, shown), abs=2e-3)


@pytest.mark.parametrize("measure", [score.ssimulacra2, score.ms_ssim])
def test_gradients_lead_to_better_pictures(measure):
    reference = tensor(picture())
    shown = tensor(jpeg(picture(), 10)).requires_grad_()
    before = measure(reference, shown)
    before.sum().backward()
    assert shown.grad.isfinite().all()
    step = 0.2 * shown.grad / shown.grad.norm()
    assert float(measure(reference, (shown + step).detach())) > float(before.detach())


def test_identical_pictures_have_the_highest_score():
    reference = tensor(picture())
    assert float(score.ssimulacra2(reference, reference)) > 98
    assert float(score.ms_ssim(reference, reference)) == pytest.approx(1)

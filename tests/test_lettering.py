"""Where text is, and how alike it stays, beside what numpy and Pillow say of it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from sitecodec import lettering


def lettered(height=96, width=160, ink=220):
    image = Image.new("RGB", (width, height), (128, 146, 160))
    draw = ImageDraw.Draw(image)
    for top in range(4, height - 12, 18):
        draw.text((4, top), "Update ready to install", (ink,) * 3, ImageFont.load_default(13))
    return np.asarray(image)


def test_letters_are_found_and_photographs_are_not(make):
    assert lettering.text_like(lettered())[:, :4].mean() > 0.8
    assert lettering.text_like(make.photo(256, 384)).mean() < 0.05
    assert not lettering.text_like(np.full((70, 70, 3), 9, np.uint8)).any()


def test_a_tall_picture_is_looked_at_in_bands():
    tall = np.concatenate([lettered()] * 13)[:1200]
    parts = lettering.text_like(tall)
    assert parts.shape == (38, 5)
    assert parts[-2].any()


def test_the_same_is_alike_and_the_worst_part_counts(make):
    picture = np.concatenate([make.photo(96, 160), lettered()])
    alike = lettering.against(picture)
    assert alike(picture) == pytest.approx(1, abs=1e-6)
    worn = picture.copy()
    worn[96:128, 32:64] = np.asarray(Image.fromarray(picture).filter(ImageFilter.BoxBlur(2)))[
        96:128, 32:64
    ]
    luma = [np.asarray(Image.fromarray(p).convert("L"), float) for p in (picture, worn)]
    block = [plane[96:128, 32:64].ravel() for plane in luma]
    assert alike(worn) == pytest.approx(np.corrcoef(*block)[0, 1], abs=1e-4)
    assert alike(worn) < 0.9


def test_nothing_is_asked_of_a_picture_without_text(make):
    photo = make.photo(96, 160)
    assert lettering.against(photo)(np.zeros_like(photo)) == 1.0


def test_blank_letters_are_not_alike():
    picture = lettered()
    assert lettering.against(picture)(np.full_like(picture, 128)) == 0

"""Screenshots to train on: pages by number, drawn by a real Chromium."""

import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from click.testing import CliRunner
from PIL import Image

from sitecodec.training import screens

BROWSER = next(filter(None, map(shutil.which, screens.BROWSERS)), None)


def test_a_number_gives_the_same_page_and_another_one_another():
    pages = [screens.draw(number) for number in range(40)]
    assert pages == [screens.draw(number) for number in range(40)]
    assert len(set(pages)) == 40
    for sign in ("<nav>", "class=terminal", "<polyline", "text-anchor=middle"):
        assert any(sign in page for page in pages), sign
    assert not any("&amp;quot;" in page for page in pages)


@pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")
def test_pages_are_drawn_once_each_from_the_number_asked_for(tmp_path):
    run = ["--count", "2", "--first", "30"]
    assert CliRunner().invoke(screens.main, [str(tmp_path), *run]).exit_code == 0
    made = sorted(tmp_path.glob("*.png"))
    assert [path.name for path in made] == ["screen-0030.png", "screen-0031.png"]
    for path in made:
        pixels = np.asarray(Image.open(path))
        assert min(pixels.shape[:2]) >= 600
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    stamp = made[0].stat().st_mtime_ns
    CliRunner().invoke(screens.main, [str(tmp_path), *run])
    assert made[0].stat().st_mtime_ns == stamp


def test_without_a_browser_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(screens, "BROWSERS", ())
    answer = CliRunner().invoke(screens.main, [str(tmp_path)])
    assert answer.exit_code == 1
    assert "install it" in answer.output

import math

import numpy as np
import pytest

from sitecodec import metrics
from sitecodec.encoding import conventional, encoders, images, task
from sitecodec.encoding.conventional import Offsets
from sitecodec.encoding.task import Task
from sitecodec.settings import Settings


def matching(picture, target, floor=-math.inf, limit=math.inf, hints=None):
    with metrics.against(picture) as score:
        return conventional.smallest(
            Task(picture, score, False, target, floor), limit, hints or Offsets()
        )


@pytest.mark.parametrize("target", [-1000.0, 35.0, 75.0])
def test_matching_avif_is_the_smallest_of_its_score(photo, target):
    found = matching(photo, target).encoded
    assert found.score >= target
    if found.quality:
        less = images.decode(images.avif(photo, found.quality - 2))
        assert metrics.ssimulacra2(photo, less) < target


def test_there_is_no_avif_of_an_impossible_score(photo):
    found = matching(photo, 102)
    assert found.encoded is None
    assert found.size_at(102) == math.inf


def test_none_is_made_that_is_clearly_over_the_limit(photo, monkeypatch):
    speeds = []
    real = images.avif
    monkeypatch.setattr(images, "avif", lambda p, q, s, c: (speeds.append(s), real(p, q, s, c))[1])
    assert matching(photo, 50, limit=400).encoded is None
    assert 6 not in speeds
    size = matching(photo, 50).encoded.size
    assert matching(photo, 50, limit=size + 1).encoded.size == size


def test_a_patient_effort_ships_patient_avifs(photo, monkeypatch):
    speeds = []
    real = images.avif
    monkeypatch.setattr(images, "avif", lambda p, q, s, c: (speeds.append(s), real(p, q, s, c))[1])
    with metrics.against(photo) as score:
        for effort in (3, 6):
            settings = Settings(effort=effort)
            task_of = task.of_settings(photo, score, settings, False, math.inf, {})
            conventional.smallest(task_of, math.inf, Offsets())
            assert set(speeds) == {9, {3: 6, 6: 2}[effort]}
            speeds.clear()


def test_no_tile_is_under_the_floor(make):
    picture = np.concatenate([make.photo(256, 384), make.text(256, 384)])
    loose, strict = matching(picture, 40).encoded, matching(picture, 40, 90).encoded
    assert loose.worst_tile < 90 <= strict.worst_tile
    assert loose.size < strict.size


def test_offsets_in_another_size_spare_encodes(make, monkeypatch):
    picture = make.photo(300, 400, 6)
    hints = matching(images.resized(picture, 300), 50).offsets
    speeds = []
    real = images.avif
    monkeypatch.setattr(images, "avif", lambda p, q, s, c: (speeds.append(s), real(p, q, s, c))[1])
    found = matching(picture, 50, hints=hints)
    assert speeds.count(6) <= 2
    assert found.encoded.score >= 50


def test_the_qualities_are_those_at_which_files_differ(make):
    picture = make.photo(64, 64)
    files = [images.avif(picture, quality, 9) for quality in range(101)]
    changes = [q for q in range(101) if not q or files[q] != files[q - 1]]
    # Another libavif may map some otherwise, which would cost a trial now and then.
    assert len(set(changes) & set(encoders.AVIF_QUALITIES)) >= 0.8 * len(changes)
    assert list(encoders.AVIF_QUALITIES) == sorted(set(encoders.AVIF_QUALITIES))


def test_the_size_at_a_score_is_between_those_of_the_qualities_around(photo):
    found = matching(photo, 50)
    assert found.size_at(found.level) == len(found.encoded.data)
    below = images.avif(photo, found.encoded.quality - 3)
    assert len(below) < found.size_at(50) <= len(found.encoded.data)


def test_a_large_picture_is_sampled_but_shipped_whole(make):
    grain = np.random.default_rng(8).normal(0, 10, (900, 1300, 1))
    picture = np.clip(make.photo(900, 1300, 8) + grain, 0, 255).astype(np.uint8)
    found = matching(picture, 60).encoded
    shown = images.decode(found.data)
    assert shown.shape == picture.shape
    assert found.score == pytest.approx(60, abs=5)
    assert metrics.ssimulacra2(picture, shown) == pytest.approx(found.score, abs=4)

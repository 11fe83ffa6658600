"""sitecodec.preview.decoded_cache: decoded once, kept on disk and in memory, within bounds."""

from __future__ import annotations

import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sitecodec import codecs
from sitecodec.disk.store import Store
from sitecodec.errors import ModelError, PayloadError
from sitecodec.facts import formats
from sitecodec.facts.formats import Format
from sitecodec.preview import decoded_cache
from sitecodec.preview.decoded_cache import BusyError, Pictures


def store_of(tmp_path: Path) -> Pictures:
    return Pictures(Store(tmp_path / "store"), tmp_path / "pictures")


def test_many_who_ask_for_one_picture_cost_one_decode(tmp_path: Path, make: Any) -> None:
    several = store_of(tmp_path)
    digest = several.keep(codecs.get("web").encode(make.photo(200, 300), 50))
    gate = threading.Barrier(64)

    def ask(_: int) -> bytes | None:
        gate.wait()
        return several.get(digest, formats.PNG)

    with ThreadPoolExecutor(64) as executor:
        answers = set(executor.map(ask, range(64)))
    assert len(answers) == 1
    assert several.decoded == 1


def test_alpha_is_kept_by_formats_that_have_it(tmp_path: Path, make: Any) -> None:
    several = store_of(tmp_path)
    pixels = np.dstack([make.photo(40, 60), make.photo(40, 60, 2)[..., 0]])
    pixels[:20, :, 3] = 0
    payload = codecs.get("web").encode(pixels, 60)
    decoded = codecs.get("web").decode(payload)
    digest = several.keep(payload)

    def shown(known: Format, width: int | None = None) -> Any:
        data = several.get(digest, known, width)
        assert data
        return np.asarray(Image.open(io.BytesIO(data)))

    np.testing.assert_array_equal(shown(formats.PNG), decoded)
    np.testing.assert_array_equal(shown(formats.WEBP)[..., 3], pixels[..., 3])
    small = shown(formats.PNG, 30)
    assert small.shape == (20, 30, 4)
    assert small[:8, :, 3].max() <= 2  # the filter's ringing
    flat = shown(formats.JPEG)  # has no alpha: over white
    assert flat.shape == (40, 60, 3)
    assert flat[:16].min() > 240


def test_errors_are_not_kept(tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    several = store_of(tmp_path)
    digest = several.keep(codecs.get("web").encode(make.photo(16, 16), 50))
    with monkeypatch.context() as context:
        context.setattr(codecs, "get", lambda name, **_: (_ for _ in ()).throw(PayloadError("no")))
        with pytest.raises(PayloadError):
            several.get(digest, formats.PNG)
    assert several.get(digest, formats.PNG)


def test_sd_payloads_are_decoded_with_torch(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra 'torch')")
    pytest.importorskip("diffusers", reason="diffusers is not installed (extra 'torch')")
    from sitecodec.models.user_folder import ENVIRONMENT
    from sitecodec.sd import adding, registry
    from sitecodec.sd.codec import SdCodec
    from tests import sd_models

    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "models"))
    adding.add("tiny", str(sd_models.save(tmp_path / "tiny", sd_models.kl(), sd_models.unet())))
    codec = SdCodec(preset="seed", device="cpu")  # which passes the U-Net, too
    payload = codec.encode(make.photo(64, 96), 50)
    several = store_of(tmp_path)
    digest = several.keep(payload)
    with ThreadPoolExecutor(4) as executor:
        (shown,) = set(executor.map(lambda _: several.get(digest, formats.PNG), range(4)))
    assert shown
    assert several.decoded == 1
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown))), codec.decode(payload))
    registry.folder("tiny").rename(tmp_path / "away")
    assert several.get(digest, formats.PNG) == shown
    with pytest.raises(ModelError):
        several.get(digest, formats.WEBP)


def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path: Path, make: Any) -> None:
    codec = codecs.get("web")
    small = Pictures(Store(tmp_path / "store"), tmp_path / "pictures", max_bytes=20_000)
    digests = [small.keep(codec.encode(make.photo(64, 64, seed), 50)) for seed in range(8)]
    for digest in digests:
        small.get(digest, formats.PNG)
    assert Store(tmp_path / "pictures").stats().size <= 20_000
    assert small.decoded == 8
    small.get(digests[-1], formats.PNG)
    assert small.decoded == 8
    small.get(digests[0], formats.PNG)
    assert small.decoded == 9


def test_a_damaged_picture_in_the_cache_is_decoded_again(tmp_path: Path, make: Any) -> None:
    several = store_of(tmp_path)
    digest = several.keep(codecs.get("web").encode(make.photo(16, 16), 50))
    first = several.get(digest, formats.PNG)
    for entry in (tmp_path / "pictures").glob("??/*"):
        entry.write_bytes(entry.read_bytes()[:-3])
    assert several.get(digest, formats.PNG) == first


def test_pictures_in_memory_are_used_on_disk_and_bounded(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = store_of(tmp_path)
    codec = codecs.get("web")
    digests = [several.keep(codec.encode(make.photo(64, 64, seed), 50)) for seed in range(6)]
    for digest in digests:
        several.get(digest, formats.PNG)
    found = [several.find(digest, formats.PNG) for digest in digests]
    sizes = [len(one.data) for one in found if one and one.data]
    assert len(sizes) == 6
    assert several.find(digests[0], formats.PNG) is found[0]
    # What is often asked for is read from the disk now and then, so that it is not forgotten there.
    monkeypatch.setattr(decoded_cache, "_RECENT_SECONDS", -1.0)
    entries = list((tmp_path / "pictures").glob("??/*"))
    for entry in entries:
        os.utime(entry, (1, 1))
    monkeypatch.setattr(decoded_cache, "_RECENT_BYTES", 8 * max(sizes))
    fresh = Pictures(Store(tmp_path / "store"), tmp_path / "pictures")
    for digest in digests * 2:
        assert fresh.find(digest, formats.PNG) == several.find(digest, formats.PNG)
    assert all(entry.stat().st_mtime > 1 for entry in entries)
    for width in range(32, 64):
        fresh.get(digests[0], formats.PNG, width)
        fresh.find(digests[0], formats.PNG, width)
    held = sum(len(recent.found.data or b"") for recent in fresh._recent.values())
    assert 0 < fresh._recent_bytes == held <= 8 * max(sizes)


def test_a_store_that_cannot_be_written_costs_one_warning(
    tmp_path: Path, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    several = Pictures(Store(tmp_path / "file/store"), tmp_path / "file/pictures")
    codec = codecs.get("web")
    for seed in range(3):
        digest = several.keep(codec.encode(make.photo(16, 16, seed), 50))
        assert several.get(digest, formats.PNG)
        assert several.get(digest, formats.PNG)
    assert len(caplog.records) == 2  # one for each folder
    assert all("cannot write to the store" in r.getMessage() for r in caplog.records)


def test_where_only_pictures_cannot_be_written_memory_keeps_them(tmp_path: Path, make: Any) -> None:
    (tmp_path / "file").write_text("")
    several = Pictures(Store(tmp_path / "store"), tmp_path / "file/pictures")
    digest = several.keep(codecs.get("web").encode(make.photo(16, 16), 50))
    data = several.get(digest, formats.PNG)
    found = several.find(digest, formats.PNG)
    assert found
    assert found.data == data
    assert several.decoded == 1


def test_too_many_who_wait_are_turned_away(tmp_path: Path, make: Any) -> None:
    none = Pictures(Store(tmp_path / "store"), tmp_path / "pictures", waiting=0)
    digest = none.keep(codecs.get("web").encode(make.photo(16, 16), 50))
    with pytest.raises(BusyError):
        none.get(digest, formats.PNG)

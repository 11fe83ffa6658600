"""What is remembered of the installed codec holds as long as the package's files do."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sitecodec.disk.store import Store
from sitecodec.encoding import jobs
from sitecodec.settings import Settings
from sitecodec.visitors import installed as module
from sitecodec.visitors import worker
from sitecodec.visitors.installed import installed


def test_it_is_what_is_installed_and_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, store = Settings(), Store(tmp_path / "store")
    first = installed(settings, store)
    assert first == (jobs.identity(settings), worker.cost(0), worker.cost(0, model=None))
    assert installed(replace(settings, effort=0), store).identity != first.identity
    monkeypatch.setattr(module, "_found", lambda *_: pytest.fail("read again"))
    assert installed(settings, store) == first
    with pytest.raises(pytest.fail.Exception):
        installed(replace(settings, effort=1), store)
    with pytest.raises(pytest.fail.Exception):
        installed(replace(settings, model="web-0"), store)


@pytest.mark.parametrize(
    "entry",
    [
        *(b"", b"[]", b"{}", b"[1", b'["x", null]', b"5", b"[" * 100_000),
        *(b'["x", 1]', b'["x", 1, 2, 3]', b'["x", 1e999, 2]', b'["x", -1, 2]', b'["x", true, 2]'),
        *(b'["\\ud800", 1, 2]', b"[[], 1, 2]", b'["x", 1, %s]' % (b"9" * 5000)),
    ],
)
def test_an_entry_of_another_kind_is_none(tmp_path: Path, entry: bytes) -> None:
    settings, store = Settings(), Store(tmp_path / "store")
    first = installed(settings, store)
    places = [path for path in (tmp_path / "store").glob("??/*") if b'["web1-' in path.read_bytes()]
    assert len(places) == 1
    store.put(places[0].parent.name + places[0].name, module.MAGIC + entry)
    assert installed(settings, store) == first


def test_a_file_of_the_package_that_changes_is_noticed(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "models").mkdir(parents=True)
    model = package / "models/a.slm"
    model.write_bytes(b"one")
    seen = [module._stamps(f"{package}")]
    (package / "__pycache__").mkdir()
    (package / "__pycache__/a.pyc").write_bytes(b"compiled")
    assert module._stamps(f"{package}") == seen[0]
    times = model.stat()
    other = tmp_path / "other"
    other.write_bytes(b"two")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    shutil.move(other, model)  # of the same size and date
    seen.append(module._stamps(f"{package}"))
    (package / "b.py").touch()
    seen.append(module._stamps(f"{package}"))
    (package / "b.py").unlink()
    model.write_bytes(b"three")
    seen.append(module._stamps(f"{package}"))
    assert len(set(seen)) == len(seen)


def test_the_preview_s_codec_has_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "identity", lambda settings: settings.codec)
    assert installed(Settings(codec="sd"), Store(tmp_path)) == ("sd", 0, 0)

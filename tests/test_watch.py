"""sitecodec.preview.watch: real files, real events, real encodes."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sitecodec.disk.store import Store
from sitecodec.encoding import jobs
from sitecodec.errors import SiteError
from sitecodec.preview import watch
from sitecodec.settings import Settings


class Watching:
    """A watch in a thread, with the lines that it has printed and the images it has encoded."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self.lines: list[str] = []
        self.encoded: list[str] = []
        self.images: set[str] = set()
        self.stop = threading.Event()
        self.thread = threading.Thread(
            target=watch.watch,
            args=(folder, settings),
            kwargs={"echo": self.lines.append, "listener": self, "stop": self.stop},
            daemon=True,
        )

    def watch_over(self, sources: dict[str, Path]) -> None:
        self.images = set(sources)

    def want(self, real: Path, *, urgent: bool) -> None:
        self.encoded.append(real.name)

    def until(self, check: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, (self.lines, self.encoded)
            time.sleep(0.02)


@pytest.fixture
def photos(make: Any) -> list[bytes]:
    return [make.file(make.photo(64, 64, seed)) for seed in range(4)]


@pytest.fixture
def watching(tmp_path: Path, photos: list[bytes]) -> Iterator[Watching]:
    folder = tmp_path / "docs"
    (folder / "images").mkdir(parents=True)
    (folder / "images/a.png").write_bytes(photos[0])
    # The store within the folder: what is written there must not count as a change.
    it = Watching(folder, Settings(store=folder / ".cache/sitecodec", workers=1))
    it.thread.start()
    it.until(lambda: any("watching" in line for line in it.lines))
    yield it
    it.stop.set()
    it.thread.join(20)
    assert not it.thread.is_alive()


def test_what_is_there_is_encoded_first(watching: Watching) -> None:
    assert watching.encoded == ["a.png"]
    assert watching.images == {"images/a.png"}
    assert watching.lines[0].startswith("images/a.png: ")
    job = jobs.Job(watching.folder / "images/a.png", watch.with_widths(watching.settings, 0))
    assert jobs.recall(job, Store(watching.settings.store)) is not None


def test_create_modify_move_and_delete(watching: Watching, photos: list[bytes]) -> None:
    images = watching.folder / "images"
    (images / "b.png").write_bytes(photos[1])
    watching.until(lambda: "b.png" in watching.encoded)
    (images / "b.png").write_bytes(photos[2])
    watching.until(lambda: watching.encoded.count("b.png") == 2)
    (images / "b.png").rename(images / "c.png")
    watching.until(lambda: "c.png" in watching.encoded)
    (images / "c.png").unlink()
    time.sleep(0.8)
    (images / "d.png").write_bytes(photos[1])
    watching.until(lambda: "d.png" in watching.encoded)
    assert watching.images == {"images/a.png", "images/d.png"}


def test_a_hundred_saves_cost_two_encodes_at_most(watching: Watching, photos: list[bytes]) -> None:
    place = watching.folder / "images/a.png"
    for number in range(100):
        place.write_bytes(photos[1 + number % 3])
        time.sleep(0.01)
    watching.until(lambda: len(watching.encoded) > 1)
    time.sleep(1.5)
    assert watching.encoded.count("a.png") - 1 <= 2


def test_editors_that_write_to_another_file_first(watching: Watching, photos: list[bytes]) -> None:
    images = watching.folder / "images"
    for name in (".a.png.swp", "a.png~", "a.png.tmp", ".goutputstream-X1"):
        (images / name).write_bytes(photos[1])
        (images / name).replace(images / "a.png")
        (images / "a.png~").unlink(missing_ok=True)
        time.sleep(0.05)
    watching.until(lambda: watching.encoded.count("a.png") >= 2)
    assert set(watching.encoded) == {"a.png"}


def test_it_does_not_set_itself_off(watching: Watching, photos: list[bytes]) -> None:
    (watching.folder / "images/b.png").write_bytes(photos[1])
    (watching.folder / "assets/sitecodec").mkdir(parents=True)
    (watching.folder / "assets/sitecodec/b-0123456789ab-64w.jpg").write_bytes(photos[1])
    watching.until(lambda: "b.png" in watching.encoded)
    time.sleep(1.5)
    assert watching.encoded == ["a.png", "b.png"]


def test_a_folder_that_comes_whole(watching: Watching, photos: list[bytes], tmp_path: Path) -> None:
    outside = tmp_path / "more"
    (outside / "deep").mkdir(parents=True)
    for number in range(12):
        (outside / f"deep/{number}.png").write_bytes(photos[number % 4])
    shutil.move(outside, watching.folder / "more")
    watching.until(lambda: len(set(watching.encoded)) == 13)


def test_bad_images_are_a_line_each_and_it_goes_on(watching: Watching, photos: list[bytes]) -> None:
    images = watching.folder / "images"
    (images / "bad.png").write_bytes(b"garbage" * 1000)
    watching.until(
        lambda: any(line.startswith("warning: images/bad.png: ") for line in watching.lines)
    )
    (images / "bad.png").unlink()
    (images / "bad.png").mkdir()
    (images / "b.png").write_bytes(photos[1])
    watching.until(lambda: "b.png" in watching.encoded)


def test_a_folder_that_goes_and_comes_back(watching: Watching, photos: list[bytes]) -> None:
    shutil.rmtree(watching.folder)
    watching.until(lambda: any("is gone; waiting" in line for line in watching.lines))
    watching.folder.mkdir()
    (watching.folder / "new.png").write_bytes(photos[3])
    watching.until(lambda: "new.png" in watching.encoded)
    assert sum("is gone" in line for line in watching.lines) == 1


@pytest.mark.parametrize("how", ["moved", "made anew", "linked"])
def test_another_folder_in_its_place(
    watching: Watching, photos: list[bytes], tmp_path: Path, how: str
) -> None:
    other = tmp_path / "other"
    (other / "images").mkdir(parents=True)
    (other / "images/first.png").write_bytes(photos[1])
    if how == "made anew":
        shutil.rmtree(watching.folder)
        shutil.copytree(other, watching.folder)
    else:
        watching.folder.rename(tmp_path / "old")
        other.rename(watching.folder) if how == "moved" else watching.folder.symlink_to(other)
    watching.until(lambda: "first.png" in watching.encoded)
    (watching.folder / "images/second.png").write_bytes(photos[2])
    watching.until(lambda: "second.png" in watching.encoded)


def test_at_the_system_s_limit_it_looks_for_itself(
    tmp_path: Path, photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers import Observer

    def full(self: Any) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr(Observer, "start", full)
    it = Watching(tmp_path, Settings(store=tmp_path / ".cache/sitecodec", workers=1))
    it.thread.start()
    it.until(lambda: any("watching" in line for line in it.lines))
    assert sum("looking every second instead" in line for line in it.lines) == 1
    (tmp_path / "a.png").write_bytes(photos[0])
    it.until(lambda: "a.png" in it.encoded)
    it.stop.set()
    it.thread.join(20)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here")
@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_at_the_limits_of_a_real_system(tmp_path: Path, photos: list[bytes], limit: str) -> None:
    for name in ("a", "b/c", "d"):
        (tmp_path / "docs" / name).mkdir(parents=True)
    # A user namespace has limits of its own.
    run = "from sitecodec.cli.commands import main; main()"
    script = (
        f"echo {2 if 'watches' in limit else 0} > /proc/sys/user/{limit} && echo limited &&"
        f' exec {sys.executable} -c "{run}" watch docs'
    )
    process = subprocess.Popen(
        ["unshare", "-Ur", "sh", "-c", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        text=True,
    )
    try:
        assert process.stdout
        if process.stdout.readline() != "limited\n":
            pytest.skip("no user namespaces here")
        assert "looking every second instead" in process.stdout.readline()
        assert "watching" in process.stdout.readline()
        (tmp_path / "docs/b/c/new.png").write_bytes(photos[0])
        assert process.stdout.readline().startswith("b/c/new.png: ")
    finally:
        process.kill()
        process.wait()


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="is not a folder"):
        watch.watch(tmp_path / "nowhere", Settings(), echo=print)


def test_ctrl_c_ends_it_at_once_in_the_middle_of_an_image(tmp_path: Path, make: Any) -> None:
    (tmp_path / "big.png").write_bytes(make.file(make.photo(1500, 1500)))
    code = "from sitecodec.cli.commands import main; main()"
    command = [sys.executable, "-c", code, "watch", str(tmp_path), "--serve", "--port", "0"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        text=True,
    )
    assert process.stdout
    assert "the inspector is at http://127.0.0.1:" in process.stdout.readline()
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0  # where that takes so long, the encoding takes longer
    assert "Traceback" not in process.stdout.read()


@pytest.mark.skipif(sys.platform == "win32", reason="no folders so deep")
@pytest.mark.parametrize("first", [True, False])
def test_folders_too_deep_for_the_system_are_looked_at(
    tmp_path: Path, photos: list[bytes], first: bool
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    before = Path.cwd()
    it = Watching(folder, Settings(store=tmp_path / "store"))
    try:
        if not first:
            it.thread.start()
            it.until(lambda: any("watching" in line for line in it.lines))
        os.chdir(folder)
        for _ in range(2500):  # too long for a path, too
            Path("d").mkdir()
            os.chdir("d")
        os.chdir(before)
        if first:
            it.thread.start()
        it.until(lambda: any("looking every second instead" in line for line in it.lines))
        it.until(lambda: any("watching" in line for line in it.lines))
        time.sleep(1.5)
        (folder / "new.png").write_bytes(photos[0])
        it.until(lambda: "new.png" in it.encoded)
    finally:
        os.chdir(before)
        it.stop.set()
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    it.thread.join(30)
    assert not it.thread.is_alive()

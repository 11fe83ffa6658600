import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sitecodec.disk.store import Store, Usage, key
from sitecodec.errors import StoreError

TAG = "CACHEDIR.TAG"
DAY = 86_400


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "deep" / "store")


def entry(store, name):
    return store.root / name[:2] / name[2:]


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_key_is_sha256_hex_and_tells_lists_of_parts_apart():
    keys = [key("ab", "c"), key("a", "bc"), key("abc"), key(b"abc"), key("abc", ""), key()]
    assert len(set(keys)) == len(keys)
    assert all(len(k) == 64 and set(k) <= set("0123456789abcdef") for k in keys)
    assert key("é", b"\0") == key("é", b"\0")


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 1000])
def test_what_is_put_is_got(store, content):
    store.put(key("a"), content)
    assert store.get(key("a")) == content
    assert store.get(key("b")) is None
    assert files(store.root) == sorted([TAG, f"{key('a')[:2]}/{key('a')[2:]}"])


def test_put_replaces(store):
    store.put(key("a"), b"old")
    store.put(key("a"), b"new")
    assert store.get(key("a")) == b"new"
    assert store.stats().entries == 1


def test_get_from_nothing_makes_nothing(store):
    assert store.get(key("a")) is None
    assert not store.root.exists()
    assert store.stats() == Usage(0, 0)
    assert store.verify() == ()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_names_that_are_no_keys_reach_no_file(store, name):
    store.put(key("a"), b"x")
    assert store.get(name) is None
    with pytest.raises(StoreError, match="not a key"):
        store.put(name, b"x")


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: b"",
        lambda raw: raw[:10],
        lambda raw: b"XXXX" + raw[4:],
        lambda raw: raw[:4] + bytes(32) + raw[36:],
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
    ],
)
def test_a_damaged_entry_is_a_miss_and_goes_away(store, damage):
    for name in ("a", "b"):
        store.put(key(name), b"content " + name.encode())
        path = entry(store, key(name))
        path.write_bytes(damage(path.read_bytes()))
    assert store.get(key("a")) is None
    assert not entry(store, key("a")).exists()
    assert store.verify() == (key("b"),)
    assert not entry(store, key("b")).exists()
    assert store.verify() == ()


def test_verify_leaves_sound_entries(store):
    for i in range(20):
        store.put(key(str(i)), bytes([i]) * i)
    assert store.verify() == ()
    assert store.stats() == Usage(20, sum(range(20)) + 20 * 36)


def test_use_is_noted_once_a_day(store):
    store.put(key("a"), b"x")
    path = entry(store, key("a"))
    age(path, DAY / 2)
    before = path.stat().st_mtime
    assert store.get(key("a")) == b"x"
    assert path.stat().st_mtime == before
    age(path, 3 * DAY)
    assert store.get(key("a")) == b"x"
    assert time.time() - path.stat().st_mtime < DAY / 2


def test_gc_removes_the_longest_unused_first(store):
    for i in range(5):
        store.put(key(str(i)), b"x" * 64)  # 100 bytes each with its checksum
        age(entry(store, key(str(i))), (5 - i) * DAY)
    assert store.gc(max_bytes=250) == Usage(3, 300)
    assert [store.get(key(str(i))) is not None for i in range(5)] == [False] * 3 + [True] * 2


def test_gc_by_age(store):
    for i in range(5):
        store.put(key(str(i)), b"x")
        age(entry(store, key(str(i))), i * DAY)
    assert store.gc(max_age=2.5 * DAY).entries == 2
    assert store.stats().entries == 3
    assert store.gc(max_age=2.5 * DAY, max_bytes=10**9) == Usage(0, 0)


def test_gc_without_limits_removes_nothing(store):
    store.put(key("a"), b"x")
    assert store.gc() == Usage(0, 0)


def test_orphans_are_swept_and_live_temporary_files_are_not(store):
    store.put(key("a"), b"x")
    folder = store.root / "tmp"
    old, new, foreign = folder / "1-aa.tmp", folder / "2-bb.tmp", folder / "notes.txt"
    for path in (old, new, foreign):
        path.write_bytes(b"x")
    age(old, DAY)
    age(foreign, DAY)
    store.gc()
    assert not old.exists()
    assert new.exists()
    assert foreign.exists()


def test_clear_leaves_no_trace(store):
    for i in range(10):
        store.put(key(str(i)), b"x")
    (store.root / "tmp" / "1-aa.tmp").write_bytes(b"")
    assert store.clear().entries == 10
    assert not store.root.exists()
    assert store.clear() == Usage(0, 0)
    store.put(key("a"), b"again")
    assert store.get(key("a")) == b"again"


def test_what_cannot_be_cleared_stays_a_store(store):
    store.put(key("a"), b"x")
    other = entry(store, key("a")).parent / "notes.txt"
    other.write_text("mine")
    assert store.clear().entries == 1
    assert store.stats().entries == 0  # no error: it is a store as before
    other.unlink()
    store.clear()
    assert not store.root.exists()


def test_clear_removes_only_what_is_the_store_s(store, tmp_path):
    store.put(key("a"), b"x")
    shard = entry(store, key("a")).parent
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ("c" * 62)).write_text("mine")
    (store.root / "zz").symlink_to(elsewhere)
    linked_shard = store.root / "cc"
    linked_shard.symlink_to(elsewhere, target_is_directory=True)
    (store.root / "notes.txt").write_text("mine")
    (shard / "notes.txt").write_text("mine")
    assert store.clear().entries == 1
    assert (elsewhere / ("c" * 62)).read_text() == "mine"
    assert (store.root / "notes.txt").exists()
    assert (shard / "notes.txt").exists()


@pytest.mark.parametrize("tag", [None, "Signature: 8a477f597d28d172789f06886806bc55\n# by pip\n"])
def test_another_folder_is_never_taken_for_a_store(tmp_path, tag):
    (tmp_path / "ab").mkdir()
    precious = tmp_path / "ab" / ("c" * 62)
    precious.write_text("mine")
    (tmp_path / "index.md").write_text("mine")
    if tag:
        (tmp_path / TAG).write_text(tag)
    before = files(tmp_path)
    store = Store(tmp_path)
    for action in (
        store.clear,
        store.verify,
        store.stats,
        lambda: store.gc(max_bytes=0),
        lambda: store.put(key("a"), b"x"),
    ):
        with pytest.raises(StoreError, match=r"name the folder|set 'store'"):
            action()
    assert files(tmp_path) == before


def test_the_marker_follows_the_cache_directory_standard(store):
    store.put(key("a"), b"x")
    tag = (store.root / TAG).read_bytes()
    assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")


def test_an_unwritable_place_is_one_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "store")
    with pytest.raises(StoreError, match=r"^cannot write to the store [^\n]*; "):
        store.put(key("a"), b"x")
    assert store.get(key("a")) is None


FULL_DISK = """
import resource, sys
from pathlib import Path
from sitecodec.errors import StoreError
from sitecodec.disk.store import Store, key

store = Store(Path(sys.argv[1]))
store.put(key("small"), b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    store.put(key("large"), bytes(10_000))
except StoreError as error:
    print(error)
store.put(key("other"), b"other")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes to set")
def test_a_write_cut_short_leaves_a_usable_store(store):
    # A limit on file size stops a write in its middle, as a full disk does.
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(store.root)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cannot write to the store")
    assert done.stdout.count("\n") == 1
    assert store.get(key("large")) is None
    assert store.get(key("small")) == b"small"
    assert store.get(key("other")) == b"other"
    assert not list((store.root / "tmp").iterdir())


WRITER = """
import random, sys
from pathlib import Path
from sitecodec.disk.store import Store, key

store = Store(Path(sys.argv[1]))
rng = random.Random(int(sys.argv[2]))
print("ready", flush=True)
while True:
    i = rng.randrange(40)
    store.put(key(str(i)), str(i).encode() * rng.randrange(1, 60_000))
"""


def test_kill_9_leaves_no_corrupt_entry(store):
    rng = random.Random(1)
    for round_ in range(6):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(store.root), str(round_ * 2 + i)],
                stdout=subprocess.PIPE,
            )
            for i in range(2)
        ]
        for writer in writers:
            assert writer.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.02, 0.3))
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert store.stats().entries > 10
    assert store.verify() == ()
    for i in range(40):
        content = store.get(key(str(i)))
        assert content is None or set(content) <= set(str(i).encode())
    store.sweep(max_age=-1)
    assert not list((store.root / "tmp").iterdir())
    store.put(key("after"), b"after")
    assert store.get(key("after")) == b"after"


def test_two_processes_may_found_a_store_at_once(store):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.root), str(i)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for i in range(4)
    ]
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n", writer.stderr.read()
    while not any(store.root.glob("??/*")) and all(writer.poll() is None for writer in writers):
        time.sleep(0.05)
    time.sleep(0.2)
    for writer in writers:
        assert writer.poll() is None, writer.stderr.read()
        writer.kill()
        writer.communicate()
    assert store.verify() == ()


def test_an_entry_in_another_s_place_is_none(store):
    for name in ("a", "b"):
        store.put(key(name), name.encode())
    entry(store, key("a")).replace(entry(store, key("b")))
    assert store.get(key("b")) is None
    store.put(key("b"), b"b")
    entry(store, key("b")).rename(store.root / key("b")[:2] / key("a")[2:])
    assert len(store.verify()) == 1


def _link(path, outside):
    path.symlink_to(outside)


def _link_to_zeros(path, outside):
    path.symlink_to("/dev/zero")


def _pipe(path, outside):
    os.mkfifo(path)


def _socket(path, outside):
    import socket

    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def _endless(path, outside):
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names")
@pytest.mark.parametrize("make", [_link, _link_to_zeros, _pipe, _socket, _endless])
@pytest.mark.parametrize("kind", ["entry", "shard", "tmp", "tag"])
def test_only_plain_files_in_plain_folders_are_touched(store, tmp_path, make, kind):
    if kind == "tag" and make is _endless:
        pytest.skip("another program's")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.tmp").write_bytes(b"mine")
    os.utime(outside / "mine.tmp", (0, 0))
    (outside / key("a")[2:]).write_bytes(b"mine")
    before = files(outside)
    store.put(key("a"), b"a")
    path = {
        "entry": entry(store, key("a")),
        "shard": store.root / key("a")[:2],
        "tmp": store.root / "tmp",
        "tag": store.root / TAG,
    }[kind]
    if path.is_dir():
        for inner in path.iterdir():
            inner.unlink()
        path.rmdir()
    else:
        path.unlink()
    make(path, outside / key("a")[2:] if kind == "entry" else outside)
    assert store.get(key("a")) == (b"a" if kind in ("tmp", "tag") else None)
    if kind != "tag":
        assert (store.verify() != ()) == (kind in ("entry", "shard"))
        store.gc(max_age=-1)
    store.put(key("a"), b"again")
    assert store.get(key("a")) == b"again"
    assert store.verify() == ()
    store.clear()
    assert files(outside) == before
    assert (outside / key("a")[2:]).read_bytes() == b"mine"
    assert not store.root.exists()


def test_verify_asks_what_an_entry_is(store):
    store.put(key("a"), b"a")
    store.put(key("b"), b"b")
    assert store.verify(lambda name, content: content == b"b") == (key("a"),)
    assert store.get(key("b")) == b"b"


@pytest.mark.parametrize("inner", [(), ("a",), ("a/b",)])
def test_folders_in_the_place_of_entries_are_replaced_and_removed(store, inner):
    def spoil():
        path = entry(store, key("a"))
        path.unlink(missing_ok=True)
        path.mkdir()
        for name in inner:
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_bytes(b"x")

    store.put(key("a"), b"a")
    spoil()
    assert store.get(key("a")) is None
    store.put(key("a"), b"again")
    assert store.get(key("a")) == b"again"
    spoil()
    assert store.verify() == (key("a"),)
    assert store.verify() == ()
    store.put(key("a"), b"again")
    spoil()
    assert store.clear() == Usage(0, 0)
    assert not store.root.exists()

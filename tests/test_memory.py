"""What a build remembers: the next one gives the same, and never what holds no more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sitecodec.disk import seal
from sitecodec.disk.store import Store, key
from sitecodec.encoding import jobs
from sitecodec.page.urls import site_root
from sitecodec.settings import Settings
from sitecodec.site import memory as memory_module
from sitecodec.site import rewrite, survey
from sitecodec.site.build import Summary, rewrite_site
from sitecodec.site.entries import is_sound
from sitecodec.site.memory import Memory, of_site
from tests.test_rooms import ROOT, imported

# What pages do not depend on: how files are encoded, kept and written, and what is said of faults.
# What is encoded has keys of its own.
ELSEWHERE = (
    "encoding/ codecs/ engine/ models/ sd/ training/ disk/ facts/calibration.py facts/families.py"
    " facts/pixels.py facts/__init__.py terminal/__init__.py errors.py lettering.py metrics.py"
    " payload.py settings.py __init__.py"
).split()

PAGE = (
    '<html><head><link rel=stylesheet href="c.css" integrity=x><title>t</title></head>'
    '<body class="md-content"><main><img src="i/a.png" alt="\u00e9\udcff"><img src=i/v.svg>'
    '<img src=i/a.png data-sitecodec="quality=60"><img src="https://e.org/x.png">'
    "<picture><source srcset=i/b.png media=print><img src=i/none.png></picture></main>"
    '<p style="background:url(i/b.png)"><img src=../out.png><img src=/i/a.png>'
)
NAMES = ["index.html", "none.html", "sub/plain.html", "c.css", "d.css"]
SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='20'/>"

Remake = Callable[..., tuple[dict[str, bytes], Summary]]


@pytest.fixture(scope="module")
def photos(make: Any) -> dict[str, bytes]:
    return {name: make.file(make.photo(80, 120, seed)) for seed, name in enumerate("abc")}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has the outcomes, so that each photograph is encoded once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def settings(tmp_path: Path, encoded: Path) -> Settings:
    return Settings(store=encoded, workers=1, placeholder="colour")


@pytest.fixture
def remake(tmp_path: Path, settings: Settings, photos: dict[str, bytes]) -> Remake:
    """Make the site anew, with other files if any are given, and build it."""

    def build(
        files: dict[str, str | bytes | None] | None = None, base_path: str = "/", **changed: Any
    ) -> tuple[dict[str, bytes], Summary]:
        number = len(list(tmp_path.glob("site*")))
        site = tmp_path / f"site{number}"
        everything: dict[str, str | bytes | None] = {
            "index.html": PAGE,
            "sub/plain.html": "<img src=../i/b.png>",
            "none.html": "<p>",
            "c.css": "a{background:url(i/a.png)}",
            "d.css": "a{background:url(i/a.png)}",
            "i/a.png": photos["a"],
            "i/b.png": photos["b"],
            "i/v.svg": SVG.format(30),
        }
        for name, data in (everything | (files or {})).items():
            if data is not None:
                (site / name).parent.mkdir(parents=True, exist_ok=True)
                raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
                (site / name).write_bytes(raw)
        summary = rewrite_site(site, replace(settings, **changed), base_path=base_path)
        read = {
            path.relative_to(site).as_posix(): path.read_bytes()
            for path in site.rglob("*")
            if path.is_file()
        }
        return read, summary

    return build


@pytest.fixture
def forgotten(remake: Remake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remake:
    """The same without any memory."""

    def build(*arguments: Any, **named: Any) -> tuple[dict[str, bytes], Summary]:
        with monkeypatch.context() as patch:
            patch.setattr(
                "sitecodec.site.build.of_site",
                lambda settings, *_: Memory(Store(settings.store), "", {}, {}, {}),
            )
            return remake(*arguments, **named)

    return build


def test_a_second_build_gives_the_same_and_reads_no_page(
    remake: Remake, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = remake()
    assert first[1].problems
    assert len(first[1].encoded) == 2
    for module, name in ((survey, "survey_document"), (survey, "survey_sheet"), (rewrite, "spans")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("looked at again"))
    monkeypatch.setattr(jobs, "by_width", lambda _: pytest.fail("sorted again"))
    assert remake() == first


@pytest.mark.parametrize(
    ("files", "changed"),
    [
        ({"index.html": PAGE.replace("\u00e9", "e")}, {}),
        ({"i/v.svg": SVG.format(40)}, {}),  # of the same size in bytes
        ({"i/v.svg": SVG.format("")}, {}),
        ({"i/v.svg": None}, {}),
        ({"i/none.png": "b"}, {}),
        ({"i/a.png": "c"}, {}),
        ({"i/a.png": "b"}, {}),
        ({"i/b.png": "c"}, {}),
        ({"i/b.png": None}, {}),
        ({"i/b.png": b"no picture" * 999}, {}),
        ({"i/b.png": b"tiny"}, {}),
        ({"c.css": "a{}"}, {}),
        ({"d.css": None}, {}),
        ({"more.html": "<img src=i/a.png>"}, {}),
        ({"sub/plain.html": None}, {}),
        ({}, {"base_path": "/docs/"}),
        ({}, {"exclude": ("i/a.png",)}),
        ({}, {"asset_dir": "files"}),
        ({}, {"widths": (60,)}),
        ({}, {"min_bytes": 10**6}),
        ({}, {"placeholder": "off"}),
        ({}, {"browser": "always"}),
    ],
)
def test_what_changes_is_not_remembered(
    remake: Remake,
    forgotten: Remake,
    photos: dict[str, bytes],
    files: dict[str, str | bytes | None],
    changed: dict[str, Any],
) -> None:
    files = {name: photos.get(str(data), data) for name, data in files.items()}
    first = remake()
    after = remake(files, **changed)
    assert after == forgotten(files, **changed)
    assert after[0] != first[0]
    assert remake(files, **changed) == after
    assert remake() == first


def test_templates_are_those_of_this_build(
    remake: Remake, forgotten: Remake, tmp_path: Path
) -> None:
    first = remake()
    folder = tmp_path / "own"
    folder.mkdir()
    own = folder / "picture.html.jinja"
    own.write_text("<picture data-sitecodec><img{{ attributes }}{{ end }}</picture>")
    second = remake(templates=folder)
    assert second[0] != first[0]
    own.write_text("<picture data-sitecodec>{% include 'part' %}<img{{ attributes }}{{ end }}")
    (folder / "part").write_text("one")
    third = remake(templates=folder)
    (folder / "part").write_text("two")
    fourth = remake(templates=folder)
    assert b"<picture data-sitecodec>one<img" in third[0]["index.html"]
    assert fourth == forgotten(templates=folder)
    assert b"<picture data-sitecodec>two<img" in fourth[0]["index.html"]


def test_other_code_remembers_nothing(
    settings: Settings, remake: Remake, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["index.html", "none.html", "sub/plain.html", "c.css", "d.css"]
    remake()
    assert of_site(settings, site_root("/"), names).earlier
    assert not of_site(settings, site_root("/"), [*names, "\udcff.html"]).earlier
    monkeypatch.setattr(memory_module, "_digest", lambda _: b"of another version")
    assert not of_site(settings, site_root("/"), names).earlier


@pytest.fixture
def entry(remake: Remake, settings: Settings) -> tuple[str, dict[str, Any]]:
    """The key of what is remembered, and what it is."""
    remake()
    memory = of_site(settings, site_root("/"), NAMES)
    assert memory.earlier["pages"].keys() == set(NAMES) - {"c.css"}
    assert len(memory.earlier["images"]) == 2
    return memory.key, memory.earlier


def put(settings: Settings, name: str, values: Any) -> None:
    """Put values into the store with the seal of this user, as only builds can."""
    data = seal.sealed(name, json.dumps(values).encode())
    assert data is not None
    Store(settings.store).put(name, data)


def remembered(settings: Settings, name: str) -> Any:
    data = Store(settings.store).get(name)
    assert data is not None
    content = seal.unsealed(name, data)
    return None if content is None else json.loads(content)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values within plain values."""
    yield way
    if isinstance(value, (dict, list)):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[name], (*way, name))


def changed(values: Any, way: tuple[Any, ...], worst: Any) -> Any:
    if not way:
        return worst
    copy = dict(values) if isinstance(values, dict) else list(values)
    copy[way[0]] = changed(copy[way[0]], way[1:], worst)
    return copy


WORST = ("../../outside", "/etc/passwd", "<script>x</script>", None, -1, 10**400, [], {}, [[[]]])


def test_what_others_have_written_counts_for_nothing(
    remake: Remake, settings: Settings, entry: tuple[str, Any]
) -> None:
    """Each field at its worst, without our seal or with that of something else."""
    first = remake()
    store, (name, values) = Store(settings.store), entry
    good = store.get(name)
    assert good is not None
    trailer = good[good.rindex(b', "seal"') :]
    for number, way in enumerate(places(values)):
        worse = changed(values, way, WORST[number % len(WORST)])
        if worse == values or not isinstance(worse, dict):
            continue
        forged = json.dumps(worse).encode()
        store.put(name, forged[:-1] + trailer)
        assert not of_site(settings, site_root("/"), NAMES).earlier
        assert not is_sound(name, forged[:-1] + trailer)
        if number % 20 == 0:
            assert remake() == first
    other = seal.sealed(key("another"), json.dumps(values).encode())
    assert other is not None
    store.put(name, other)
    assert not of_site(settings, site_root("/"), NAMES).earlier


@pytest.mark.parametrize("worst", WORST, ids=repr)
def test_names_of_files_stay_in_their_folder_whoever_has_sealed_them(
    remake: Remake, settings: Settings, entry: tuple[str, Any], tmp_path: Path, worst: Any
) -> None:
    first = remake()
    before = sorted(tmp_path.rglob("*outside*"))
    name, values = entry
    for kept in values["images"].values():
        for size in kept[2][2]:
            size[0] = dict.fromkeys(size[0], worst)
    put(settings, name, values)
    assert remake() == first
    assert sorted(tmp_path.rglob("*outside*")) == before


def test_without_a_place_for_a_secret_nothing_is_remembered(
    remake: Remake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = remake()
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    assert remake() == first
    assert not of_site(settings, site_root("/"), NAMES).earlier


@pytest.mark.parametrize("damage", [b"[]", b"{", b"\xff", b"null", b'{"pages": [], "images": 1}'])
def test_an_entry_of_another_kind_is_none(
    remake: Remake, settings: Settings, entry: tuple[str, Any], damage: bytes
) -> None:
    first = remake()
    Store(settings.store).put(entry[0], damage)
    assert remake() == first
    assert remembered(settings, entry[0]) == entry[1]  # it was written anew


def test_a_damaged_entry_is_none(
    remake: Remake, settings: Settings, entry: tuple[str, Any]
) -> None:
    first = remake()
    path = Store(settings.store).path(entry[0])
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"<picture") + 1] ^= 1
    path.write_bytes(raw)
    assert remake() == first
    assert remembered(settings, entry[0]) == entry[1]  # and is there again


@pytest.mark.parametrize("values", [[], {}, None, [1], ["x", [], None, []], 5, "text"])
def test_records_of_another_kind_are_none(
    remake: Remake, settings: Settings, entry: tuple[str, Any], values: Any
) -> None:
    first = remake()
    damaged = {kind: dict.fromkeys(known, values) for kind, known in entry[1].items()}
    put(settings, entry[0], damaged)
    assert remake() == first


def test_spans_that_do_not_fit_are_made_again(
    remake: Remake, settings: Settings, entry: tuple[str, Any]
) -> None:
    first = remake()
    for values in entry[1]["pages"].values():
        values[5] = [[5, 1, "x"]]
    put(settings, entry[0], entry[1])
    assert remake() == first


def test_files_are_those_that_the_store_has_now(
    remake: Remake, settings: Settings, entry: tuple[str, Any]
) -> None:
    """An outcome that came out otherwise since: other bytes belong under other names."""
    first = remake()
    store = Store(settings.store)
    name = next(iter(entry[1]["images"]))
    data = store.get(name)
    assert data is not None
    store.put(name, data[:-1] + bytes([data[-1] ^ 1]))
    second = remake()
    old, new = (
        {path: data for path, data in built.items() if re.search(r"-[0-9a-f]{12}-", path)}
        for built, _ in (first, second)
    )
    assert len(old) == len(new)
    assert len(old.keys() - new.keys()) > 1
    assert all(new[path] == old[path] for path in old.keys() & new.keys())
    store.put(name, data)
    assert remake() == first


def test_what_is_gone_is_forgotten(
    remake: Remake, settings: Settings, entry: tuple[str, Any]
) -> None:
    remake({"index.html": "<p>", "c.css": "a{}", "d.css": "a{}"})
    names = ["index.html", "none.html", "sub/plain.html", "c.css", "d.css"]
    memory = of_site(settings, site_root("/"), names)
    assert len(memory.earlier["images"]) == 1


def test_a_store_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "foreign.txt").write_text("somebody else's")
    Memory(Store(tmp_path), key("x"), {}, {}, {}).keep()
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.txt"]


def test_a_page_is_forgotten_when_any_code_that_makes_pages_changes() -> None:
    reached: set[str] = set()
    ahead = ["sitecodec/site/rewrite.py"]
    while ahead:
        module = ahead.pop()
        path = module.removeprefix("sitecodec/")
        if module in reached or path.startswith(tuple(ELSEWHERE)):
            continue
        reached.add(module)
        ahead += [other for _, other in imported((ROOT / module).read_text())]
    paths = {module.removeprefix("sitecodec/") for module in reached}
    assert len(paths) > 30
    assert {path for path in paths if not path.startswith(tuple(memory_module.CODE))} == set()

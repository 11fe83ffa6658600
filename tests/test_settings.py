import os
import pickle
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from sitecodec import settings
from sitecodec.errors import SettingsError
from sitecodec.settings import Settings


def write(tmp_path, text):
    path = tmp_path / "sitecodec.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_valid_frozen_and_picklable():
    default = Settings()
    assert pickle.loads(pickle.dumps(default)) == default
    with pytest.raises(FrozenInstanceError):
        default.quality = 3


def test_a_missing_file_gives_the_defaults_with_the_store_beside_it(tmp_path):
    loaded = settings.load(tmp_path / "sitecodec.toml")
    assert loaded.store == tmp_path.resolve() / ".cache/sitecodec"
    assert loaded.quality == Settings().quality


def test_every_setting_can_be_loaded(tmp_path):
    text = """
        quality = 30
        min_tile_score = -5.5
        codec = "sd"
        model = "sd15"
        effort = 6
        widths = [1600, 800, 800]
        exclude = ["assets/logo.png", "blog/**"]
        markup = "img"
        asset_dir = "static/latents"
        min_bytes = 0
        max_pixels = 1000
        originals = "drop"
        placeholder = "blur"
        store = "../cache"
        templates = "overrides"
        workers = 2
        browser = "never"
    """
    loaded = settings.load(write(tmp_path, text))
    base = tmp_path.resolve()
    assert loaded == Settings(
        quality=30,
        min_tile_score=-5.5,
        codec="sd",
        model="sd15",
        effort=6,
        widths=(800, 1600),
        exclude=("assets/logo.png", "blog/**"),
        markup="img",
        asset_dir="static/latents",
        min_bytes=0,
        max_pixels=1000,
        originals="drop",
        placeholder="blur",
        store=base / "../cache",
        templates=base / "overrides",
        workers=2,
        browser="never",
    )
    assert all(f"{field.name} =" in text for field in fields(Settings))


def test_an_absolute_path_stays_absolute(tmp_path):
    where = tmp_path / "elsewhere"
    assert settings.from_mapping({"store": where}, Path("/base")).store == where


def test_templates_may_be_none():
    assert settings.from_mapping({"templates": None}, Path("/base")).templates is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quality", -1),
        pytest.param("quality", 10**5000, id="quality of thousands of digits"),
        pytest.param("widths", [10**5000], id="widths of thousands of digits"),
        pytest.param("asset_dir", 10**5000, id="asset_dir of thousands of digits"),
        ("quality", 100.5),
        ("quality", float("nan")),
        ("quality", "best"),
        ("quality", True),
        ("min_tile_score", 101),
        ("effort", 10),
        ("effort", 5.5),
        ("min_bytes", -1),
        ("min_bytes", 1.5),
        ("max_pixels", 0),
        ("workers", -1),
        ("workers", True),
        ("exclude", "one.png"),
        ("exclude", [1]),
        ("asset_dir", ""),
        ("asset_dir", "/abs"),
        ("asset_dir", "a/../b"),
        ("asset_dir", "a//b"),
        ("asset_dir", "a\\b"),
        ("asset_dir", 3),
        ("browser", "sometimes"),
        ("browser", True),
        ("store", None),
        ("store", 3),
        ("templates", []),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_setting(name, value):
    with pytest.raises(SettingsError, match=f"^{name} must be [^\n]+$"):
        settings.from_mapping({name: value}, Path("/base"))


def test_an_unknown_setting_lists_the_known_ones():
    with pytest.raises(SettingsError, match=r"unknown setting 'qualty'; known: .*quality"):
        settings.from_mapping({"qualty": 50}, Path("/base"))


@pytest.mark.parametrize("text", ["quality = ", "\0", "a = 1\na = 2"])
def test_bad_toml_names_the_file(tmp_path, text):
    with pytest.raises(SettingsError, match=r"cannot read .*sitecodec\.toml: "):
        settings.load(write(tmp_path, text))


def test_a_file_that_is_not_utf8_names_the_file(tmp_path):
    path = tmp_path / "sitecodec.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot read"):
        settings.load(path)


def test_a_folder_instead_of_a_file_names_it(tmp_path):
    with pytest.raises(SettingsError, match="cannot read"):
        settings.load(tmp_path)


def test_the_options_of_the_plugin_are_read_from_mkdocs_yml(tmp_path):
    path = tmp_path / "mkdocs.yml"
    path.write_text(
        "site_name: !ENV [NAME, x]\nmarkdown_extensions:\n"
        "  - x: {f: !!python/name:material.emoji.twemoji }\n"
        "plugins:\n  - search\n  - sitecodec:\n      quality: high\n      store: kept\n"
    )
    assert settings.load(path) == Settings(quality=75, store=tmp_path / "kept")
    path.write_text("plugins:\n  search: {}\n  sitecodec:\n    effort: 1\n")
    assert settings.load(path).effort == 1
    path.write_text("plugins: [search, sitecodec]\n")
    assert settings.load(path) == Settings(store=tmp_path / Settings.store)


@pytest.mark.parametrize("text", ["site_name: x", "plugins:", "plugins: [search]", "- a", "", "3"])
def test_an_mkdocs_yml_without_the_plugin_says_so(tmp_path, text):
    path = tmp_path / "mkdocs.yml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"^[^\n]*mkdocs\.yml has no plugin sitecodec; [^\n]+$"):
        settings.load(path)


@pytest.mark.parametrize("text", ["plugins: [", "a: *b", "\0", "a:\n\t- b"])
def test_a_bad_mkdocs_yml_is_one_line(tmp_path, text):
    path = tmp_path / "mkdocs.yml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"^cannot read [^\n]*mkdocs\.yml: [^\n]+$"):
        settings.load(path)


def test_without_a_name_the_first_file_that_has_settings_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings.load() == Settings(store=tmp_path / Settings.store)
    (tmp_path / "mkdocs.yml").write_text("site_name: of somebody who does without the plugin")
    assert settings.load() == Settings(store=tmp_path / Settings.store)
    (tmp_path / "mkdocs.yml").write_text("plugins:\n  - sitecodec: {effort: 2}\n")
    assert settings.load().effort == 2
    (tmp_path / "sitecodec.toml").write_text("effort = 1")
    assert settings.load().effort == 1


@pytest.mark.parametrize(("name", "score"), [("low", 50), ("medium", 65), ("high", 75)])
def test_qualities_have_names(tmp_path, name, score):
    assert settings.load(write(tmp_path, f'quality = "{name}"')).quality == score
    assert settings.quality_of(name) == settings.quality_of(str(score)) == score


def test_an_unknown_quality_names_the_known_ones():
    with pytest.raises(SettingsError, match="number or one of low, medium, high, not 'best'"):
        settings.quality_of("best")


@pytest.mark.parametrize("value", ["[1.5]", "[10]", "7", '["a"]', "[true]"])
def test_wrong_widths(tmp_path, value):
    with pytest.raises(SettingsError, match="widths must be"):
        settings.load(write(tmp_path, f"widths = {value}"))


def test_the_manual_has_every_setting_with_its_default_and_words():
    page = (Path(__file__).parent.parent / "docs/settings.md").read_text(encoding="utf-8")
    sections = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    assert list(sections) == [field.name for field in fields(Settings)]
    source = Path(settings.__file__).read_text(encoding="utf-8")
    for field in fields(Settings):
        text = " ".join(sections[field.name].split())
        words = source.partition(f"    {field.name}: ")[2].partition('"""')[2].partition('"""')[0]
        assert " ".join(words.split()) in text
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        shown = text.partition("`")[2].partition("`")[0].strip('"')
        assert shown in (str(default), f"{default:.1f}" if isinstance(default, float) else "")


def test_values_that_aliases_make_a_billion_of_are_one_line(tmp_path: Path) -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    for above, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{','.join([f'*{above}'] * 9)}]")
    for value in ("quality: *i", "widths: *i", "exclude: *i", "codec: *i", "*i : 1"):
        text = "\n".join([*lines, "plugins:", " - sitecodec:", f"    {value}"])
        (tmp_path / "mkdocs.yml").write_text(text)
        with pytest.raises(SettingsError) as raised:
            settings.load(tmp_path / "mkdocs.yml")
        assert len(str(raised.value)) < 3000
    merges = ["a: &a {" + ",".join(f"k{n}: 1" for n in range(9)) + "}"]
    for above, name in zip("abcdefgh", "bcdefghi", strict=True):
        merges.append(f"{name}: &{name} {{<<: [{','.join([f'*{above}'] * 9)}]}}")
    (tmp_path / "mkdocs.yml").write_text("\n".join(merges))
    with pytest.raises(SettingsError, match=r"too many keys|has no plugin"):  # by PyYAML's version
        settings.load(tmp_path / "mkdocs.yml")


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_a_pipe_is_no_file_of_settings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sitecodec.toml")
    with pytest.raises(SettingsError, match="not a file"):
        settings.load(tmp_path / "sitecodec.toml")


def test_a_key_of_thousands_of_parts_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "sitecodec.toml").write_text(".".join("a" * 20_000) + " = 1")
    with pytest.raises(SettingsError, match="too many dots"):
        settings.load(tmp_path / "sitecodec.toml")


@pytest.mark.parametrize(
    "value", ["!!bool x", '!!int ""', '!!float ""', "!!timestamp foo", "&a *a"]
)
def test_values_that_yaml_cannot_make_are_one_line(tmp_path: Path, value: str) -> None:
    (tmp_path / "mkdocs.yml").write_text(f"plugins:\n - sitecodec:\n    quality: {value}\n")
    with pytest.raises(SettingsError, match="cannot read"):
        settings.load(tmp_path / "mkdocs.yml")


@pytest.mark.parametrize("name", ["store", "templates", "asset_dir"])
@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_a_folder_that_no_file_system_can_have(name: str, character: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} has characters that no folder's name has"):
        settings.from_mapping({name: f"a{character}b"}, Path())

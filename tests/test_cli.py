import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sitecodec.cli import main
from sitecodec.encoding import images
from sitecodec.report import weight
from sitecodec.terminal import printing


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(4)
    y, x = np.mgrid[0:120, 0:160]
    base = 120 + 90 * np.sin(x / 11 + y / 23)
    pixels = (base[..., None] + rng.normal(0, 9, (120, 160, 3))).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.skipif(sys.platform == "win32", reason="sh")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_end_no_build(photo, tmp_path, closed):
    (tmp_path / "site").mkdir()
    photo.rename(tmp_path / "site/photo.png")
    (tmp_path / "site/index.html").write_text("<img src=photo.png>")
    line = f'"{sys.executable}" -m sitecodec build site {closed}'
    assert subprocess.run(["sh", "-c", line], cwd=tmp_path).returncode == 0
    assert "<picture" in (tmp_path / "site/index.html").read_text()


@pytest.mark.parametrize("text", ["##[error]x", "##vso[task]x", "##teamcity[x 'y']"])
def test_names_are_no_commands_to_ci_runners(text):
    assert "##" not in printing.printable(text)
    assert printing.printable("a ## b") == "a ## b"


def test_encode_info_decode(run, photo, tmp_path):
    done = run("encode", photo, "photo.slat", "--quality", 60)
    assert done.exit_code == 0, done.output
    assert "160x120" in done.output
    told = run("info", "photo.slat", "--json")
    assert json.loads(told.output) == {
        "codec": "web",
        "model": "web-1",
        "fingerprint": json.loads(told.output)["fingerprint"],
        "width": 160,
        "height": 120,
        "quality": 60.0,
        "bytes": (tmp_path / "photo.slat").stat().st_size,
        "bits_per_pixel": round(8 * (tmp_path / "photo.slat").stat().st_size / 19200, 4),
    }
    assert "bits per pixel" in run("info", "photo.slat").output
    assert run("decode", "photo.slat", "back.png").exit_code == 0
    with Image.open(tmp_path / "back.png") as back, Image.open(photo) as source:
        assert back.size == (160, 120)
        assert np.abs(np.asarray(back, int) - np.asarray(source, int)).mean() < 12


def test_what_cannot_be_encoded_is_said_in_one_line(run, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n garbage")
    done = run("encode", "bad.png", "x.slat")
    assert done.exit_code == 1
    assert done.output.startswith("Error: bad.png")
    assert done.output.count("\n") == 1
    Image.new("RGBA", (64, 64), (1, 2, 3, 0)).save(tmp_path / "nothing.png")
    assert "transparent all over" in run("encode", "nothing.png", "x.slat").output
    Image.new("RGBA", (64, 64), (1, 2, 3, 100)).save(tmp_path / "alpha.png")
    assert "has transparency" in run("encode", "alpha.png", "x.slat", "--codec", "sd").output
    assert not (tmp_path / "x.slat").exists()


def test_alpha_goes_there_and_back(run, tmp_path):
    pixels = np.full((40, 50, 4), 200, np.uint8)
    pixels[..., 3] = np.arange(50) * 5
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    assert run("encode", "alpha.png", "x.slat").exit_code == 0
    held = json.loads(run("info", "x.slat", "--json").output)
    assert 0 < held["alpha_bytes"] < held["bytes"]
    assert run("decode", "x.slat", "back.png").exit_code == 0
    with Image.open(tmp_path / "back.png") as back:
        np.testing.assert_array_equal(np.asarray(back)[..., 3], pixels[..., 3])
    refused = run("decode", "x.slat", "back.jpg")
    assert refused.exit_code == 2
    assert "use .png" in refused.output
    assert not (tmp_path / "back.jpg").exists()


def test_what_cannot_be_decoded_is_said_in_one_line(run, photo, tmp_path):
    run("encode", photo, "photo.slat")
    data = (tmp_path / "photo.slat").read_bytes()
    (tmp_path / "cut.slat").write_bytes(data[:-3])
    done = run("decode", "cut.slat", "x.png")
    assert done.exit_code == 1
    assert "checksum" in done.output
    assert run("info", photo).exit_code == 1
    assert run("decode", "photo.slat", "x.unknown").exit_code == 2


def test_wrong_use_exits_with_2(run, photo, tmp_path):
    assert run("encode", photo, "x.slat", "--quality", 101).exit_code == 2
    assert run("encode", "nothing.png", "x.slat").exit_code == 2
    (tmp_path / "sitecodec.toml").write_text("qality = 3\n")
    (tmp_path / "site").mkdir()
    done = run("build", "site")
    assert done.exit_code == 2
    assert "unknown setting 'qality'" in done.output


def test_flat_graphics_as_they_are(run, photo, make, tmp_path):
    screen = tmp_path / "screen.png"
    screen.write_bytes(make.file(make.page(120, 200)))
    assert run("encode", screen, "screen.slat", "--codec", "flat").exit_code == 0
    assert "none needed" in run("info", "screen.slat").output
    assert run("decode", "screen.slat", "again.png").exit_code == 0
    assert (images.decode((tmp_path / "again.png").read_bytes()) == make.page(120, 200)).all()
    refused = run("encode", photo, "photo.slat", "--codec", "flat")
    assert refused.exit_code == 1
    assert "photo.png: " in refused.output
    assert "use the codec web" in refused.output
    assert run("encode", screen, "x.slat", "--codec", "flat", "--max-bytes", 99).exit_code == 2


def test_build_and_cache(run, photo, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    photo.rename(site / "photo.png")
    (site / "index.html").write_text('<p><img src="photo.png" alt="a"><img src="gone.png"></p>')
    done = run("build", "site")
    assert done.exit_code == 0, done.output
    assert "gone.png" in done.output
    page = (site / "index.html").read_text()
    assert "<picture" in page
    assert '<img src="gone.png">' in page
    usage = json.loads(run("cache", "stats", "--json").output)
    # What came of the picture, what was measured of it; the site; what is installed; how small
    # engine, model and scripts pack.
    assert usage["entries"] == 7
    assert run("cache", "verify").exit_code == 0
    entry = next((tmp_path / ".cache" / "sitecodec").glob("[0-9a-f][0-9a-f]/*"))
    entry.write_bytes(entry.read_bytes()[:-1])
    assert run("cache", "verify").exit_code == 1
    assert json.loads(run("cache", "stats", "--json").output)["entries"] == 6
    assert run("build", "site", "--strict").exit_code == 1
    assert run("cache", "gc").exit_code == 2
    assert run("cache", "gc", "--max-size", "0MB", "--max-age", "30d").exit_code == 0
    assert run("cache", "gc", "--max-age", "soon").exit_code == 2
    assert run("cache", "clear").exit_code == 0


def test_every_command_has_help_with_an_example():
    def walk(group, path):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, [*path, name])
            else:
                yield [*path, name]

    for command in walk(main, []):
        shown = CliRunner().invoke(main, [*command, "--help"])
        assert shown.exit_code == 0
        if command[0] != "cache":
            assert "Example:" in shown.output


def test_numbers_that_are_none_are_wrong_use(run, photo):
    for option in ("--quality", "--target-score"):
        done = run("encode", photo, "x.slat", option, "nan")
        assert done.exit_code == 2, done.output
        assert "nan is not a number" in done.output
    assert run("cache", "gc", "--max-size", "9" * 5000 + "MB").exit_code == 0
    assert weight.parse_budget(f"page={'9' * 5000}kB") == ("page", 10**18)

"""sitecodec.hosts: what another host has to do, which is one module of a few lines."""

import logging
from pathlib import Path

from PIL import Image

from sitecodec.hosts.host import Built, rewrite
from sitecodec.settings import Settings


def build_finished(out: Path, store: Path) -> Built:
    """What a host does whose program calls it with the folder that it has built."""
    return Built(out, Settings(store=store, min_bytes=64, quality=50), base_path="/book/")


def test_a_host_says_where_its_site_is_and_the_rest_is_done(tmp_path, make, caplog):
    site = tmp_path / "out"
    site.mkdir()
    Image.fromarray(make.photo(90, 120)).save(site / "a.jpg", quality=97)
    (site / "index.html").write_text("<main><img src=/book/a.jpg><img src=/book/gone.png></main>")
    log = logging.getLogger("another.host")
    with caplog.at_level(logging.INFO, logger=log.name):
        summary = rewrite(build_finished(site, tmp_path / "store"), log)
    assert summary is not None
    assert [row.path for row in summary.encoded] == ["a.jpg"]
    assert "<picture" in (site / "index.html").read_text()
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert ["gone.png" in line for line in warnings] == [True]
    assert "1 image encoded" in caplog.text


def test_off_leaves_the_site_as_the_host_made_it(tmp_path, monkeypatch, caplog):
    (tmp_path / "index.html").write_text("<main><img src=gone.png></main>")
    monkeypatch.setenv("SITECODEC", "off")
    assert rewrite(build_finished(tmp_path, tmp_path / "store"), logging.getLogger("x")) is None
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]

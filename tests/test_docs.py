import importlib
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
reference = importlib.import_module("reference")

PAGES = sorted((ROOT / "docs").glob("*.md"))


def test_the_commands_page_is_what_the_commands_say():
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), (
        "run python scripts/reference.py"
    )


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=lambda p: p.name)
def test_links_within_the_repository_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (path.parent / target).exists(), target


def test_every_page_of_the_manual_is_in_its_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = {next(iter(entry.values())) for entry in yaml.safe_load(text)["nav"]}
    assert named == {path.name for path in PAGES}


def test_commands_named_in_the_manual_exist():
    known = {name for name, _ in reference.commands(reference.sitecodec, "sitecodec")}
    for path in [ROOT / "README.md", *PAGES]:
        for line in re.findall(
            r"^(sitecodec [a-z ]+?)(?= [^a-z]|$)", path.read_text(), re.MULTILINE
        ):
            words = line.split()
            assert " ".join(words[:2]) in known, f"{path.name}: {line}"


@pytest.mark.parametrize("name", ["latents.js", "latents.css"])
def test_the_manual_shows_latents_with_the_example_site_s_script(name):
    copies = [ROOT / folder / "assets" / name for folder in ("docs", "example_site/docs")]
    assert copies[0].read_bytes() == copies[1].read_bytes()

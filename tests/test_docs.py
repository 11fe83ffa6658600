import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
reference = importlib.import_module("reference")

PAGES = sorted((ROOT / "docs").glob("*.md"))


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its words, groups included."""
    todo = [("sitecodec", reference.sitecodec)]
    while todo:
        name, command = todo.pop()
        yield name, command
        if isinstance(command, click.Group):
            todo += [(f"{name} {below}", part) for below, part in command.commands.items()]


COMMANDS = dict(all_commands())
OPTIONS = [
    pytest.param(command, option, id=f"{name} {option.opts[0]}")
    for name, command in sorted(COMMANDS.items())
    for option in command.params
    if isinstance(option, click.Option)
]


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_the_reference_is_what_the_code_says(name):
    written = (reference.DOCS / name).read_text(encoding="utf-8")
    assert written == reference.PAGES[name](), "run python scripts/reference.py"


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_the_help_of_an_option_is_a_sentence_and_names_its_default(command, option):
    words = option.help or ""
    assert re.search(r"^[A-Za-z].{8,}[.]$", words, re.DOTALL), words
    context = click.Context(command, info_name=command.name)
    default = option.get_default(context)
    shown = " ".join((option.get_help_record(context) or ("", ""))[1].split())
    if option.is_flag and not option.secondary_opts:
        assert default is False
    elif default not in (None, "", ()) and isinstance(default, (str, int, float)):
        assert f"[default: {default}" in shown


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=lambda p: p.name)
def test_links_within_the_repository_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (path.parent / target).exists(), target


def test_every_page_of_the_manual_is_in_its_navigation_once():
    class Loader(yaml.SafeLoader):
        """MkDocs knows tags such as !ENV."""

    Loader.add_multi_constructor("", lambda loader, suffix, node: None)
    groups = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]
    assert [name for group in groups for name in group] == [
        *("Start", "How-to", "Reference", "Explanation")
    ]
    entries = [entry for group in groups for entries in group.values() for entry in entries]
    assert sorted(page for entry in entries for page in entry.values()) == [p.name for p in PAGES]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as MkDocs makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", h).strip().lower()) for h in headings}


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=lambda p: p.name)
def test_anchors_within_the_manual_exist(path):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", path.read_text("utf-8")):
        if not target.startswith(("http:", "https:")):
            found = (path.parent / target) if target else path
            assert anchor in anchors(found), f"{target}#{anchor}"


def lines_of_commands(path: Path) -> Iterator[str]:
    """Each call of sitecodec in a page's blocks of code, and in code within its text."""
    text = path.read_text(encoding="utf-8")
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    blocks = [code for language, code in fence.findall(text) if language in ("", "sh", "yaml")]
    text = fence.sub("", text)
    for code in [*blocks, *re.findall(r"`([^`\n]+)`", text)]:
        for line in re.findall(r"(?:^|&& |- |run: )(sitecodec [a-z][^&#\n]*)", code, re.MULTILINE):
            yield line.strip()


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=lambda p: p.name)
def test_commands_named_in_the_manual_exist_with_their_options(path):
    for line in lines_of_commands(path):
        words = shlex.split(line.replace("…", ""))
        name = " ".join(words[:3]) if " ".join(words[:3]) in COMMANDS else " ".join(words[:2])
        assert name in COMMANDS, line
        command = COMMANDS[name]
        known = {
            name for option in command.params for name in (*option.opts, *option.secondary_opts)
        }
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= known | {"--help", "-h"}, line


@pytest.mark.parametrize("name", ["latents.js", "latents.css"])
def test_the_manual_shows_latents_with_the_example_site_s_script(name):
    copies = [ROOT / folder / "assets" / name for folder in ("docs", "example_site/docs")]
    assert copies[0].read_bytes() == copies[1].read_bytes()


def test_the_changelog_has_the_groups_of_keep_a_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    known = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    groups = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert groups
    assert set(groups) <= known
    # Changes are listed by group, and dates are those of releases.
    assert re.findall(r"^- \d{4}-.*$", text, re.MULTILINE) == []

"""Writes docs/commands.md and docs/settings.md from the code: `python scripts/reference.py`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click

from sitecodec import settings
from sitecodec.cli import main as sitecodec
from sitecodec.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
COMMANDS = """# Commands

This page shows the output of `--help` for every command. `python scripts/reference.py` writes it.

Every command exits with 0 if it succeeded, with 1 if it found problems, and with 2 if it was used
wrongly.
"""
SETTINGS = """# Settings

All settings have defaults, and most sites need none.

In `mkdocs.yml`, settings stand under the plugin:

```yaml
# mkdocs.yml
plugins:
  - sitecodec:
      quality: high
      exclude: ["assets/logo.png", "blog/**"]
```

Other sites put them into `sitecodec.toml`:

```toml
# sitecodec.toml
quality = "high"
exclude = ["assets/logo.png", "blog/**"]
```

Commands read the first of `sitecodec.toml`, `mkdocs.yml` and `properdocs.yml` that they find in the
current folder. `--config FILE` names another file.

An attribute in the page can override two settings for one image. `data-sitecodec="off"` leaves the
image as it is. `data-sitecodec="quality=75"` asks for a score; if several tags show the image, the
highest score counts.

`python scripts/reference.py` writes this page from `sitecodec/settings.py`.
"""


def commands(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Name and help of a command and of all below it, groups first."""
    context = click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=80,
        max_content_width=80,
        **command.context_settings,
    )
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for below in sorted(command.commands):
            yield from commands(command.commands[below], below, context)


def commands_page() -> str:
    """The page of all commands."""
    sections = [
        f"## {name}\n\n```text\n{text}\n```\n" for name, text in commands(sitecodec, "sitecodec")
    ]
    return "\n".join([COMMANDS, *sections])


def settings_page() -> str:
    """The page of all settings: name, default, and the words that stand below each in the code."""
    source = Path(settings.__file__).read_text(encoding="utf-8")
    sections = [SETTINGS]
    for field in fields(Settings):
        below = source.partition(f"    {field.name}: ")[2]
        words = " ".join(below.partition('"""')[2].partition('"""')[0].split())
        text = textwrap.fill(words, 100, break_long_words=False, break_on_hyphens=False)
        sections.append(f"## {field.name}\n\nDefault: {_default(field.default)}\n\n{text}\n")
    return "\n".join(sections)


def _default(value: object) -> str:
    if isinstance(value, Path):
        value = value.as_posix()
    if isinstance(value, tuple):
        value = list(value)
    if value in ("", None, []):
        return f"none (`{value!r}`)".replace("''", '""')
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


PAGES = {"commands.md": commands_page, "settings.md": settings_page}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")

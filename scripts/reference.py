"""Writes docs/commands.md from the commands' own help: `python scripts/reference.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from sitecodec.cli import main as sitecodec

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
INTRODUCTION = """# Commands

What `--help` says, written here by `python scripts/reference.py`. Every command exits with 0 when
done, 1 when it found problems, 2 when it was used wrongly.
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


def page() -> str:
    """The whole page."""
    sections = [
        f"## {name}\n\n```text\n{text}\n```\n" for name, text in commands(sitecodec, "sitecodec")
    ]
    return "\n".join([INTRODUCTION, *sections])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

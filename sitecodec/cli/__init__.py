"""The commands: they parse, call and print."""

from sitecodec.cli.commands import main

__all__ = ["main"]

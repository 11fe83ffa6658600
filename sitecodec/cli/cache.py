"""The commands that look after the store: `sitecodec cache`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import click

from sitecodec import settings
from sitecodec.cli.options import config_option, json_option
from sitecodec.disk.store import Store, Usage

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMG]?)B?", re.IGNORECASE)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([hdw])", re.IGNORECASE)


@click.group()
@config_option
@click.pass_context
def cache(ctx: click.Context, config: Path | None) -> None:
    """Inspect and clean the store of encoded images."""
    ctx.obj = Store(settings.load(config).store)


@cache.command()
@json_option
@click.pass_obj
def stats(store: Store, as_json: bool) -> None:
    """Print the number of entries in the store, and their size."""
    usage = store.stats()
    if as_json:
        values = {"store": str(store.root), "entries": usage.entries, "bytes": usage.size}
        click.echo(json.dumps(values))
    else:
        click.echo(f"{store.root}: {_usage(usage)}")


@cache.command()
@click.pass_obj
def verify(store: Store) -> None:
    """Read every entry and remove damaged ones. Exits with 1 if there were any."""
    from sitecodec.site import entries

    damaged = store.verify(entries.is_sound)
    for key in damaged:
        click.echo(f"removed a damaged entry: {key}", err=True)
    if damaged:
        sys.exit(1)
    click.echo(f"{store.root}: {_usage(store.stats())}, all sound")


@cache.command()
@click.option(
    "--max-size",
    help="Keep at most this many bytes, such as 500MB or 2GB. The least recently used entries go"
    " first.",
)
@click.option(
    "--max-age",
    help="Remove entries not used within this period, such as 12h, 30d or 8w.",
)
@click.pass_obj
def gc(store: Store, max_size: str | None, max_age: str | None) -> None:
    """Remove old entries, or the entries beyond a size. Give one or both options.

    \b
    Example: sitecodec cache gc --max-age 30d --max-size 500MB
    """
    if max_size is None and max_age is None:
        raise click.UsageError("say what to remove: --max-size, --max-age or both")
    removed = store.gc(
        max_bytes=None if max_size is None else _bytes(max_size),
        max_age=None if max_age is None else _seconds(max_age),
    )
    click.echo(f"removed {_usage(removed)}; left {_usage(store.stats())}")


@cache.command()
@click.pass_obj
def clear(store: Store) -> None:
    """Remove all entries. The next build encodes every image again."""
    click.echo(f"removed {_usage(store.clear())}")


def _usage(usage: Usage) -> str:
    noun = "entry" if usage.entries == 1 else "entries"
    return f"{usage.entries} {noun}, {usage.size / 1e6:.1f} MB"


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise click.UsageError(f"not a size: {text!r}; write 500MB or 2GB")
    scale = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2].lower()]
    return round(min(float(match[1]) * scale, 1e18))  # which may be infinite


def _seconds(text: str) -> float:
    match = _AGE.fullmatch(text.strip())
    if not match:
        raise click.UsageError(f"not an age: {text!r}; write 12h, 30d or 8w")
    return float(match[1]) * {"h": 3600, "d": 86_400, "w": 604_800}[match[2].lower()]

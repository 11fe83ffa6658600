"""How a build marked up the tags of the images that it encoded, and why it did so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sitecodec.site.manifest import Entry
from sitecodec.terminal.printing import count, printable


@dataclass(frozen=True)
class Marked:
    """Tags of an image that are not marked up as all others are, and why."""

    image: str
    tags: int
    why: str


@dataclass(frozen=True)
class Tags:
    """The tags of all encoded images of a site."""

    held: int
    """How many have their space reserved."""

    unheld: tuple[Marked, ...]
    """The tags that no space is reserved for."""

    picture: int
    """How many stand in a `<picture>`."""

    unwrapped: tuple[Marked, ...]
    """The tags with a `srcset` and no `<picture>`."""


def of(entries: Iterable[Entry]) -> Tags:
    """The tags that the manifest of a site counts."""
    numbers = {"held": 0, "picture": 0}
    others: dict[str, list[Marked]] = {"unheld": [], "img": []}
    for entry in entries:
        for form, why, tags in entry.forms:
            if form in numbers:
                numbers[form] += tags
            else:
                others[form].append(Marked(printable(entry.path), tags, printable(why)))
    return Tags(numbers["held"], (*others["unheld"],), numbers["picture"], (*others["img"],))


def sentences(tags: Tags) -> list[str]:
    """The numbers in words; nothing if no tag is counted."""
    unheld, unwrapped = (sum(m.tags for m in marked) for marked in (tags.unheld, tags.unwrapped))
    if not tags.held + unheld:
        return []
    return [
        f"space is reserved for {tags.held} of {count(tags.held + unheld, 'encoded image tag')}",
        f"{tags.picture} stand in a <picture>, {unwrapped} have a srcset instead",
    ]

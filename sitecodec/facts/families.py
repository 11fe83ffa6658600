"""The families of payloads: what each can do, so that nobody has to ask for its name.

What is said here is known without loading a codec: `sitecodec.codecs` has those.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """A family of payloads, and what its codec can do."""

    name: str
    """On the command line, in settings and in reports."""

    generative: bool = False
    """Whether the decoder may invent detail."""

    has_alpha: bool = True
    """Whether a payload can hold transparency."""

    browser_decodable: bool = True
    """Whether visitors' browsers decode payloads; else the author's preview alone shows them."""

    has_models: bool = True
    """Whether decoding takes a model besides the engine."""

    for_sites: bool = True
    """Whether a site's images can be encoded with it, by the setting `codec`."""

    heavy: bool = False
    """Whether decoding takes all processors and gigabytes: one picture at a time."""


WEB = Family("web")
SD = Family("sd", generative=True, has_alpha=False, browser_decodable=False, heavy=True)
FLAT = Family("flat", has_models=False, for_sites=False)

ALL = (WEB, SD, FLAT)
"""By their numbers in payloads: only ever added to."""


def named(name: str) -> Family | None:
    """The family of that name, if there is one."""
    return next((family for family in ALL if family.name == name), None)


NOT_INSTALLED, NONE_NEEDED = "not installed", "none needed"
"""What a codec says of a payload in place of its model's name."""

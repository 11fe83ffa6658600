"""TOML and YAML from files that anybody may have written, read in bounded time and memory.

Whatever is wrong with a text is a ValueError, whatever the libraries raise for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MOST_STEPS = 10_000_000
_MOST_KEYS = 10_000


def toml(text: str) -> dict[str, Any]:
    """The values of a TOML document. Raises ValueError."""
    import tomllib  # 2 ms that the plugin need not pay for

    # Of a dotted key, which is always on one line, the library's time and memory grow with the
    # square of its parts. How many dots are in strings would take a parser to tell.
    if sum(line.count(".") ** 2 for line in text.split("\n")) > _MOST_STEPS:
        raise ValueError("too many dots in a line")
    values: dict[str, Any] = _read(tomllib.loads, text)
    return values


def yaml(text: str) -> Any:  # noqa: ANN401 - of YAML
    """The values of a YAML document, without those of tags that only MkDocs knows.

    Raises ValueError, and ImportError where there is no PyYAML (it comes with MkDocs).
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """MkDocs knows tags such as !ENV and !!python/name: what they mean matters to others."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            """Put the content of `<<` into a mapping: before PyYAML 6.0.4 ever ten times more."""
            super().flatten_mapping(node)
            if len(node.value) > _MOST_KEYS:
                raise yaml.YAMLError("a mapping of too many keys")

    Loader.add_multi_constructor("", lambda loader, suffix, node: None)
    return _read(lambda text: yaml.load(text, Loader), text)  # a SafeLoader


def _read(library: Callable[[str], Any], text: str) -> Any:  # noqa: ANN401 - of either
    try:
        return library(text)
    except ValueError:
        raise
    except Exception as error:  # a wrong tag alone is one of five kinds to PyYAML
        raise ValueError(f"{type(error).__name__}: {error}") from error

"""Make the images of a static site smaller: AVIF, WebP and neural payloads, with fallbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sitecodec.api import Settings, build_site, decode, encode, report_site

__all__ = ["Settings", "__version__", "build_site", "decode", "encode", "report_site"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - of any kind
    """The public functions, loaded when they are first asked for: a command needs few of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sitecodec import api

    return getattr(api, name)

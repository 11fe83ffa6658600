"""Only requests whose Host header names this machine are answered."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sitecodec.preview.answers import text

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication
    from werkzeug.wrappers import Response

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::([0-9]{1,5}))?", re.ASCII)


def guarded(app: WSGIApplication, bound: str) -> WSGIApplication:
    """The app for those who name this machine in their Host header; 403 for others."""

    def inner(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not is_own_host(environ.get("HTTP_HOST", ""), bound):
            return foreign()(environ, start_response)
        return app(environ, start_response)

    return inner


def is_own_host(header: str, bound: str) -> bool:
    """Whether a Host header names this machine: what a page at a rebound name cannot do.

    Loopback names and addresses, and `bound`. Of a server that is bound to more than the loopback,
    also its machine's name and every address.
    """
    match = _HOST.fullmatch(header.lower())
    if not match or (match[2] and not 0 < int(match[2]) < 65536):
        return False
    name = match[1].strip("[]").removesuffix(".")
    open_to_others = not is_loopback(bound)
    own = {"localhost", bound.lower(), *((socket.gethostname().lower(),) if open_to_others else ())}
    if name in own:
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or open_to_others)


def is_loopback(host: str) -> bool:
    """Whether a server that listens there can be reached from its own machine only."""
    address = _address(host.strip("[]"))
    return host.lower() == "localhost" or bool(address and address.is_loopback)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def foreign() -> Response:
    """The answer to all others: 403."""
    return text(403, "this server answers to the name of its own machine only")

"""The decode server: the WSGI app of all that is under `/_sitecodec/`.

Its answers come from the store by content hash, or from the list of the site's images. No path
from a URL is ever opened.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import jinja2
from werkzeug.exceptions import HTTPException
from werkzeug.http import unquote_etag
from werkzeug.wrappers import Request, Response

from sitecodec.errors import ModelError, SitecodecError
from sitecodec.facts import formats
from sitecodec.facts.calibration import payload_quality
from sitecodec.facts.formats import Format, Role
from sitecodec.facts.reasons import Reason
from sitecodec.page.templates import builtin_folder
from sitecodec.preview.answers import as_json, immutable, safe, text
from sitecodec.preview.decoded_cache import BusyError
from sitecodec.preview.host_header import foreign, is_own_host
from sitecodec.preview.preview import PREFIX, Preview
from sitecodec.settings import Settings
from sitecodec.visitors import break_even, worker

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Environ: TypeAlias = dict[str, Any]

INSPECTOR = "inspector.html.jinja"
_PICTURE = re.compile(r"([0-9a-f]{64})(\.[a-z0-9]+)", re.ASCII)
_WIDTH = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_MOST_POST_BYTES = 1024
_MOST_LISTENERS = 48
_LISTEN_SECONDS = 20.0
_log = logging.getLogger("sitecodec")


def application(preview: Preview, bound: str = "127.0.0.1") -> WSGIApplication:
    """The WSGI app for all URLs under `/_sitecodec/`.

    `bound` is the address that the server listens on: a request must name it, or this machine.
    """
    listeners = threading.Semaphore(_MOST_LISTENERS)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = _answer(preview, bound, listeners, environ)
        except HTTPException as error:
            response = text(error.code or 400, error.name.lower())
        except Exception:
            _log.debug("unexpected error", exc_info=True)
            response = text(500, "the preview stopped at this request; report it")
        return response(environ, start_response)

    return app


def _answer(
    preview: Preview, bound: str, listeners: threading.Semaphore, environ: Environ
) -> Response:
    if not is_own_host(environ.get("HTTP_HOST", ""), bound):
        return foreign()
    request = Request(environ)
    name = environ.get("PATH_INFO", "")[len(PREFIX) :]
    wanted = ("POST",) if name == "trial" else ("GET", "HEAD")
    if request.method not in wanted:
        response = text(405, f"only {' and '.join(wanted)}")
        response.headers["Allow"] = ", ".join(wanted)
        return response
    try:
        return _routed(preview, listeners, request, name) or text(404, "not found")
    except BusyError as error:
        response = text(503, str(error))
        response.headers["Retry-After"] = "1"
        return response
    except ModelError as error:
        return text(501, str(error))
    except SitecodecError as error:
        return text(422 if name == "trial" else 500, str(error))


def _routed(
    preview: Preview, listeners: threading.Semaphore, request: Request, name: str
) -> Response | None:
    """The answer to a request for what is under PREFIX; None if there is no such thing."""
    if name == "":
        if not request.environ["PATH_INFO"].endswith("/"):
            return Response(status=308, headers={"Location": PREFIX})
        return _inspector(preview)
    if match := _PICTURE.fullmatch(name):
        known = formats.of_suffix(match[2])
        if known and Role.PAYLOAD not in known.roles:
            return _picture(preview, request, match[1], known)
    if name == "images.json":
        return as_json(_list(preview))
    if name == "events":
        return _events(preview, listeners, request)
    return _trial(preview, request) if name == "trial" else None


def _picture(preview: Preview, request: Request, digest: str, known: Format) -> Response:
    widths = request.args.getlist("w")
    if len(widths) > 1 or any(not _WIDTH.fullmatch(width) for width in widths):
        return text(400, "w must be a number of pixels from 1 to 99999")
    width = int(widths[0]) if widths else None
    found = preview.pictures.find(digest, known, width)
    if found is None:
        return text(404, "no such payload; build the site again")
    if _has(request, found.tag):
        return immutable(Response(status=304), found.tag)
    data = found.data or preview.pictures.get(digest, known, width)
    if data is None:  # it went between the two looks
        return text(404, "no such payload; build the site again")
    return immutable(safe(Response(data, content_type=known.mime)), found.tag)


def _has(request: Request, tag: str) -> bool:
    """Whether the client has the picture already."""
    return request.if_none_match.contains_weak(unquote_etag(f'"{tag}"')[0] or "")


def _inspector(preview: Preview) -> Response:
    folder = preview.settings.templates
    loader = jinja2.FileSystemLoader([*([folder] if folder else []), builtin_folder()])
    template = jinja2.Environment(loader=loader, autoescape=True).get_template(INSPECTOR)
    nonce = secrets.token_urlsafe(16)
    response = Response(
        template.render(nonce=nonce, prefix=PREFIX),
        mimetype="text/html",
    )
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; img-src 'self' data:; connect-src 'self'; script-src 'nonce-{nonce}';"
        f" style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    return safe(response)


def _list(preview: Preview) -> dict[str, object]:
    """The data that the inspector shows; sizes are in bytes."""
    serial = preview.ledger.serial["images"]
    rows = []
    for item in preview.listed():
        ours = item.result.reason not in (Reason.REMOTE, Reason.OUTSIDE)
        rows.append(
            # Not `asdict`, which copies deeply: a folder may have 10,000 images.
            vars(item.result)
            | {
                "path": item.path,
                "pages": item.pages,
                "tries": item.source is not None,
                "url": quote(os.fsencode(preview.root + item.path)) if ours else None,
            }
        )
    settings = preview.settings
    return {
        "serial": serial,
        "quality": payload_quality(settings.quality),
        "min_tile_score": settings.min_tile_score,
        "root": quote(os.fsencode(preview.root)),
        "images": rows,
        "visits": _visits(rows, settings),
    }


def _savings(rows: list[dict[str, Any]]) -> list[dict[str, int]]:
    """For each page, what its images' payloads save."""
    pages: dict[str, dict[str, int]] = {}
    for row in rows:
        if row["saved"] is not None:
            for page in row["pages"]:
                pages.setdefault(page, {})[row["path"]] = row["saved"]
    return list(pages.values())


def _visits(rows: list[dict[str, Any]], settings: Settings) -> str:
    """When a visit comes out ahead: without a model if flat graphics are all that saves bytes."""
    needed = any(row["saved"] is not None and not row["flat"] for row in rows)
    cost = worker.cost(0, model=settings.model if needed else None)
    return break_even.sentence(break_even.account(_savings(rows), cost, model=needed))


def _events(preview: Preview, listeners: threading.Semaphore, request: Request) -> Response:
    """Answer when something has changed, or after a while; the client asks again."""
    what, after = request.args.get("what", ""), request.args.get("after", "")
    if what not in preview.ledger.serial or not re.fullmatch(r"-?[0-9]{1,9}", after, re.ASCII):
        return text(400, "'what' must be 'pages' or 'images', and 'after' a serial number")
    if not listeners.acquire(blocking=False):
        raise BusyError("too many pages listen; close some")
    try:
        serial = preview.ledger.wait(what, int(after), _LISTEN_SECONDS)
    finally:
        listeners.release()
    done, total = preview.ledger.progress()
    return as_json({"serial": serial, "done": done, "total": total})


def _trial(preview: Preview, request: Request) -> Response:
    """The quality dial. Only our own page may ask: it costs time and writes to the store."""
    if not _same_origin(request):
        return text(403, "not from this page's origin")
    if request.mimetype != "application/json":
        return text(415, "send JSON")
    if request.content_length is None:
        return text(411, "say how long the request is")
    if request.content_length > _MOST_POST_BYTES:
        return text(413, f"at most {_MOST_POST_BYTES} bytes")
    wrong = text(400, 'send {"image": path, "quality": 0 to 100, "score": true or false}')
    try:
        values = json.loads(request.get_data())
    except (ValueError, RecursionError):
        return wrong
    if not isinstance(values, dict):
        return wrong
    image, quality, score = (values.get(name) for name in ("image", "quality", "score"))
    if not isinstance(image, str) or isinstance(quality, bool):
        return wrong
    if not isinstance(quality, (int, float)) or not 0 <= quality <= 100:
        return wrong
    trial = preview.trial(image, round(float(quality), 2), score=score is True)
    if trial is None:
        return text(404, "no such image on this site")
    return as_json(asdict(trial))


def _same_origin(request: Request) -> bool:
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    return origin == f"{request.scheme}://{request.headers.get('Host')}" and site == "same-origin"

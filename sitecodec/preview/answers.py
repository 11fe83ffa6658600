"""The preview's HTTP answers: text, JSON and pictures, with the headers that keep them private."""

from __future__ import annotations

import json

from werkzeug.wrappers import Response


def as_json(values: object) -> Response:
    """The values, not to be kept."""
    response = Response(json.dumps(values), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return safe(response)


def text(status: int, message: str) -> Response:
    """A line for people, not to be kept."""
    response = Response(f"{message}\n", status=status, mimetype="text/plain")
    response.headers["Cache-Control"] = "no-store"
    return safe(response)


def safe(response: Response) -> Response:
    """The response, of no use to pages of other origins."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def immutable(response: Response, tag: str) -> Response:
    """The response, to be kept for good: its URL names its content, which `tag` identifies."""
    response.set_etag(tag)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response

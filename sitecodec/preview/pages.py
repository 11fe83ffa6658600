"""Pages as the preview shows them: the decoded pictures stand first in their `<picture>` tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.page import html, markup, urls
from sitecodec.preview.results import Result

if TYPE_CHECKING:
    from jinja2 import Template

    from sitecodec.site.survey import Page

PREFIX = "/_sitecodec/"
"""URL path of all that the preview adds to a site."""

# As templates/picture.html.jinja writes it.
_PAYLOAD_SOURCE = re.compile(
    rb'<source (?=[^<>]*type="image/x-sitecodec")[^<>]*?srcset="([^"<>]+)"[^<>]*>'
)
_MIME_TYPES = {"png": "image/png", "avif": "image/avif", "webp": "image/webp"}


def with_pictures(data: bytes, page: Page, results: Sequence[Result], template: Template) -> bytes:
    """A page with what has been made of its images, in the order of `page.uses`, put into it."""
    pictures = [
        (use.image, _picture(result) if result.shown else None)
        for use, result in zip(page.uses, results, strict=True)
    ]
    first = next((n for n, (image, _) in enumerate(pictures) if image.in_content), -1)
    replacements = []
    for number, (image, picture) in enumerate(pictures):
        if picture:
            lazy = number > first >= 0
            text = markup.render(template, data, image, picture, first=number == first, lazy=lazy)
            replacements.append((image.start, image.end, text))
    if replacements:
        replacements = markup.with_head(data, page.head_end, replacements)
    return html.splice(data, replacements)


def with_payloads(
    data: bytes, name: str, site: Path, root: str, folder: str, keep: Callable[[bytes], str]
) -> bytes:
    """A page that a build has rewritten, with the decoded picture before each of its payloads.

    `name` is the page's site path, `root` the URL path of the site, `folder` that of the payloads
    in it; `keep` takes a payload and gives its hash, or '' if it cannot be decoded here.
    """

    def decoded(candidate: str) -> str:
        """A candidate of a srcset, its payload's URL replaced by the picture's; '' if bad."""
        url, space, width = candidate.strip().partition(" ")
        target = urls.resolve(url, root + name, root)
        if isinstance(target, str) or not _is_payload(target.path, folder):
            return ""
        try:
            payload = (site / target.path).read_bytes()
        except OSError:
            return ""
        digest = keep(payload)
        return f"{PREFIX}{digest}.png{space}{width}" if digest else ""

    insertions = []
    for match in _PAYLOAD_SOURCE.finditer(data):
        candidates = unescape(match[1].decode("utf-8", "replace")).split(", ")
        pictures = [decoded(candidate) for candidate in candidates]
        if all(pictures):
            tag = match[0].replace(b"image/x-sitecodec", b"image/png")
            tag = tag.replace(match[1], escape(", ".join(pictures)).encode())
            insertions.append((match.start(), match.start(), tag))
    return html.splice(data, insertions)


def _is_payload(path: str, folder: str) -> bool:
    name = path.removeprefix(f"{folder}/")
    return name != path and "/" not in name and name.endswith(".slat")


def _picture(result: Result) -> markup.Picture:
    kind = _MIME_TYPES[result.shown.rpartition(".")[2]]
    source = markup.Source(kind, PREFIX + result.shown, result.width, result.height)
    return markup.Picture((source,), None, result.width, result.height)

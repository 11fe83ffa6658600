"""Pages as the preview shows them: the decoded pictures stand first in their `<picture>` tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.disk.folders import plain
from sitecodec.facts import formats
from sitecodec.page import encodings, html, markup, srcset, urls
from sitecodec.page.priority import Position
from sitecodec.preview.results import Result

if TYPE_CHECKING:
    from jinja2 import Template

    from sitecodec.site.survey import Page

PREFIX = "/_sitecodec/"
"""URL path of all that the preview adds to a site."""


def with_pictures(data: bytes, page: Page, results: Sequence[Result], template: Template) -> bytes:
    """A page with what has been made of its images, in the order of `page.uses`, put into it."""
    pictures = [
        (use, _picture(result) if result.shown else None)
        for use, result in zip(page.uses, results, strict=True)
    ]
    first = next((n for n, (use, _) in enumerate(pictures) if use.image.in_content), -1)
    replacements = []
    for number, (use, picture) in enumerate(pictures):
        if picture:
            place = Position(first=number == first, lazy=number > first >= 0)
            text = markup.render(template, data, use.image, picture, use.layout, place)
            replacements.append((use.image.start, use.image.end, text))
    if replacements:
        replacements = markup.with_head(data, page.head_end, replacements, printing=False)
    return html.splice(data, encodings.kept_early(data, replacements))


def with_payloads(
    data: bytes, name: str, site: Path, root: str, folder: str, keep: Callable[[bytes], str]
) -> bytes:
    """A page that a build has rewritten, with the decoded picture before each of its payloads.

    `name` is the page's site path, `root` the URL path of the site, `folder` that of the payloads
    in it; `keep` takes a payload and gives its hash, or '' if it cannot be decoded here.
    """

    def decoded(candidate: srcset.Candidate) -> srcset.Candidate | None:
        """A candidate with the URL of its payload's picture; None if there is none."""
        target = urls.resolve(candidate.url, root + name, root)
        if isinstance(target, str) or not _is_payload(target.path, folder):
            return None
        try:
            payload = plain(site / target.path)
        except (OSError, ValueError):
            return None
        digest = keep(payload)
        return candidate._replace(url=f"{PREFIX}{digest}{formats.PNG.suffix}") if digest else None

    if formats.SLAT.mime.encode() not in data:
        return data
    insertions = []
    for start, end, tag_name in html.tags(data, len(data), every=True):
        if tag_name != "source":
            continue
        tag = html.Tag(start, end, tuple(html.attributes_of(data, start, end)))
        if tag.get("type") != formats.SLAT.mime:
            continue
        candidates = srcset.parse(tag.get("srcset") or "") or []
        pictures = [picture for candidate in candidates if (picture := decoded(candidate))]
        if pictures and len(pictures) == len(candidates):
            new = {"type": formats.PNG.mime, "srcset": srcset.join(pictures)}
            insertions.append((start, start, _with_values(data, tag, new)))
    return html.splice(data, insertions)


def _with_values(data: bytes, tag: html.Tag, values: Mapping[str, str]) -> bytes:
    """The tag with other values of some of its attributes."""
    replaced = [
        (a.start - tag.start, a.end - tag.start, f'{a.name}="{escape(values[a.name])}"'.encode())
        for a in tag.attributes
        if a.name in values
    ]
    return html.splice(data[tag.start : tag.end], replaced)


def _is_payload(path: str, folder: str) -> bool:
    name = path.removeprefix(f"{folder}/")
    return name != path and "/" not in name and name.endswith(formats.SLAT.suffix)


def _picture(result: Result) -> markup.Picture:
    known = formats.of_suffix(result.shown[result.shown.rindex(".") :])
    assert known is not None
    source = markup.Source(known.mime, PREFIX + result.shown, result.width, result.height)
    return markup.Picture((source,), None, result.width, result.height)

"""Read a built site's pages: which images they show, where those are, which are ours to encode."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sitecodec.page import css, html, urls
from sitecodec.settings import Settings
from sitecodec.site import files, scans
from sitecodec.site.files import File
from sitecodec.site.findings import Findings
from sitecodec.site.uses import Candidate, Look, Own, Use, is_vector

__all__ = ["Candidate", "File", "Findings", "Own", "Page", "Use", "survey"]


class Css(NamedTuple):
    """CSS of a page, or a whole file of it (then `style` is None), and its pictures."""

    style: html.Style | None
    backgrounds: tuple[css.Background, ...]


class Page(NamedTuple):
    """A page that shows images of the site; `base` is the URL path its references start from."""

    path: str
    base: str
    uses: tuple[Use, ...]
    head_end: int | None
    """Where elements can be added to the page's head, None if it has none."""

    pictures: tuple[Own, ...] = ()
    others: tuple[Use, ...] = ()
    """Images that are never encoded, but may want a width and a height."""

    css: tuple[Css, ...] = ()
    content_width: int = 0
    """How wide, in CSS pixels, the theme shows an image on this page; 0 if it is not known."""

    again: bool = False
    """Whether an earlier run has been here."""


def survey(
    site: Path,
    name: str,
    root: str,
    settings: Settings,
    known: dict[str, File | str],
    findings: Findings,
) -> Page | None:
    """Read a page and sort its images; None if there is nothing to replace in it."""
    try:
        data = (site / name).read_bytes()
    except OSError as error:
        findings.problem(name, "", f"cannot be read ({error.strerror}); check its permissions")
        return None
    return survey_document(site, name, data, root, settings, known, findings)


def survey_document(
    site: Path,
    name: str,
    data: bytes,
    root: str,
    settings: Settings,
    known: dict[str, File | str],
    findings: Findings,
) -> Page | None:
    """Sort the images of the page `name`, which reads `data`; None if none is to be replaced."""
    found = scans.scan(data)
    findings.pinned.update(found.pinned)
    document = found.document
    styles = () if files.matches(settings.exclude, name) else found.styles
    if not document.images and not styles:
        return None
    base = urls.base_of(name, document.base, root)
    look = Look(site, name, base, root, settings, known, findings)
    uses: list[Use] = []
    pictures: list[Own] = []
    others: list[Use] = []
    again = False
    for image in document.images:
        if image.get("data-sitecodec") == "sized" or look.is_ours(image):
            again = True
        elif image.in_picture:
            if own := look.picture(image):
                pictures.append(own)
        elif use := look.image(image):
            (others if is_vector(use.target.path) else uses).append(use)
    parts = [Css(style, look.backgrounds(style.text)) for style in styles]
    page = Page(
        *(name, base or root, tuple(uses), document.head_end),
        pictures=tuple(pictures),
        others=tuple(others),
        css=tuple(part for part in parts if part.backgrounds),
        content_width=found.page_width,
        again=again,
    )
    if not (uses or pictures or others or page.css):
        return None
    if uses and not findings.content_width:
        findings.content_width = found.content_width
    return page


def survey_sheet(
    site: Path,
    name: str,
    data: bytes,
    root: str,
    settings: Settings,
    known: dict[str, File | str],
    findings: Findings,
) -> Page | None:
    """What there is to replace in the style sheet `name`, which reads `data`, as if a page."""
    if not html.shows_raster(data):
        return None
    base = root + name
    look = Look(site, name, base, root, settings, known, findings)
    found = look.backgrounds(data.decode("utf-8", "surrogateescape"))
    if not found:
        return None
    return Page(name, base, (), None, css=(Css(None, found),))

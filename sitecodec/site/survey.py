"""Read a built site's pages: which images they show, where those are, which are ours to encode."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

from sitecodec.disk.folders import plain
from sitecodec.page import css, encodings, html, markup, owners, policy, srcset, urls
from sitecodec.site import globs, programs, scans
from sitecodec.site.files import File
from sitecodec.site.findings import Findings
from sitecodec.site.page_layout import PageLayout
from sitecodec.site.surroundings import Surroundings
from sitecodec.site.uses import Candidate, Look, Own, Use, is_vector

__all__ = [
    "Candidate",
    "File",
    "Findings",
    "Own",
    "Page",
    "Preload",
    "Surroundings",
    "Use",
    "survey",
]


class Css(NamedTuple):
    """CSS of a page, or a whole file of it (then `style` is None), and its pictures."""

    style: html.Style | None
    backgrounds: tuple[css.Background, ...]


class Preload(NamedTuple):
    """A link that loads an image early, and where its images are."""

    tag: html.Tag
    paths: tuple[str, ...]


class Page(NamedTuple):
    """A page that shows images of the site; `base` is the URL path its references start from."""

    path: str
    base: str
    uses: tuple[Use, ...]
    head_end: int | None
    """The place for further elements of the page's head; None if it has no head."""

    pictures: tuple[Own, ...] = ()
    others: tuple[Use, ...] = ()
    """Images that are never encoded, but may want a width and a height."""

    css: tuple[Css, ...] = ()
    content_width: int = 0
    """How wide, in CSS pixels, the theme shows an image on this page; 0 if it is not known."""

    preloads: tuple[Preload, ...] = ()
    """Links that load an image before a tag or style sheet asks for it."""

    allowed: policy.Allowed = policy.Allowed()
    """The additions that its policies allow."""

    again: bool = False
    """Whether an earlier run has been here."""


def survey(around: Surroundings, name: str) -> Page | None:
    """Read a page and sort its images; None if there is nothing to replace in it."""
    try:
        data = plain(around.site / name)
    except OSError as error:
        around.findings.problem(
            name, "", f"cannot be read ({error.strerror}); check its permissions"
        )
        return None
    return survey_document(around, name, data)


def survey_document(around: Surroundings, name: str, data: bytes) -> Page | None:
    """Sort the images of the page `name`, which reads `data`; None if none is to be replaced."""
    encoding = encodings.unreadable(data)
    if not encoding:
        return _survey_text(around, name, data)
    if encoding == "UTF-16" or b"<img" in data.lower():
        message = f"is in {encoding}, in which text may look like tags; write it in UTF-8"
        around.findings.problem(name, "", message)
    return None


def _survey_text(around: Surroundings, name: str, data: bytes) -> Page | None:
    site, root, settings, known, findings, layouts = around
    found = scans.scan(data)
    findings.pinned.update(found.pinned)
    document = found.document
    styles = () if globs.matches(settings.exclude, name) else found.styles
    if not (document.images or styles or html.preloads(data)):
        return None
    base = urls.base_of(name, document.base, root)
    layout = functools.cache(lambda: layouts.page(base or root, data, found.content))
    allowed = policy.allowed([*policy.in_page(data), *layouts.policies(name)])
    findings.linked |= layouts.headers()
    look = Look(site, name, base, root, settings, known, findings, layouts, layout, allowed)
    scripts = programs.read(look, data)
    foreign = scripts.owned
    styles = tuple(style for style in styles if not owners.owner(foreign, style.start))
    uses: list[Use] = []
    pictures: list[Own] = []
    others: list[Use] = []
    again = False
    for image in document.images:
        if image.get("data-sitecodec") in markup.MARKS or look.is_ours(image):
            again = True
        elif by := owners.owner(foreign, image.start):
            look.leave_to(image, f"{by} renders it anew")
        elif scripts.may_set(image):
            look.leave_to(image, "a script sets its source")
        elif image.in_picture:
            if own := look.picture(image):
                pictures.append(own)
        elif use := look.image(image):
            (others if is_vector(use.target.path) else uses).append(use)
    if layout.cache_info().currsize:
        findings.linked.update(layout().linked)
    parts = [Css(style, look.backgrounds(style.text)) for style in styles]
    page = Page(
        *(name, base or root, tuple(uses), document.head_end),
        pictures=tuple(pictures),
        others=tuple(others),
        css=tuple(part for part in parts if part.backgrounds),
        content_width=found.page_width,
        preloads=tuple(_preloads(look, data)),
        allowed=allowed,
        again=again,
    )
    if not (uses or pictures or others or page.css or page.preloads):
        return None
    if uses and not findings.content_width:
        findings.content_width = found.content_width
    return page


def _preloads(look: Look, data: bytes) -> Iterator[Preload]:
    for tag in html.preloads(data):
        listed = srcset.parse(tag.get("imagesrcset") or "") or ()
        addresses = (tag.get("href") or "", *(c.url for c in listed))
        targets = (urls.resolve(a, look.base or look.root, look.root) for a in addresses)
        paths = tuple(t.path for t in targets if isinstance(t, urls.Target))
        if paths and all(isinstance(look.file(path), File) for path in paths):
            yield Preload(tag, paths)


def survey_sheet(around: Surroundings, name: str, data: bytes) -> Page | None:
    """The survey of the style sheet `name`, whose content is `data`, as if it were a page."""
    if not html.shows_raster(data) or encodings.is_doubtful_css(data):
        return None
    site, root, settings, known, findings, layouts = around
    base = root + name
    look = Look(site, name, base, root, settings, known, findings, layouts, _no_page)
    found = look.backgrounds(data.decode("utf-8", "surrogateescape"))
    if not found:
        return None
    return Page(name, base, (), None, css=(Css(None, found),))


def _no_page() -> PageLayout:
    raise AssertionError("a style sheet has no images of its own")

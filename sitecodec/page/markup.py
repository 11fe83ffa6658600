"""Render templates/picture.html.jinja into the tags that take the place of one `<img>`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sitecodec.errors import SettingsError
from sitecodec.facts import formats
from sitecodec.page.html import Attribute, Image, Tag
from sitecodec.page.layout import ADDED as ADDED_TO_ANY
from sitecodec.page.layout import Layout
from sitecodec.page.paper import PRINTING
from sitecodec.page.priority import Position
from sitecodec.page.style import RULES
from sitecodec.page.templates import builtin_folder
from sitecodec.page.tokens import tags

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "picture.html.jinja"

ADDED = (
    *("width", "height", "data-sitecodec", "decoding", "fetchpriority", "loading"),
    *("srcset", "sizes", "style"),
)
"""The attributes that an `<img>` may get, in this order, after its author's."""

_STYLE = f"<style data-sitecodec>{RULES}</style>"
MARKS = ("sized", "ratio", "held")
"""Values of `data-sitecodec` on images: width, height and the size that a browser takes for its
own; width and height alone; or that size alone."""


class Source(NamedTuple):
    """One `<source>`: MIME type, srcset, and the widest file's size in pixels."""

    type: str
    srcset: str
    width: int
    height: int
    sizes: str = ""
    """The attribute `sizes` that goes with a srcset of several widths."""

    generative: bool = False
    """Whether what decodes it may invent detail."""


class Picture(NamedTuple):
    """The files that are offered in place of an image.

    `src` is the URL of the file the `<img>` names, fragment included, or None to keep the author's.
    `width` and `height` are those of the author's file, in pixels, or 0 where the page says in some
    other way how large it is; `srcset` and `sizes` are what the `<img>` gets, if it needs them.
    """

    sources: tuple[Source, ...]
    src: str | None
    width: int
    height: int
    srcset: str = ""
    sizes: str = ""
    placeholder: str = ""
    """CSS declarations that show something in the image's place until it is there."""


def load_template(folder: Path | None = None, name: str = TEMPLATE) -> Template:
    """The template `name`, by default that of pictures: `folder`'s if it has one, else ours.

    Raises SettingsError if `folder` is no folder or its template is not valid.
    """
    import jinja2

    if folder is not None and not folder.is_dir():
        raise SettingsError(f"templates: {folder} is not a folder; make it or drop the setting")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*([folder] if folder else []), builtin_folder()]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    try:
        return environment.get_template(name)
    except (jinja2.TemplateError, OSError, UnicodeDecodeError) as error:
        raise _template_error(error) from error


def render(
    template: Template,
    data: bytes,
    image: Image,
    picture: Picture,
    layout: Layout,
    position: Position,
) -> bytes:
    """The markup for the `<img>` tag at `image` in the document `data`, in the form of `layout`.

    `position` says when it is loaded: `first` marks the page's first content image, which is
    fetched at high priority; `lazy` one that is fetched when it comes near. The author's own
    loading, fetchpriority and decoding win.
    Raises SettingsError if the template fails.
    """
    import jinja2
    from markupsafe import Markup

    tag = data[image.start : image.end]
    author = _author(image)
    if layout.form == "img":
        picture = _in_its_tag(picture, author)
    added = _added(author, layout, first=position.first, lazy=position.lazy)
    if picture.srcset and "srcset" not in author:
        added["srcset"] = picture.srcset
        if picture.sizes and "sizes" not in author:
            added["sizes"] = picture.sizes
    changed = {"src": picture.src} if picture.src is not None else {}
    shown = "" if "background" in author.get("style", "").lower() else picture.placeholder
    for declarations in filter(None, (shown, _held(layout, added))):
        _style(author, declarations, added, changed)
    attributes = _attributes(tag, image, changed) + _written(added)
    if layout.form == "img":
        text = tag[:4].decode() + attributes + _end(tag, image)
        return text.encode("utf-8", "surrogateescape")
    try:
        text = template.render(
            sources=picture.sources,
            attributes=Markup(attributes),
            author=author,
            src=picture.src or author.get("src", ""),
            width=picture.width,
            height=picture.height,
            first=position.first,
            end=Markup(_end(tag, image)),
        )
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise _template_error(error) from error
    return text.strip().encode("utf-8", "surrogateescape")


def sized(data: bytes, image: Image, layout: Layout, *, first: bool, lazy: bool) -> bytes:
    """The `<img>` tag at `image`, as the author wrote it, with what it lacks (see `render`)."""
    tag = data[image.start : image.end]
    author = _author(image)
    added = _added(author, layout, first=first, lazy=lazy)
    changed: dict[str, str] = {}
    if declarations := _held(layout, added):
        _style(author, declarations, added, changed)
    if not added:
        return tag
    text = tag[:4].decode() + _attributes(tag, image, changed) + _written(added) + _end(tag, image)
    return text.encode("utf-8", "surrogateescape")


def more_sources(data: bytes, tag: Tag | Image, sources: Iterable[Source]) -> bytes:
    """Sources to put before a tag of the author's `<picture>`, under the conditions of that tag."""
    names = ("media", "sizes", "width", "height") if isinstance(tag, Tag) else ("sizes",)
    own = {name: value for name in names if (value := tag.get(name)) is not None}
    end = _end(data[tag.start : tag.end], tag)
    written = []
    for source in sources:
        marks = {"data-sitecodec": "generative"} if source.generative else {}
        values = {"type": source.type, "srcset": source.srcset} | own | marks
        written.append(f"<source{_written(values)}{end}")
    return "".join(written).encode()


def head(data: bytes, script: str = "", style: str = "", *, printing: bool = True) -> bytes:
    """The elements that the head of a page with pictures needs: style rules and a script.

    The rules come from the URL `style`, if that is given. `printing` adds a few words of script in
    the page, so that paper gets the JPEG fallbacks.

    It belongs in the head because `<style>` is not valid inside `<picture>` or the body. Elements
    that the document `data` has already are left out.
    """
    link = f'<link rel="stylesheet" href="{escape(style)}" data-sitecodec>'
    wanted = [link if style else _STYLE]
    if script:
        wanted.append(f'<script defer src="{escape(script)}"></script>')
    if printing:
        wanted.append(PRINTING)
    return b"".join(text.encode() for text in wanted if text.encode() not in data)


_OTHERWISE = frozenset("svg math select datalist optgroup option".split())


def with_head(
    data: bytes,
    head_end: int | None,
    pictures: list[tuple[int, int, bytes]],
    script: str = "",
    style: str = "",
    *,
    printing: bool = True,
) -> list[tuple[int, int, bytes]]:
    """The replacements in a document, with what its head needs for them (see `head`).

    It stands before the first style sheet, whose layers come after ours then. A document without a
    head is not valid in any case; before its first picture, it works.
    """
    needed = head(data, script, style, printing=printing)
    if head_end is not None:
        place = next((start for start in _sheets(data, head_end)), head_end)
        return [(place, place, needed), *pictures]
    place = _outside(data, pictures[0][0])
    if place < pictures[0][0]:
        return [(place, place, needed), *pictures]
    start, end, new = pictures[0]
    return [(start, end, needed + new), *pictures[1:]]


def _outside(data: bytes, position: int) -> int:
    """A place at or before a position where style sheets and scripts mean what they mean in HTML.

    In SVG and MathML they are other elements, and in a choice they become the text of options.
    """
    opened: list[str] = []
    place = position
    for start, _, tag in tags(data, position, every=True):
        if start >= position:
            break
        if tag in _OTHERWISE:
            place = place if opened else start
            opened.append(tag)
        elif tag[0] == "/" and tag[1:] in opened:
            while opened.pop() != tag[1:]:
                pass
    return place if opened else position


def _sheets(data: bytes, head_end: int) -> Iterator[int]:
    """The places where style sheets, and scripts that may bring some, begin in a head."""
    templates = 0
    for start, _, tag in tags(data, head_end, every=True):
        if tag.endswith("template"):
            templates = max(0, templates + (-1 if tag[0] == "/" else 1))
        if not templates and tag in ("link", "style", "script") and start < head_end:
            yield start


def _author(image: Image) -> dict[str, str]:
    """The attributes that count: of duplicates, the first."""
    return {a.name: a.value for a in reversed(image.attributes)}


def _added(author: Mapping[str, str], layout: Layout, *, first: bool, lazy: bool) -> dict[str, str]:
    """The attributes that every image gets, size and loading, unless the author has set them."""
    added: dict[str, str] = {}
    if layout.sized and layout.natural and "width" not in author and "height" not in author:
        added["width"], added["height"] = map(str, layout.natural)
    if added or layout.held:
        added["data-sitecodec"] = ("sized" if added else "held") if layout.held else "ratio"
    if "decoding" not in author:
        added["decoding"] = "async"
    if first and "fetchpriority" not in author and author.get("loading", "").lower() != "lazy":
        added["fetchpriority"] = "high"
    # An image that has no size until it is loaded would move what is around it when somebody comes
    # near, and take no room where it is hidden or printed.
    steady = layout.held or {"width", "height"} <= author.keys()
    eager = "loading" in author or author.get("fetchpriority", "").lower() == "high"
    if lazy and steady and not eager:
        added["loading"] = "lazy"
    return {n: value for n, value in added.items() if n not in ADDED_TO_ANY or n in layout.unseen}


def _held(layout: Layout, added: Mapping[str, str]) -> str:
    """The declarations that tell a browser what size to take for an image's own."""
    if not layout.held or layout.natural is None:
        return ""
    width, height = layout.natural
    ratio = "" if "width" in added else f";--sitecodec-ratio:{width}/{height}"
    return f"contain-intrinsic-size:{width}px {height}px{ratio}"


def _style(
    author: Mapping[str, str], declarations: str, added: dict[str, str], changed: dict[str, str]
) -> None:
    """Put declarations behind those of the tag's style attribute."""
    own = (changed.get("style") or author.get("style", "")).strip().rstrip(";")
    if "style" not in author:
        before = added.get("style")
        added["style"] = f"{before};{declarations}" if before else declarations
    elif own.isascii():
        changed["style"] = f"{own};{declarations}" if own else declarations


def _in_its_tag(picture: Picture, author: Mapping[str, str]) -> Picture:
    """The files of one format in the `srcset` of the tag itself, which keeps the author's file.

    The format is the best that every current browser knows.
    """
    everywhere = [known.mime for known in formats.modern()]
    best = next((s for s in picture.sources if s.type in everywhere), None)
    if best is None or (best.sizes and "sizes" in author):
        return picture._replace(sources=(), src=None, srcset="", sizes="")
    return picture._replace(sources=(), src=None, srcset=best.srcset, sizes=best.sizes)


def _attributes(tag: bytes, image: Image, changed: Mapping[str, str]) -> str:
    """The tag between its name and its end, byte for byte but for the values that change."""
    if not image.attributes:
        return ""
    raw = tag[4 : image.attributes[-1].end - image.start]
    first = {a.name: a for a in reversed(image.attributes) if a.name in changed}
    for a in sorted(first.values(), key=lambda a: -a.start):
        start, end = a.start - image.start - 4, a.end - image.start - 4
        value = f'="{escape(changed[a.name])}"'.encode()
        raw = raw[: start + len(a.name)] + value + raw[end:]
    # Surrogates carry bytes that are not UTF-8 through the template unchanged.
    return raw.decode("utf-8", "surrogateescape")


def _written(attributes: Mapping[str, str]) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())


def _end(tag: bytes, image: Image | Tag) -> str:
    """How the author closed the tag."""
    last: Attribute | None = image.attributes[-1] if image.attributes else None
    return " />" if b"/" in tag[last.end - image.start if last else 4 :] else ">"


def _template_error(error: Exception) -> SettingsError:
    line = getattr(error, "lineno", None)
    where = f"{TEMPLATE}, line {line}" if line else TEMPLATE
    what = " ".join(str(error).split()) or type(error).__name__
    return SettingsError(f"templates: {where}: {what}; mend the template or drop the setting")

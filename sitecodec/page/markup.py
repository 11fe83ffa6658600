"""Render templates/picture.html.jinja into the tags that take the place of one `<img>`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sitecodec.errors import SettingsError
from sitecodec.page.html import Attribute, Image, Tag
from sitecodec.page.templates import builtin_folder

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "picture.html.jinja"

# What a <picture> must not change of a page's layout. Its sources and itself must not become boxes
# of a flex or grid container. The width and height we add reserve the space before an image loads,
# but under a style sheet that limits the width and says nothing of the height (MkDocs' own theme is
# one) they would squash it. :where() has no specificity, so that any rule of the site wins. The
# last rule is Material's for an aligned image that stands alone, which the sources hide from it.
_STYLE = (
    "<style data-sitecodec>:where(picture[data-sitecodec]){display:contents}"
    ":where(picture[data-sitecodec]>source){display:none}"
    ":where(img[data-sitecodec]){height:auto}"
    ".md-typeset picture:only-child>img[align]{margin-top:0}</style>"
)
_STYLED_SIZE = re.compile(r"(?:width|height)\s*:", re.IGNORECASE)
_PLAIN_PIXELS = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


class Source(NamedTuple):
    """One `<source>`: MIME type, srcset, and the widest file's size in pixels."""

    type: str
    srcset: str
    width: int
    height: int
    sizes: str = ""
    """What goes with a srcset of several widths."""

    generative: bool = False
    """Whether what decodes it may invent detail."""


class Picture(NamedTuple):
    """What there is to show in place of an image.

    `src` is the URL of the file the `<img>` names, fragment included, or None to keep the author's.
    `width` and `height` are those of the author's file, in pixels, or 0 where the page says in some
    other way how large it is; `srcset` and `sizes` are what
    the `<img>` gets, if there are several widths.
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
    *,
    first: bool,
    lazy: bool,
) -> bytes:
    """The markup for the `<img>` tag at `image` in the document `data`.

    `first` marks the page's first content image, which is fetched at high priority; `lazy` one that
    is fetched when it comes near. The author's own loading, fetchpriority and decoding win.
    Raises SettingsError if the template fails.
    """
    import jinja2
    from markupsafe import Markup

    tag = data[image.start : image.end]
    author = _author(image)
    size = (picture.width, picture.height) if picture.width else None
    added = _added(author, size, first=first, lazy=lazy)
    styles = [picture.placeholder] if "background" not in author.get("style", "").lower() else []
    if picture.srcset:
        added["srcset"] = picture.srcset
        if "sizes" not in author:
            whole = author | added
            if _can_be_auto(whole):
                # The browser then takes the width that the image has on the page; it also gives
                # it a nominal size until it is there, which style sheets with `width: auto` show.
                picture = _auto(picture)
                styles.append(f"contain-intrinsic-size:{whole['width']}px {whole['height']}px")
            added["sizes"] = picture.sizes
    changed = {"src": picture.src} if picture.src is not None else {}
    if style := ";".join(filter(None, styles)):
        own = author.get("style", "").strip().rstrip(";")
        if "style" not in author:
            added["style"] = style
        elif own.isascii():
            changed["style"] = f"{own};{style}" if own else style
    try:
        text = template.render(
            sources=picture.sources,
            attributes=Markup(_attributes(tag, image, changed) + _written(added)),
            author=author,
            src=picture.src or author.get("src", ""),
            width=picture.width,
            height=picture.height,
            first=first,
            end=Markup(_end(tag, image)),
        )
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise _template_error(error) from error
    return text.strip().encode("utf-8", "surrogateescape")


def sized(
    data: bytes, image: Image, size: tuple[int, int] | None, *, first: bool, lazy: bool
) -> bytes:
    """The `<img>` tag at `image`, as the author wrote it, with what it lacks (see `render`).

    `size` is that of its file in pixels, None if that is not known.
    """
    tag = data[image.start : image.end]
    added = _added(_author(image), size, first=first, lazy=lazy)
    if not added:
        return tag
    text = tag[:4].decode() + _attributes(tag, image, {}) + _written(added) + _end(tag, image)
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


def head(data: bytes, script: str = "") -> bytes:
    """What the head of a page with pictures needs: style rules and, at its URL, a script.

    It belongs into the head because `<style>` is not valid inside `<picture>` or the body. What the
    document `data` has already is left out.
    """
    wanted = [_STYLE]
    if script:
        wanted.append(f'<script defer src="{escape(script)}"></script>')
    return b"".join(text.encode() for text in wanted if text.encode() not in data)


def with_head(
    data: bytes, head_end: int | None, pictures: list[tuple[int, int, bytes]], script: str = ""
) -> list[tuple[int, int, bytes]]:
    """The replacements in a document, with what its head needs for them (see `head`).

    A document without a head is not valid in any case; before its first picture, it works.
    """
    needed = head(data, script)
    if head_end is not None:
        return [(head_end, head_end, needed), *pictures]
    start, end, new = pictures[0]
    return [(start, end, needed + new), *pictures[1:]]


def display_width(image: Image, picture_width: int, content_width: int) -> int | None:
    """How wide a page of `content_width` shows an image, in CSS pixels at most.

    None where a style on the image depends on its natural size, so that it must have one width.
    """
    author = _author(image)
    if _STYLED_SIZE.search(author.get("style", "")):
        return None
    width = author.get("width", "").strip()
    if width and not _PLAIN_PIXELS.fullmatch(width):
        return content_width
    return min(int(width) if width else picture_width, content_width)


def sizes(display: int) -> str:
    """The value of `sizes` for an image that is shown so wide, or as the window is."""
    return f"{display}px" if display <= 320 else f"(max-width: {display}px) 100vw, {display}px"


def _author(image: Image) -> dict[str, str]:
    """The attributes that count: of duplicates, the first."""
    return {a.name: a.value for a in reversed(image.attributes)}


def _added(
    author: Mapping[str, str], size: tuple[int, int] | None, *, first: bool, lazy: bool
) -> dict[str, str]:
    """What any image gets: its size, and how it is loaded, as far as the author says nothing."""
    added = _dimensions(author, size) if size else {}
    if added:
        added["data-sitecodec"] = "sized"
    if "decoding" not in author:
        added["decoding"] = "async"
    if first and "fetchpriority" not in author and author.get("loading", "").lower() != "lazy":
        added["fetchpriority"] = "high"
    if lazy and "loading" not in author and author.get("fetchpriority", "").lower() != "high":
        added["loading"] = "lazy"
    return added


def _can_be_auto(attributes: Mapping[str, str]) -> bool:
    """Whether `sizes=auto` is allowed, and does not change how the image is laid out."""
    size = (attributes.get(name, "").strip() for name in ("width", "height"))
    plain = all(_PLAIN_PIXELS.fullmatch(value) for value in size)
    lazy = attributes.get("loading", "").lower() == "lazy"
    return lazy and plain and attributes.get("style", "").isascii()


def _auto(picture: Picture) -> Picture:
    sources = (s._replace(sizes=f"auto, {s.sizes}") if s.sizes else s for s in picture.sources)
    return picture._replace(sources=tuple(sources), sizes=f"auto, {picture.sizes}")


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


def _dimensions(author: Mapping[str, str], size: tuple[int, int]) -> dict[str, str]:
    """The width and height to add: both, the one that the author left out, or none."""
    if _STYLED_SIZE.search(author.get("style", "")):
        return {}
    width, height = author.get("width"), author.get("height")
    if width is None and height is None:
        return {"width": str(size[0]), "height": str(size[1])}
    if height is None and width is not None and _PLAIN_PIXELS.fullmatch(width.strip()):
        return {"height": str(max(1, round(int(width) * size[1] / size[0])))}
    if width is None and height is not None and _PLAIN_PIXELS.fullmatch(height.strip()):
        return {"width": str(max(1, round(int(height) * size[0] / size[1])))}
    return {}


def _template_error(error: Exception) -> SettingsError:
    line = getattr(error, "lineno", None)
    where = f"{TEMPLATE}, line {line}" if line else TEMPLATE
    what = " ".join(str(error).split()) or type(error).__name__
    return SettingsError(f"templates: {where}: {what}; mend the template or drop the setting")

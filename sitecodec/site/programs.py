"""The effect of a page's own scripts on its images: new elements, or other sources."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sitecodec.page import html, owners, setters, urls
from sitecodec.page.owners import Owned
from sitecodec.site import files
from sitecodec.site.files import File

if TYPE_CHECKING:
    from sitecodec.site.uses import Look

_MOST_BYTES = 8_000_000
_MOST_COMPARISONS = 1_000_000  # of the selectors in a page's scripts with its images


class Script(NamedTuple):
    """The facts about one script."""

    framework: owners.Program | None = None
    """The framework that it brings along."""

    sets: tuple[str, ...] = ()
    """Selectors of the images whose source it may set."""

    sets_source: bool = False
    """Whether it sets the source of anything."""


class Programs(NamedTuple):
    """The effects of all scripts of a page."""

    owned: tuple[Owned, ...]
    """The parts of the page that a framework renders anew."""

    sets: tuple[str, ...]
    sets_source: bool

    def may_set(self, image: html.Image) -> bool:
        """Whether a script may give an image, or a source of its picture, another file."""
        own = [a.value for a in image.attributes if a.name.startswith("on")]
        if any(setters.sets_own(handler) for handler in own):
            return True
        if self.sets_source and any(setters.passes_itself(handler) for handler in own):
            return True
        return setters.any_may_mean(self.sets, image, "img") or any(
            setters.any_may_mean(self.sets, tag, "source") for tag in image.sources or ()
        )


def read(look: Look, data: bytes) -> Programs:
    """Read the scripts of a page, as far as they are the site's own."""
    scripts = list(_scripts(look, data))
    inline = [_of_text(text) for text in dict.fromkeys(html.handlers(data))]
    all_of_them = [*scripts, *inline]
    sets = tuple(dict.fromkeys(selector for s in all_of_them for selector in s.sets))
    low = data.lower()
    comparisons = sum(map(setters.parts_of, sets)) * (low.count(b"<img") + low.count(b"<source"))
    return Programs(
        owners.owned(data, [s.framework for s in scripts if s.framework]),
        sets if comparisons <= _MOST_COMPARISONS else (setters.ANY,),
        any(s.sets_source for s in all_of_them),
    )


def _scripts(look: Look, data: bytes) -> Iterator[Script]:
    texts: dict[str, None] = {}
    paths: dict[str, None] = {}
    for script in html.scripts(data):
        if not script.src:
            texts[script.text] = None
            continue
        target = urls.resolve(script.src, look.base or look.root, look.root)
        if isinstance(target, urls.Target):  # of no other host
            paths[target.path] = None
    yield from map(_of_text, texts)
    for path in paths:
        if look.is_asset(path):
            continue  # by us: what registers the worker renews its images
        file = look.file(path)
        if isinstance(file, File) and file.size <= _MOST_BYTES:
            try:
                yield _of_file(f"{file.real}", files.stamp(f"{file.real}"))
            except OSError:
                continue


@lru_cache(maxsize=256)
def _of_file(place: str, stamp: files.Stamp) -> Script:
    """The facts about a script's file, remembered until it changes. Raises OSError."""
    return _of_text(files.read(place)[0].decode("utf-8", "replace"))


def _of_text(text: str) -> Script:
    return Script(owners.program(text), setters.selectors(text), setters.sets_source(text))

"""The images that the tags and the CSS of one page show, and the ones that may be encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from sitecodec.errors import SettingsError
from sitecodec.facts import formats
from sitecodec.facts.reasons import Reason
from sitecodec.page import css, html, lazy, srcset, urls
from sitecodec.page.layout import Layout
from sitecodec.page.policy import Allowed
from sitecodec.settings import Settings
from sitecodec.site import assets, files, globs
from sitecodec.site.files import File
from sitecodec.site.findings import Findings
from sitecodec.site.layout import Layouts
from sitecodec.site.page_layout import PageLayout

_SEVERAL = "it has several sizes"
# What a `<source>` may be made of by its type; others are as good as what we would add.
_REPLACEABLE = ("", "image/jpg", *(known.mime for known in formats.ALL if known.taken))


_POLICY = "its page's policy forbids styles"


class Candidate(NamedTuple):
    """An image of a srcset: where it is, and its descriptor ('w', 'x' or '' with a number)."""

    target: urls.Target
    number: float
    unit: str


class Use(NamedTuple):
    """An `<img>` that may be replaced: where its source is, and its tag."""

    image: html.Image
    target: urls.Target

    candidates: tuple[Candidate, ...] = ()
    """The candidates of its own srcset, which then replace its source."""

    layout: Layout = Layout()


class Own(NamedTuple):
    """A `<picture>` of the author's: what each of its tags may be preceded by."""

    image: html.Image
    target: urls.Target | None
    offers: tuple[tuple[html.Tag | html.Image, tuple[Candidate, ...]], ...]
    layout: Layout = Layout()


class Look(NamedTuple):
    """Looks at the images of one page (or style sheet)."""

    site: Path
    page: str
    base: str | None
    root: str
    settings: Settings
    known: dict[str, File | str]
    findings: Findings
    layouts: Layouts
    layout: Callable[[], PageLayout]
    allowed: Allowed = Allowed()

    def image(self, image: html.Image) -> Use | None:
        """The use of an image by an `<img>` outside a `<picture>`, if it may be changed."""
        target = self._target(image.get("src") or "")
        if target is None or self._opted_out(image, target.path):
            return None
        file = self.file(target.path)
        if isinstance(file, str):
            self.findings.problem(self.page, target.path, file)
            return None
        if lazy.loaded_by_script(image):
            self.findings.leave(target.path, file.size, "loaded by a script")
            return None
        layout = self._of(image, self.layouts.natural(target.path))
        if is_vector(target.path):
            self.findings.leave(target.path, file.size, "vector (SVG)")
            return Use(image, target, layout=layout) if layout.form != "off" else None
        candidates: tuple[Candidate, ...] = ()
        if own := image.get("srcset"):
            candidates = self._candidates(own, image.get("src"))
            if not candidates:
                self.findings.leave(target.path, file.size, "has its own srcset")
                return None
        if candidates and layout.form == "img":
            layout = layout._replace(form="off")
        if layout.form == "off":
            self.findings.leave(target.path, file.size, layout.why)
            return None
        if candidates:
            layout = self._without_size(layout, target, candidates)
        paths = [c.target.path for c in candidates] or [target.path]
        if not self._note(image, target.path, paths):
            return None
        for path in paths:
            self.findings.show(path, layout)
        return Use(image, target, candidates, layout)

    def picture(self, image: html.Image) -> Own | None:
        """The offers of the author's `<picture>`, if something may be added to it."""
        target = self._target(image.get("src") or "")
        if target and self._opted_out(image, target.path):
            return None
        file = self.file(target.path) if target else ""
        if target and isinstance(file, str):
            self.findings.problem(self.page, target.path, file)
            return None
        if lazy.loaded_by_script(image):
            self._leave(target, file, "loaded by a script")
            return None
        offers = list(self._offers(image, target))
        layout = self._of(image, self.layouts.natural(target.path) if target else None)
        if layout.form == "off":
            self._leave(target, file, layout.why)
            return None
        paths = [c.target.path for _, candidates in offers for c in candidates]
        if not self._note(image, target.path if target else "", paths):
            return None
        if not offers:
            self._leave(target, file, "inside a <picture>")
        if image.sources is None:
            return None
        if target:
            known = tuple(c for _, candidates in offers for c in candidates)
            layout = self._without_size(layout, target, known)
        if len(image.sources) > sum(isinstance(tag, html.Tag) for tag, _ in offers):
            layout = layout._replace(unheld=_SEVERAL, sized=False)
        for path in paths:
            self.findings.show(path, layout)
        return Own(image, target, tuple(offers), layout)

    def _leave(self, target: urls.Target | None, file: File | str, reason: str) -> None:
        """Note that an image, if it is there, stays as it is."""
        if target and isinstance(file, File):
            self.findings.leave(target.path, file.size, reason)

    def _offers(
        self, image: html.Image, target: urls.Target | None
    ) -> Iterator[tuple[html.Tag | html.Image, tuple[Candidate, ...]]]:
        """The tags of a `<picture>` before which sources may be put, with what each offers."""
        covered = image.sources is None
        for source in image.sources or ():
            mime = (source.get("type") or "").strip().lower()
            if mime in _REPLACEABLE:
                found = self._candidates(source.get("srcset") or "")
                if found:
                    yield source, found
                covered = covered or not source.get("media")
            elif mime in ("image/avif", "image/jxl"):
                covered = covered or not source.get("media")
        if not covered and (target or image.get("srcset")):
            found = self._candidates(image.get("srcset") or "", image.get("src"))
            if found:
                yield image, found

    def leave_to(self, image: html.Image, reason: str) -> None:
        """Note that an image is for a script to show."""
        candidates = srcset.parse(image.get("srcset") or "") or ()
        for address in (image.get("src") or "", *(c.url for c in candidates)):
            target = self._target(address)
            self._leave(target, self.file(target.path) if target else "", reason)

    def backgrounds(self, text: str) -> tuple[css.Background, ...]:
        """The backgrounds in CSS of which at least one picture can be encoded."""
        found: list[css.Background] = []
        for background in css.backgrounds(text):
            plain = [a for url in background.urls if (a := css.address(url)) is not None]
            targets = [self._target(address, note=False) for address in plain]
            paths = [t.path for t in targets if t and self._is_worth_it(t.path)]
            for path in paths:
                self.findings.use(path, self.page)
                self.findings.backgrounds.add(path)
            found += [background] if paths else []
        return tuple(found)

    def _of(self, image: html.Image, natural: tuple[int, int] | None) -> Layout:
        """How an image can be marked up, under the policies of its page too."""
        layout = self.layout().of(image, natural)
        if not self.allowed.style_attributes:
            layout = layout._replace(unheld=_POLICY)
        if not (self.allowed.style or self.allowed.style_file):
            layout = layout._replace(sized=False, unheld=_POLICY)
            if layout.form == "picture":
                layout = layout._replace(form="img", why=_POLICY)
        return layout

    def _note(self, image: html.Image, path: str, paths: list[str]) -> bool:
        """Note that these images are to be encoded as the tag wishes; False if it asks nonsense."""
        try:
            for wanted in paths:
                self.findings.wish(wanted, image.get("data-sitecodec") or "")
        except SettingsError as error:
            self.findings.problem(self.page, path, f"data-sitecodec: {error}")
            return False
        for wanted in paths:
            self.findings.use(wanted, self.page)
        return True

    def is_ours(self, image: html.Image) -> bool:
        """Whether an earlier run has written this image's tag, or a source before it."""
        tags: tuple[html.Image | html.Tag, ...] = (image, *(image.sources or ()))
        addresses = [tag.get(name) or "" for tag in tags for name in ("src", "srcset")]
        folder = f"{self.settings.asset_dir}/"
        for address in filter(assets.may_name_asset, addresses):
            for candidate in srcset.parse(address) or (srcset.Candidate(address),):
                target = urls.resolve(candidate.url, self.base or self.root, self.root)
                if isinstance(target, urls.Target) and target.path.startswith(folder):
                    return True
        return False

    def _candidates(self, text: str, src: str | None = None) -> tuple[Candidate, ...]:
        """The images of a srcset (with src, as 1x, where it names none), if all can be encoded."""
        found = srcset.parse(text)
        if found is None:
            return ()
        if src and not any(c.unit == "w" or c.number == 1 for c in found):
            found = [srcset.Candidate(src), *found]
        kept = []
        for candidate in found:
            target = self._target(candidate.url, note=False)
            if target is None or not self._is_encodable(target.path):
                missing = self.file(target.path) if target else None
                if target and isinstance(missing, str):
                    self.findings.problem(self.page, target.path, missing)
                return ()
            kept.append(Candidate(target, candidate.number, candidate.unit))
        return tuple(kept)

    def _without_size(
        self, layout: Layout, target: urls.Target, candidates: tuple[Candidate, ...]
    ) -> Layout:
        """The layout of an image that a browser chooses among several, if they differ in size."""
        if layout.natural is None:
            return layout
        width, height = layout.natural
        for candidate in candidates:
            pixels = self.layouts.natural(candidate.target.path)
            number = candidate.number
            if candidate.unit == "w" or pixels != (width * number, height * number):
                return layout._replace(unheld=_SEVERAL, sized=False)
        return layout

    def _target(self, reference: str, *, note: bool = True) -> urls.Target | None:
        """The place in the site to which a reference leads; None, and a note, if elsewhere."""
        target = urls.resolve(reference, self.base or self.root, self.root)
        if self.base is None and isinstance(target, urls.Target) and not target.rooted:
            target = Reason.REMOTE
        if isinstance(target, urls.Target):
            return target
        if note and target in (Reason.REMOTE, Reason.OUTSIDE):
            self.findings.leave(reference.strip(), 0, target)
        return None

    def file(self, path: str) -> File | str:
        """The state of a path in the site. It is noted, because it may change."""
        if path not in self.known:
            self.known[path] = files.find(self.site, path)
        file = self.known[path]
        self.findings.looked[path] = file.size if isinstance(file, File) else file
        return file

    def _is_encodable(self, path: str) -> bool:
        """Whether a path leads to an image that nobody has taken out."""
        excluded = globs.matches(self.settings.exclude, path) or is_vector(path)
        return not excluded and not self.is_asset(path) and isinstance(self.file(path), File)

    def _is_worth_it(self, path: str) -> bool:
        """Whether an image can be encoded and is large enough: themes have many small ones."""
        file = self.file(path) if self._is_encodable(path) else ""
        return isinstance(file, File) and file.size >= self.settings.min_bytes

    def is_asset(self, path: str) -> bool:
        """Whether a path leads to a file of ours."""
        return path.startswith(f"{self.settings.asset_dir}/")

    def _opted_out(self, image: html.Image, path: str) -> bool:
        """Whether author or settings take an image out; that is noted."""
        exclude = self.settings.exclude
        if (image.get("data-sitecodec") or "").lower() == "off":
            reason = 'data-sitecodec="off"'
        elif globs.matches(exclude, self.page) or globs.matches(exclude, path):
            reason = "excluded"
        else:
            return False
        file = self.file(path)
        self.findings.leave(path, file.size if isinstance(file, File) else 0, reason)
        return True


def is_vector(path: str) -> bool:
    """Whether a path is that of an image without pixels."""
    return path.lower().endswith((".svg", ".svgz"))

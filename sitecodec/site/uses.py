"""What the tags and the CSS of one page show, and which of it is ours to encode."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sitecodec.errors import SettingsError
from sitecodec.page import css, html, srcset, urls
from sitecodec.settings import Settings
from sitecodec.site import assets, files
from sitecodec.site.files import File
from sitecodec.site.findings import Findings

# What a `<source>` may be made of by its type; others are as good as what we would add.
_REPLACEABLE = ("", "image/jpeg", "image/jpg", "image/png", "image/webp")


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
    """Those of its own srcset, which then stand for its source."""


class Own(NamedTuple):
    """A `<picture>` of the author's: what each of its tags may be preceded by."""

    image: html.Image
    target: urls.Target | None
    offers: tuple[tuple[html.Tag | html.Image, tuple[Candidate, ...]], ...]


class Look(NamedTuple):
    """Looks at the images of one page (or style sheet)."""

    site: Path
    page: str
    base: str | None
    root: str
    settings: Settings
    known: dict[str, File | str]
    findings: Findings

    def image(self, image: html.Image) -> Use | None:
        """What an `<img>` outside a `<picture>` shows, if that may be changed."""
        target = self._target(image.get("src") or "")
        if target is None or self._opted_out(image, target.path):
            return None
        file = self._file(target.path)
        if isinstance(file, str):
            self.findings.problem(self.page, target.path, file)
            return None
        if is_vector(target.path):
            self.findings.leave(target.path, file.size, "vector (SVG)")
            return Use(image, target)
        if any(a.name in ("data-src", "data-srcset", "data-lazy-src") for a in image.attributes):
            self.findings.leave(target.path, file.size, "loaded by a script")
            return None
        candidates: tuple[Candidate, ...] = ()
        if own := image.get("srcset"):
            candidates = self._candidates(own, image.get("src"))
            if not candidates:
                self.findings.leave(target.path, file.size, "has its own srcset")
                return None
        paths = [c.target.path for c in candidates] or [target.path]
        if not self._note(image, target.path, paths):
            return None
        return Use(image, target, candidates)

    def picture(self, image: html.Image) -> Own | None:
        """What a `<picture>` of the author's shows, if something may be added to it."""
        target = self._target(image.get("src") or "")
        if target and self._opted_out(image, target.path):
            return None
        file = self._file(target.path) if target else ""
        if target and isinstance(file, str):
            self.findings.problem(self.page, target.path, file)
            return None
        offers: list[tuple[html.Tag | html.Image, tuple[Candidate, ...]]] = []
        covered = image.sources is None
        for source in image.sources or ():
            mime = (source.get("type") or "").strip().lower()
            if mime in _REPLACEABLE:
                found = self._candidates(source.get("srcset") or "")
                offers += [(source, found)] if found else []
                covered = covered or not source.get("media")
            elif mime in ("image/avif", "image/jxl"):
                covered = covered or not source.get("media")
        if not covered and (target or image.get("srcset")):
            found = self._candidates(image.get("srcset") or "", image.get("src"))
            offers += [(image, found)] if found else []
        paths = [c.target.path for _, candidates in offers for c in candidates]
        if not self._note(image, target.path if target else "", paths):
            return None
        if target and isinstance(file, File) and not offers:
            self.findings.leave(target.path, file.size, "inside a <picture>")
        return Own(image, target, tuple(offers)) if image.sources is not None else None

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
                missing = self._file(target.path) if target else None
                if target and isinstance(missing, str):
                    self.findings.problem(self.page, target.path, missing)
                return ()
            kept.append(Candidate(target, candidate.number, candidate.unit))
        return tuple(kept)

    def _target(self, reference: str, *, note: bool = True) -> urls.Target | None:
        """Where in the site a reference leads; None, and a note of it, if not into it."""
        target = urls.resolve(reference, self.base or self.root, self.root)
        if self.base is None and isinstance(target, urls.Target) and not target.rooted:
            target = "remote"
        if isinstance(target, urls.Target):
            return target
        if note and target in ("remote", "outside the site"):
            self.findings.leave(reference.strip(), 0, target)
        return None

    def _file(self, path: str) -> File | str:
        if path not in self.known:
            self.known[path] = files.find(self.site, path)
        file = self.known[path]
        self.findings.looked[path] = file.size if isinstance(file, File) else file
        return file

    def _is_encodable(self, path: str) -> bool:
        """Whether a path leads to an image that nobody has taken out."""
        excluded = files.matches(self.settings.exclude, path) or is_vector(path)
        return not excluded and not self._is_asset(path) and isinstance(self._file(path), File)

    def _is_worth_it(self, path: str) -> bool:
        """Whether an image can be encoded and is large enough: themes have many small ones."""
        file = self._file(path) if self._is_encodable(path) else ""
        return isinstance(file, File) and file.size >= self.settings.min_bytes

    def _is_asset(self, path: str) -> bool:
        return path.startswith(f"{self.settings.asset_dir}/")

    def _opted_out(self, image: html.Image, path: str) -> bool:
        """Whether author or settings take an image out; that is noted."""
        exclude = self.settings.exclude
        if (image.get("data-sitecodec") or "").lower() == "off":
            reason = 'data-sitecodec="off"'
        elif files.matches(exclude, self.page) or files.matches(exclude, path):
            reason = "excluded"
        else:
            return False
        file = self._file(path)
        self.findings.leave(path, file.size if isinstance(file, File) else 0, reason)
        return True


def is_vector(path: str) -> bool:
    """Whether a path is that of an image without pixels."""
    return path.lower().endswith((".svg", ".svgz"))

"""A built site in, a rewritten site out: every page's images encoded, linked and accounted for."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.disk import writing
from sitecodec.disk.store import Store
from sitecodec.errors import SiteError
from sitecodec.facts import formats
from sitecodec.page import served
from sitecodec.page.urls import Root
from sitecodec.settings import Settings
from sitecodec.site import assets, lock, manifest, originals, pages, rows, shipping, stale
from sitecodec.site.encoded import encode, with_widths
from sitecodec.site.files import File, compressed, is_there
from sitecodec.site.findings import Findings, problems
from sitecodec.site.layout import Layouts
from sitecodec.site.memory import of_site
from sitecodec.site.offers import CONTENT_WIDTH, Offers
from sitecodec.site.rows import ImageRow, Problem
from sitecodec.site.summary import Summary
from sitecodec.site.surroundings import Surroundings
from sitecodec.terminal.printing import printable
from sitecodec.visitors import break_even
from sitecodec.visitors.installed import installed

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["ImageRow", "Problem", "Summary", "rewrite_site", "with_widths"]


def rewrite_site(
    site_dir: Path,
    settings: Settings,
    *,
    base_path: str | None = None,
    refused: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Encode the images that a built site's pages show, and rewrite the pages to offer them.

    `base_path` is the URL path that the site is served under, for references that begin with a
    slash; without it, the first page's canonical link tells it. `refused` maps site paths of
    images that must not be read to why (a Problem).
    `progress` is called with the numbers of images done and in all.

    An image that cannot be taken is a Problem in the summary, and its tag stays as it was. Pages
    are written whole or not at all; a second run over the same site changes nothing. One that comes
    while another is at work waits for it.
    Raises SiteError if the site cannot be read or written, SettingsError for bad templates, and
    what the codec raises if it cannot work at all.
    """
    if not site_dir.is_dir():
        raise SiteError(f"{site_dir} is not a folder; build the site first")
    site = Path(os.path.realpath(site_dir))
    if not Path(os.path.realpath(site / settings.asset_dir)).is_relative_to(site):
        raise SiteError(f"{settings.asset_dir} is a link that leaves the site; remove it")
    try:
        with lock.held(site) as alone:
            root = served.root(site, base_path)
            return _rewritten(site, settings, root, refused or {}, progress, alone)
    except OSError as error:
        place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else site
        what = (error.strerror or str(error)).lower()
        raise SiteError(
            f"cannot use {printable(str(place))}: {what}; free some space or check the permissions"
        ) from error


def _rewritten(
    site: Path,
    settings: Settings,
    root: Root,
    refused: Mapping[str, str],
    progress: Callable[[int, int], None] | None,
    alone: bool,
) -> Summary:
    findings = Findings()
    files: dict[str, File | str] = dict(refused)
    left: list[str] = []
    names, styles = pages.names_in(site, findings, left)
    writing.clear(left, alone=alone)
    styles = [name for name in styles if name != pages.style_file(settings.asset_dir)]
    stale.restore(site, settings.asset_dir, [*names, *styles], root, findings)
    store = Store(settings.store)
    memory = of_site(settings, root, [*names, *styles])
    template = functools.cache(lambda: _template(settings))
    if not memory.earlier:
        template()  # that it is a good one was seen by the build that is remembered
    layouts = Layouts(site, root, settings.markup)
    visitor = pages.Visitor(site, root, settings, files, findings, memory, layouts)
    visits = [visit for name in names if (visit := visitor.visit(name))]
    styles = pages.changeable(styles, settings, findings)
    sheets = [visit for name in styles if (visit := visitor.visit(name))]
    codec = functools.cache(lambda: installed(settings, store))
    around = Surroundings(site, root, settings, files, findings, layouts)
    encoded = encode(around, memory, codec, progress)
    content_width = findings.content_width or CONTENT_WIDTH
    shown = [visit.record.shown or () for visit in visits]
    shown += [()] * (len(names) - len(visits))
    shipped = shipping.decide(site, settings, shown, encoded, content_width, codec)
    made, encoded = encoded, shipping.loadable(encoded, shipped.kinds)
    for path in made:
        findings.rows[path] = rows.row(findings.rows[path], encoded.get(path), content_width)
    script = _script(settings) if shipped.worker else ""
    placeholders = _placeholders(site, settings, encoded, findings)
    offers = Offers(
        *(site, root, encoded, template, script, pages.style_file(settings.asset_dir)),
        *(placeholders, findings.rows, {}),
        backgrounds=findings.backgrounds,
        generative=settings.family.generative,
        widest=max(with_widths(settings, findings.content_width).widths),
    )
    if script:
        from sitecodec.visitors import worker  # most sites do without one

        model = settings.model if shipped.kinds == "all" else None
        write_worker = functools.partial(worker.write, site, settings.asset_dir, store, model)
        write_worker()  # before any page names it: this may be stopped at any moment
    rewritten = sum(visitor.rewrite(visit, offers) for visit in visits)
    for sheet in sheets:
        visitor.rewrite(sheet, offers)
    if made:
        memory.keep()
    # No page names payloads. A page that does without `<picture>` names a part of the others.
    written = {
        asset.files[formats.SLAT.name]
        for image in encoded.values()
        for asset in image.sizes
        if formats.SLAT.name in asset.files
    }
    removed = assets.sweep(
        site, settings.asset_dir, [*names, *styles], written, payloads=bool(script)
    )
    if settings.originals == "drop":
        own = [p for p in encoded if _is_own(files[p], site) and not _in_copy(site, findings, p)]
        for path in originals.unnamed(site, own):
            try:
                (site / path).unlink(missing_ok=True)
            except OSError as error:
                what = (error.strerror or str(error)).lower()
                findings.problem(path, "", f"cannot be removed ({what}); make its folder writable")
    _write_manifest(site, settings.asset_dir, findings, encoded)
    notes: tuple[str, ...] = ()
    if script:
        from sitecodec.visitors import host_notes

        write_worker()  # without the payloads that have gone
        with contextlib.suppress(ValueError, LookupError, ArithmeticError, OSError):  # mere advice
            notes = tuple(host_notes.notes(site, settings.asset_dir, root))
    added = shipping.weight(site, settings.asset_dir, [break_even.WORKER] if script else [])
    return Summary(
        images=tuple(findings.rows[path] for path in sorted(findings.rows)),
        problems=tuple(problems(findings)),
        pages=len(names),
        rewritten=rewritten,
        removed=removed,
        worker=break_even.describe(shipped.account, settings.browser, included=bool(script)),
        added=added,
        hosting=notes,
        unwrapped=findings.laid_out("img", encoded),
        unheld=findings.laid_out("unheld", encoded),
        held=sum(
            number
            for (form, _), images in findings.forms.items()
            for path, number in images.items()
            if form == "held" and path in encoded
        ),
    )


def _is_own(file: File | str, site: Path) -> bool:
    """Whether a file is the site's own, not one that a link leads to."""
    return isinstance(file, File) and file.real.is_relative_to(site)


def _in_copy(site: Path, findings: Findings, path: str) -> bool:
    """Whether a page that has shown an image has a compressed copy, which still names it."""
    return any(compressed(f"{site}/{page}") for page in findings.uses[path])


def _write_manifest(
    site: Path, folder: str, findings: Findings, encoded: Mapping[str, assets.Image]
) -> None:
    """Write down which files were made of which image."""
    entries = []
    for path, row in findings.rows.items():
        sizes = encoded[path].sizes if path in encoded else ()
        made = (
            manifest.File(
                *(file, size.width, size.height, size.bytes[name]),
                *(size.scores.get(name), size.judges.get(name)),
            )
            for size in sizes
            for name, file in size.files.items()
            if is_there(site, file)
        )
        if row.before:
            digest = findings.digests.get(path, "")
            forms = tuple(findings.forms_of(path)) if sizes else ()
            entry = manifest.Entry(path, row.before, row.reason, tuple(made), digest, forms)
            entries.append(entry)
    old = manifest.read(site, folder)
    new = manifest.merged(site, old, entries)
    if new != old and any(entry.files for entry in new.entries):
        writing.write_file(site / folder / manifest.NAME, manifest.dump(new))


def _template(settings: Settings) -> Template:
    from sitecodec.page import markup  # a warm build makes no tags

    return markup.load_template(settings.templates)


def _script(settings: Settings) -> str:
    """Site path of the script by which pages register the worker."""
    from sitecodec.visitors import worker

    return worker.registration(settings.asset_dir)[0]


def _placeholders(
    site: Path, settings: Settings, encoded: Mapping[str, assets.Image], findings: Findings
) -> dict[str, str]:
    if settings.placeholder == "off":
        return {}
    from sitecodec.site import placeholder

    store = Store(settings.store)
    found = {}
    for path, image in encoded.items():
        try:
            found[path] = placeholder.declarations(settings.placeholder, site, image, store)
        except Exception as error:  # of whatever a decoder may raise; the image does without
            for page in findings.uses.get(path, ()):
                findings.unexpected(page, path, error)
    return found

"""A built site in, a rewritten site out: every page's images encoded, linked and accounted for."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.errors import SiteError
from sitecodec.page import urls
from sitecodec.settings import Settings
from sitecodec.site import assets, manifest, pages
from sitecodec.site import visits as accounts
from sitecodec.site.encoded import encode, with_widths
from sitecodec.site.files import File
from sitecodec.site.findings import Findings, problems
from sitecodec.site.installed import Installed, installed
from sitecodec.site.memory import of_site
from sitecodec.site.offers import CONTENT_WIDTH, Offers
from sitecodec.site.summary import ImageRow, Problem, Summary
from sitecodec.store import Store

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["ImageRow", "Problem", "Summary", "rewrite_site", "with_widths"]


def rewrite_site(
    site_dir: Path,
    settings: Settings,
    *,
    base_path: str = "/",
    refused: Mapping[str, str] | None = None,
    fresh: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Encode the images that a built site's pages show, and rewrite the pages to offer them.

    `base_path` is the URL path that the site is served under, for references that begin with a
    slash. `refused` maps site paths of images that must not be read to why (a Problem).
    `fresh` says that the site has just been made and will be made anew if this is stopped: then
    pages are written where they stand, which is faster. `progress` is called with the numbers of
    images done and in all.

    An image that cannot be taken is a Problem in the summary, and its tag stays as it was. Files
    (and, if not `fresh`, pages) are written whole or not at all; a second run over the same site
    changes nothing.
    Raises SiteError if the site cannot be read or written, SettingsError for bad templates, and
    what the codec raises if it cannot work at all.
    """
    if not site_dir.is_dir():
        raise SiteError(f"{site_dir} is not a folder; build the site first")
    site = Path(os.path.realpath(site_dir))
    if not Path(os.path.realpath(site / settings.asset_dir)).is_relative_to(site):
        raise SiteError(f"{settings.asset_dir} is a link that leaves the site; remove it")
    findings = Findings()
    root = urls.site_root(base_path)
    files: dict[str, File | str] = dict(refused or {})
    names, styles = pages.names_in(site, findings)
    store = Store(settings.store)
    memory = of_site(settings, root, [*names, *styles])
    template = functools.cache(lambda: _template(settings))
    if not memory.earlier:
        template()  # that it is a good one was seen by the build that is remembered
    visitor = pages.Visitor(site, root, settings, files, findings, memory)
    visits = [visit for name in names if (visit := visitor.visit(name))]
    styles = pages.changeable(styles, settings, findings)
    sheets = [visit for name in styles if (visit := visitor.visit(name))]
    codec = functools.cache(lambda: installed(settings, store))
    encoded = encode(site, settings, files, findings, memory, codec, progress)
    by_visitors = encoded if settings.codec == "web" else {}  # others need the preview
    content_width = findings.content_width or CONTENT_WIDTH
    shown = [visit.record.shown or () for visit in visits]
    shown += [()] * (len(names) - len(visits))
    shipped, account = _account(site, settings, shown, by_visitors, content_width, codec)
    script = _script(site, settings, account)
    placeholders = _placeholders(site, settings, encoded)
    offers = Offers(
        *(site, root, encoded, template, script, placeholders, findings.rows, {}),
        generative=settings.codec == "sd",
    )
    rewritten = sum(visitor.rewrite(visit, offers, fresh=fresh) for visit in visits)
    for sheet in sheets:
        visitor.rewrite(sheet, offers, fresh=fresh)
    if encoded:
        memory.keep()
    written = {
        p for image in encoded.values() for asset in image.sizes for p in asset.files.values()
    }
    removed = assets.sweep(site, settings.asset_dir, [*names, *styles], written)
    if settings.originals == "drop":
        for path in assets.unnamed(site, encoded):
            (site / path).unlink(missing_ok=True)
    _write_manifest(site, settings.asset_dir, findings, encoded)
    notes: tuple[str, ...] = ()
    if script:
        from sitecodec.site import hosting, worker  # most sites do without a worker

        worker.write(site, settings.asset_dir, store, shipped)
        notes = tuple(hosting.notes(site, settings.asset_dir, base_path))
    return Summary(
        images=tuple(findings.rows[path] for path in sorted(findings.rows)),
        problems=tuple(problems(findings)),
        pages=len(names),
        rewritten=rewritten,
        removed=removed,
        worker=accounts.describe(account, settings.browser, included=bool(script)),
        hosting=notes,
    )


def _write_manifest(
    site: Path, folder: str, findings: Findings, encoded: Mapping[str, assets.Image]
) -> None:
    """Write down which files were made of which image."""
    entries = []
    for path, row in findings.rows.items():
        sizes = encoded[path].sizes if path in encoded else ()
        files = (
            manifest.File(file, size.width, size.height, size.bytes[name], size.scores.get(name))
            for size in sizes
            for name, file in size.files.items()
        )
        if row.before:
            entries.append(manifest.Entry(row.path, row.before, row.reason, tuple(files)))
    old = manifest.read(site, folder)
    new = manifest.merged(site, old, entries)
    if new != old and any(entry.files for entry in new.entries):
        assets.write_file(site / folder / manifest.NAME, manifest.dump(new))


def _template(settings: Settings) -> Template:
    from sitecodec.page import markup  # a warm build makes no tags

    return markup.load_template(settings.templates)


def _account(
    site: Path,
    settings: Settings,
    shown: Sequence[Collection[str]],
    encoded: Mapping[str, assets.Image],
    content_width: int,
    codec: Callable[[], Installed],
) -> tuple[str | None, accounts.Account]:
    """What the service worker would save the visitors of this site, whose pages show these.

    And the model that it is to have: None where flat graphics, which need none, pay for a worker
    of their own and the rest does not for the model.
    """
    saved, flat = {}, {}
    for path, image in encoded.items():
        sizes = [(size.width, size.bytes) for size in image.sizes]
        if (less := accounts.saving(sizes, content_width)) is not None:
            saved[path] = less
            if next(size.flat for size in image.sizes if "slat" in size.files):
                flat[path] = less

    def account(saved: Mapping[str, int], model: str | None) -> accounts.Account:
        by_page = [{path: saved[path] for path in paths if path in saved} for paths in shown]
        cost = 0
        if saved:
            cost = codec().engine_cost if model is None else codec().cost
        return accounts.account(by_page, cost, model=model is not None)

    without = account(flat, None)
    whole = account(saved, settings.model) if len(flat) < len(saved) else without
    had_worker = (site / accounts.WORKER).is_file()
    had_none = had_worker and not accounts.has_model(site, settings.asset_dir)
    if settings.browser == "auto" and not whole.ahead and (without.ahead or had_none):
        return None, without
    return settings.model, whole


def _script(site: Path, settings: Settings, account: accounts.Account) -> str:
    """Site path of the script that pages shall load, '' if there is to be no worker."""
    earlier = (site / accounts.WORKER).is_file()
    wanted = account.ahead or earlier if settings.browser == "auto" else bool(account.saved)
    if settings.browser == "never" or not (wanted or earlier):
        return ""
    from sitecodec.site import worker

    return worker.registration(settings.asset_dir)[0]


def _placeholders(
    site: Path, settings: Settings, encoded: Mapping[str, assets.Image]
) -> dict[str, str]:
    if settings.placeholder == "off":
        return {}
    from sitecodec.site import placeholder

    store = Store(settings.store)
    kind = settings.placeholder
    return {path: placeholder.declarations(kind, site, i, store) for path, i in encoded.items()}

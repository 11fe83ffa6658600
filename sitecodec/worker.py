"""What lets visitors' browsers decode payloads: the service worker and its files in a site.

The worker (browser/worker.js) stands at the site's root, since a worker sees only what is below it;
engine, model and the script that registers it (browser/register.js) stand beside the payloads.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sitecodec import assets, engine, models, payload

NAME = "sitecodec-sw.js"
"""The worker's file, at the site's root."""

FOLDER = Path(__file__).with_name("browser")

PAGES_PER_VISIT = 3
"""Pages of an average visit, the first of which comes without latents. Two to four is what
operators of documentation sites and blogs report."""

_STEM = re.compile(r"-([0-9a-f]{12})-[0-9]+w\.slat")
_PART = re.compile(r"(?:engine|model)-[0-9a-f]{12}\.bin")
_FALLBACKS = (".avif", ".jpg", ".webp", ".png")
_COMMENT = re.compile(r"\s*//.*")


@dataclass(frozen=True)
class Account:
    """What the worker costs a visitor, and what it saves. All sizes are in bytes as transferred."""

    cost: int
    """Worker, registration, engine and model: once, and again when one of them changes."""

    saved: tuple[int, ...]
    """For each image of the site with a payload: fallback less payload."""

    saved_by_page: float
    """The same, of the different images of a page, as the mean over all pages."""

    @property
    def images_needed(self) -> int | None:
        """After how many images of average saving a visit comes out ahead; None for never."""
        total = sum(self.saved)
        return -(-self.cost * len(self.saved) // total) if total > 0 else None

    @property
    def saved_by_visit(self) -> float:
        """What an average visit saves; no more than all images together."""
        return min((PAGES_PER_VISIT - 1) * self.saved_by_page, float(sum(self.saved)))

    @property
    def ahead(self) -> bool:
        """Whether an average first visit loads fewer bytes with the worker than without."""
        return self.saved_by_visit > self.cost


def account(saved: Sequence[int], pages: Iterable[int], number_of_pages: int) -> Account:
    """The account of a site: savings by image, and by page for those that have any."""
    cost = len(_engine()[1]) + len(_model()[1]) + _script_cost(len(saved))
    return Account(cost, tuple(saved), sum(pages) / max(1, number_of_pages))


def describe(account: Account, setting: str, *, included: bool) -> str:
    """The account in a sentence for the summary; '' where there is nothing to say."""
    if setting == "never" or not account.saved:
        return ""
    needed = account.images_needed
    after = f"ahead after {needed} images" if needed else "never ahead"
    cost = f"engine and model take {account.cost / 1e3:.0f} kB once; a visit comes out {after}"
    if included:
        return f"service worker: included ({cost})"
    return f"service worker: left out ({cost}); 'browser: always' includes it"


def registration(folder: str) -> tuple[str, bytes]:
    """Site path and content of the script that registers the worker."""
    root = "../" * (folder.count("/") + 1)
    content = _script("register.js", {"root": root, "name": NAME})
    return f"{folder}/register-{_digest(content)}.js", content


def write(site: Path, folder: str) -> int:
    """Write the worker and its files into a site; returns the number of payloads it knows.

    `folder` is the site path of the assets, whose payloads must be there already. Files are named
    by their content, but for the worker itself. Raises SiteError.
    """
    name, content = registration(folder)
    assets.write_file(site / name, content)
    engine_name, packed_engine = _engine()
    model_name, packed_model = _model()
    # A file of that name never changes what it holds, though another zlib might pack it otherwise.
    for part, packed in ((engine_name, packed_engine), (model_name, packed_model)):
        if not (site / folder / part).is_file():
            assets.write_file(site / folder / part, packed)
    for path in (site / folder).glob("*.bin"):  # of earlier builds; only the worker names them
        if _PART.fullmatch(path.name) and path.name not in (engine_name, model_name):
            path.unlink(missing_ok=True)
    stems = decodable(site / folder)
    facts = {
        "name": NAME,
        "folder": folder,
        "engine": engine_name,
        "model": model_name,
        "stems": "".join(stems),
    }
    version = _digest(_script("worker.js", facts))
    assets.write_file(site / NAME, _script("worker.js", facts | {"version": version}))
    return len(stems)


def decodable(folder: Path) -> list[str]:
    """The hashes in the names of the payloads that the built-in model decodes, sorted.

    Only those that have a fallback of the same stem: it is by that that a browser asks for them.
    """
    wanted = models.fingerprint(models.read(models.DEFAULT, "decoder"))
    found = []
    for path in folder.glob("*.slat"):
        match = _STEM.search(path.name)
        with path.open("rb") as stream:
            head = stream.read(payload.HEADER_BYTES)
        ours = head[4:6] == bytes((payload.VERSION, payload.CODECS.index("web")))
        model = int.from_bytes(head[6:10], "little")
        has_fallback = any(path.with_suffix(s).is_file() for s in _FALLBACKS)
        if match and ours and model == wanted and has_fallback:
            found.append(match[1])
    return sorted(found)


def minified(source: str) -> str:
    """The script without comment lines, indentation and blank lines.

    No more, so that nothing can break; a host's compression does the rest.
    """
    lines = (line.strip() for line in source.splitlines() if not _COMMENT.fullmatch(line))
    return "".join(f"{line}\n" for line in lines if line)


def _script(name: str, facts: dict[str, str]) -> bytes:
    source = (FOLDER / name).read_text(encoding="utf-8")
    head, mark, tail = minified(source).rpartition("(SITE)")
    assert mark
    return f"{head}({json.dumps(facts)}){tail}".encode()


def _script_cost(payloads: int) -> int:
    """Bytes of both scripts as hosts send them, with the list of payloads, which is random."""
    text = minified("".join((FOLDER / n).read_text("utf-8") for n in ("worker.js", "register.js")))
    return len(zlib.compress(text.encode(), 6)) + 7 * payloads


@functools.cache
def _engine() -> tuple[str, bytes]:
    """Name and packed content of the engine's file."""
    data = engine.WASM.read_bytes()
    return f"engine-{_digest(data)}.bin", gzip.compress(data, 6, mtime=0)


@functools.cache
def _model() -> tuple[str, bytes]:
    """Name and packed content of the model's file, which many hosts would send as it is."""
    data = models.read(models.DEFAULT, "decoder")
    return f"model-{_digest(data)}.bin", gzip.compress(data, 6, mtime=0)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]

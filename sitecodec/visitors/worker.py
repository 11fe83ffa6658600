"""The service worker and its files in a site, which decode payloads in visitors' browsers.

The worker (browser/worker.js) stands at the site's root, since a worker sees only what is below it;
engine, model and the script that registers it (browser/register.js) stand beside the payloads.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import json
import re
import zlib
from pathlib import Path

from sitecodec import engine, models, payload
from sitecodec.disk import writing
from sitecodec.disk.folders import plain
from sitecodec.disk.store import Store, key
from sitecodec.errors import StoreError
from sitecodec.facts import families, formats
from sitecodec.visitors import break_even

NAME = break_even.WORKER

FOLDER = Path(__file__).parent / "browser"

_STEM = r"-([0-9a-f]{12})-[0-9]+w" + re.escape(formats.SLAT.suffix)
_PART = r"(?:engine|model)-[0-9a-f]{12}\.bin"
_WEB, _FLAT = (families.ALL.index(family) for family in (families.WEB, families.FLAT))
_INCLUDE = re.compile(r"^ *// @include (\S+)\n", re.MULTILINE)
_SUFFIXES = "SUFFIXES"  # stands for them in a pattern
_COMMENT = re.compile(r"\s*//.*")


def cost(payloads: int, store: Store | None = None, model: str | None = "") -> int:
    """The bytes that a visitor loads once, as transferred: scripts, engine and model.

    The visitor loads them again when one of them changes. `payloads` is the number of payloads that
    the worker knows. `model` is a name, '' for the usual model, or None if all payloads are of flat
    graphics, which need none. Costly results are kept in the store.
    """
    sent = 0 if model is None else len(_model(store, model)[1])
    return len(_engine(store)[1]) + sent + _script_cost(payloads, store)


def shipped(site: Path, folder: str) -> int:
    """The cost for a site as it was built; 0 for a site without the worker."""
    if not (site / NAME).is_file():
        return 0
    parts = (path for path in (site / folder).glob("*.bin") if re.fullmatch(_PART, path.name))
    return sum(path.stat().st_size for path in parts) + _script_cost(1)


def needs_model(file: Path) -> bool:
    """Whether a payload holds latents rather than flat graphics. Raises OSError."""
    return not payload.is_flat(plain(file)[: payload.HEADER_BYTES])


def registration(folder: str) -> tuple[str, bytes]:
    """Site path and content of the script that registers the worker."""
    root = "../" * (folder.count("/") + 1)
    content = _script("register.js", {"root": root, "name": NAME})
    return f"{folder}/register-{_digest(content)[:12]}.js", content


def write(site: Path, folder: str, store: Store | None = None, model: str | None = "") -> int:
    """Write the worker and its files into a site; returns the number of payloads it knows.

    `folder` is the site path of the assets, whose payloads must be there already. Files are named
    by their content, but for the worker itself. Without a model (None), or where no payload needs
    one, none is written. Raises SiteError.
    """
    name, content = registration(folder)
    writing.write_file(site / name, content)
    stems = decodable(site / folder, model)
    parts = [_engine(store)]
    if model is not None and any(stems.values()):
        parts.append(_model(store, model))
    # A file of that name never changes what it holds, though another zlib might pack it otherwise.
    for part, packed in parts:
        if not (site / folder / part).is_file():
            writing.write_file(site / folder / part, packed)
    for path in (site / folder).glob("*.bin"):  # of earlier builds; only the worker names them
        if re.fullmatch(_PART, path.name) and path.name not in dict(parts):
            with contextlib.suppress(OSError):
                path.unlink()
    facts = {
        "name": NAME,
        "folder": folder,
        "engine": parts[0][0],
        "model": parts[1][0] if len(parts) > 1 else "",
        "stems": "".join(stems),
    }
    version = _digest(_script("worker.js", facts))[:12]
    writing.write_file(site / NAME, _script("worker.js", facts | {"version": version}))
    return len(stems)


def decodable(folder: Path, model: str | None = "") -> dict[str, bool]:
    """The hashes in the names of the payloads that the model decodes, sorted: whether it has to.

    Only those that have a fallback of the same stem: it is by that that a browser asks for them.
    """
    known = [(payload.VERSION, _FLAT, 0)]
    if model is not None:
        fingerprint = models.fingerprint(models.read(model, "decoder"))
        known += ((v, _WEB, fingerprint) for v in (payload.VERSION, payload.ALPHA_VERSION))
    found = {}
    suffixes = [known.suffix for known in formats.photographs_first()]
    for path in folder.glob(f"*{formats.SLAT.suffix}"):
        match = re.search(_STEM, path.name)
        if not path.is_file():  # a folder, or a pipe
            continue
        with path.open("rb") as stream:
            head = stream.read(payload.HEADER_BYTES)
        if len(head) < payload.HEADER_BYTES:
            continue
        ours = (*head[4:6], int.from_bytes(head[6:10], "little")) in known
        has_fallback = any(path.with_suffix(s).is_file() for s in suffixes)
        if match and ours and has_fallback:
            found[match[1]] = not payload.is_flat(head)
    return dict(sorted(found.items()))


def source(name: str) -> str:
    """A script of browser/ with the files that it includes, and the suffixes of our pictures."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    suffixes = "|".join(known.suffix.removeprefix(".") for known in formats.photographs_first())
    text = text.replace(_SUFFIXES, suffixes)
    return _INCLUDE.sub(lambda match: source(match[1]), text)


def minified(source: str) -> str:
    """The script without comment lines, indentation and blank lines.

    No more, so that nothing can break; a host's compression does the rest.
    """
    lines = (line.strip() for line in source.splitlines() if not _COMMENT.fullmatch(line))
    return "".join(f"{line}\n" for line in lines if line)


def _script(name: str, facts: dict[str, str]) -> bytes:
    head, mark, tail = minified(source(name)).rpartition("(SITE)")
    assert mark
    return f"{head}({json.dumps(facts)}){tail}".encode()


def _script_cost(payloads: int, store: Store | None = None) -> int:
    """Bytes of both scripts as hosts send them, with the list of payloads, which is random."""
    text = minified(source("worker.js") + source("register.js"))
    return len(_packed(text.encode(), store)) + break_even.PAYLOAD_COST * payloads


@functools.cache
def _engine(store: Store | None) -> tuple[str, bytes]:
    """Name and packed content of the file with the engine's decoder."""
    data = engine.DECODER.read_bytes()
    return f"engine-{_digest(data)[:12]}.bin", _packed(data, store)


@functools.cache
def _model(store: Store | None, name: str = "") -> tuple[str, bytes]:
    """Name and packed content of the model's file, which many hosts would send as it is."""
    data = models.read(name, "decoder")
    digest = _digest(data)
    return f"model-{digest[:12]}.bin", _packed(data, store, digest)


def _packed(data: bytes, store: Store | None, digest: str = "") -> bytes:
    """The data as gzip. Takes longer than all else in a warm build, so the store remembers it."""
    name = key("gzip 6", digest or _digest(data))
    packed = store.get(name) if store else None
    if packed is None or _unpacked(packed, len(data)) != data:  # visitors' browsers run it
        packed = gzip.compress(data, 6, mtime=0)
        if store:
            with contextlib.suppress(StoreError):  # the images' outcomes have told
                store.put(name, packed)
    return packed


def _unpacked(packed: bytes, size: int) -> bytes:
    """The content of gzip data of at most `size` bytes; b'' if it is not gzip."""
    reader = zlib.decompressobj(wbits=31)
    try:
        data = reader.decompress(packed, size + 1)
    except zlib.error:
        return b""
    return data if reader.eof and not reader.unused_data else b""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

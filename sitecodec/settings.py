"""Every setting with its default and its validation, and how settings are loaded.

docs/settings.md is written from the words below, by `python scripts/reference.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from reprlib import Repr
from typing import Any

from sitecodec.disk import configuration_text
from sitecodec.disk.folders import plain
from sitecodec.errors import SettingsError
from sitecodec.facts import families
from sitecodec.facts.calibration import MIN_TILE_SCORE, QUALITIES, QUALITY
from sitecodec.facts.families import Family

CONFIG_NAMES = ("sitecodec.toml", "mkdocs.yml", "properdocs.yml")
"""Files that may hold settings, the first that does counts."""

REFINING = 5
"""The least effort at which latents are refined."""


_short = Repr()  # of a value that YAML's aliases make a billion others of
_short.maxlevel, _short.maxstring, _short.maxother = 3, 200, 200


@dataclass(frozen=True)
class Settings:
    """The settings of a build. They are immutable and picklable, so that jobs can carry them."""

    quality: float = QUALITY
    """The score that encoded images must reach, on the scale of SSIMULACRA2: a number from 0 to
    100, or `low` (50), `medium` (65) or `high` (75). Raise it if images look worse than you like;
    each step costs bytes. Screenshots and drawings must always reach 85."""

    min_tile_score: float = MIN_TILE_SCORE
    """The score that each part of 256x256 pixels must reach, from -1000 to 100. It keeps a good
    average from hiding a bad spot. Screenshots and drawings must always reach 75 in each part.
    Parts that look like text must also keep their shape."""

    codec: str = families.WEB.name
    """How payloads of photographs are made. `web` is for websites: visitors' browsers decode it.
    `sd` stores latents of Stable Diffusion, which only the author's preview shows. Read [What may
    be invented](stable-diffusion.md#what-may-be-invented) before you enable `sd`."""

    model: str = ""
    """The model of the codec: the name of a built-in one, or of one that `sitecodec models add`
    has added. An empty name means the newest built-in model. Visitors download the model once."""

    effort: int = 3
    """How hard a build works on payloads, from 0 to 9. From 2 on, latents are rounded to the
    values that cost less. From 5 on, they are refined with gradients, which needs torch. This
    takes half a minute to several minutes per megapixel, once for each image. AVIF files are then
    made with more patience too (libaom's speed 2 instead of 6). Most sites do best with the
    default."""

    widths: tuple[int, ...] = ()
    """The widths in pixels to make of each image, from 16 to 65500. No file is wider than its
    source, and the largest width is the limit. An empty list means half, once and twice the
    content width of the theme, at most 1920. Name widths if your theme shows images at other
    sizes."""

    exclude: tuple[str, ...] = ()
    """Globs of images or pages that stay as they are, such as `assets/logo.png` or `blog/**`. A
    glob without a slash, such as `*-logo.png`, matches in any folder."""

    markup: str = "auto"
    """How pages offer the encoded files. `picture` puts each image into a `<picture>`, and `img`
    gives it a `srcset`. `auto` uses `<picture>` unless the site's CSS or scripts would notice it.
    Use `img` if something on your pages expects the plain tag."""

    asset_dir: str = "assets/sitecodec"
    """The folder of the built site that receives the encoded files: a plain relative path. Change
    it if your site already has a folder of this name."""

    min_bytes: int = 4096
    """Images with fewer bytes than this stay as they are, from 0 to 2147483648. Tiny files have
    little to gain, and a second request costs more than it saves."""

    max_pixels: int = 50_000_000
    """Images with more pixels than this are not processed, and a warning names them; from 1 to
    268435456. Raise it for very large images if the machine has the memory."""

    originals: str = "keep"
    """`keep` leaves the original files in the built site. `drop` removes each one that was encoded
    and that no file of the site names any more, which makes the upload smaller. Links from other
    sites to these files then break."""

    placeholder: str = "off"
    """The picture in an image's place while it loads: `blur`, a plain `colour`, or nothing
    (`off`). It adds up to 200 bytes to the page for each image, and needs no script. Leave it off
    if your images have `object-fit: contain`."""

    store: Path = Path(".cache/sitecodec")
    """The folder that keeps encoded files between builds, relative to the configuration file. It
    must not be inside the docs folder or the built site. Keep it between runs in CI."""

    templates: Path | None = None
    """A folder whose templates replace the built-in ones of the same name, relative to the
    configuration file. `picture.html.jinja` is the markup of an image."""

    workers: int = 0
    """The number of images to encode at once, from 0 to 1024. 0 means one for each processor.
    Lower it if a build runs out of memory."""

    browser: str = "auto"
    """Whether the site gets the service worker that decodes payloads in visitors' browsers. `auto`
    includes it only if an average visit saves more bytes than it costs. `always` includes it if
    the site has any payload. `never` leaves it out."""

    @property
    def family(self) -> Family:
        """What the codec can do."""
        return next(family for family in families.ALL if family.name == self.codec)

    def __post_init__(self) -> None:
        """Validate; raises SettingsError."""
        _check_range("quality", self.quality, 0, 100)
        for width in self.widths:
            _check_range("widths", width, 16, 65_500)
        _check_range("min_tile_score", self.min_tile_score, -1000, 100)
        _check_range("min_bytes", self.min_bytes, 0, 2**31)
        _check_range("max_pixels", self.max_pixels, 1, 2**28)
        _check_range("workers", self.workers, 0, 1024)
        _check_range("effort", self.effort, 0, 9)
        if not (family := families.named(self.codec)) or not family.for_sites:
            known = " or ".join(repr(other.name) for other in families.ALL if other.for_sites)
            raise SettingsError(f"codec must be {known}, not {self.codec!r}")
        if self.originals not in ("keep", "drop"):
            raise SettingsError(f"originals must be 'keep' or 'drop', not {self.originals!r}")
        if self.markup not in ("auto", "picture", "img"):
            raise SettingsError(f"markup must be 'auto', 'picture' or 'img', not {self.markup!r}")
        if self.placeholder not in ("off", "colour", "blur"):
            raise SettingsError(
                f"placeholder must be 'blur', 'colour' or 'off', not {self.placeholder!r}"
            )
        if self.browser not in ("auto", "always", "never"):
            raise SettingsError(
                f"browser must be 'auto', 'always' or 'never', not {self.browser!r}"
            )
        for name in ("store", "templates", "asset_dir"):
            if not _may_be_path(f"{getattr(self, name)}"):
                raise SettingsError(
                    f"{name} has characters that no folder's name has; write it anew"
                )
        parts = self.asset_dir.split("/")
        if not self.asset_dir or "\\" in self.asset_dir or any(p in ("", ".", "..") for p in parts):
            raise SettingsError(
                f"asset_dir must be a plain relative folder such as 'assets/sitecodec',"
                f" not {self.asset_dir!r}"
            )


def _may_be_path(text: str) -> bool:
    """Whether a file system takes it: no NUL is in it, nor half of a pair of UTF-16."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(f"{name} must be between {low} and {high}, not {_said(value)}")


def _said(value: object) -> str:
    """A value in a few words."""
    try:
        return _short.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


def from_mapping(values: Mapping[str, Any], base: Path) -> Settings:
    """Settings from plain values (TOML or mkdocs.yml); paths are taken relative to `base`.

    Raises SettingsError that names the setting.
    """
    known = {field.name for field in fields(Settings)}
    for name in values:
        if name not in known:
            raise SettingsError(f"unknown setting {_said(name)}; known: {', '.join(sorted(known))}")
    return replace(
        Settings(store=base / Settings.store),
        **{name: _coerce(name, value, base) for name, value in values.items()},
    )


def quality_of(text: str) -> float:
    """The quality that is written as a number or a name. Raises SettingsError."""
    try:
        value: str | float = float(text)
    except ValueError:
        value = text
    quality: float = _coerce("quality", value, Path())
    return quality


def load(path: Path | None = None) -> Settings:
    """Settings from a TOML file, or from those of the plugin in an mkdocs.yml.

    Without a path, from the first of CONFIG_NAMES in the current folder that has any; where none
    has, and where the file is missing, the defaults hold. Raises SettingsError.
    """
    if path is not None:
        return from_mapping(_values(path), path.resolve().parent)
    found = (Path(name) for name in CONFIG_NAMES)
    return load(next((path for path in found if _is_ours(path)), Path(CONFIG_NAMES[0])))


def _is_ours(path: Path) -> bool:
    """Whether a file here has settings: an mkdocs.yml may do without the plugin."""
    try:
        return b"sitecodec" in plain(path) or path.suffix == ".toml"
    except OSError:
        return False


def _values(path: Path) -> Mapping[str, Any]:
    """The plain values in a configuration file; none where there is no such file."""
    try:
        text = plain(path).decode("utf-8")
        if path.suffix.lower() in (".yml", ".yaml"):
            return _of_plugin(path, text)
        return configuration_text.toml(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        what = " ".join(str(error).split())
        raise SettingsError(f"cannot read {path}: {what}; mend it or name another file") from error


def _of_plugin(path: Path, text: str) -> Mapping[str, Any]:
    """The options under `sitecodec` in the plugins of an mkdocs.yml."""
    try:
        values = configuration_text.yaml(text)
    except ImportError:
        raise SettingsError(f"cannot read {path}: pip install pyyaml, or use a TOML file") from None
    plugins = values.get("plugins") if isinstance(values, dict) else None
    for plugin in plugins if isinstance(plugins, (list, dict)) else ():
        options = plugins[plugin] if isinstance(plugins, dict) else None
        if isinstance(plugin, dict) and len(plugin) == 1:
            ((plugin, options),) = plugin.items()
        if plugin == "sitecodec":
            return options if isinstance(options, dict) else {}
    raise SettingsError(f"{path} has no plugin sitecodec; add it, or name a TOML file")


def _coerce(name: str, value: Any, base: Path) -> Any:  # noqa: ANN401 - plain config values
    if name == "quality" and isinstance(value, str):
        wanted, ok = f"a number or one of {', '.join(QUALITIES)}", value in QUALITIES
        value = QUALITIES.get(value, value)
    elif name in ("quality", "min_tile_score"):
        wanted, ok = "a number", isinstance(value, (int, float)) and not isinstance(value, bool)
    elif name in ("min_bytes", "max_pixels", "workers", "effort"):
        wanted, ok = "a whole number", isinstance(value, int) and not isinstance(value, bool)
    elif name == "widths":
        wanted = "a list of whole numbers"
        ok = isinstance(value, (list, tuple)) and all(type(v) is int for v in value)
        value = tuple(sorted(set(value))) if ok else value
    elif name == "exclude":
        wanted = "a list of globs"
        ok = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
        value = tuple(value) if ok else value
    elif name in ("store", "templates"):
        wanted, ok = (
            "a folder",
            isinstance(value, (str, Path)) or (name, value) == ("templates", None),
        )
        value = base / value if ok and value is not None else value
    else:
        wanted, ok = "text", isinstance(value, str)
    if not ok:
        raise SettingsError(f"{name} must be {wanted}, not {_said(value)}")
    return value

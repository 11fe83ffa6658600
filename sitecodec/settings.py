"""Every setting, its default, its validation, and loading from TOML or a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sitecodec.errors import SettingsError

CONFIG_NAME = "sitecodec.toml"

QUALITIES = {"low": 30.0, "medium": 50.0, "high": 70.0}
"""Names for the setting `quality`, with the scores they mean."""

REFINING = 5
"""The least effort at which latents are refined."""


@dataclass(frozen=True)
class Settings:
    """What a build does. Immutable and picklable, so that jobs can carry it."""

    quality: float = 50.0
    """The score (SSIMULACRA2) that encoded images have to reach: a number up to 100, or `low` (30),
    `medium` (50) or `high` (70). Graphics and screenshots are held to 85 at least."""

    min_tile_score: float = 30.0
    """What every 256x256 part of an encoded image has to score at least: this catches lost text."""

    codec: str = "web"
    """What payloads are made with: 'web', which visitors' browsers decode, or 'sd', Stable
    Diffusion's latents, which only the author's preview shows. Read first what they may invent."""

    model: str = ""
    """The codec's model: one that is built in, or one of your own that `sitecodec models add` has
    taken in. Without a name, the newest built-in one. Visitors download it once."""

    effort: int = 3
    """How hard to work on payloads, 0 to 9. From 2 on latents are rounded to what costs less. From
    5 on they are refined with gradients: that makes payloads smaller still, takes from half a
    minute to minutes per megapixel (once: results are kept in the store) and needs torch."""

    widths: tuple[int, ...] = ()
    """Widths in pixels to make of each image, none wider than its source; the widest is the limit.
    Without any, half, once and twice the content width of the theme, at most 1920."""

    exclude: tuple[str, ...] = ()
    """Globs of images or pages to leave alone: `assets/logo.png`, `blog/**`; `*-logo.png` and other
    globs without a slash match in any folder."""

    asset_dir: str = "assets/sitecodec"
    """Folder of the built site that receives the encoded files."""

    min_bytes: int = 4096
    """Sources smaller than this are left alone: there is nothing to gain."""

    max_pixels: int = 50_000_000
    """Sources with more pixels than this are refused."""

    originals: str = "keep"
    """'keep' leaves the author's files in the built site; 'drop' removes those that were encoded
    and that no file of the site names any more. Links from other sites to them then break."""

    placeholder: str = "off"
    """What stands in an image's place while it loads: 'blur', 'colour' or 'off'. It adds up to 200
    bytes to the page for each image; the image covers it, without any script."""

    store: Path = Path(".cache/sitecodec")
    """Folder of the store, relative to the configuration file."""

    templates: Path | None = None
    """Folder whose templates replace those of the same name in `templates/`."""

    workers: int = 0
    """Images encoded at once; 0 takes one for each processor."""

    browser: str = "auto"
    """Whether the site gets the service worker by which visitors' browsers decode payloads:
    'always', 'never', or 'auto', where an average visit comes out ahead by it."""

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
        if self.codec not in ("web", "sd"):
            raise SettingsError(f"codec must be 'web' or 'sd', not {self.codec!r}")
        if self.originals not in ("keep", "drop"):
            raise SettingsError(f"originals must be 'keep' or 'drop', not {self.originals!r}")
        if self.placeholder not in ("off", "colour", "blur"):
            raise SettingsError(
                f"placeholder must be 'blur', 'colour' or 'off', not {self.placeholder!r}"
            )
        if self.browser not in ("auto", "always", "never"):
            raise SettingsError(
                f"browser must be 'auto', 'always' or 'never', not {self.browser!r}"
            )
        parts = self.asset_dir.split("/")
        if not self.asset_dir or "\\" in self.asset_dir or any(p in ("", ".", "..") for p in parts):
            raise SettingsError(
                f"asset_dir must be a plain relative folder such as 'assets/sitecodec',"
                f" not {self.asset_dir!r}"
            )


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(f"{name} must be between {low} and {high}, not {value}")


def from_mapping(values: Mapping[str, Any], base: Path) -> Settings:
    """Settings from plain values (TOML or mkdocs.yml); paths are taken relative to `base`.

    Raises SettingsError that names the setting.
    """
    known = {field.name for field in fields(Settings)}
    for name in values:
        if name not in known:
            raise SettingsError(f"unknown setting {name!r}; known: {', '.join(sorted(known))}")
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


def load(path: Path) -> Settings:
    """Settings from a TOML file. A missing file gives the defaults. Raises SettingsError."""
    base = path.resolve().parent
    try:
        import tomllib  # 2 ms that the plugin need not pay for

        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        values = {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error
    return from_mapping(values, base)


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
        raise SettingsError(f"{name} must be {wanted}, not {value!r}")
    return value

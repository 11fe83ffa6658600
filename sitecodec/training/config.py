"""The configuration of a training run: a TOML file for each model, read into frozen dataclasses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sitecodec.disk import configuration_text
from sitecodec.errors import SettingsError

FOLDER = Path(__file__).with_name("configs")


@dataclass(frozen=True)
class Stage:
    """A stretch of training with one objective."""

    steps: int
    learning_rate: float
    """The learning rate at the beginning; it falls to 0."""
    mse: float
    """Weight of the squared error, beside ms_ssim."""
    ms_ssim: float
    """Weight of 1 − MS-SSIM, scaled to weigh about as much as the squared error at its weight."""
    score: float = 0.0
    """Weight of 100 − SSIMULACRA2, likewise."""
    lattice: float = 0.0
    """Weight of the squared error that all blocks of 16×16 pixels have in common. SSIMULACRA2 alone
    rewards a faint pattern in smooth areas, as it would their real grain."""
    colour: float = 0.0
    """Weight of the squared error of Cb and Cr over 4×4 pixels: eyes see colour coarsely, but they
    do, and SSIMULACRA2 and MS-SSIM hardly."""
    constant: bool = False
    """Whether the learning rate stays: for runs whose end is not known."""
    entropy_only: bool = False
    """Whether only the entropy model is trained, on the latents as they are."""


@dataclass(frozen=True)
class Config:
    """A model's shape and its training."""

    name: str
    lambdas: tuple[float, ...]
    """The price of distortion at each level, in bits a pixel for a mean squared error of 1/255²."""
    stages: tuple[Stage, ...]
    luma: int = 88
    chroma: int = 20
    """Latents that begin as DCT frequencies of Y', and of Cb and Cr each."""
    analysis: tuple[int, int, int] = (48, 80, 160)
    synthesis: tuple[int, int, int] = (96, 48, 32)
    """Channels of the nets from fine to coarse, and from coarse to fine."""
    hidden: int = 128
    reduced: int = 0
    """Channels through which a factored entropy model sees neighbours; 0: it sees latents whole."""
    structured: bool = False
    """Whether the synthesis' linear path is a mixture of DCT frequencies."""
    grain: float = 0.0
    """Steps of the decoder's weights, in standard deviations of an output's; 0: as `quantise` has
    them for web-1."""
    batch: int = 8
    crop: int = 256
    average: float = 0.999
    """Decay of the moving average of the weights, which is what is kept."""
    lambdas_before: tuple[float, ...] = ()
    """The lambdas of the model that a run continues from, if they differ."""
    seed: int = 1

    @property
    def channels(self) -> int:
        """Latents at a position."""
        return self.luma + 2 * self.chroma

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage(self, step: int) -> tuple[Stage, float]:
        """The stage that a step belongs to, and how much of it is done before it, 0…1."""
        for stage in self.stages:
            if step < stage.steps:
                return stage, step / stage.steps
            step -= stage.steps
        return self.stages[-1], 1.0


def load(path: Path) -> Config:
    """A config from a TOML file. Raises SettingsError."""
    try:
        values = configuration_text.toml(path.read_text(encoding="utf-8"))
        return _build(values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SettingsError(f"cannot read the config {path}: {error}") from error


def _build(values: dict[str, Any]) -> Config:
    known = {field.name for field in fields(Config)}
    if unknown := values.keys() - known:
        raise ValueError(f"unknown keys {', '.join(sorted(unknown))}")
    stages = tuple(Stage(**stage) for stage in values.pop("stages"))
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    config = Config(**{**values, **lists}, stages=stages)
    if config.channels % 8 or not config.lambdas or not config.steps:
        raise ValueError("luma + 2·chroma must be a multiple of 8; lambdas and stages not empty")
    return config


def describe(config: Config) -> dict[str, Any]:
    """The config as values for JSON."""
    return asdict(config)

"""A training run: resumable at any moment, because a step depends only on its number."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import click
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from sitecodec.errors import ModelError
from sitecodec.training import data, export
from sitecodec.training.architecture import Weights
from sitecodec.training.config import Config
from sitecodec.training.initial import continued_weights, initial_weights
from sitecodec.training.quantise import FINE, GRAIN
from sitecodec.training.step import Score, evaluate, loss

SAVE_SECONDS = 300.0
EVALUATIONS, MEASURED = 10, 12  # at least so many times in a run, and on how many pictures
RARELY = 2000  # steps between evaluations of a long run
FIXED = ("level_t", FINE, GRAIN)
"""Tensors that are not trained."""


@dataclass
class State:
    """The complete state of a run at some step."""

    step: int
    seconds: float
    weights: Weights
    average: Weights
    optimiser: torch.optim.Adam
    losses: list[float] = field(default_factory=list)
    """The losses of the steps since the last report."""


def train(
    folder: Path, out: Path, config: Config, device: torch.device, start: Path | None = None
) -> None:
    """Train until the config's last step, then export and write the model card.

    Begins where `out` left off; else with the weights of `start`, else with a DCT codec. Raises
    ModelError for a checkpoint of another config and for a start of another shape.
    """
    out.mkdir(parents=True, exist_ok=True)
    pictures = data.find(folder)
    held_out = [data.read(path) for path in pictures.held_out[:MEASURED]]
    state = _begin(out / "checkpoint.safetensors", config, device, start)
    every = min(RARELY, max(1, config.steps // EVALUATIONS))
    saved = started = time.monotonic()
    before = state.seconds
    batches = _prefetch(pictures.training, state.step, config)
    with click.progressbar(
        length=config.steps, label=config.name, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        bar.update(state.step)
        for crops in batches:
            _advance(state, crops.to(device), config)
            state.seconds = before + time.monotonic() - started
            bar.update(1)
            if state.step % every == 0 or state.step == config.steps:
                _log(out / "log.jsonl", state, evaluate(state.average, held_out))
                state.losses.clear()
            if time.monotonic() - saved > SAVE_SECONDS or state.step == config.steps:
                _save(out / "checkpoint.safetensors", state, config)
                saved = time.monotonic()
    _finish(out, state, config, pictures, evaluate(state.average, held_out))


def _advance(state: State, crops: Tensor, config: Config) -> None:
    stage, done = config.stage(state.step)
    falling = 1.0 if stage.constant else 0.5 + 0.5 * math.cos(done * math.pi)
    for group in state.optimiser.param_groups:
        group["lr"] = stage.learning_rate * falling
    result = loss(state.weights, crops.float() / 255, config, stage, state.step)
    state.optimiser.zero_grad(set_to_none=True)
    result.total.backward()
    state.losses.append(float(result.total.detach()))
    torch.nn.utils.clip_grad_norm_(list(_parameters(state.weights)), 1.0)
    state.optimiser.step()
    state.step += 1
    decay = min(config.average, state.step / (state.step + 10))
    with torch.no_grad():
        for name, weight in state.weights.items():
            state.average[name].lerp_(weight, 1 - decay)


def _prefetch(paths: tuple[Path, ...], step: int, config: Config) -> Iterator[Tensor]:
    """The batches from `step` on, each read while the one before is trained on."""

    def read(number: int) -> Tensor:
        return data.batch(paths, number, config.batch, config.crop, config.seed)

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(read, step)
        for number in range(step, config.steps):
            crops = pending.result()
            pending = pool.submit(read, number + 1)
            yield crops


def _parameters(weights: Weights) -> Iterator[Tensor]:
    return (weight for name, weight in weights.items() if name not in FIXED)


def _begin(
    checkpoint: Path, config: Config, device: torch.device, start: Path | None = None
) -> State:
    first = continued_weights(config, start) if start else initial_weights(config)
    weights = {name: w.to(device) for name, w in first.items()}
    average = {name: w.clone() for name, w in weights.items()}
    for weight in _parameters(weights):
        weight.requires_grad_()
    optimiser = torch.optim.Adam(list(_parameters(weights)), lr=1e-3)
    state = State(0, 0.0, weights, average, optimiser)
    if not checkpoint.exists():
        return state
    with safe_open(checkpoint, "pt", device=str(device)) as file:
        metadata = file.metadata()
        if metadata["config"] != repr(config):
            raise ModelError(f"{checkpoint} is of another config: name a new --out, or remove it")
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(file.get_tensor(f"weights.{name}"))
                average[name].copy_(file.get_tensor(f"average.{name}"))
        state.step, state.seconds = int(metadata["step"]), float(metadata["seconds"])
        for name, weight in weights.items():
            if f"first.{name}" in file.keys():  # noqa: SIM118
                optimiser.state[weight] = {
                    "step": file.get_tensor(f"count.{name}").cpu(),
                    "exp_avg": file.get_tensor(f"first.{name}"),
                    "exp_avg_sq": file.get_tensor(f"second.{name}"),
                }
    return state


def _save(checkpoint: Path, state: State, config: Config) -> None:
    tensors = {f"average.{name}": weight for name, weight in state.average.items()}
    for name, weight in state.weights.items():
        tensors[f"weights.{name}"] = weight.detach()
        if moments := state.optimiser.state.get(weight):  # none where nothing was trained yet
            tensors[f"count.{name}"] = moments["step"]
            tensors[f"first.{name}"] = moments["exp_avg"]
            tensors[f"second.{name}"] = moments["exp_avg_sq"]
    metadata = {"config": repr(config), "step": str(state.step), "seconds": str(state.seconds)}
    temporary = checkpoint.with_suffix(".tmp")
    save_file({name: t.contiguous() for name, t in tensors.items()}, temporary, metadata)
    temporary.replace(checkpoint)


def _log(path: Path, state: State, scores: list[Score]) -> None:
    line = {
        "step": state.step,
        "seconds": round(state.seconds),
        "loss": sum(state.losses) / max(1, len(state.losses)),
        "levels": [vars(s) for s in scores],
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    figures = "  ".join(f"{s.bits_per_pixel:.3f}/{s.psnr:.2f}/{s.score:.1f}" for s in scores)
    click.echo(f"{state.step:>7} {state.seconds / 60:6.1f} min  bpp/PSNR/SSIMULACRA2  {figures}")


def _finish(
    out: Path, state: State, config: Config, pictures: data.Pictures, scores: list[Score]
) -> None:
    """Weights, model files and card."""
    weights = {name: weight.cpu().contiguous() for name, weight in state.average.items()}
    save_file(weights, out / f"{config.name}.safetensors", {"name": config.name})
    note = "No model files: they have no place for its entropy model."
    if not config.reduced:
        samples = pictures.training[:: len(pictures.training) // 24 + 1]
        calibration = (data.read(path)[None] / 255 for path in samples)
        decoder, encoder = export.export(weights, calibration)
        (out / f"{config.name}.decoder.slm").write_bytes(decoder)
        (out / f"{config.name}.encoder.slm").write_bytes(encoder)
        note = f"Decoder file: {len(decoder)} bytes."
    rows = [
        f"| {level} | {s.bits_per_pixel:.4f} | {s.psnr:.2f} | {s.ms_ssim:.4f} | {s.score:.1f} |"
        for level, s in enumerate(scores)
    ]
    card = [
        f"# {config.name}",
        "",
        f"Trained on {len(pictures.training)} pictures for {state.step} steps of"
        f" {config.batch} crops of {config.crop}×{config.crop}, {state.seconds / 3600:.1f} hours on"
        f" {state.weights['level_t'].device}. {note}",
        "",
        f"Measured on {min(MEASURED, len(pictures.held_out))} pictures held out, weights rounded,"
        " ideal code length:",
        "",
        "| level | bits per pixel | PSNR, dB | MS-SSIM | SSIMULACRA2 |",
        "|---|---|---|---|---|",
        *rows,
    ]
    (out / f"{config.name}.md").write_text("\n".join(card) + "\n", encoding="utf-8")

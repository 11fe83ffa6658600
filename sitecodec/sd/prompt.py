"""The empty prompt's embedding: worked out once, when a model is added, and stored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitecodec.errors import ModelError

if TYPE_CHECKING:
    import torch

TOKENS = 77
_TEXT_ENCODER = ("text_encoder/config.json", "text_encoder/model.safetensors")


def store_empty(source: Any, paths: set[str], stage: Path, name: str) -> None:  # noqa: ANN401
    """Write `empty_prompt.safetensors` into a staged model. Raises ModelError."""
    from safetensors.torch import save_file

    from sitecodec.models.registry import EMPTY_PROMPT

    config = json.loads((stage / "unet" / "config.json").read_text(encoding="utf-8"))
    if config.get("addition_embed_type") == "text_time":
        tensors = _zeros(config)
    else:
        tensors = {"prompt": _embed(source, paths, stage, name)}
    save_file(tensors, stage / EMPTY_PROMPT)


def _zeros(config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """SDXL's empty prompt: its pipeline takes zeros (`force_zeros_for_empty_prompt`)."""
    import torch

    pooled = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
    return {
        "prompt": torch.zeros(1, TOKENS, config["cross_attention_dim"]),
        "pooled": torch.zeros(1, pooled),
    }


def _embed(source: Any, paths: set[str], stage: Path, name: str) -> torch.Tensor:  # noqa: ANN401
    import torch

    tokenizer = sorted(path for path in paths if path.startswith("tokenizer/"))
    if not tokenizer or not set(_TEXT_ENCODER) <= paths:
        raise ModelError(
            f"{name}: it has a U-Net but no text_encoder/ (model.safetensors) and tokenizer/:"
            " they are needed once, for the empty prompt; add them, or leave unet/ out"
        )
    try:
        from transformers import CLIPTextModel, CLIPTokenizer
    except ImportError as error:
        raise ModelError(
            "adding a model with a U-Net needs transformers, once:"
            " install it with  pip install 'sitecodec[torch]'"
        ) from error
    text = stage / ".text"
    try:
        for path in [*_TEXT_ENCODER, *tokenizer]:
            (text / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.get(path), text / path)
        words = CLIPTokenizer.from_pretrained(text / "tokenizer", local_files_only=True)
        encoder = CLIPTextModel.from_pretrained(
            text / "text_encoder", use_safetensors=True, local_files_only=True
        )
        tokens = words(
            "", padding="max_length", max_length=words.model_max_length, return_tensors="pt"
        )
        with torch.no_grad():
            embedding: torch.Tensor = encoder.eval()(tokens.input_ids)[0]
            return embedding.float().contiguous()
    except OSError as error:
        if error.errno:
            raise
        raise ModelError(f"{name}: cannot load its text encoder: {_line(error)}") from error
    except Exception as error:  # transformers raises nearly anything on damaged files
        raise ModelError(f"{name}: cannot load its text encoder: {_line(error)}") from error
    finally:
        shutil.rmtree(text, ignore_errors=True)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__

"""The empty prompt's embedding: worked out once, when a model is added, and stored."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitecodec.errors import ModelError
from sitecodec.sd.libraries import one_line, quiet

if TYPE_CHECKING:
    import torch

    from sitecodec.sd.weights import Source

TOKENS = 77
_CONFIG = "text_encoder/config.json"
_WEIGHTS = ("text_encoder/model.safetensors", "text_encoder/model.fp16.safetensors")


def store_empty(source: Source, unet: Mapping[str, Any], stage: Path, name: str) -> None:
    """Write `empty_prompt.safetensors` into a staged model, for a U-Net's configuration.

    Raises ModelError.
    """
    from safetensors.torch import save_file

    from sitecodec.sd.registry import EMPTY_PROMPT

    if unet["addition_embed_type"] == "text_time":
        tensors = _zeros(unet, name)
    else:
        tensors = {"prompt": _embed(source, stage, name)}
    save_file(tensors, stage / EMPTY_PROMPT)


def _zeros(unet: Mapping[str, Any], name: str) -> dict[str, torch.Tensor]:
    """SDXL's empty prompt: its pipeline takes zeros (`force_zeros_for_empty_prompt`)."""
    import torch

    try:
        times = 6 * unet["addition_time_embed_dim"]
        pooled = unet["projection_class_embeddings_input_dim"] - times
        return {
            "prompt": torch.zeros(1, TOKENS, unet["cross_attention_dim"]),
            "pooled": torch.zeros(1, pooled),
        }
    except (TypeError, RuntimeError) as error:
        raise ModelError(f"{name}: unet/config.json is damaged: get the model again") from error


def _embed(source: Source, stage: Path, name: str) -> torch.Tensor:
    import torch

    paths = set(source.paths())
    tokenizer = sorted(path for path in paths if path.startswith("tokenizer/"))
    weights = next((path for path in _WEIGHTS if path in paths), "")
    has_words = {"tokenizer/vocab.json", "tokenizer/merges.txt"} <= paths
    if not (has_words or "tokenizer/tokenizer.json" in paths) or not weights:
        raise ModelError(
            f"{name}: it has a U-Net but no whole text_encoder/ (model.safetensors) and tokenizer/"
            " (vocab.json, merges.txt): they are needed once, for the empty prompt; add them, or"
            " leave unet/ out"
        )
    try:
        from transformers import CLIPTextModel, CLIPTokenizer
    except ImportError as error:
        raise ModelError(
            "adding a model with a U-Net needs transformers, once:"
            " install it with  pip install 'sitecodec[torch]'"
        ) from error
    text = stage / ".text"
    for path in [_CONFIG, weights, *tokenizer]:
        (text / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.get(path), text / (_WEIGHTS[0] if path == weights else path))
    try:
        with quiet():
            words = CLIPTokenizer.from_pretrained(text / "tokenizer", local_files_only=True)
            loaded: Any = CLIPTextModel.from_pretrained(
                text / "text_encoder",
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
        encoder, report = loaded
        if report["missing_keys"] or report["mismatched_keys"]:
            raise ValueError("weights are missing or of another shape")
        length = encoder.config.max_position_embeddings
        tokens = words("", padding="max_length", max_length=length, return_tensors="pt")
        with torch.no_grad():
            embedding: torch.Tensor = encoder.eval()(tokens.input_ids)[0].float().contiguous()
        if not bool(torch.isfinite(embedding).all()):
            raise ValueError("it gives no finite numbers")
    except Exception as error:  # transformers raises nearly anything on damaged files
        raise ModelError(f"{name}: cannot load its text encoder: {one_line(error)}") from error
    finally:
        shutil.rmtree(text, ignore_errors=True)
    return embedding

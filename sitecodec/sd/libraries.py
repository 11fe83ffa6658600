"""The libraries of the extra `torch`: imported on call, and kept quiet."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sitecodec.errors import ModelError


def need_torch() -> Any:  # noqa: ANN401 - a module
    """The module torch. Raises ModelError that says what to install."""
    try:
        import diffusers  # noqa: F401
        import safetensors.torch  # noqa: F401
        import torch
    except ImportError as error:
        raise ModelError(
            "the codec 'sd' needs torch and diffusers: install them with"
            "  pip install 'sitecodec[torch]'"
        ) from error
    return torch


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what diffusers and transformers log to themselves: our errors say what matters."""
    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def one_line(error: object) -> str:
    """The first words of an error of a library, on one line."""
    return " ".join(str(error).split())[:100] or type(error).__name__

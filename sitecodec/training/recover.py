"""Float weights from the model files of a model like web-0, to go on training where they are lost.

`python -m sitecodec.training.recover STEM LIKE.safetensors OUT.safetensors` reads
STEM.decoder.slm and STEM.encoder.slm; the entropy model is that of LIKE. Files do not say how many
fraction bits values between layers have, nor does it matter to the model; LIKE, weights of the same
shape, says what they were likely to be.
"""

from __future__ import annotations

import math
import struct
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sitecodec.training import architecture, export, model_file
from sitecodec.training.architecture import Weights


def recovered(decoder: bytes, encoder: bytes, like: Weights) -> Weights:
    """Analysis, synthesis and gains of two model files, by the names and in the scale of `like`."""
    weights = dict(like)
    for file, ops, gains in (
        (decoder, architecture.synthesis_ops(), "log_inverse_gain"),
        (encoder, architecture.analysis_ops(), "log_gain"),
    ):
        _, kind, levels, channels, latent_bits, *_ = struct.unpack_from(model_file.HEADER, file)
        logs = np.frombuffer(file, "<i2", levels * channels, struct.calcsize(model_file.HEADER))
        weights[gains] = torch.from_numpy(logs.reshape(levels, channels) * (math.log(2) / 256))
        found = model_file.read(file, 100).weights
        first, last = latent_bits, export.PICTURE_BITS
        if kind == 2:
            first, last = last, first
        groups = export.joined(ops)
        bits = {groups[0]: first, groups[-1]: last}
        for index, op in enumerate(ops, start=1):
            if op.kind in ("conv", "depthwise"):
                before = bits[groups[op.a]]
                more = _likely(weights[f"{op.name}.weight"], found[f"{index}.weight"])
                after = bits.setdefault(groups[index], before + more)
                weights[f"{op.name}.weight"] = found[f"{index}.weight"] * 2.0 ** (before - after)
                if f"{op.name}.bias" in weights:
                    weights[f"{op.name}.bias"] = found[f"{index}.bias"] * 2.0**-after
    return {name: weight.float().contiguous() for name, weight in weights.items()}


def _likely(like: Tensor, found: Tensor) -> int:
    """How many more bits a layer's outputs have than its inputs, to judge by its weights."""
    norms = [float(weight.flatten(1).norm(dim=1).median()) for weight in (found, like)]
    return round(math.log2(norms[0] / (norms[1] or 1.0)))


def main(stem: str, like: str, out: str) -> None:
    """Recover from the command line."""
    decoder, encoder = (Path(f"{stem}.{part}.slm").read_bytes() for part in ("decoder", "encoder"))
    save_file(recovered(decoder, encoder, load_file(like)), out)


if __name__ == "__main__":
    main(*sys.argv[1:])

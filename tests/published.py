"""Models in the shape that their makers published, small and at random weights.

The configurations have the keys of the published ones, and leave out what those leave out; numbers
that only say how wide a network is are smaller.
"""

import json
import shutil

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

WEIGHTS = "diffusion_pytorch_model.safetensors"
CROSS = 32  # width of a prompt's embedding: 768 or 1024 as published

VAE_15 = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.6.0",
    "act_fn": "silu",
    "block_out_channels": [8, 8, 8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 8,
    "out_channels": 3,
    "sample_size": 512,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
"""Of 1.5 and 2.1: they name no scaling factor."""

VAE_XL = VAE_15 | {"force_upcast": True, "sample_size": 1024, "scaling_factor": 0.13025}
VAE_SD3 = VAE_15 | {
    "force_upcast": True,
    "latent_channels": 16,
    "latents_mean": None,
    "latents_std": None,
    "scaling_factor": 1.5305,
    "shift_factor": 0.0609,
    "use_post_quant_conv": False,
    "use_quant_conv": False,
}
VAE_FLUX = VAE_SD3 | {"scaling_factor": 0.3611, "shift_factor": 0.1159}
TAESD = {
    "_class_name": "AutoencoderTiny",
    "_diffusers_version": "0.30.0",
    "act_fn": "relu",
    "decoder_block_out_channels": [8, 8, 8, 8],
    "encoder_block_out_channels": [8, 8, 8, 8],
    "force_upcast": False,
    "in_channels": 3,
    "latent_channels": 4,
    "latent_magnitude": 3,
    "latent_shift": 0.5,
    "num_decoder_blocks": [3, 3, 3, 1],
    "num_encoder_blocks": [1, 3, 3, 3],
    "out_channels": 3,
    "scaling_factor": 1.0,
    "shift_factor": 0.0,
    "upsample_fn": "nearest",
    "upsampling_scaling_factor": 2,
}
UNET_15 = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.6.0",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [16, 16],
    "center_input_sample": False,
    "cross_attention_dim": CROSS,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 16,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}
PNDM = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}
EULER_XL = {
    "_class_name": "EulerDiscreteScheduler",
    "_diffusers_version": "0.19.0.dev0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "trained_betas": None,
    "use_karras_sigmas": False,
}

_OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def vae(folder, config, half=False, old_names=False):
    """An autoencoder as the hub has it: the configuration's very text, and safetensors."""
    torch.manual_seed(11)
    kind = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
    network = kind[config["_class_name"]].from_config(config)
    if getattr(network, "quant_conv", None) is not None:
        spread_latents(network)
    tensors = dict(network.state_dict())
    if old_names:
        for key in [key for key in tensors if ".attentions." in key]:
            for new, old in _OLD_NAMES.items():
                if f".{new}." in key:
                    tensors[key.replace(f".{new}.", f".{old}.")] = tensors.pop(key)
    name = WEIGHTS.replace(".safe", ".fp16.safe") if half else WEIGHTS
    write(folder, config, tensors, name, half)
    return network.eval()


def spread_latents(network):
    """Give random weights' latents the spread that published ones have: 1 / 0.18215."""
    picture = torch.nn.functional.interpolate(torch.randn(1, 3, 16, 16), scale_factor=8)
    with torch.no_grad():
        mean = network.encode(picture.clamp(-1, 1)).latent_dist.mode()
        factor = 1 / 0.18215 / mean.std((2, 3)).flatten()
        network.quant_conv.weight[:4] *= factor[:, None, None, None]
        network.quant_conv.bias[:4] = -mean.mean((2, 3)).flatten() * factor


def write(folder, config, tensors, name=WEIGHTS, half=False):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if half:
        tensors = {key: tensor.half() for key, tensor in tensors.items()}
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name)


def shard(folder, stem="diffusion_pytorch_model", variant=""):
    """Split a network's weights into three files and an index."""
    tensors = load_file(folder / f"{stem}{variant}.safetensors")
    (folder / f"{stem}{variant}.safetensors").unlink()
    where = {}
    for i in range(3):
        name = f"{stem}{variant}-0000{i + 1}-of-00003.safetensors"
        part = {key: tensors[key] for key in sorted(tensors)[i::3]}
        save_file(part, folder / name)
        where |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    path = folder / f"{stem}.safetensors.index{variant}.json"
    path.write_text(json.dumps(index))
    return path


def unet(folder, config=UNET_15):
    torch.manual_seed(12)
    network = UNet2DConditionModel.from_config(config)
    write(folder, config, network.state_dict())
    return network.eval()


def text_encoder(folder):
    """CLIP's, of two layers, with a tokenizer of six words in CLIP's files."""
    torch.manual_seed(13)
    config = CLIPTextConfig(
        vocab_size=6,
        hidden_size=CROSS,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "b</w>": 3, "a": 4, "b": 5}
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(words))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    values = {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(values))


def scheduler(folder, config=PNDM):
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))


def beside(folder):
    """What else lies in published repositories, and must be left alone."""
    for path in (
        "v1-5-pruned-emaonly.ckpt",
        "v1-5-pruned.safetensors",
        "vae/diffusion_pytorch_model.bin",
        "vae/diffusion_flax_model.msgpack",
        "vae_decoder/model.onnx",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "safety_checker/model.safetensors",
        "feature_extractor/preprocessor_config.json",
        "model_index.json",
        "README.md",
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"pickle or not, never opened")


def sd15(folder):
    """Stable Diffusion 1.5's repository."""
    vae(folder / "vae", VAE_15, old_names=True)
    unet(folder / "unet")
    text_encoder(folder)
    scheduler(folder)
    beside(folder)
    return folder


def copy(made, to):
    return shutil.copytree(made, to)

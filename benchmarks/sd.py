"""The codec sd: what it costs beside the networks, and how its presets compare.

The networks have random or quickly trained weights, since none can be downloaded where this runs:
sizes, times and memory are those of the real architectures, pictures are not. With `--model NAME`
the presets are compared on a model of the registry instead, and on `--images`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels
    from sitecodec.sd.codec import SdCodec
    from sitecodec.sd.grid import Latents
    from sitecodec.sd.networks import Networks

ROUNDS = 7
OVERHEAD_LIMIT = 60.0  # ms for 512x512 on one core
NETWORK_LIMIT = 1.10  # of a bare diffusers call
MEMORY_LIMIT = 4000.0  # MB for 4096x4096
LARGE = 4096


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="compare the presets on this model")
    parser.add_argument("--images", nargs="*", type=Path, default=[])
    parser.add_argument("--memory", action="store_true", help="4096x4096 too: takes minutes")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda", "mps"])
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("torch is not installed: pip install 'sitecodec[torch]'", file=sys.stderr)
        return 1
    torch.set_num_threads(1)
    if arguments.child:
        return memory()
    if arguments.device != "cpu" and not getattr(torch, arguments.device).is_available():
        print(f"no device {arguments.device!r} here: leave --device out", file=sys.stderr)
        return 1
    rows = [*overhead(), *networks()]
    if arguments.memory:
        rows.append(memory_row())
    rows += presets(arguments.model, arguments.images, arguments.device)
    if arguments.device != "cpu":
        rows += throughput(arguments.device)
        rows += whole_unet(arguments.device)
    over = False
    print(f"load average {os.getloadavg()[0]:.1f}, CPU time of one core")
    for name, figure, unit, limit in rows:
        verdict = "" if limit is None else f"limit {limit:g}" + (" over" * (figure > limit))
        over = over or (limit is not None and figure > limit)
        print(f"{name:<58}{figure:>9.4g} {unit:<8}{verdict}".rstrip())
    if arguments.json:
        table = {
            name: {"figure": figure, "unit": unit, "limit": limit}
            for name, figure, unit, limit in rows
        }
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")
    return 1 if over else 0


Row = tuple[str, float, str, float | None]


def cpu_ms(work: Callable[[], Any], rounds: int = ROUNDS) -> float:
    work()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1000)
    return statistics.median(times)


def overhead() -> list[Row]:
    """Quantise, palette, code, container and back, for the latents of 512x512."""
    import numpy as np

    from sitecodec.payload import Header
    from sitecodec.sd import container, grid, palette

    generator = np.random.default_rng(0)
    noise = generator.normal(size=(66, 66, 4)).astype(np.float32)
    latents = (noise[:-2, :-2] + noise[1:-1, :-2] + noise[:-2, 1:-1] + noise[2:, 2:]) / 2
    header = Header("sd", 0, 512, 512, 60)
    steps = grid.step_codes(60, (), 4)

    def rd() -> bytes:
        return container.pack(header, 8, grid.encode(latents, steps), False)

    def seed() -> bytes:
        return container.pack(header, 8, palette.encode(latents), False)

    rows: list[Row] = []
    for name, encode in (("rd", rd), ("seed", seed)):
        data = encode()
        there = cpu_ms(encode)
        back = cpu_ms(lambda data=data: container.unpack(data).latents())
        size = f"{len(data)} B"
        rows.append(
            (f"{name}, 512x512, all but networks ({size})", there + back, "ms", OVERHEAD_LIMIT)
        )
    return rows


def networks() -> list[Row]:
    """Our encode and decode against bare calls, on Stable Diffusion's architecture."""
    import numpy as np
    import torch

    ours = sd_networks()
    side = 128
    picture = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.uint8)

    def bare() -> None:
        with torch.inference_mode():
            batch = torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 127.5 - 1
            ours.vae.decode(ours.vae.encode(batch).latent_dist.mode())

    def whole() -> None:
        ours.decode(ours.encode(picture)[0], side, side)

    pairs = [(cpu_ms(whole, 1), cpu_ms(bare, 1)) for _ in range(5)]
    ratio = statistics.median(a / b for a, b in pairs)
    return [
        (f"VAE encode + decode of {side}x{side} against bare diffusers", ratio, "x", NETWORK_LIMIT)
    ]


def sd_networks() -> Networks:
    """Stable Diffusion 1.5's autoencoder at random weights."""
    import torch
    from diffusers import AutoencoderKL

    from sitecodec.sd import networks as module
    from sitecodec.sd.description import LatentSpace, Model

    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        scaling_factor=0.18215,
    )
    model = Model("sd", "", "", LatentSpace("AutoencoderKL", 4, 8, 0.18215, 0.0), (), {})
    return module.Networks(model, "cpu", vae.eval().requires_grad_(False), None, None, {})


def memory() -> int:
    """Peak memory of encoding and decoding 4096x4096, in this process of its own.

    All tiles are alike, so only the first of each size runs the network; the others take its
    result. With SITECODEC_ALL_TILES=1 all run.
    """
    import numpy as np

    from sitecodec.sd import networks as module

    ours = sd_networks()
    picture = np.random.default_rng(0).integers(0, 256, (1, LARGE, LARGE, 3)).astype(np.uint8)
    if not os.environ.get("SITECODEC_ALL_TILES"):
        for name in ("_encode", "_decode"):
            once(module.Networks, name)
    latents = ours.encode(picture)[0]
    gc.collect()
    ours.decode(latents, LARGE, LARGE)
    with Path("/proc/self/status").open() as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(peak * 1024 / 1e6)
    return 0


def once(owner: type[Networks], name: str) -> None:
    network = getattr(owner, name)
    known: dict[tuple[int, ...], Latents] = {}

    def first(self: Networks, part: Latents) -> Latents:
        if part.shape not in known:
            known[part.shape] = network(self, part)
        return known[part.shape]

    setattr(owner, name, first)


def memory_row() -> Row:
    import subprocess

    output = subprocess.check_output([sys.executable, __file__, "--child"], text=True)
    peak = float(output.split()[-1])
    return f"SD VAE, {LARGE}x{LARGE} in tiles, peak memory", peak, "MB", MEMORY_LIMIT


def presets(model: str, images: list[Path], device: str) -> list[Row]:
    """`rd` against `seed` at no more bytes, on the same latents."""
    from sitecodec.sd import adding, registry
    from sitecodec.sd.codec import SdCodec

    if model:
        return compared(SdCodec(model, device=device), pictures(images))
    from tests import sd_models

    with tempfile.TemporaryDirectory() as folder:
        os.environ[registry.ENVIRONMENT] = str(Path(folder) / "models")
        source = sd_models.save(Path(folder) / "small", *sd_models.train())
        adding.add("small", str(source))
        return compared(SdCodec("small", device=device), pictures(images))


def pictures(paths: list[Path]) -> list[Pixels]:
    import numpy as np
    from PIL import Image

    from tests.conftest import make_photo

    if not paths:
        return [make_photo(512, 512, seed=seed) for seed in (100, 101, 102)]
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def compared(codec: SdCodec, sources: list[Pixels]) -> list[Row]:
    import numpy as np

    from sitecodec import metrics
    from sitecodec.sd import container

    table: dict[str, list[float]] = {}

    def note(name: str, data: bytes, source: Pixels, wanted: Latents) -> None:
        table.setdefault(f"{name}: bytes", []).append(len(data))
        decoded = codec.decode(data)
        table.setdefault(f"{name}: PSNR", []).append(metrics.psnr(source, decoded))
        score = metrics.ssimulacra2(metrics.sample(source), metrics.sample(decoded))
        table.setdefault(f"{name}: SSIMULACRA2", []).append(score)
        body = container.unpack(data)
        if not body.denoise:  # else they still change
            error = float(np.square(body.latents() - wanted).mean())
            table.setdefault(f"{name}: latents' mean squared error", []).append(error)

    from dataclasses import replace

    for source in sources:
        (latents,) = codec.latents([source])
        seed = replace(codec, preset="seed", denoise=False).encode(source, 50)
        note("seed, dithered only", seed, source, latents)
        try:
            note(
                "seed, denoised", replace(codec, preset="seed").encode(source, 50), source, latents
            )
        except Exception as error:
            print(f"not denoised: {error}", file=sys.stderr)
        rd = codec.encode_to(source, len(seed))
        note("rd at no more bytes", rd, source, latents)
        note("rd, half the bytes", codec.encode_to(source, len(seed) // 2), source, latents)
        quality = container.unpack(rd).header.quality
        refined = replace(codec, refine=15).encode(source, quality)
        note("rd, refined (15 steps)", refined, source, latents)
    return [(name, statistics.fmean(values), "", None) for name, values in table.items()]


def throughput(device: str) -> list[Row]:
    """Pictures a second through the autoencoder on a GPU, one by one and in batches."""
    import dataclasses

    import numpy as np
    import torch

    ours = sd_networks()
    ours = dataclasses.replace(ours, device=device, vae=ours.vae.to(device, torch.float16))
    batch = np.random.default_rng(0).integers(0, 256, (8, 512, 512, 3)).astype(np.uint8)
    latents = ours.encode(batch)
    return [
        (f"{device}, {name} (512x512)", 8 / seconds(work), "/s", None)
        for name, work in (
            ("encode, one by one", lambda: [ours.encode(batch[i : i + 1]) for i in range(8)]),
            ("encode, eight at once", lambda: ours.encode(batch)),
            ("decode", lambda: [ours.decode(one, 512, 512) for one in latents]),
        )
    ]


def whole_unet(device: str) -> list[Row]:
    """Denoising on a GPU with a U-Net of Stable Diffusion 1.5's size, at random weights."""
    import dataclasses

    import numpy as np
    import torch
    from diffusers import UNet2DConditionModel

    from tests import sd_models

    cross = ("CrossAttnDownBlock2D",) * 3, ("CrossAttnUpBlock2D",) * 3
    with torch.device(device):
        unet = UNet2DConditionModel(
            sample_size=64,
            down_block_types=(*cross[0], "DownBlock2D"),
            up_block_types=("UpBlock2D", *cross[1]),
            cross_attention_dim=768,
        )
    ours = dataclasses.replace(
        sd_networks(),
        device=device,
        unet=unet.half().eval(),
        scheduler=sd_models.scheduler(),
        prompt={"prompt": torch.zeros(1, 77, 768)},
    )
    latents = np.random.default_rng(0).normal(size=(64, 64, 4)).astype(np.float32)
    rows: list[Row] = [
        (f"{device}, denoise (512x512)", seconds(lambda: ours.denoise(latents)), "s", None)
    ]
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 1e6
        rows.append(("cuda, peak memory of all of this", peak, "MB", None))
    return rows


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of the second run: results lie in host memory when `work` is done."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())

"""Judges that no model is trained for and no latent refined for, where they are installed.

butteraugli (Alakuijala 2017), by the program of libjxl, and ColorVideoVDP (Mantiuk et al. 2024), by
the package of its authors. Nothing here may become an objective or choose a setting.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sitecodec.errors import SitecodecError

if TYPE_CHECKING:
    from sitecodec.facts.pixels import Pixels

Judge = Callable[["Pixels", "Pixels"], float]
"""The distance between a reference and a distorted picture, both (H, W, 3) uint8."""

_BUTTERAUGLI = "butteraugli_main"
_ONE_AT_A_TIME = threading.Lock()  # the package keeps what it computes in the metric
_DISPLAY = "standard_fhd"  # ColorVideoVDP's model of a 24-inch screen at arm's length


def available() -> tuple[dict[str, Judge], tuple[str, ...]]:
    """The judges that can be asked, by name, and a line for each that cannot."""
    judges: dict[str, Judge] = {}
    missing = []
    if shutil.which(_BUTTERAUGLI):
        judges["butteraugli"] = butteraugli
    else:
        missing.append(
            f"butteraugli left out: no {_BUTTERAUGLI}; install libjxl-devtools to have it"
        )
    needed = [name for name in ("torch", "torchvision", "pycvvdp") if not _installed(name)]
    if needed:
        missing.append(f"ColorVideoVDP left out: no {', '.join(needed)}; pip install cvvdp")
    else:
        judges["cvvdp"] = cvvdp
    return judges, tuple(missing)


def butteraugli(reference: Pixels, distorted: Pixels) -> float:
    """The 3-norm of butteraugli's differences, 0 for the same. Raises SitecodecError."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, pixels in (("reference", reference), ("distorted", distorted)):
            files.append(str(Path(folder, f"{name}.png")))
            Image.fromarray(pixels).save(files[-1], compress_level=1)
        command = [_BUTTERAUGLI, *files, "--pnorm", "3"]
        try:
            done = subprocess.run(command, capture_output=True, check=True, text=True)
            norm = float(done.stdout.split()[-1])
        except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
            raise SitecodecError(
                f"{_BUTTERAUGLI} gives no figure ({error}); install another version of it"
            ) from error
    return norm


def cvvdp(reference: Pixels, distorted: Pixels) -> float:
    """ColorVideoVDP in just-objectionable differences: 10 is identical, lower is worse."""
    with _ONE_AT_A_TIME:
        return float(_metric().predict(distorted, reference, dim_order="HWC")[0])


def quality(name: str, value: float) -> float:
    """A judge's value on a scale whose rise is better and whose steps look about equal."""
    if name == "cvvdp":
        return value
    return -math.log(value) if value > 0 else math.inf


@functools.cache
def _metric():  # type: ignore[no-untyped-def]  # noqa: ANN202
    import pycvvdp  # type: ignore[import-not-found, import-untyped, unused-ignore]
    import torch

    return pycvvdp.cvvdp(display_name=_DISPLAY, device=torch.device("cpu"))


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None

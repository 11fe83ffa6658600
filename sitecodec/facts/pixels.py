"""The type of a decoded picture."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""An sRGB picture, shape (height, width, 3), or with straight alpha (height, width, 4)."""

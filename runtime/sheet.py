"""Contact sheets: what a program gives for several samples, side by side in one PNG. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.diagnostics import Code, failure
from .bundle import Port
from .drawing import draw_grid
from .memory import enough_memory

CHANNELS = (1, 3)

MOST = 1024
"""How many images a sheet may have; nobody looks at more of them at once."""


def check_images(outputs: Mapping[str, Port]) -> None:
    """Raises: NetwrightError: R903: the outputs are not just images, grey or coloured ones."""
    others = [f"`{name}` {port}" for name, port in outputs.items() if not _is_images(port)]
    if others or len(outputs) > 1:
        found = others[0] if others else f"{len(outputs)} outputs"
        raise failure(
            Code.R903,
            f"expected one output of images [B, 1 or 3, H, W] to draw, found {found}",
            help="write arrays: `-o results.npz`",
        )


def _is_images(port: Port) -> bool:
    return len(port.shape) == 4 and port.shape[1] in CHANNELS


def check_count(count: int) -> None:
    """Raises: NetwrightError: R903: more images than one looks at."""
    if count > MOST:
        raise failure(
            Code.R903,
            f"expected at most {MOST:,} images to draw, found {count:,}",
            help="draw fewer, or write arrays: `-o results.npz`",
        )


@enough_memory("the picture")
def draw_sheet(
    images: NDArray[Any], limits: Sequence[float] | None, across: int | None = None
) -> bytes:
    """Images row by row, as a PNG.

    Args:
        images: [N, 1 or 3, H, W] in raw units.
        limits: what is black and what is white; the smallest and the largest value where None.
        across: how many stand in a row; as many as there are rows where None.
    Raises: NetwrightError: R903: there are too many. R906.
    """
    check_count(len(images))
    low, high = limits or (float(np.nanmin(images)), float(np.nanmax(images)))
    pixels = (images.astype(np.float32) - low) / ((high - low) or 1.0)
    across = min(across or math.isqrt(len(images) - 1) + 1, len(images))
    white = np.ones((-len(images) % across, *images.shape[1:]), np.float32)
    rows = np.concatenate([pixels, white]).reshape(-1, across, *images.shape[1:])
    return draw_grid(list(rows))

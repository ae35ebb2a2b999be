"""Draws grids of images and points on a plane as PNG files. Torch-free."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .plots import FAINT, GRID, INK, new_figure

Images = NDArray[np.floating[Any]]
"""[N, C, H, W] of numbers from 0 to 1; C is 1 for grey ones, 3 for coloured ones."""

GAP, EDGE = 2, 56
"""Pixels between images, and how large at least each is drawn."""

COLORS = (
    "#2563eb", "#ea580c", "#059669", "#db2777", "#ca8a04", "#7c3aed", "#0891b2", "#dc2626",
    "#65a30d", "#475569",
)  # fmt: skip
"""Of points, by their labels; later ones repeat them."""

NAMED = 20
"""Up to this many labels have a legend."""


def draw_grid(rows: Sequence[Images]) -> bytes:
    """Images in rows, as a PNG; small ones are drawn larger, with sharp pixels.

    Args: rows: each of the same number of images of the same size.
    """
    from PIL import Image

    pixels = np.stack([np.clip(np.nan_to_num(row), 0, 1) for row in rows])
    scale = max(1, -(-EDGE // max(pixels.shape[-2:])))
    pixels = pixels.repeat(scale, axis=-2).repeat(scale, axis=-1)
    count, across, channels, height, width = pixels.shape
    canvas = np.ones((channels, count * (height + GAP) + GAP, across * (width + GAP) + GAP))
    for r, c in np.ndindex(count, across):
        top, left = GAP + r * (height + GAP), GAP + c * (width + GAP)
        canvas[:, top : top + height, left : left + width] = pixels[r, c]
    whole = (canvas * 255).round().astype(np.uint8)
    drawn = Image.fromarray(whole[0] if channels == 1 else whole.transpose(1, 2, 0))
    content = io.BytesIO()
    drawn.save(content, format="PNG", optimize=True)
    return content.getvalue()


def draw_points(
    points: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]] | None,
    names: Sequence[str],
    axes: tuple[str, str],
) -> bytes:
    """Points on a plane, coloured by their labels, as a PNG.

    Args:
        points: [N, 2]. labels: [N], from 0 on; None where nothing tells them apart.
        names: of the labels. axes: what stands along both.
    """
    figure, axis = new_figure(6.4, 5.2)
    figure.subplots_adjust(0.1, 0.1, 0.8 if labels is not None else 0.97, 0.97)
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.set_xlabel(axes[0], color=FAINT)
    axis.set_ylabel(axes[1], color=FAINT)
    if labels is None:
        axis.scatter(*points.T, s=6, color=COLORS[0], linewidths=0)
    for label in [] if labels is None else np.unique(labels).tolist():
        chosen = points[labels == label]
        name = names[label] if 0 <= label < len(names) else str(label)
        color = COLORS[label % len(COLORS)]
        axis.scatter(*chosen.T, s=6, color=color, linewidths=0, label=name)
    if labels is not None and len(np.unique(labels)) <= NAMED:
        axis.legend(
            frameon=False, labelcolor=INK, fontsize=8, markerscale=2.5, loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
        )  # fmt: skip
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()

"""Pictures of a run, drawn without a display. Written whole or not at all."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..compiler.suggest import visible
from .files import write_bytes

INK, FAINT, GRID = "#1f2430", "#6b7280", "#e5e7eb"
TRAIN, VALIDATION = "#2563eb", "#ea580c"
COLORS = (VALIDATION, "#059669", "#9333ea", "#db2777", "#0891b2", "#ca8a04")
WIDE = 30
"""A loss that falls by more than this factor is drawn on a logarithmic scale."""

TOGETHER = 5
"""Figures share a panel that are at most so many times as large as the smallest, or as 1."""

NUMBERED = 20
"""Up to this many classes, a confusion matrix has its counts written in."""

LETTER = 0.08
"""Inches that a letter of a class name takes, with a little room."""

LABELLED = 60
"""Up to this many classes, its axes name them."""


def draw_curves(history: Sequence[Mapping[str, Any]], title: str, path: Path) -> None:
    """Loss, the validation's figures and the learning rate over the epochs, as a PNG.

    Args: history: the records of metrics.jsonl; nothing is drawn where there are none.
    Raises: NetwrightError: R903.
    """
    if not history:
        return
    groups = _alike(history)
    figure, axes = _panels(2 + len(groups), title)
    unit = _unit(history)
    places = [record[unit] for record in history]
    for axis in axes:
        axis.set_xlabel(unit, color=FAINT)
    loss, *others, rate = axes
    _draw_loss(loss, history, places)
    for axis, names in zip(others, groups, strict=True):
        for color, name in zip(COLORS * len(names), names, strict=False):
            _line(axis, places, [r["validation"].get(name) for r in history], name, color)
    _line(rate, places, [record["lr"] for record in history], f"at the {unit}'s end", FAINT)
    rate.set_ylim(bottom=0)
    titles = ["loss", *["validation"] * len(groups), "learning rate"]
    for axis, panel in zip(axes, titles, strict=True):
        axis.set_title(panel, loc="left", color=INK, fontsize=11)
        axis.legend(frameon=False, labelcolor=INK, fontsize=9)
    save_figure(figure, path)


def _unit(history: Sequence[Mapping[str, Any]]) -> str:
    """What figures are drawn over: epochs, or steps where an epoch has several records."""
    epochs = [record["epoch"] for record in history]
    return "epoch" if len(set(epochs)) == len(epochs) else "step"


def _alike(history: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The validation's figures that are no losses, those of about one size together.

    A distance of hundreds would press shares from 0 to 1 onto the axis.
    """
    names = [name for name in history[-1]["validation"] if name not in history[-1]["train"]]
    sizes = {name: _size(record["validation"].get(name) for record in history) for name in names}
    groups: list[list[str]] = []
    for name in sorted(names, key=lambda name: sizes[name]):
        if groups and sizes[name] <= TOGETHER * max(sizes[groups[-1][0]], 1.0):
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def _size(values: Iterable[float | None]) -> float:
    return max((abs(v) for v in values if v is not None and math.isfinite(v)), default=0.0)


def _draw_loss(axis: Any, history: Sequence[Mapping[str, Any]], places: list[int]) -> None:
    names = list(history[-1]["train"])
    for index, name in enumerate(names):
        suffix = "" if name == "loss" else f" {name}"
        color = TRAIN if index == 0 else COLORS[index % len(COLORS)]
        _line(axis, places, [r["train"].get(name) for r in history], f"training{suffix}", color)
    if "loss" in history[-1]["validation"]:
        values = [r["validation"].get("loss") for r in history]
        _line(axis, places, values, "validation", VALIDATION)
    scale_loss(axis)


def scale_loss(axis: Any) -> None:
    """A logarithmic scale for losses that fall far, else one that begins at zero.

    Where some are below 0, as those of densities may be, the scale is even and shows all of them.
    """
    values = [y for line in axis.get_lines() for y in line.get_ydata() if y is not None]
    shown = [y for y in values if y > 0]
    if any(y < 0 for y in values):
        return
    if shown and max(shown) > WIDE * min(shown):
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)


def draw_confusion(counts: Sequence[Sequence[int]], names: Sequence[str], path: Path) -> None:
    """A confusion matrix as a PNG: rows are true classes, shaded by their fractions.

    Args: counts: [K][K]. names: of the K classes.
    Raises: NetwrightError: R903.
    """
    import numpy as np

    names, matrix = [visible(name) for name in names], np.asarray(counts)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    edge = LETTER * max(map(len, names)) + 0.5
    inner = min(10.0, 1.5 + 0.42 * len(names))
    size = edge + inner + 0.4
    figure, axis = new_figure(size, size)
    figure.subplots_adjust(edge / size, edge / size, (edge + inner) / size, (edge + inner) / size)
    axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    _name_axes(axis, names)
    if len(names) <= NUMBERED:
        for row, column in np.argwhere(matrix > 0):
            dark = shares[row, column] > 0.3
            axis.text(
                column, row, str(matrix[row, column]), ha="center", va="center", fontsize=8,
                color="white" if dark else INK,
            )  # fmt: skip
    right, total = int(matrix.trace()), int(matrix.sum())
    axis.set_title(f"{right:,} of {total:,} right", loc="left", color=INK, fontsize=11)
    save_figure(figure, path)


def _name_axes(axis: Any, names: Sequence[str]) -> None:
    axis.set_xlabel("predicted", color=FAINT)
    axis.set_ylabel("true", color=FAINT)
    borders = [index + 0.5 for index in range(len(names) - 1)]
    axis.hlines(borders, -0.5, len(names) - 0.5, color="white", linewidth=1.2)
    axis.vlines(borders, -0.5, len(names) - 0.5, color="white", linewidth=1.2)
    if len(names) > LABELLED:
        return
    long = max(map(len, names)) > 3
    axis.set_xticks(
        range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center"
    )
    axis.set_yticks(range(len(names)), names)


def new_figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Any, Any]:
    """A figure of its own, apart from pyplot's global state, and its axes.

    Args: width, height: in inches, of all of it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns)
    for axis in figure.axes:
        axis.tick_params(which="both", colors=FAINT, labelsize=9, length=0)
        for side in axis.spines.values():
            side.set_visible(False)
    return figure, axes


def _panels(count: int, title: str) -> tuple[Any, list[Any]]:
    width = 4.4 * count
    figure, axes = new_figure(width, 3.6, count)
    figure.subplots_adjust(0.6 / width, 0.15, 1 - 0.15 / width, 0.8, wspace=0.25)
    figure.suptitle(title, x=0.15 / width, ha="left", color=INK, fontsize=13, fontweight="bold")
    for axis in axes:
        axis.grid(color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.xaxis.get_major_locator().set_params(integer=True)
    return figure, list(axes)


def _line(axis: Any, x: list[int], values: list[float | None], name: str, color: str) -> None:
    y = [float("nan") if value is None else value for value in values]
    marker = "o" if len(x) <= 40 else None
    axis.plot(x, y, color=color, label=name, linewidth=1.8, marker=marker, markersize=3.5)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as a PNG. Raises: NetwrightError: R903.

    A letter that the font lacks is a box in it, which needs no warning for each.
    """
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        figure.savefig(content, format="png")
    write_bytes(path, content.getvalue())

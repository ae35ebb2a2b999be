"""The curves of several runs, one over the other. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...compiler.diagnostics import Code, failure
from ..plots import COLORS, FAINT, GRID, INK, TRAIN, new_figure, save_figure, scale_loss
from .comparison import Comparison
from .read import Run

ACROSS = 3
"""Panels in a row."""

WIDTH, HEIGHT = 4.4, 3.2
"""Of a panel, in inches."""

LINE = 0.22
"""Inches of a line of the legend."""

LETTER = 0.085
"""Inches of a letter of the legend."""

MARKED = 40
"""Up to this many points, each is marked."""

EDGE, EDGES = 3.0, 4
"""Typographic points by which a curve is wider than the same one upon it, and how often at most."""

Points = list[tuple[int, float]]
"""Steps and the values of a figure."""


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Losses and every metric that several runs have, over the optimizer steps, as a PNG.

    Raises: NetwrightError: R901: no run has recorded anything yet. R903: the file can't be written.
    """
    drawn = [(r, n) for r, n in zip(comparison.runs, comparison.labels, strict=True) if r.history]
    if not drawn:
        raise failure(
            Code.R901,
            "expected a run with a finished epoch to draw, found none",
            help="compare them without `-o`, or wait until one has finished an epoch",
        )
    runs, labels = [run for run, _ in drawn], [label for _, label in drawn]
    losses = shared_losses(runs)
    names = [*losses, *shared_metrics(runs)]
    figure = _figure(len(names), labels)
    for axis, name in zip(figure.axes, names, strict=True):
        _draw_panel(axis, runs, name, is_loss=name in losses)
    save_figure(figure, path)


def _figure(panels: int, labels: Sequence[str]) -> Any:
    """A figure with its panels, still empty, and the legend of the runs below them."""
    columns, rows = min(ACROSS, panels), -(-panels // ACROSS)
    width = WIDTH * columns
    entries = max(1, int(width / (0.6 + LETTER * max(map(len, labels)))))
    legend = LINE * -(-len(labels) // entries) + 0.15
    height = HEIGHT * rows + legend
    figure, _ = new_figure(width, height, columns, rows)
    figure.subplots_adjust(
        0.6 / width, (legend + 0.5) / height, 1 - 0.15 / width, 1 - 0.4 / height, 0.2, 0.42
    )
    for axis in figure.axes[panels:]:
        axis.remove()
    figure.legend(
        handles=_handles(labels),
        loc="lower left",
        ncols=entries,
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )
    return figure


def shared_losses(runs: Sequence[Run]) -> list[str]:
    """What runs make small: `loss`, or one for each optimizer, such as `generator.loss`."""
    trained = dict.fromkeys(name for run in runs for r in run.history for name in r["train"])
    return [name for name in trained if name.rpartition(".")[2] == "loss"] or ["loss"]


def shared_metrics(runs: Sequence[Run]) -> list[str]:
    """The metrics that at least two runs have measured; all of them where one run is drawn."""
    metrics = [
        name
        for run in runs
        for name in run.validation
        if not any(name in record["train"] for record in run.history)
    ]
    least = min(2, len(runs))
    return [name for name in dict.fromkeys(metrics) if metrics.count(name) >= least]


def _colors(count: int) -> list[Any]:
    """One for each run: easily told apart where there are few, else along a scale."""
    few = (TRAIN, *COLORS)
    if count <= len(few):
        return list(few[:count])
    from matplotlib import colormaps

    return [colormaps["turbo"](0.05 + 0.9 * index / (count - 1)) for index in range(count)]


def _handles(labels: Sequence[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    pairs = zip(labels, _colors(len(labels)), strict=True)
    return [Line2D([], [], color=color, linewidth=1.8, label=label) for label, color in pairs]


def _draw_panel(axis: Any, runs: Sequence[Run], name: str, *, is_loss: bool) -> None:
    parts = "dashed: training, solid: validation" if is_loss else "validation"
    axis.set_title(f"{name}  ({parts})", loc="left", color=INK, fontsize=10)
    axis.set_xlabel("step", color=FAINT)
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    for part in ("train", "validation") if is_loss else ("validation",):
        lines = [_points(run, part, name) for run in runs]
        for index, (points, color) in enumerate(zip(lines, _colors(len(runs)), strict=True)):
            _line(axis, part, points, color, covered_by=lines[index + 1 :].count(points))
    if is_loss:
        scale_loss(axis)


def _points(run: Run, part: str, name: str) -> Points:
    points = [(record["step"], record[part].get(name)) for record in run.history]
    return [(step, value) for step, value in points if value is not None]


def _line(axis: Any, part: str, points: Points, color: Any, *, covered_by: int) -> None:
    """Draw a curve, so wide that it is seen on both sides of the same curves that cover it."""
    if not points:
        return
    solid = part == "validation"
    edge = EDGE * min(covered_by, EDGES)
    axis.plot(
        *zip(*points, strict=True),
        color=color,
        linestyle="-" if solid else "--",
        linewidth=(1.8 if solid else 1.0) + edge,
        marker="o" if solid and len(points) <= MARKED else None,
        markersize=3.5 + edge,
    )

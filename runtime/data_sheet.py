"""A picture of data: samples with their labels, histograms of columns, how frequent classes are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.diagnostics import Code, failure
from ..compiler.objectives.fields import Field, Steps
from ..compiler.suggest import visible
from ..compiler.summary import short_number
from .data.columns import Column, Indices
from .data.dataset import Dataset
from .data.statistics import class_counts, looked_at, of_each_class
from .plots import FAINT, GRID, INK, TRAIN, new_figure, save_figure

WIDTH, MARGIN = 10.0, 0.3
"""Of the picture and of its border, in inches."""

ACROSS, DOWN = 10, 5
"""Images in a row, and rows."""

PLOTS_ACROSS, MOST_PLOTS = 4, 20
"""Histograms in a row, and how many there are at most."""

BINS = 30
MOST_BARS = 60
"""So many classes, the most frequent ones, have a bar that shows how frequent each is."""

BAR_ROOM = 0.9
"""Inches of a bar with the space beside it, where there are few."""

LETTERS_ACROSS = 90
"""Letters of all class names together that fit below the bars; more are turned."""

LETTERS = 13
"""Letters of a label that fit below an image."""

SAMPLED = 20_000
"""How many samples a histogram is made of; more give the same picture."""

Box = tuple[float, float, float, float]
"""Left, top, width and height in inches, from the picture's upper left corner."""


@dataclass(frozen=True)
class _Section:
    """A part of the picture. draw: given a function that makes axes in a box, and its top."""

    height: float
    draw: Callable[[Callable[[Box], Any], float], None]


def draw_samples(
    dataset: Dataset, columns_of: Callable[[str], Sequence[str]], title: str, path: Path
) -> None:
    """Draw training samples as a PNG.

    Args:
        columns_of: the names of a field's columns, where they have names.
    Raises: NetwrightError: F601: no field can be drawn. R903: the picture can't be written.
    """
    sections = list(_sections(dataset, columns_of))
    if not sections:
        raise failure(
            Code.F601,
            "expected images, columns of numbers or labels to draw, found other fields alone",
            help="leave out `-o`",
        )
    height = 0.6 + sum(section.height for section in sections) + MARGIN
    figure, axis = new_figure(WIDTH, height)
    axis.remove()
    text = f"{title}: training samples"
    figure.text(MARGIN / WIDTH, 1 - 0.35 / height, text, color=INK, fontsize=13, fontweight="bold")

    def place(box: Box) -> Any:
        left, top, wide, high = box
        made = figure.add_axes(
            (left / WIDTH, 1 - (top + high) / height, wide / WIDTH, high / height)
        )
        made.tick_params(which="both", colors=FAINT, labelsize=8, length=0)
        for side in made.spines.values():
            side.set_visible(False)
        return made

    top = 0.6
    for section in sections:
        section.draw(place, top)
        top += section.height
    save_figure(figure, path)


def _sections(dataset: Dataset, columns_of: Callable[[str], Sequence[str]]) -> Iterator[_Section]:
    fields, columns = dataset.fields, dataset.parts["train"]
    label = next((name for name, f in fields.items() if f.class_total and f.rank == 1), None)
    images = [name for name, field in fields.items() if _is_picture(field)]
    if images:
        most = max(ACROSS, ACROSS * (DOWN // len(images)))
        labels = columns[label].whole() if label else np.zeros(dataset.size("train"), np.int64)
        chosen = of_each_class(labels, most)
        texts = [_name(fields[label], labels[i]) for i in chosen] if label else []
        for name in images:
            yield _contact_sheet(name, fields[name], columns[name], chosen, texts)
    plotted = [name for name, field in fields.items() if _is_plotted(field)]
    shown = looked_at({name: columns[name].distinct() for name in plotted})
    every = [one for name in plotted for one in _series(name, shown[name], columns_of(name))]
    # Past and future of a series are made of the same rows.
    series = list({(title, values.tobytes()): (title, values) for title, values in every}.values())
    if series:
        yield _histograms(series[:MOST_PLOTS], len(series))
    for name, field in fields.items():
        if field.class_total is not None and field.class_total > 1:
            yield _class_bars(name, field, columns[name])


def _is_picture(field: Field) -> bool:
    """Images [B, C, H, W], and maps of labels [B, H, W]."""
    return field.rank == 4 or (field.rank == 3 and field.class_total is not None)


def _is_plotted(field: Field) -> bool:
    """Numbers, or columns of them; a series has such in its rows."""
    return (
        (field.rank <= 2 or isinstance(field, Steps))
        and field.class_total is None
        and field.dtype != "bool"
    )


def _name(field: Field, label: int) -> str:
    name = field.classes[label] if field.classes and label < len(field.classes) else str(label)
    name = visible(name)
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"


def _contact_sheet(
    name: str, field: Field, column: Column, chosen: Indices, texts: Sequence[str]
) -> _Section:
    cell = (WIDTH - 2 * MARGIN) / ACROSS
    line = 0.2 if texts else 0.06
    shown = _shades(column.take(chosen), field)
    ratio = shown.shape[1] / shown.shape[2]
    high = (cell - 0.08) * min(max(ratio, 0.25), 3.0)
    rows = -(-len(chosen) // ACROSS)

    def draw(place: Callable[[Box], Any], top: float) -> None:
        _heading(place, top, f"{name}  {field.dtype} [{', '.join(map(str, field.shape or []))}]")
        for index, image in enumerate(shown):
            row, across = divmod(index, ACROSS)
            box = (MARGIN + across * cell, top + 0.3 + row * (high + line), cell - 0.08, high)
            axis = place(box)
            axis.imshow(image, interpolation="nearest" if image.shape[0] < 100 else "antialiased")
            axis.set_axis_off()
            if texts:
                below = {"va": "top", "ha": "center", "transform": axis.transAxes}
                axis.text(0.5, -0.03, texts[index], color=INK, fontsize=7.5, **below)

    return _Section(0.3 + rows * (high + line) + 0.2, draw)


def _heading(place: Callable[[Box], Any], top: float, text: str) -> None:
    strip = place((MARGIN, top, WIDTH - 2 * MARGIN, 0.25))
    strip.set_axis_off()
    strip.text(0, 0.5, text, color=FAINT, fontsize=9, va="center", transform=strip.transAxes)


def _shades(samples: NDArray[Any], field: Field) -> NDArray[Any]:
    """Samples as pictures [N, H, W, 3] in [0, 1]: colours, greys, or a colour for each label."""
    if field.class_total is not None:
        from matplotlib import colormaps

        paired = 2 * (samples.astype(np.int64) % 10) + samples // 10 % 2  # its strong colours first
        return np.asarray(colormaps["tab20"](paired))[..., :3]
    low, high = field.raw_range or (float(samples.min()), float(samples.max()))
    shades = np.clip((samples.astype(np.float64) - low) / max(high - low, 1e-12), 0, 1)
    colours = shades[:, :3] if shades.shape[1] in (3, 4) else shades[:, :1].repeat(3, axis=1)
    return colours.transpose(0, 2, 3, 1)


def _series(name: str, column: Column, names: Sequence[str]) -> list[tuple[str, NDArray[Any]]]:
    """The values of a field, or of each of its columns, under a title; steps are no columns."""
    step = max(1, len(column) // SAMPLED)
    chosen = np.arange(0, len(column), step)
    if column.extent is not None:
        real = [values.reshape(-1) for _, values in column.subset(chosen).elements()]
        return [(name, np.concatenate(real))]
    values = column.take(chosen)
    if values.ndim == 1:
        return [(name, values)]
    titles = names or [f"{name}[{index}]" for index in range(values.shape[1])]
    return [(title, values[:, index]) for index, title in enumerate(titles)]


def _histograms(series: Sequence[tuple[str, NDArray[Any]]], total: int) -> _Section:
    rows = -(-len(series) // PLOTS_ACROSS)
    wide, high = (WIDTH - 2 * MARGIN) / PLOTS_ACROSS, 1.55

    def draw(place: Callable[[Box], Any], top: float) -> None:
        more = f", {len(series)} of {total:,}" if total > len(series) else ""
        _heading(place, top, f"values{more}")
        for index, (title, values) in enumerate(series):
            row, across = divmod(index, PLOTS_ACROSS)
            box = (MARGIN + across * wide + 0.05, top + 0.5 + row * high, wide - 0.25, high - 0.6)
            axis = place(box)
            axis.hist(values.astype(np.float64), BINS, color=TRAIN)
            axis.set_title(title, loc="left", color=INK, fontsize=9)
            axis.set_yticks([])
            axis.grid(axis="x", color=GRID, linewidth=0.8)
            axis.set_axisbelow(True)

    return _Section(0.45 + rows * high, draw)


def _class_bars(name: str, field: Field, column: Column) -> _Section:
    assert field.class_total is not None
    counts, title = class_counts(column, field.class_total), f"{name}: how many of each class"
    shown = np.arange(len(counts))
    if len(counts) > MOST_BARS:
        shown = np.argsort(-counts, kind="stable")[:MOST_BARS]
        title += f", the {MOST_BARS} most frequent of {len(counts):,}"
    counts, names = counts[shown], [_name(field, index) for index in shown.tolist()]
    slanted = max(map(len, names)) * len(names) > LETTERS_ACROSS

    def draw(place: Callable[[Box], Any], top: float) -> None:
        _heading(place, top, title)
        wide = min(WIDTH - 2 * MARGIN - 0.35, max(2.0, BAR_ROOM * len(counts)))
        axis = place((MARGIN + 0.35, top + 0.35, wide, 1.5))
        axis.bar(range(len(counts)), counts, color=TRAIN)
        axis.yaxis.set_major_formatter(lambda value, _: short_number(int(value)).strip())
        axis.yaxis.get_major_locator().set_params(integer=True, nbins=5)
        axis.set_xticks(range(len(names)), names)
        if slanted:
            axis.tick_params(axis="x", rotation=90)
        axis.grid(axis="y", color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.margins(x=0.01)

    return _Section(2.2 + (0.09 * max(map(len, names)) if slanted else 0), draw)

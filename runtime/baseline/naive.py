"""Naive forecasts among the baselines of a time series, and errors in their measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from ...compiler.driver import Compilation
from ...compiler.objectives.metrics import Mae
from ...compiler.objectives.series_source import Series
from ..data.batches import Batch
from ..data.dataset import Dataset
from ..data.preprocess import Preprocess
from ..data.windows import WindowColumn
from ..naive import Naive, naive_forecasts
from ..opening import settings_of
from .data import CPU
from .measure import Answers, measured

SCALED = "mase"
"""What tables call the mean absolute scaled error."""


def naive_figures(
    compilation: Compilation, dataset: Dataset, step: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """The figures of the test samples for each naive forecast of a series, by its title.

    compilation: with what its data gave. step: see `Fitting`.
    """
    assert compilation.spec.data
    losses = [item.loss for item in settings_of(compilation).losses]
    if any(loss.target != "future" for loss in losses):
        return
    outputs = list(dict.fromkeys(loss.output for loss in losses))
    for naive in naive_forecasts(compilation.spec.data.source):
        answers = _answers(naive, outputs, compilation)
        yield naive.title, measured(answers, compilation, dataset, step)


def _answers(naive: Naive, outputs: list[str], compilation: Compilation) -> Answers:
    """What a network would give, were it this forecast: numbers in the units of the losses."""
    field = compilation.fields["future"]
    horizon, scaled = (field.shape or [])[1], Preprocess(field, CPU)

    def answers(batch: Batch) -> dict[str, torch.Tensor]:
        forecast = naive(batch.raw["past"].numpy(), horizon)
        return dict.fromkeys(outputs, scaled(torch.from_numpy(forecast)))

    return answers


def error_scale(compilation: Compilation, dataset: Dataset) -> float | None:
    """The mean absolute error of the naive forecast one season ahead, on the training rows.

    None where there is no series of one forecast column with a `mae` to be divided by it, or where
    it never changes.

    Source: Hyndman and Koehler 2006, the mean absolute scaled error (MASE).
    """
    assert compilation.spec.data
    source, column = compilation.spec.data.source, dataset.parts["train"].get("future")
    metrics = settings_of(compilation).metrics
    has_mae = any(isinstance(metric, Mae) and metric.label == "mae" for metric in metrics)
    if not isinstance(source, Series) or not isinstance(column, WindowColumn) or not has_mae:
        return None
    changes = column.changes(source.season or 1)
    return float(changes[0]) if len(changes) == 1 and changes[0] > 0 else None


def with_scaled_error(figures: Mapping[str, float], scale: float | None) -> dict[str, float]:
    """Figures, with the error in units of the naive one where it can be told."""
    mae = figures.get("mae")
    told = {} if scale is None or mae is None else {SCALED: mae / scale}
    return {**figures, **told}

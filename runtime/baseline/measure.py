"""Measuring answers on the test samples as the network's are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from ...compiler.driver import Compilation
from ..data.batches import Batch
from ..data.dataset import Dataset
from ..metrics import Figures
from ..numbers import numbers_at
from ..objectives.supervised import Judge, weights_of
from ..opening import pairs_of, settings_of
from .data import CHUNK, CPU, batches_of

Answers = Callable[[Batch], Mapping[str, Tensor]]
"""A batch -> what the network would give of it, by its outputs."""


def measured(
    answers: Answers, compilation: Compilation, dataset: Dataset, step: int
) -> dict[str, float]:
    """Losses and metrics of the test samples, by the definitions that networks are held to.

    step: of the network's checkpoint, for losses whose weights change over time.
    """
    settings, pairs = settings_of(compilation), pairs_of(compilation)
    judge = Judge(settings, CPU, pairs)
    figures = Figures(settings, compilation.fields, CPU, pairs=pairs)
    numbers = numbers_at(weights_of(settings), step)
    for batch in batches_of(dataset.parts["test"], dataset).in_order(CHUNK):
        found = answers(batch)
        figures.update(found, judge(found, batch, numbers), batch, judge.masses(batch))
    return figures.compute(numbers)

"""What the data shows about a run's settings: warnings before its first step. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..compiler.driver import Compilation
from ..compiler.objectives.fields import Field
from ..compiler.objectives.parameter_checks import late_problems
from ..compiler.objectives.run_length import late_length_problems
from ..compiler.objectives.training import Training
from .data.columns import Column, SubsetColumn
from .data.dataset import Dataset
from .data.normalizing import fitting_normalize, split_axis
from .data.statistics import numbers
from .opening import objective_of

FAR = 100.0
"""From this mean or deviation on, inputs slow training down or make it diverge."""

MOST_BYTES = 64 << 20
"""How much of a field is looked at; of more, samples at even distances stand for all."""


def advice(compilation: Compilation, dataset: Dataset) -> Iterator[str]:
    """What a user should know before a run begins with this data, in sentences."""
    training, samples = compilation.spec.training, dataset.size("train")
    yield from _length(training, samples)
    yield from _batch(training, samples)
    for name in _inputs(compilation):
        yield from _far_from_zero(name, dataset.fields[name], dataset.parts["train"][name])


def _length(training: Training, samples: int) -> Iterator[str]:
    """Settings that nothing comes of, in a run whose length in steps its data gives."""
    steps = training.total_steps(samples)
    for problem in (*late_length_problems(training, steps), *late_problems(training, steps)):
        yield problem.message + (f"; {problem.help}" if problem.help else "")


def _batch(training: Training, samples: int) -> Iterator[str]:
    if training.batch > samples:
        yield (
            f"`batch` expects at most the {samples:,} training samples, found {training.batch:,}: "
            "each epoch is one step; lower it to take more"
        )


def _inputs(compilation: Compilation) -> Iterator[str]:
    """Fields of plain fractions that a network reads, and no loss compares with."""
    for name in objective_of(compilation).inputs_only(compilation.graphs):
        field = compilation.fields[name]
        if field.element_type.is_float and not field.is_transformed:
            yield name


def _far_from_zero(name: str, field: Field, column: Column) -> Iterator[str]:
    """Values that nothing brings near to 0, with the line that does."""
    seen = _some(column)
    found = numbers(seen, axis=split_axis(seen.shape, field))
    mean, std = float(np.abs(found.mean).max()), float(found.std.max())
    rule = fitting_normalize(field, found)
    if max(mean, std) > FAR and rule is not None:
        yield (
            f"values of `{name}` lie far from 0, with means up to {mean:.4g} and deviations up to "
            f"{std:.4g}, which networks learn badly from: write `{name}: {rule}` in `fields`"
        )


def _some(column: Column) -> Column:
    """The samples that are looked at."""
    total = len(column)
    if column.nbytes <= MOST_BYTES:
        return column
    wanted = max(1, total * MOST_BYTES // column.nbytes)
    return SubsetColumn(column, np.arange(wanted, dtype=np.int64) * total // wanted)

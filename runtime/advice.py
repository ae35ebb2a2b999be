"""What the data shows about a run's settings: warnings before its first step. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..compiler.driver import Compilation
from ..compiler.objectives.fields import Field
from ..compiler.objectives.parameter_checks import late_problems
from ..compiler.objectives.run_length import late_length_problems
from ..compiler.objectives.seq2seq import Seq2Seq
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
    yield from _marked(compilation, dataset)


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


def _marked(compilation: Compilation, dataset: Dataset) -> Iterator[str]:
    """Answers that hold the marks of beginning and end, which the objective adds by itself."""
    settings = objective_of(compilation)
    if not isinstance(settings, Seq2Seq):
        return
    columns, lengths = dataset.parts["train"], dataset.fields[settings.target].lengths or ""
    looked_at = _indices(columns[settings.target])
    target = columns[settings.target].take(looked_at)
    real = np.arange(target.shape[1]) < columns[lengths].take(looked_at)[:, None]
    for key, token in (("begin", settings.begin), ("end", settings.end)):
        marked = int(((target == token) & real).any(axis=1).sum())
        if marked:
            yield (
                f"`{settings.target}` holds {token}, the token `{key}`, in {marked:,} of "
                f"{len(target):,} samples; `seq2seq` adds it to each answer by itself: leave it "
                "out of the data"
            )


def _some(column: Column) -> Column:
    """The samples that are looked at."""
    return column if column.nbytes <= MOST_BYTES else SubsetColumn(column, _indices(column))


def _indices(column: Column) -> NDArray[np.int64]:
    """Which samples are looked at."""
    total = len(column)
    wanted = max(1, min(total, total * MOST_BYTES // max(1, column.nbytes)))
    return np.arange(wanted, dtype=np.int64) * total // wanted

"""What the models of `baseline` learn from: samples as rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...compiler.diagnostics import Code, NetwrightError, failure
from ...compiler.driver import Compilation
from ...compiler.objectives.fields import Field
from ...compiler.objectives.losses import CrossEntropy, Loss, class_count
from ...compiler.objectives.pairs import pair_of
from ..data.batches import Batch, Batches
from ..data.columns import Columns, count, take
from ..data.dataset import Dataset, Part
from ..data.padded import WholeColumn
from ..data.splits import split
from ..opening import pairs_of, settings_of

Array = NDArray[Any]

MOST_CELLS = 50_000_000
"""Training rows times numbers in a row: 200 MB in float32. Rows above it are left out."""

MOST_NUMBERS = 20_000
"""In a row. Pixels of larger images, flattened, tell a linear model or trees next to nothing."""

MOST_INDICATORS = 200_000
"""Numbers in a row once each class of each integer has one of its own, for the linear model."""

MOST_ANSWERS = 32
"""Yes-or-no questions, or numbers to predict, in a sample: each takes a model of its own."""

CHUNK = 1024
"""Samples that are read at a time."""

CPU = torch.device("cpu")

TRAIN_AND_TEST: tuple[Part, ...] = ("train", "test")

SUPPORTED = (
    "baselines are measured for class labels of whole samples, for yes-or-no questions and for "
    f"numbers, up to {MOST_ANSWERS} of them in a sample"
)


@dataclass(frozen=True)
class Task:
    """One output of the network, and what it is compared with.

    shape: of the output in one sample. count: how many classes there are, else how many questions
    or numbers are in a sample. ignored: a label whose samples do not count.
    """

    output: str
    target: str
    kind: Literal["classes", "binary", "values"]
    shape: tuple[int, ...]
    count: int
    ignored: int | None = None

    def read(self, batch: Batch) -> Array:
        """The targets: i64[N] labels, i64[N, count] answers, or f32[N, count] numbers."""
        if self.kind == "classes":
            return batch.raw[self.target].long().numpy()
        values = batch.values[self.target].float().reshape(-1, self.count)
        return (values > 0.5).long().numpy() if self.kind == "binary" else values.numpy()


@dataclass(frozen=True)
class Layout:
    """What stands in a row.

    fields: whose values stand one after the other. classes: for each number of the row, how many
    classes it tells apart; 0 for a plain number.
    """

    fields: tuple[str, ...]
    classes: tuple[int, ...]

    def read(self, batch: Batch) -> Array:
        """The rows f32[N, len(classes)], after each field's `scale` or `normalize`."""
        parts = [batch.values[name].float().reshape(batch.size, -1) for name in self.fields]
        return torch.cat(parts, dim=1).numpy()


@dataclass(frozen=True)
class Table:
    """Samples in memory. targets: output -> as `Task.read` gives them."""

    rows: Array
    targets: Mapping[str, Array]


def tasks_of(compilation: Compilation, dataset: Dataset) -> list[Task]:
    """What there is to predict: one task for each output that a loss judges.

    Raises: NetwrightError: O501: baselines can't be measured for it.
    """
    first: dict[str, Loss] = {}
    for item in settings_of(compilation).losses:
        first.setdefault(item.loss.output, item.loss)
    return [_task(compilation, dataset, loss) for loss in first.values()]


def _task(compilation: Compilation, dataset: Dataset, loss: Loss) -> Task:
    network = settings_of(compilation).network.network
    output = compilation.graphs[network].outputs[loss.output].type
    sample, axis = _sample(dataset, loss.target), pair_of(loss, pairs_of(compilation)).axis
    if dataset.fields[loss.target].lengths is not None:
        raise _unsupported(compilation, loss, f"one for each step of `{loss.target}`")
    if isinstance(loss, CrossEntropy):
        classes = class_count(output, axis) or dataset.fields[loss.target].class_total
        if output.rank > 2 or classes is None:
            raise _unsupported(compilation, loss, f"a label for each place of `{loss.output}`")
        return Task(loss.output, loss.target, "classes", (classes,), classes, loss.ignore)
    answers = math.prod(sample)
    if answers > MOST_ANSWERS:
        raise _unsupported(compilation, loss, f"{answers:,} of them in `{loss.target}`")
    return Task(loss.output, loss.target, loss.kind, sample, answers)


def _sample(dataset: Dataset, name: str) -> tuple[int, ...]:
    """The sizes of a field in one sample, which an open size must not make different in tests."""
    sizes, tested = (dataset.parts[part][name].shape[1:] for part in TRAIN_AND_TEST)
    if sizes != tested:
        raise failure(
            Code.O501,
            f"a baseline expects samples of one size, found `{name}` as {list(sizes)} in the "
            f"training samples and as {list(tested)} in the test samples",
            help="bring both to one size, or leave the baseline out",
        )
    return sizes


def _unsupported(compilation: Compilation, loss: Loss, found: str) -> NetwrightError:
    wanted = {
        "classes": "one label for each sample",
        "binary": f"at most {MOST_ANSWERS} questions for each sample",
        "values": f"at most {MOST_ANSWERS} numbers for each sample",
    }[loss.kind]
    return failure(
        Code.O501,
        f"a baseline for `{loss.name}` expects {wanted}, found {found}",
        span=compilation.located.span(("objective",)),
        help=SUPPORTED,
    )


def layout_of(compilation: Compilation, dataset: Dataset) -> Layout:
    """The rows: every input of the network, flattened.

    Raises: NetwrightError: O501: a row is too long.
    """
    objective = settings_of(compilation)
    names = dict.fromkeys(objective.inputs(compilation.graphs[objective.network.network]).values())
    classes: list[int] = []
    for name in names:
        numbers = math.prod(_sample(dataset, name))
        classes += [_classes(dataset.fields[name])] * numbers
    indicators = sum(classes) + classes.count(0)
    for most, found in ((MOST_NUMBERS, len(classes)), (MOST_INDICATORS, indicators)):
        if found > most:
            raise failure(
                Code.O501,
                f"a baseline expects at most {most:,} numbers in a sample, found {found:,}",
                notes=["integers below a limit count as many numbers as they have values"],
                span=compilation.located.span(("data",)),
                help="give the samples fewer or smaller fields, or leave the baseline out",
            )
    return Layout(tuple(names), tuple(classes))


def _classes(field: Field) -> int:
    return field.class_total or 0


# Reading


def training_table(dataset: Dataset, layout: Layout, tasks: list[Task], seed: int) -> Table:
    """The training samples, or as many of them as `MOST_CELLS` allows.

    Those that stay are drawn by the seed, with the shares of the first task's classes kept.

    Raises: NetwrightError: F601: every label of a task is one that does not count.
    """
    columns = dataset.parts["train"]
    total, most = count(columns), max(1, MOST_CELLS // len(layout.classes))
    if total > most:
        labels = columns[tasks[0].target].whole() if tasks[0].kind == "classes" else None
        columns = take(columns, split(total, most / total, seed, labels)[1])
    parts = list(_tables(columns, dataset, layout, tasks))
    rows = np.concatenate([part.rows for part in parts])
    targets = {
        task.output: np.concatenate([part.targets[task.output] for part in parts]) for task in tasks
    }
    for task in tasks:
        if task.kind == "classes" and (targets[task.output] == task.ignored).all():
            raise failure(
                Code.F601,
                f"expected training samples with a label in `{task.target}`, found "
                f"{task.ignored}, which is ignored, in all of them",
            )
    return Table(rows, targets)


def _tables(
    columns: Columns, dataset: Dataset, layout: Layout, tasks: list[Task]
) -> Iterator[Table]:
    for batch in batches_of(columns, dataset).in_order(CHUNK):
        yield Table(layout.read(batch), {task.output: task.read(batch) for task in tasks})


def batches_of(columns: Columns, dataset: Dataset) -> Batches:
    """Samples as the network sees them, read as they are needed; all padded to one length."""
    whole = {name: WholeColumn(column) for name, column in columns.items()}
    return Batches(whole, dataset.fields, CPU, torch.contiguous_format, home="loader")


def as_outputs(task: Task, answers: Array) -> Tensor:
    """A model's answers as the network gives its own: f32[N, ...]."""
    return torch.from_numpy(answers.astype(np.float32)).reshape(-1, *task.shape)

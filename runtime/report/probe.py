"""Asking a run's tested checkpoint about samples of its data, in torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...compiler.driver import Compilation
from ...compiler.objectives.pairs import pair_of
from ...compiler.objectives.table_sources import Table
from ...compiler.objectives.units import raw_field
from ...compiler.summary import totals
from ..data.batches import Batch
from ..data.dataset import Dataset, Part
from ..data.preprocess import Preprocess
from ..data.restore import Restore, compared
from ..memory import enough_memory
from ..numbers import numbers_at
from ..objectives.base import Objective
from ..opening import pairs_of, settings_of
from ..planning.layout import formatted, memory_format
from ..time_gradients import gradient_by_step
from .subject import Subject
from .trained import open_trained

Array = NDArray[Any]

MOST_SAMPLES = 4000
"""How many samples are looked at."""

FEWEST_SAMPLES = 64
"""How many even a large network is asked about."""

BUDGET = {"cpu": 2e12, "cuda": 1e14}
"""FLOPs that a report may spend on samples: seconds, up to a minute on a small CPU."""

FEW = 16
"""Outputs of up to this many numbers a sample are kept for all samples."""


@dataclass(frozen=True)
class Answers:
    """Some samples and what the network says of them; the first axis is theirs.

    raw: data field -> values as stored. outputs: output of the network -> values, f32; numbers are
        in the units of the data, after `scale` or `normalize` backwards.
    """

    raw: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True)
class Sweep:
    """A look at many samples of a part.

    indices: which ones, ascending. losses: [len(indices)], of each alone; NaN where all of its
    labels are ignored. outputs, targets: those of few numbers a sample, by the output's name.
    """

    indices: NDArray[np.int64]
    losses: NDArray[np.float64]
    outputs: Mapping[str, Array]
    targets: Mapping[str, Array]


class Probe:
    """The checkpoint that a run tested, or its newest, ready to answer.

    step: of that checkpoint. part: the test samples of a finished run; else those of validation,
        since the test samples are looked at once, when training is over.
    """

    def __init__(
        self, compilation: Compilation, objective: Objective, dataset: Dataset, part: Part,
        step: int, device: torch.device,
    ) -> None:  # fmt: skip
        self.compilation, self.dataset, self.part, self.step = compilation, dataset, part, step
        self.settings, self.fields = settings_of(compilation), dataset.fields
        self.graph = compilation.graphs[self.settings.network.network]
        self._objective, self._device = objective, device
        self._numbers = numbers_at(objective.schedules, step)
        self.pairs = pairs_of(compilation)
        self._losses = [item.loss for item in self.settings.losses]
        self._preprocess = {name: Preprocess(f, device) for name, f in dataset.fields.items()}
        self._layout = memory_format(compilation.graphs.values())

    @property
    def size(self) -> int:
        """How many samples the part has."""
        return self.dataset.size(self.part)

    def name_of(self, index: int) -> str:
        """What a sample is called: its number, or its file where it has one."""
        return self.dataset.parts[self.part][next(iter(self.fields))].where(index)

    def columns_of(self, field: str) -> list[str]:
        """The names of the columns that a field has side by side; none where it is no table's."""
        source = self.compilation.spec.data and self.compilation.spec.data.source
        return source.named(field) if isinstance(source, Table) else []

    def answers(self, indices: NDArray[np.int64]) -> Answers:
        """What the network says of a few samples."""
        batch = self._batch(indices)
        return Answers(_arrays(batch.raw), _arrays(self._told(self._answer(batch))))

    @enough_memory("the report")
    def sweep(self) -> Sweep:
        """The loss of each of many samples, evenly drawn.

        With `class_weights` the loss of one sample is its plain one: weights compare samples.
        """
        indices = self._drawn()
        losses: list[float] = []
        outputs: dict[str, list[Array]] = {}
        targets: dict[str, list[Array]] = {}
        for batch in self._batches(indices):
            answers = self._answer(batch)
            losses += self._each_loss(answers, batch)
            told = self._told(answers)
            for name, target in self._small(answers).items():
                outputs.setdefault(name, []).append(told[name].cpu().numpy())
                true = compared(batch.raw[target].cpu().numpy(), self.fields[target])
                targets.setdefault(name, []).append(true)
        return Sweep(indices, np.array(losses), _merged(outputs), _merged(targets))

    @enough_memory("the report")
    def gradient_by_step(self, field: str, samples: int) -> NDArray[np.float64]:
        """How large the loss's gradient is at each step of a sequence; see `time_gradients`."""
        batch = self._batch(np.arange(min(samples, self.size), dtype=np.int64))
        counted = self.fields[field].lengths
        lengths = None if counted is None else batch.raw[counted]
        return gradient_by_step(self._objective, batch, field, self._numbers, lengths)

    def _drawn(self) -> NDArray[np.int64]:
        cost = max(1, totals(self.graph).flops)
        affordable = int(BUDGET.get(self._device.type, BUDGET["cpu"]) / cost)
        count = min(self.size, MOST_SAMPLES, max(FEWEST_SAMPLES, affordable))
        return np.arange(count, dtype=np.int64) * self.size // count

    def _batches(self, indices: NDArray[np.int64]) -> Iterator[Batch]:
        size = self.compilation.spec.training.batch
        for start in range(0, len(indices), size):
            yield self._batch(indices[start : start + size])

    def _batch(self, indices: NDArray[np.int64]) -> Batch:
        columns = self.dataset.parts[self.part]
        raw = {
            name: torch.from_numpy(np.ascontiguousarray(column.batch(indices))).to(self._device)
            for name, column in columns.items()
        }
        values = {name: self._formatted(self._preprocess[name](x)) for name, x in raw.items()}
        return Batch(raw, values)

    def _formatted(self, x: Tensor) -> Tensor:
        return formatted(x, self._layout)

    def _answer(self, batch: Batch) -> dict[str, Tensor]:
        with torch.inference_mode():
            outputs = self._objective.outputs(batch)
        return {name: value.float() for name, value in outputs.items()}

    def _told(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs with their numbers in the units of the data."""
        fields = {loss.output: raw_field(loss, self.fields) for loss in self._losses}
        return {
            name: Restore(field, self._device)(value) if (field := fields.get(name)) else value
            for name, value in outputs.items()
        }

    def _each_loss(self, outputs: Mapping[str, Tensor], batch: Batch) -> list[float]:
        """The objective's own loss of each sample by itself."""
        found = []
        with torch.inference_mode():
            for i in range(batch.size):
                one = Batch(_only(batch.raw, i), _only(batch.values, i))
                losses = self._objective.losses(_only(outputs, i), one, self._numbers)
                masses = self._objective.masses(one)
                counts = torch.stack(list(masses.values())).sum() > 0 if masses else True
                found.append(torch.where(torch.as_tensor(counts), losses["loss"], torch.nan))
            values: list[float] = torch.stack(found).tolist()
        return values

    def _small(self, outputs: Mapping[str, Tensor]) -> dict[str, str]:
        """Output -> its target, of those whose samples are a few plain numbers, always as many."""
        return {
            loss.output: loss.target
            for loss in self._losses
            if loss.kind == "values"
            and outputs[loss.output][0].numel() <= FEW
            and pair_of(loss, self.pairs).lengths is None
        }


def open_probe(subject: Subject, compilation: Compilation, step: int) -> Probe | None:
    """The networks of a run, ready to answer, and its data.

    Returns: None where no samples are set aside for what the run is ready for.
    Raises: what `open_trained` raises.
    """
    found = open_trained(subject, compilation, step)
    if found is None:
        return None
    return Probe(compilation, found.objective, found.dataset, found.part, step, found.device)


def _only(tensors: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    return {name: tensor[index : index + 1] for name, tensor in tensors.items()}


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _merged(parts: Mapping[str, list[Array]]) -> dict[str, Array]:
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}

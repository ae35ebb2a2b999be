"""Fitting the models of `baseline`, and measuring them as networks are measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from ...compiler.driver import Compilation
from ..data.batches import Batch
from ..data.dataset import Dataset
from .data import MOST_CELLS, as_outputs, layout_of, tasks_of, training_table
from .measure import measured
from .models import BOOSTS, MOST_CATEGORIES, Model, Predict, boosts, fit, work


class Fitting:
    """The training samples of a spec in memory, and what there is to learn from them.

    Args:
        step: of the network's checkpoint, for losses whose weights change over time.
    Raises: NetwrightError: O501: there are no baselines for these outputs or inputs. F601: no
        training sample has a label that counts. F602: a sample can't be read.
    """

    def __init__(self, compilation: Compilation, dataset: Dataset, step: int) -> None:
        self._compilation = compilation
        self._dataset, self._step, self._seed = dataset, step, compilation.spec.training.seed
        self.tasks = tasks_of(compilation, dataset)
        self._layout = layout_of(compilation, dataset)
        self._table = training_table(dataset, self._layout, self.tasks, self._seed)

    @property
    def samples(self) -> int:
        """How many the models learn from."""
        return len(self._table.rows)

    @property
    def numbers(self) -> int:
        """How many there are in a sample."""
        return len(self._layout.classes)

    def effort(self, model: Model) -> str:
        """What to tell of a model that takes long: "; about 6 minutes of one core's work"."""
        minutes = work(self.tasks, self._table.rows.size) / 60 if model == "trees" else 0.0
        return f"; about {minutes:.0f} minutes of one core's work" if minutes > 1 else ""

    def fit(self, model: Model) -> dict[str, Predict]:
        """Fit a model to each task. Returns: output -> what gives it for new rows."""
        rows, targets = self._table.rows, self._table.targets
        return {
            task.output: fit(model, task, self._layout, rows, targets[task.output], self._seed)
            for task in self.tasks
        }

    def figures(self, predicts: Mapping[str, Predict]) -> dict[str, float]:
        """Losses and metrics of the test samples, by the definitions that networks are held to."""

        def answers(batch: Batch) -> dict[str, Tensor]:
            rows = self._layout.read(batch)
            return {
                task.output: as_outputs(task, predicts[task.output](rows)) for task in self.tasks
            }

        return measured(answers, self._compilation, self._dataset, self._step)

    def limits(self) -> Iterator[str]:
        """What the models don't see of the data, and where they are held short."""
        total, classes = self._dataset.size("train"), self._layout.classes
        if self.samples < total:
            yield (
                f"the baselines learn from {self.samples:,} of the {total:,} training samples: "
                f"there are {self.numbers:,} numbers in each, and {MOST_CELLS:,} are read at most"
            )
        for task in self.tasks:
            if boosts(task) < BOOSTS:
                yield (
                    f"boosted trees take {boosts(task)} rounds, not {BOOSTS}, for the "
                    f"{task.count:,} classes of `{task.target}`"
                )
        if max(classes) > MOST_CATEGORIES:
            yield f"to boosted trees, integers of over {MOST_CATEGORIES} values are plain numbers"

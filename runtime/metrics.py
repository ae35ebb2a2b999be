"""Figures of an evaluation, accumulated on the device by torchmetrics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..compiler.objectives.fields import Field
from ..compiler.objectives.losses import FIRST, LAST, CrossEntropy, Loss
from ..compiler.objectives.metrics import F1, Accuracy, Mae, MeanIou, Metric, Rmse, TopK
from ..compiler.objectives.pairs import NO_PAIRS, Pairs, pair_of
from ..compiler.objectives.supervised import Supervised
from ..compiler.objectives.units import raw_field
from .data.batches import Batch
from .data.restore import Restore
from .distributed.world import ALONE, World
from .numbers import Number
from .objectives.base import NO_MASSES, Masses, Meter, Numbers
from .objectives.losses import real_steps

Judge = Any
"""A torchmetrics.Metric."""

MOST_CLASSES = 200
"""Above this a confusion matrix is too large to read."""


class Figures(Meter):
    """The metrics of one evaluation, and the mean losses.

    A metric is made when it sees its first output, whose size says how many classes there are.
    Losses are those of the network's numbers; metrics of numbers are in the target's raw units.

    Args:
        fields: of the data, resolved.
        world: the processes that measure a part each; `compute` gives the figures of all.
        pairs: how outputs and targets meet. Padding of targets counts in no figure.
    """

    def __init__(
        self,
        settings: Supervised,
        fields: Mapping[str, Field],
        device: torch.device,
        world: World = ALONE,
        pairs: Pairs = NO_PAIRS,
    ) -> None:
        self._settings, self._fields, self._device = settings, fields, device
        self._world, self._pairs = world, pairs
        self._restore: dict[str, Restore] = {}
        self._judges: dict[str, Judge] = {}
        self._sums: dict[str, Number] = {}
        self._masses: dict[str, Number] = {}
        self._confusion: Judge | None = None
        self._seen = 0

    def update(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        """Take in one batch.

        masses: how much of it counts in each loss; every sample does where they don't tell.
        """
        if masses and len(losses) == 1:
            masses = {"loss": next(iter(masses.values()))}
        for name, value in losses.items():
            mass = masses[name].double() if name in masses else float(b.size)
            self._sums[name] = value.detach().double() * mass + self._sums.get(name, 0.0)
            self._masses[name] = mass + self._masses.get(name, 0.0)
        self._seen += b.size
        for metric in self._settings.metrics:
            self._judge(metric, outputs, b)
        self._confuse(outputs, b)

    @property
    def is_empty(self) -> bool:
        return self._seen == 0

    def expect(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        """Make what a batch like this one needs, without counting it."""
        self.update(outputs, losses, b, masses)
        self._seen = 0
        self._sums = dict.fromkeys(self._sums, 0.0)
        self._masses = dict.fromkeys(self._masses, 0.0)
        for judge in (*self._judges.values(), self._confusion):
            if judge is not None:
                judge.reset()

    def compute(self, numbers: Numbers | None = None) -> dict[str, float]:
        """Losses averaged over all that counts in them, then the metrics, by their labels.

        numbers: the weights of several losses, whose sum is that of their means then.
        """
        losses = self._means()
        if numbers is not None and len(losses) > 1:
            losses["loss"] = sum(float(numbers[n]) * v for n, v in losses.items() if n != "loss")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
            figures = {name: float(judge.compute()) for name, judge in self._judges.items()}
        return {**losses, **figures}

    def _means(self) -> dict[str, float]:
        if not self._sums:
            return {}
        numbers = [*self._sums.values(), *self._masses.values()]
        tensors = [torch.as_tensor(n, dtype=torch.float64, device=self._device) for n in numbers]
        totals, masses = self._world.total(torch.stack(tensors)).view(2, -1).tolist()
        named = zip(self._sums, totals, masses, strict=True)
        return {name: total / mass if mass else math.nan for name, total, mass in named}

    def confusion(self) -> list[list[int]] | None:
        """Row: true class, column: predicted class. None where there are no classes to confuse."""
        if self._confusion is None:
            return None
        rows: list[list[int]] = self._confusion.compute().tolist()
        return rows

    def _judge(self, metric: Metric, outputs: Mapping[str, Tensor], batch: Batch) -> None:
        loss = self._settings.compared_by(metric)
        assert loss is not None, f"{metric.label} has nothing to judge"
        output, target = self._compared(loss, outputs, batch)
        if metric.label not in self._judges:
            made = _MAKERS[type(metric)](metric, output, loss)
            self._judges[metric.label] = self._placed(made)
        self._judges[metric.label].update(output.contiguous(), target.contiguous())

    def _placed(self, judge: Judge) -> Judge:
        """A metric on the device, which adds up the counts of all processes that measure."""
        judge.distributed_available_fn = lambda: not self._world.is_alone
        return judge.to(self._device)

    def _compared(
        self, loss: Loss, outputs: Mapping[str, Tensor], batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """An output and its target: answers as probabilities, numbers in raw units.

        Classes are on axis 1. Where the target has lengths, its real steps stand one after the
        other along axis 0.
        """
        pair, output = pair_of(loss, self._pairs), outputs[loss.output].float()
        target = _target(loss, batch)
        if loss.kind == "binary":
            output, target = torch.sigmoid(output), (target > 0.5).long()
        elif (field := raw_field(loss, self._fields)) is not None:
            if loss.target not in self._restore:
                self._restore[loss.target] = Restore(field, self._device)
            restore = self._restore[loss.target]
            # The stored values are exact, but those that `binarize` changed are no targets.
            stored = batch.raw[loss.target].float()
            target = stored if field.binarize is None else restore(target)
            output = restore(output)
        if loss.kind == "classes" and pair.axis == FIRST:
            output = output.movedim(FIRST, LAST)
        if pair.lengths is not None:
            real = real_steps(batch.raw[pair.lengths], target.shape[1])
            output, target = output[real], target[real]
        return output.movedim(LAST, FIRST) if loss.kind == "classes" else output, target

    def _confuse(self, outputs: Mapping[str, Tensor], batch: Batch) -> None:
        losses = (item.loss for item in self._settings.losses)
        loss = next((loss for loss in losses if isinstance(loss, CrossEntropy)), None)
        if loss is None:
            return
        count = outputs[loss.output].shape[pair_of(loss, self._pairs).axis]
        if not 2 <= count <= MOST_CLASSES:
            return
        output, target = self._compared(loss, outputs, batch)
        if self._confusion is None:
            from torchmetrics.classification import MulticlassConfusionMatrix

            self._confusion = self._placed(
                MulticlassConfusionMatrix(count, ignore_index=loss.ignore, validate_args=False)
            )
        self._confusion.update(output.contiguous(), target.contiguous())


def _target(loss: Loss, batch: Batch) -> Tensor:
    fields = batch.raw if loss.raw_target else batch.values
    return fields[loss.target].long() if loss.kind == "classes" else fields[loss.target].float()


def _accuracy(metric: Any, output: Tensor, loss: Loss) -> Judge:
    from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

    if loss.kind == "binary":
        return BinaryAccuracy(validate_args=False)
    return MulticlassAccuracy(output.shape[1], average="micro", **_class_arguments(loss))


def _top_k(metric: Any, output: Tensor, loss: Loss) -> Judge:
    from torchmetrics.classification import MulticlassAccuracy

    return MulticlassAccuracy(
        output.shape[1], top_k=metric.k, average="micro", **_class_arguments(loss)
    )


def _f1(metric: Any, output: Tensor, loss: Loss) -> Judge:
    from torchmetrics.classification import BinaryF1Score, MulticlassF1Score, MultilabelF1Score

    if loss.kind != "binary":
        return MulticlassF1Score(output.shape[1], average=metric.average, **_class_arguments(loss))
    if output.ndim == 1 or output.shape[1] == 1:
        return BinaryF1Score(validate_args=False)
    return MultilabelF1Score(output.shape[1], average=metric.average, validate_args=False)


def _mae(metric: Any, output: Tensor, loss: Loss) -> Judge:
    from torchmetrics.regression import MeanAbsoluteError

    return MeanAbsoluteError()


def _rmse(metric: Any, output: Tensor, loss: Loss) -> Judge:
    from torchmetrics.regression import MeanSquaredError

    return MeanSquaredError(squared=False)


def _mean_iou(metric: Any, output: Tensor, loss: Loss) -> Judge:
    from torchmetrics.classification import MulticlassJaccardIndex

    return MulticlassJaccardIndex(output.shape[1], **_class_arguments(loss))


def _class_arguments(loss: Loss) -> dict[str, Any]:
    """Checks of every batch are off: they would wait for the device, and F601 made them before."""
    return {"ignore_index": getattr(loss, "ignore", None), "validate_args": False}


_MAKERS: dict[type[Metric], Callable[[Any, Tensor, Loss], Judge]] = {
    Accuracy: _accuracy,
    TopK: _top_k,
    F1: _f1,
    Mae: _mae,
    Rmse: _rmse,
    MeanIou: _mean_iou,
}

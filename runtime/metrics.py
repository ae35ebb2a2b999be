"""Figures of an evaluation, accumulated on the device by torchmetrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..compiler.objectives.losses import CrossEntropy, Loss
from ..compiler.objectives.metrics import F1, Accuracy, Mae, MeanIou, Metric, Rmse, TopK
from ..compiler.objectives.supervised import Supervised
from .data.batches import Batch

Judge = Any
"""A torchmetrics.Metric."""

MOST_CLASSES = 200
"""Above this a confusion matrix is too large to read."""


class Figures:
    """The metrics of one evaluation, and the mean losses.

    A metric is made when it sees its first output, whose size says how many classes there are.
    """

    def __init__(self, settings: Supervised, device: torch.device) -> None:
        self._settings, self._device = settings, device
        self._judges: dict[str, Judge] = {}
        self._sums: dict[str, Tensor] = {}
        self._confusion: Judge | None = None
        self._seen = 0

    def update(self, outputs: Mapping[str, Tensor], losses: Mapping[str, Tensor], b: Batch) -> None:
        """Take in one batch; nothing leaves the device."""
        for name, value in losses.items():
            total = value.detach().double() * b.size
            self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._seen += b.size
        for metric in self._settings.metrics:
            self._judge(metric, outputs, b)
        self._confuse(outputs, b)

    def compute(self) -> dict[str, float]:
        """Losses averaged over the samples, then the metrics, by their labels."""
        losses = {name: float(total) / self._seen for name, total in self._sums.items()}
        return {**losses, **{name: float(judge.compute()) for name, judge in self._judges.items()}}

    def confusion(self) -> list[list[int]] | None:
        """Row: true class, column: predicted class. None where there are no classes to confuse."""
        if self._confusion is None:
            return None
        rows: list[list[int]] = self._confusion.compute().tolist()
        return rows

    def _judge(self, metric: Metric, outputs: Mapping[str, Tensor], batch: Batch) -> None:
        loss = self._settings.compared_by(metric)
        assert loss is not None, f"{metric.label} has nothing to judge"
        output, target = outputs[loss.output].float(), _target(loss, batch)
        if metric.label not in self._judges:
            made = _MAKERS[type(metric)](metric, output, loss)
            self._judges[metric.label] = made.to(self._device)
        if loss.kind == "binary":
            output, target = torch.sigmoid(output), (target > 0.5).long()
        self._judges[metric.label].update(output.contiguous(), target.contiguous())

    def _confuse(self, outputs: Mapping[str, Tensor], batch: Batch) -> None:
        losses = (item.loss for item in self._settings.losses)
        loss = next((loss for loss in losses if isinstance(loss, CrossEntropy)), None)
        if loss is None or not 2 <= outputs[loss.output].shape[1] <= MOST_CLASSES:
            return
        output = outputs[loss.output]
        if self._confusion is None:
            from torchmetrics.classification import MulticlassConfusionMatrix

            self._confusion = MulticlassConfusionMatrix(
                output.shape[1], ignore_index=loss.ignore, validate_args=False
            ).to(self._device)
        self._confusion.update(output.float(), batch.raw[loss.target].long())


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

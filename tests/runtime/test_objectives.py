"""Losses and metrics against figures computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.losses import (
    L1,
    BceLogits,
    CrossEntropy,
    Huber,
    Loss,
    Mse,
    WeightedLoss,
)
from netwright.compiler.objectives.metrics import F1, Accuracy, Mae, MeanIou, Metric, Rmse, TopK
from netwright.compiler.objectives.schedules import Schedule
from netwright.compiler.objectives.supervised import NetworkUse, Supervised
from netwright.runtime.data.batches import Batch
from netwright.runtime.metrics import Figures
from netwright.runtime.numbers import numbers_at
from netwright.runtime.objectives.losses import make_loss
from netwright.runtime.objectives.supervised import Judge, weights_of

CPU = torch.device("cpu")
NAMES = {"output": "y", "target": "t"}
FIELDS = {"t": Field(shape=["B"], dtype="float32")}
SCORES = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.5], [0.0, 0.1, 0.2]])
LABELS = torch.tensor([0, 1, 1, 2])


def log_softmax(scores: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    x = scores.double().numpy()
    return np.asarray(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))


def test_cross_entropy_with_weights_smoothing_and_ignored_labels() -> None:
    logs, rows = log_softmax(SCORES), np.arange(4)

    def loss(**settings: object) -> float:
        made = make_loss(CrossEntropy(**NAMES, **settings), CPU)
        return float(made(SCORES, LABELS))

    picked = -logs[rows, LABELS.numpy()]
    assert loss() == pytest.approx(picked.mean(), rel=1e-6)
    assert loss(ignore=1) == pytest.approx(picked[[0, 3]].mean(), rel=1e-6)
    weights = np.array([1.0, 2.0, 3.0])
    weighted = weights[LABELS.numpy()]
    assert loss(class_weights=[1.0, 2.0, 3.0]) == pytest.approx(
        (weighted * picked).sum() / weighted.sum(), rel=1e-6
    )
    assert loss(smoothing=0.3) == pytest.approx(
        (0.7 * picked - 0.3 * logs.mean(1)).mean(), rel=1e-6
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Mse(**NAMES), (1 + 0.25 + 9) / 3),
        (L1(**NAMES), (1 + 0.5 + 3) / 3),
        (Huber(**NAMES, delta=1.0), (0.5 + 0.125 + 2.5) / 3),
        (BceLogits(**NAMES), None),
        (BceLogits(**NAMES, pos_weight=3.0), None),
    ],
)
def test_losses_of_numbers(settings: Loss, expected: float | None) -> None:
    output, target = torch.tensor([1.0, -0.5, 3.0]), torch.tensor([0.0, 0.0, 0.0])
    if expected is None:
        target = torch.tensor([1.0, 0.0, 0.5])
        p, t = 1 / (1 + np.exp(-output.double().numpy())), target.numpy()
        more = getattr(settings, "pos_weight", None) or 1.0
        expected = float(-(more * t * np.log(p) + (1 - t) * np.log(1 - p)).mean())
    assert float(make_loss(settings, CPU)(output, target)) == pytest.approx(expected, rel=1e-5)


def supervised(losses: list[WeightedLoss], metrics: list[Metric]) -> Supervised:
    return Supervised(network=NetworkUse(network="n"), losses=losses, metrics=metrics)


def test_several_losses_with_weights_that_change() -> None:
    weight = Schedule(start=0, end=2, steps=10)
    settings = supervised(
        [WeightedLoss(loss=Mse(**NAMES)), WeightedLoss(loss=L1(**NAMES), weight=weight)], []
    )
    batch = Batch({}, {"t": torch.zeros(2)})
    judge, weights = Judge(settings, CPU), weights_of(settings)
    outputs = {"y": torch.tensor([1.0, 3.0])}
    assert {k: float(v) for k, v in judge(outputs, batch, numbers_at(weights, 0)).items()} == {
        "loss": 5.0,
        "mse": 5.0,
        "l1": 2.0,
    }
    assert float(judge(outputs, batch, numbers_at(weights, 5))["loss"]) == 7.0
    assert float(judge(outputs, batch, numbers_at(weights, 100))["loss"]) == 9.0


def figures(
    loss: Loss, metrics: list[Metric], output: torch.Tensor, target: torch.Tensor
) -> dict[str, float]:
    """The metrics over the samples in two batches of unequal size."""
    settings = supervised([WeightedLoss(loss=loss)], metrics)
    judge, made = Judge(settings, CPU), Figures(settings, FIELDS, CPU)
    numbers = numbers_at(weights_of(settings), 0)
    for part in (slice(0, 1), slice(1, None)):
        fields = {"t": target[part]}
        batch, outputs = Batch(fields, fields), {"y": output[part]}
        made.update(outputs, judge(outputs, batch, numbers), batch)
    return made.compute()


def test_metrics_of_classes() -> None:
    found = figures(
        CrossEntropy(**NAMES), [Accuracy(), TopK(k=2), F1(average="micro")], SCORES, LABELS
    )
    logs = log_softmax(SCORES)
    assert found["loss"] == pytest.approx(-logs[np.arange(4), LABELS.numpy()].mean(), rel=1e-6)
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["f1_micro"] == pytest.approx(0.75)
    assert found["top_2"] == pytest.approx(0.75)


def test_macro_f1_is_the_mean_over_classes() -> None:
    found = figures(CrossEntropy(**NAMES), [F1()], SCORES, LABELS)
    assert found["f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_metrics_per_pixel_leave_ignored_labels_out() -> None:
    labels = torch.tensor([[[0, 0], [1, 255]], [[1, 1], [0, 1]]])
    predicted = torch.tensor([[[0, 1], [1, 0]], [[1, 1], [0, 0]]])
    scores = torch.nn.functional.one_hot(predicted, 2).permute(0, 3, 1, 2).float()
    found = figures(CrossEntropy(**NAMES, ignore=255), [Accuracy(), MeanIou()], scores, labels)
    assert found["accuracy"] == pytest.approx(5 / 7)
    assert found["mean_iou"] == pytest.approx((2 / 4 + 3 / 5) / 2)


def test_metrics_of_answers() -> None:
    output = torch.tensor([[0.2, -1.0], [0.9, 0.4], [-3.0, 0.1]])
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    found = figures(BceLogits(**NAMES), [Accuracy(), F1(average="micro")], output, target)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["f1_micro"] == pytest.approx(2 * 2 / (2 * 2 + 2 + 0))


def test_metrics_of_numbers() -> None:
    output, target = torch.tensor([1.0, -1.0, 3.0]), torch.tensor([0.0, 0.0, 0.0])
    found = figures(Mse(**NAMES), [Mae(), Rmse()], output, target)
    assert found["mae"] == pytest.approx(5 / 3)
    assert found["rmse"] == pytest.approx((11 / 3) ** 0.5)
    assert found["loss"] == pytest.approx(11 / 3)


def test_confusion_counts_rows_of_true_classes() -> None:
    settings = supervised([WeightedLoss(loss=CrossEntropy(**NAMES))], [])
    made = Figures(settings, FIELDS, CPU)
    made.update({"y": SCORES}, {}, Batch({"t": LABELS}, {}))
    assert made.confusion() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]

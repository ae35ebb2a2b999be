"""Targets with lengths: what lies beyond a sample's end counts in no loss, gradient or figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
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
from netwright.compiler.objectives.metrics import (
    F1,
    Accuracy,
    Mae,
    MeanIou,
    Metric,
    Rmse,
    TopK,
)
from netwright.compiler.objectives.pairs import Pair
from netwright.compiler.objectives.supervised import NetworkUse, Supervised
from netwright.runtime.data.batches import Batch
from netwright.runtime.metrics import Figures
from netwright.runtime.numbers import numbers_at
from netwright.runtime.objectives.losses import make_loss, real_steps
from netwright.runtime.objectives.supervised import Judge, weights_of
from torch import Tensor

CPU = torch.device("cpu")
NAMES = {"output": "y", "target": "t"}
LENGTHS = torch.tensor([3, 1, 5, 2])
REAL = real_steps(LENGTHS, 5)
GARBAGE = [0.0, 1e30, float("inf"), float("nan")]


def drawn(*sizes: int, seed: int = 0) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


def spoilt(output: Tensor, garbage: float, classes_at: int | None) -> Tensor:
    """The output with garbage where nothing is real."""
    real = REAL.view(*REAL.shape, *(1,) * (output.ndim - 2))
    if classes_at == 1:
        real = REAL.unsqueeze(1)
    return torch.where(real, output, garbage)


TAGS = torch.arange(20).view(4, 5) % 3
PARTLY = torch.where(torch.arange(20).view(4, 5) % 4 == 0, 7, TAGS)
ANSWERS = (drawn(4, 5, 2, seed=1) > 0).float()
WEIGHTED = CrossEntropy(**NAMES, smoothing=0.1, class_weights=[1, 2, 3], ignore=7)
CASES: dict[str, tuple[Loss, Tensor, Tensor, int]] = {
    "scores at the end": (CrossEntropy(**NAMES), drawn(4, 5, 3), TAGS, -1),
    "scores on axis 1": (CrossEntropy(**NAMES), drawn(4, 3, 5), TAGS, 1),
    "smoothing, weights, ignored": (WEIGHTED, drawn(4, 5, 3), PARTLY, -1),
    "answers": (BceLogits(**NAMES, pos_weight=3), drawn(4, 5), ANSWERS[..., 0], 1),
    "several answers": (BceLogits(**NAMES), drawn(4, 5, 2), ANSWERS, 1),
    "mse": (Mse(**NAMES), drawn(4, 5, 2), drawn(4, 5, 2, seed=1), 1),
    "l1": (L1(**NAMES), drawn(4, 5), drawn(4, 5, seed=1), 1),
    "huber": (Huber(**NAMES, delta=0.5), drawn(4, 5, 2, 2), drawn(4, 5, 2, 2, seed=1), 1),
}


def real_parts(output: Tensor, target: Tensor, loss: Loss, axis: int) -> tuple[Tensor, Tensor]:
    """The real steps of all samples, one after the other."""
    if isinstance(loss, CrossEntropy) and axis == 1:
        output = output.movedim(1, -1)
    return output[REAL], target[REAL]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("case", CASES)
def test_a_loss_is_that_of_the_real_steps(case: str, garbage: float) -> None:
    loss, output, target, axis = CASES[case]
    compute = make_loss(loss, CPU, axis)
    classes_at = axis if isinstance(loss, CrossEntropy) else None
    given = spoilt(output, garbage, classes_at).requires_grad_()
    real = REAL.view(*REAL.shape, *(1,) * (target.ndim - 2)).expand_as(target)
    found = compute(given, target, real)
    clean = output.clone().requires_grad_()
    parts = real_parts(clean, target, loss, axis)
    expected = make_loss(loss, CPU)(*parts)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found, given)
    (wanted,) = torch.autograd.grad(expected, clean)
    torch.testing.assert_close(gradient, wanted)
    assert not spoilt(torch.zeros_like(gradient), 1.0, classes_at).mul(gradient).any()


def test_classes_at_the_end_are_classes() -> None:
    output, target = drawn(4, 5, 3), TAGS
    found = make_loss(CrossEntropy(**NAMES), CPU, -1)(output, target)
    torch.testing.assert_close(found, F.cross_entropy(output.movedim(2, 1), target))


def supervised(losses: list[Loss], metrics: list[Metric]) -> Supervised:
    return Supervised(
        network=NetworkUse(network="n"),
        losses=[WeightedLoss(loss=loss) for loss in losses],
        metrics=metrics,
    )


@pytest.mark.parametrize("case", CASES)
def test_pieces_by_their_masses_give_the_whole(case: str) -> None:
    loss, output, target, axis = CASES[case]
    judge = Judge(supervised([loss], []), CPU, {("y", "t"): Pair(axis, "n")})
    numbers = {loss.name: 1.0}

    def part(rows: slice) -> tuple[Tensor, Tensor]:
        fields = {"t": target[rows], "n": LENGTHS[rows]}
        batch = Batch(fields, fields)
        (mass,) = judge.masses(batch).values()
        return judge({"y": output[rows]}, batch, numbers)["loss"], mass

    whole, total = part(slice(0, 4))
    pieces = [part(slice(start, stop)) for start, stop in ((0, 1), (1, 2), (2, 4))]
    assert float(sum(mass for _, mass in pieces)) == pytest.approx(float(total))
    torch.testing.assert_close(sum(value * mass for value, mass in pieces) / total, whole)


def test_a_batch_in_which_no_label_counts_teaches_nothing() -> None:
    compute = make_loss(CrossEntropy(**NAMES, ignore=9), CPU)
    output = drawn(2, 3).requires_grad_()
    loss = compute(output, torch.tensor([9, 9]))
    assert float(loss.detach()) == float(compute.mass(torch.tensor([9, 9]))) == 0.0
    assert not torch.autograd.grad(loss, output)[0].any()


def figures(
    losses: list[Loss], metrics: list[Metric], output: Tensor, target: Tensor, pair: Pair
) -> Figures:
    """The figures of samples in two batches of unequal size, each cut to its own longest."""
    settings = supervised(losses, metrics)
    field = Field(shape=["B", "T"], dtype="float32", lengths="n")
    judge = Judge(settings, CPU, {("y", "t"): pair})
    made = Figures(settings, {"t": field}, CPU, pairs={("y", "t"): pair})
    numbers = numbers_at(weights_of(settings), 0)
    for rows in (slice(0, 2), slice(2, 4)):
        longest = int(LENGTHS[rows].max())
        steps = slice(0, longest)
        fields = {"t": target[rows, steps], "n": LENGTHS[rows]}
        at_1 = output[rows, :, steps] if pair.axis == 1 and output.ndim > 2 else output[rows, steps]
        batch, outputs = Batch(fields, fields), {"y": at_1}
        made.update(outputs, judge(outputs, batch, numbers), batch, judge.masses(batch))
    return made


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("axis", [1, -1])
def test_metrics_of_classes(axis: int, garbage: float) -> None:
    output, target = drawn(4, 5, 3), TAGS
    metrics: list[Metric] = [Accuracy(), TopK(k=2), F1(), MeanIou()]
    loss = CrossEntropy(**NAMES)
    shown = spoilt(output, garbage, -1)
    shown = shown.movedim(-1, 1) if axis == 1 else shown
    made = figures([loss], metrics, shown, target, Pair(axis, "n"))
    found = made.compute()
    scores, labels = output[REAL], target[REAL]
    best = scores.argmax(1)
    assert found["loss"] == pytest.approx(float(F.cross_entropy(scores, labels)))
    assert found["accuracy"] == pytest.approx(float((best == labels).float().mean()))
    two = (scores.topk(2).indices == labels[:, None]).any(1)
    assert found["top_2"] == pytest.approx(float(two.float().mean()))
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (labels.numpy(), best.numpy()), 1)
    assert made.confusion() == matrix.tolist()
    hits, sums = np.diag(matrix), matrix.sum(0) + matrix.sum(1)
    assert found["f1"] == pytest.approx((2 * hits / sums).mean())
    assert found["mean_iou"] == pytest.approx((hits / (sums - hits)).mean())


@pytest.mark.parametrize("sizes", [(4, 5), (4, 5, 2)])
def test_metrics_of_answers_and_numbers(sizes: tuple[int, ...]) -> None:
    output, numbers = drawn(*sizes), drawn(*sizes, seed=1)
    answers = (numbers > 0).float()
    shown = spoilt(output, float("nan"), None)
    f1: list[Metric] = [Accuracy(), F1(average="micro")]
    found = figures([BceLogits(**NAMES)], f1, shown, answers, Pair(-1, "n")).compute()
    yes, true = output[REAL] > 0, answers[REAL] > 0.5
    assert found["accuracy"] == pytest.approx(float((yes == true).float().mean()))
    hits = float((yes & true).sum())
    assert found["f1_micro"] == pytest.approx(2 * hits / float(yes.sum() + true.sum()))
    off: Any = (output - numbers)[REAL]
    found = figures([Mse(**NAMES)], [Mae(), Rmse()], shown, numbers, Pair(-1, "n")).compute()
    assert found["mae"] == pytest.approx(float(off.abs().mean()), rel=1e-5)
    assert found["loss"] == pytest.approx(float(off.square().mean()), rel=1e-5)
    assert found["rmse"] == pytest.approx(float(off.square().mean() ** 0.5), rel=1e-5)


def test_several_losses_are_summed_as_means_of_all_that_is_real() -> None:
    output, target = drawn(4, 5), drawn(4, 5, seed=1)
    made = figures([Mse(**NAMES), L1(**NAMES)], [], output, target, Pair(-1, "n"))
    found, off = made.compute({"mse": 1.0, "l1": 0.5}), (output - target)[REAL]
    assert found["mse"] == pytest.approx(float(off.square().mean()), rel=1e-5)
    assert found["l1"] == pytest.approx(float(off.abs().mean()), rel=1e-5)
    assert found["loss"] == pytest.approx(found["mse"] + 0.5 * found["l1"])


def test_ignored_labels_weigh_no_batch() -> None:
    """The mean over all that counts, not the mean of the batches' means."""
    settings = supervised([CrossEntropy(**NAMES, ignore=9)], [Accuracy()])
    judge, made = Judge(settings, CPU), Figures(settings, {"t": Field(shape=["B"])}, CPU)
    scores, labels = drawn(6, 3), torch.tensor([9, 9, 1, 2, 0, 1])
    for rows in (slice(0, 3), slice(3, 6)):
        fields = {"t": labels[rows]}
        batch, outputs = Batch(fields, fields), {"y": scores[rows]}
        losses = judge(outputs, batch, {"cross_entropy": 1.0})
        made.update(outputs, losses, batch, judge.masses(batch))
    expected = F.cross_entropy(scores[2:], labels[2:])
    assert made.compute()["loss"] == pytest.approx(float(expected))

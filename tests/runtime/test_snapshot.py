"""Which of a run's tensors is not finite, by a name that a user can read."""

from __future__ import annotations

import math

import pytest
import torch
from netwright.compiler.objectives.averaging import Averaging
from netwright.compiler.objectives.training import Training
from netwright.runtime.distributed.world import ALONE
from netwright.runtime.snapshot import Parts, first_bad_tensor
from netwright.runtime.stepper import Stepper

from .test_distributed import BOTH, MOMENTUM, Contest, toy_job


@pytest.fixture
def parts() -> Parts:
    """Of two networks with an optimizer each, after two steps."""
    settings = Training(
        steps=9, batch=12, ema=Averaging(), optimizers={"judge": MOMENTUM, "maker": MOMENTUM}
    )
    stepper = Stepper(toy_job(Contest, BOTH, settings, ALONE))
    batches = stepper.batches()
    for _ in range(2):
        stepper.step(next(batches))
    return stepper.parts


def tensor_of(parts: Parts, name: str) -> torch.Tensor:
    """The tensor that a message calls so."""
    averages = parts.averages
    assert averages
    return {
        "maker.head.bias": parts.networks["maker"].state_dict()["head.bias"],
        "judge.linear_0.weight (average)": averages.memory()["judge.linear_0.weight"],
        "maker.head.weight (optimizer maker: momentum_buffer)": parts.workers[1].memory()[
            "optimizer/maker/maker.head.weight/momentum_buffer"
        ],
        "mean (objective)": parts.objective.state["mean"],
    }[name]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "name",
    [
        "maker.head.bias",
        "judge.linear_0.weight (average)",
        "maker.head.weight (optimizer maker: momentum_buffer)",
        "mean (objective)",
    ],
)
def test_every_part_of_a_run_is_looked_at(name: str, value: float, parts: Parts) -> None:
    assert first_bad_tensor(parts) is None
    tensor = tensor_of(parts, name)
    with torch.no_grad():
        tensor.view(-1)[-1] = value
    assert first_bad_tensor(parts) == name


def test_the_largest_numbers_are_finite(parts: Parts) -> None:
    with torch.no_grad():
        tensor_of(parts, "mean (objective)").fill_(torch.finfo(torch.float64).max)
    assert first_bad_tensor(parts) is None


def test_the_first_is_a_weight_where_there_are_several(parts: Parts) -> None:
    with torch.no_grad():
        for name in ("mean (objective)", "maker.head.bias"):
            tensor_of(parts, name).fill_(math.nan)
    assert first_bad_tensor(parts) == "maker.head.bias"

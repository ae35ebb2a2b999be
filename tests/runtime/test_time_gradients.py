"""The gradient at each step of a sequence, against what calculus says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.runtime.data.batches import Batch
from netwright.runtime.numbers import numbers_at
from netwright.runtime.objectives.registry import bind
from netwright.runtime.time_gradients import gradient_by_step

from .tiny import compile_text

SPEC = """\
spec: v1
name: decaying
data: {source: {adding: {length: 6, samples: 8, test_samples: 4}}}
networks:
  net:
    inputs: {sequence: {shape: [B, 6, 2]}}
    layers:
      - {id: memory, rnn: {hidden: 2, nonlinearity: relu, recurrent_init: identity, bias: false}}
      - {from: memory.last, linear: 1}
    outputs: total
objective: {supervised: {network: net, losses: [{mse: {output: total, target: total}}]}}
training: {steps: 1}
"""


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_what_a_linear_memory_forgets(factor: float) -> None:
    """h_t = factor h_(t-1) + W x_t: the gradient falls by the factor with each step back."""
    compilation = compile_text(text=SPEC, folder=Path())
    objective = bind(compilation, torch.device("cpu"), torch.contiguous_format)
    memory = objective.networks["net"].memory
    with torch.no_grad():
        memory.weight_hh_l0.mul_(factor)
        memory.weight_ih_l0.copy_(torch.eye(2))
    values = {"sequence": torch.rand(5, 6, 2), "total": torch.rand(5, 1)}
    numbers = numbers_at(objective.schedules, 0)
    found = gradient_by_step(objective, Batch(values, values), "sequence", numbers)
    assert found.shape == (6,)
    np.testing.assert_allclose(found / found[-1], factor ** np.arange(5, -1, -1), rtol=1e-5)
    assert found[-1] > 0

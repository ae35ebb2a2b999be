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


def test_samples_of_different_lengths_are_aligned_at_their_ends() -> None:
    """Padding has no gradient; a step so far from the end is averaged over those that have it."""
    lengths = torch.tensor([6, 2, 4])
    text = SPEC.replace("[B, 6, 2]}}", "[B, 6, 2]}, n: {shape: [B], dtype: int64}}")
    text = text.replace("rnn: {", "from: {x: sequence, lengths: n}, rnn: {")
    text = text.replace(
        "source: {adding: {length: 6, samples: 8, test_samples: 4}}",
        "source: {npz: {path: a.npz}}, fields: {"
        "sequence: {shape: [B, 6, 2], dtype: float32, lengths: n}, "
        "n: {shape: [B], dtype: int64}, total: {shape: [B, 1], dtype: float32}}",
    )
    objective = bind(
        compile_text(text=text, folder=Path()), torch.device("cpu"), torch.contiguous_format
    )
    memory = objective.networks["net"].memory
    with torch.no_grad():
        memory.weight_hh_l0.mul_(0.5)
        memory.weight_ih_l0.copy_(torch.eye(2))
    values = {"sequence": torch.rand(3, 6, 2), "total": torch.full((3, 1), 9.0), "n": lengths}
    numbers = numbers_at(objective.schedules, 0)
    batch = Batch(values, values)
    found = gradient_by_step(objective, batch, "sequence", numbers, lengths)
    assert found.shape == (6,)
    # Up to the second step from the end all samples are averaged, before it fewer of them.
    np.testing.assert_allclose(found[4] / found[5], 0.5, rtol=1e-5)
    np.testing.assert_allclose(found[2] / found[3], 0.5, rtol=1e-5)
    np.testing.assert_allclose(found[0] / found[1], 0.5, rtol=1e-5)
    assert found.all()

"""Optimizers from settings, and their state through a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from netwright.compiler.objectives.optimizers import Adam, AdamW, Optimizer, RmsProp, Sgd
from netwright.runtime import checkpoint
from netwright.runtime.checkpoint import Checkpoint
from netwright.runtime.optimizers import make_optimizer, pack_state, unpack_state
from torch import nn

SETTINGS = (
    AdamW(lr=1e-2, betas=[0.8, 0.95], weight_decay=0.1),
    Adam(lr=1e-2, weight_decay=0.1),
    Sgd(lr=0.1),
    Sgd(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    RmsProp(lr=1e-3, momentum=0.5, centered=True),
)


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 4))
    return layers.to(memory_format=torch.channels_last)


def names_of(module: nn.Module) -> dict[torch.Tensor, str]:
    return {parameter: name for name, parameter in module.named_parameters()}


def steps(module: nn.Module, optimizer: torch.optim.Optimizer, numbers: range) -> None:
    for number in numbers:
        x = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(number))
        module(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s.name}-{s.lr}")
def test_state_survives_a_checkpoint_bit_for_bit(settings: Optimizer, tmp_path: Path) -> None:
    whole = network()
    optimizer = make_optimizer(settings, whole.parameters())
    steps(whole, optimizer, range(3))
    tensors = pack_state(optimizer, names_of(whole))
    saved = Checkpoint({"n": dict(whole.state_dict())}, tensors, {})
    folder = checkpoint.save(tmp_path, 3, saved)
    steps(whole, optimizer, range(3, 6))

    loaded, again = checkpoint.load(folder), network()
    with torch.no_grad():
        for name, parameter in again.named_parameters():
            parameter.copy_(loaded.weights["n"][name])
    resumed = make_optimizer(settings, again.parameters())
    unpack_state(resumed, names_of(again), loaded.tensors)
    steps(again, resumed, range(3, 6))
    for name, parameter in whole.named_parameters():
        assert torch.equal(again.get_parameter(name), parameter), name


def test_settings_reach_torch() -> None:
    made = make_optimizer(SETTINGS[0], network().parameters()).param_groups[0]
    assert (made["lr"], made["betas"], made["weight_decay"]) == (1e-2, (0.8, 0.95), 0.1)
    made = make_optimizer(SETTINGS[4], network().parameters()).param_groups[0]
    assert (made["momentum"], made["centered"], made["alpha"]) == (0.5, True, 0.99)

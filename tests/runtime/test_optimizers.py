"""Optimizers from settings: their numbers at each step, and their state through a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from netwright.compiler.objectives.optimizers import (
    OPTIMIZERS,
    Adagrad,
    Adam,
    AdamW,
    Muon,
    NAdam,
    Optimizer,
    RAdam,
    RmsProp,
    Sgd,
)
from netwright.compiler.objectives.schedules import Schedule
from netwright.runtime import checkpoint
from netwright.runtime.checkpoint import Checkpoint
from netwright.runtime.optimizers import (
    Composite,
    Group,
    GroupNumbers,
    can_record,
    make_optimizer,
    pack_state,
    unpack_state,
)
from torch import nn


def moving(start: float, end: float, steps: int = 5) -> Schedule:
    return Schedule(start=start, end=end, steps=steps)


SETTINGS = (
    AdamW(lr=1e-2, betas=[0.8, 0.95], weight_decay=moving(0.1, 0)),
    AdamW(amsgrad=True),
    Adam(lr=1e-2, betas=[moving(0.8, 0.9), 0.95], weight_decay=0.1),
    Sgd(lr=moving(0.1, 0)),
    Sgd(lr=0.1, momentum=moving(0.5, 0.9), nesterov=True, weight_decay=1e-3),
    Sgd(lr=0.1, momentum=moving(0, 0.9), dampening=0.1),
    RmsProp(lr=1e-3, momentum=moving(0.5, 0), centered=True, alpha=moving(0.9, 0.99)),
    Adagrad(lr_decay=0.1, initial_accumulator_value=0.1, eps=moving(1e-10, 1e-8)),
    NAdam(weight_decay=0.1, decoupled_weight_decay=True),
    RAdam(weight_decay=0.1),
    Muon(lr=moving(0, 0.1), adamw=AdamW(lr=1e-2, weight_decay=moving(0, 0.1))),
    Muon(adjust_lr="match_rms_adamw", momentum=moving(0.5, 0.9), nesterov=False),
)
CASES = [
    pytest.param(settings, form, id=f"{settings.name}{index}-{form}")
    for index, settings in enumerate(SETTINGS)
    for form in settings.implementations
]


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4)
    )
    return layers.to(memory_format=torch.channels_last)


def names_of(module: nn.Module) -> dict[torch.Tensor, str]:
    return {parameter: name for name, parameter in module.named_parameters()}


def groups_of(module: nn.Module, settings: Optimizer) -> list[Group]:
    """Matrices for Muon; otherwise the first layer, and the rest at half the rate undecayed."""
    parameters = list(module.parameters())
    several = len(settings.parts()) > 1
    chosen = [p.ndim == 2 if several else i < 2 for i, p in enumerate(parameters)]
    first = [p for p, is_first in zip(parameters, chosen, strict=True) if is_first]
    rest = [p for p, is_first in zip(parameters, chosen, strict=True) if not is_first]
    return [
        {"params": first, "lr_factor": 1.0, "part": 0},
        {"params": rest, "lr_factor": 0.5, "part": int(several), "weight_decay": 0.0},
    ]


def steps(module: nn.Module, optimizer: torch.optim.Optimizer, settings, numbers: range) -> None:
    group_numbers = GroupNumbers(optimizer, settings)
    for number in numbers:
        group_numbers.set(number, 0.9**number)
        x = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(number))
        module(x.to(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_every_optimizer_is_tried() -> None:
    assert {type(settings) for settings in SETTINGS} == set(OPTIMIZERS.values())


@pytest.mark.parametrize(("settings", "form"), CASES)
def test_state_survives_a_checkpoint_bit_for_bit(settings, form, tmp_path: Path) -> None:
    whole = network()
    before = {name: parameter.clone() for name, parameter in whole.named_parameters()}
    optimizer = make_optimizer(settings, groups_of(whole, settings), form)
    steps(whole, optimizer, settings, range(4))
    tensors = pack_state(optimizer, names_of(whole))
    saved = Checkpoint({"n": dict(whole.state_dict())}, tensors, {})
    folder = checkpoint.save(tmp_path, 4, saved)
    steps(whole, optimizer, settings, range(4, 8))

    loaded, again = checkpoint.load(folder), network()
    with torch.no_grad():
        for name, tensor in again.state_dict().items():
            tensor.copy_(loaded.weights["n"][name])
    resumed = make_optimizer(settings, groups_of(again, settings), form)
    unpack_state(resumed, names_of(again), loaded.tensors)
    steps(again, resumed, settings, range(4, 8))
    for name, parameter in whole.named_parameters():
        assert torch.equal(again.get_parameter(name), parameter), name
        assert not torch.equal(before[name], parameter), name


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.name)
def test_forms_agree(settings: Optimizer) -> None:
    trained = []
    for form in settings.implementations:
        module = network()
        steps(
            module, make_optimizer(settings, groups_of(module, settings), form), settings, range(4)
        )
        trained.append(torch.cat([p.flatten() for p in module.parameters()]))
    for other in trained[1:]:
        torch.testing.assert_close(other, trained[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_are_torchs(name: str) -> None:
    settings = OPTIMIZERS[name]()
    parameter = nn.Parameter(torch.zeros(2, 2))
    made = make_optimizer(settings, [{"params": [parameter], "lr_factor": 1.0, "part": 0}])
    theirs = type(made)([parameter]).defaults
    forms = {"fused", "foreach", "adjust_lr_fn"}  # None stands for torch's own choice there
    assert {k: v for k, v in made.defaults.items() if k not in forms} == {
        k: v for k, v in theirs.items() if k not in forms
    }


def test_numbers_follow_their_schedules_and_groups() -> None:
    settings, module = SETTINGS[0], network()
    optimizer = make_optimizer(settings, groups_of(module, settings))
    numbers = GroupNumbers(optimizer, settings)
    first, second = optimizer.param_groups
    assert (first["lr"], second["lr"]) == (1e-2, 5e-3)
    assert (first["betas"], first["weight_decay"], second["weight_decay"]) == ((0.8, 0.95), 0.1, 0)
    numbers.set(2, 0.5)
    assert (first["lr"], second["lr"]) == (5e-3, 2.5e-3)
    assert first["weight_decay"] == pytest.approx(0.06)
    assert second["weight_decay"] == 0
    assert settings.numbers_at(2) == {
        "lr": 1e-2,
        "betas": (0.8, 0.95),
        "eps": 1e-8,
        "weight_decay": first["weight_decay"],
    }


def test_betas_move() -> None:
    settings, module = SETTINGS[2], network()
    optimizer = make_optimizer(settings, groups_of(module, settings))
    GroupNumbers(optimizer, settings).set(5, 1.0)
    assert optimizer.param_groups[0]["betas"] == (pytest.approx(0.9), 0.95)


def test_muon_leaves_the_rest_to_adamw() -> None:
    settings, module = SETTINGS[10], network()
    optimizer = make_optimizer(settings, groups_of(module, settings))
    assert isinstance(optimizer, Composite)
    steps(module, optimizer, settings, range(2))
    remembered = {name.rpartition("/")[2] for name in pack_state(optimizer, names_of(module))}
    assert remembered == {"momentum_buffer", "exp_avg", "exp_avg_sq", "step"}
    matrix = module.get_parameter("3.weight")
    assert list(optimizer.state[matrix]) == ["momentum_buffer"]
    GroupNumbers(optimizer, settings).set(5, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 1e-2 * 0.5 * 0.5]


def test_what_a_graph_can_record() -> None:
    assert can_record(AdamW(lr=moving(0.1, 0)), "fused")
    assert not can_record(AdamW(weight_decay=moving(0.1, 0)), "fused")
    assert not can_record(Sgd(), "foreach")
    assert not can_record(Muon(), "fused")
    assert not can_record(Adagrad(), "foreach")


def test_a_recorded_sgd_reads_its_rate_from_a_tensor() -> None:
    """The part of recording that needs no GPU: torch's kernel takes the rate as a tensor."""
    settings, recorded, plain = Sgd(lr=moving(0.1, 0), momentum=0.9), network(), network()
    tensors = make_optimizer(settings, groups_of(recorded, settings), "fused", recorded=True)
    steps(recorded, tensors, settings, range(4))
    steps(plain, make_optimizer(settings, groups_of(plain, settings), "fused"), settings, range(4))
    assert isinstance(tensors.param_groups[0]["lr"], torch.Tensor)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(recorded.get_parameter(name), parameter)

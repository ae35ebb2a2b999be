"""Groups of parameters by rules, and parameters that stay as they are."""

from __future__ import annotations

import pytest
import torch
from netwright.compiler.objectives.optimizers import AdamW, Muon, Optimizer, Sgd
from netwright.compiler.objectives.parameter_rules import Freeze, ParameterRule
from netwright.runtime.grouping import Freezing, group_parameters
from netwright.runtime.optimizers import GroupNumbers, make_optimizer, pack_state, unpack_state
from torch import nn

from ..torch_tools import compiled, networks
from .tiny import SMALL

GRAPHS = compiled(SMALL).graphs
BACKBONE = ["net.conv.**", "net.bn.**"]


def rule(**settings) -> ParameterRule:
    return ParameterRule(**ParameterRule.desugar(settings))


def grouped(settings: Optimizer, rules: list[ParameterRule], built: dict[str, nn.Module]):
    """Groups as lists of names, each with its rate and decay."""
    found = group_parameters(settings, rules, GRAPHS, built)
    shown = [
        (
            [found.names[parameter].removeprefix("net.") for parameter in group["params"]],
            group["part"],
            group["lr_factor"],
            group.get("weight_decay"),
        )
        for group in found.groups
    ]
    return found, shown


def test_without_rules_there_is_one_group() -> None:
    built = networks(SMALL)
    found, shown = grouped(AdamW(), [], built)
    assert shown == [
        (["conv.weight", "bn.weight", "bn.bias", "fc.weight", "fc.bias"], 0, 1.0, None)
    ]
    assert found.parameters == list(built["net"].parameters())


def test_groups_follow_the_rules() -> None:
    rules = [
        rule(match="net.fc.**", lr_factor=10.0),
        rule(kind=["bias", "norm"], weight_decay=0.0),
        rule(match="net.conv.**", freeze=Freeze()),
        rule(match="net.bn.**", freeze=Freeze(until=3)),
    ]
    _, shown = grouped(Sgd(), rules, networks(SMALL))
    assert shown == [
        (["bn.weight", "bn.bias"], 0, 1.0, 0.0),
        (["fc.weight"], 0, 10.0, None),
        (["fc.bias"], 0, 10.0, 0.0),
    ]


def test_muon_gets_the_matrices() -> None:
    _, shown = grouped(Muon(), [], networks(SMALL))
    assert shown == [
        (["conv.weight", "bn.weight", "bn.bias", "fc.bias"], 1, 1.0, None),
        (["fc.weight"], 0, 1.0, None),
    ]
    settings = Muon(exclude=["net.fc.*"])
    assert [part for _, part, _, _ in grouped(settings, [], networks(SMALL))[1]] == [1]


def train(
    built: dict[str, nn.Module], optimizer, settings: Optimizer, freezing: Freezing, steps: range
) -> list[bool]:
    """Take steps. Returns: which of them began with a change of what is trained."""
    numbers, changes = GroupNumbers(optimizer, settings), []
    for step in steps:
        changes.append(freezing.at(step))
        numbers.set(step, 1.0)
        x = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(step))
        built["net"](x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return changes


def changed(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    state = module.state_dict()
    return {name for name, tensor in before.items() if not torch.equal(tensor, state[name])}


def snapshot(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_frozen_layers_stay_and_thaw() -> None:
    built, settings = networks(SMALL), Sgd(lr=0.1, momentum=0.9)
    built["net"].train()
    rules = [rule(match=BACKBONE, freeze=Freeze(until=3))]
    freezing = Freezing(rules, GRAPHS, built)
    freezing.at(0)
    groups = group_parameters(settings, rules, GRAPHS, built)
    optimizer = make_optimizer(settings, groups.groups)
    before = snapshot(built["net"])
    assert train(built, optimizer, settings, freezing, range(3)) == [False] * 3
    assert changed(before, built["net"]) == {"fc.weight", "fc.bias"}
    assert {name.partition("/")[0] for name in pack_state(optimizer, groups.names)} == {
        "net.fc.weight",
        "net.fc.bias",
    }
    assert train(built, optimizer, settings, freezing, range(3, 5)) == [True, False]
    assert changed(before, built["net"]) == set(before)


@pytest.mark.parametrize("settings", [Sgd(lr=0.1, momentum=0.9), AdamW(lr=0.1), Muon(lr=0.1)])
def test_resuming_around_a_thaw_gives_the_same_bits(settings: Optimizer) -> None:
    rules = [rule(match=BACKBONE, freeze=Freeze(until=3)), rule(kind="bias", lr_factor=0.5)]
    for stop in (2, 3, 4):
        whole, resumed = networks(SMALL), networks(SMALL)
        whole["net"].train()
        resumed["net"].train()
        states = []
        for built in (whole, resumed):
            freezing = Freezing(rules, GRAPHS, built)
            groups = group_parameters(settings, rules, GRAPHS, built)
            states.append((make_optimizer(settings, groups.groups), freezing, groups.names))
        (optimizer, freezing, names), (other, refreezing, others) = states
        train(whole, optimizer, settings, freezing, range(stop))
        packed = {key: value.clone() for key, value in pack_state(optimizer, names).items()}
        resumed["net"].load_state_dict(whole["net"].state_dict())
        unpack_state(other, others, packed)
        train(whole, optimizer, settings, freezing, range(stop, 6))
        train(resumed, other, settings, refreezing, range(stop, 6))
        assert not changed(snapshot(whole["net"]), resumed["net"])


def test_going_back_freezes_again() -> None:
    built = networks(SMALL)
    freezing = Freezing([rule(match=BACKBONE, freeze=Freeze(until=3))], GRAPHS, built)
    freezing.at(4)
    built["net"].get_parameter("conv.weight").grad = torch.ones(3, 2, 3, 3)
    assert freezing.at(1)
    weight = built["net"].get_parameter("conv.weight")
    assert not weight.requires_grad
    assert weight.grad is None


def test_frozen_batch_norm_uses_its_statistics() -> None:
    built = networks(SMALL)
    built["net"].train()
    freezing = Freezing([rule(match=BACKBONE, freeze=Freeze(until=2))], GRAPHS, built)
    freezing.at(0)
    assert built["net"].get_submodule("conv").training
    assert not built["net"].get_submodule("bn").training
    freezing.at(2)
    assert built["net"].get_submodule("bn").training


def test_freezing_weights_alone_leaves_the_statistics_moving() -> None:
    built = networks(SMALL)
    built["net"].train()
    Freezing([rule(match="net.bn.weight", freeze=Freeze())], GRAPHS, built).at(0)
    assert built["net"].get_submodule("bn").training

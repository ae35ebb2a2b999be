"""torch's optimizers from the settings of compiler/objectives/optimizers.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer as Torch

from ..compiler.objectives.optimizers import (
    Adagrad,
    Adam,
    AdamW,
    Implementation,
    Muon,
    NAdam,
    Optimizer,
    RAdam,
    RmsProp,
    Sgd,
    value_at,
)

Group = dict[str, Any]
"""One of torch's parameter groups: `params` and what differs from the optimizer's settings.

lr_factor: multiplies the rate. part: which of the settings' `parts` moves it, by its index.
weight_decay: where the group has one of its own, which stays. lr, own_decay: set here.
"""

SCALARS = ("step", "mu_product")
"""Numbers of the state; all else has the shape and the element type of its parameter."""

HOSTED = ("mu_product",)
"""Numbers of the state that torch keeps on the CPU, unless a CUDA graph needs them; loading moves
all but `step` to the parameter's device."""


class Composite(Torch):
    """Several of torch's optimizers handled as one: they share their groups and their state."""

    def __init__(self, members: Sequence[Torch]) -> None:
        super().__init__([group for one in members for group in one.param_groups], {})
        self._members = tuple(members)
        self._ends = (0, *accumulate(len(one.param_groups) for one in members))
        self._share()

    def _share(self) -> None:
        for one, (first, end) in zip(self._members, pairwise(self._ends), strict=True):
            one.state = self.state
            one.param_groups = self.param_groups[first:end]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def step(self, closure: Any = None) -> Any:
        """Let each of them take its step; a closure is not supported."""
        assert closure is None
        for one in self._members:
            one.step()


def make_optimizer(
    settings: Optimizer,
    groups: Sequence[Group],
    implementation: Implementation | None = None,
    *,
    recorded: bool = False,
) -> Torch:
    """An optimizer over groups of parameters, set to the numbers of the first step.

    Args:
        groups: as `group_parameters` of grouping.py makes them.
        implementation: one of `settings.implementations`; None for the first of them.
        recorded: its step becomes part of a CUDA graph: rates and counters lie on the device, and
            `GroupNumbers` fills the rates anew. `can_record` says whether that is possible.
    """
    chosen = implementation or settings.implementations[0]
    assert chosen in settings.implementations, f"{settings.title} has no form `{chosen}`"
    assert not recorded or can_record(settings, chosen), f"{settings.title} can't be recorded"
    made = [
        _make(part, mine, chosen, recorded=recorded)
        for index, part in enumerate(settings.parts())
        if (mine := [group for group in groups if group["part"] == index])
    ]
    return made[0] if len(made) == 1 else Composite(made)


def can_record(settings: Optimizer, implementation: Implementation) -> bool:
    """Whether a CUDA graph can hold an optimizer's step; numbers besides the rate must be fixed."""
    return implementation in settings.recordable and settings.moving().keys() <= {"lr"}


def _make(
    settings: Optimizer, groups: list[Group], implementation: Implementation, *, recorded: bool
) -> Torch:
    arguments = {**settings.numbers_at(0), **settings.words()}
    if not isinstance(settings, Muon):  # it has one form only
        arguments |= _form(settings, implementation, recorded=recorded)
    made = [_complete(group, arguments["lr"], recorded=recorded) for group in groups]
    made_by_torch: Torch = _CLASSES[type(settings)](made, **arguments)
    return made_by_torch


def _complete(group: Group, lr: float, *, recorded: bool) -> Group:
    """A group as torch takes it, with its own rate."""
    rate = lr * group["lr_factor"]
    device = group["params"][0].device
    own_decay = "weight_decay" in group
    lr_of_group = torch.tensor(rate, device=device) if recorded else rate
    return {**group, "lr": lr_of_group, "own_decay": own_decay}


def _form(
    settings: Optimizer, implementation: Implementation, *, recorded: bool
) -> dict[str, bool]:
    form = {"foreach": implementation == "foreach"}
    if "fused" in settings.implementations:
        form["fused"] = implementation == "fused"
    if recorded and not isinstance(settings, Sgd):  # which counts no steps
        form["capturable"] = True
    return form


_CLASSES: dict[type[Optimizer], Any] = {
    AdamW: torch.optim.AdamW,
    Adam: torch.optim.Adam,
    Sgd: torch.optim.SGD,
    RmsProp: torch.optim.RMSprop,
    Adagrad: torch.optim.Adagrad,
    NAdam: torch.optim.NAdam,
    RAdam: torch.optim.RAdam,
    Muon: torch.optim.Muon,
}


class GroupNumbers:
    """Writes the numbers of a step into an optimizer's parameter groups."""

    def __init__(self, optimizer: Torch, settings: Optimizer) -> None:
        self._optimizer = optimizer
        self._parts = [(part.lr, _moving(part)) for part in settings.parts()]

    def set(self, step: int, factor: float) -> None:
        """Set every number that moves.

        Args:
            step: optimizer steps done. factor: the learning-rate schedule's.
        """
        for group in self._optimizer.param_groups:
            lr, moving = self._parts[group["part"]]
            rate = lr.at(step) * factor * group["lr_factor"]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
            for name, schedule in moving:
                if name != "weight_decay" or not group["own_decay"]:
                    group[name] = value_at(schedule, step)


def _moving(settings: Optimizer) -> list[tuple[str, Any]]:
    return [(name, schedule) for name, schedule in settings.moving().items() if name != "lr"]


def pack_state(optimizer: Torch, names: Mapping[Tensor, str]) -> dict[str, Tensor]:
    """What an optimizer remembers, as `<parameter>/<what>` -> tensor.

    names: every parameter that it moves -> its name.
    """
    return {
        f"{names[parameter]}/{key}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
        if value is not None
    }


def unpack_state(
    optimizer: Torch, names: Mapping[Tensor, str], packed: Mapping[str, Tensor]
) -> None:
    """Give back what `pack_state` took, in each parameter's own memory format.

    torch's fused kernels walk through memory, so that a state of another layout would be read in
    another order than its parameter, and one of another size or element type beyond its end.

    Raises: ValueError: it is of other parameters, or of another shape or element type.
    """
    _check(optimizer, names, packed)
    described = optimizer.state_dict()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    described["state"] = {
        index: _of(names[parameter], packed) for index, parameter in enumerate(parameters)
    }
    optimizer.load_state_dict(described)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            state.update(
                {key: _placed(value, key, parameter, group) for key, value in state.items()}
            )


def _check(optimizer: Torch, names: Mapping[Tensor, str], packed: Mapping[str, Tensor]) -> None:
    """Raises: ValueError: a state is not one that the optimizer itself could have made."""
    groups = [group["params"] for group in optimizer.param_groups]
    kept = {key.rpartition("/")[0] for key in packed}
    unknown = sorted(kept - {names[p] for group in groups for p in group})
    if unknown:
        raise ValueError(f"no optimizer moves `{unknown[0]}`")
    for group in groups:
        found = {frozenset(state) for p in group if (state := _of(names[p], packed))}
        if len(found) > 1:
            raise ValueError(f"the state of `{names[group[0]]}` and its group is not whole")
        for parameter in group:
            for key, value in _of(names[parameter], packed).items():
                _check_form(value, key, parameter, names[parameter])


def _check_form(value: Tensor, key: str, parameter: Tensor, name: str) -> None:
    alike = torch.zeros(()) if key in SCALARS else parameter
    if (value.shape, value.dtype) != (alike.shape, alike.dtype):
        raise ValueError(f"`{key}` of `{name}` is {value.dtype} {list(value.shape)}")


def _placed(value: Tensor, key: str, parameter: Tensor, group: Group) -> Tensor:
    """A part of the state where, and as, torch itself would have made it."""
    if key in HOSTED and not group.get("capturable"):
        return value.cpu()
    if value.shape != parameter.shape or value.dtype != parameter.dtype or not value.ndim:
        return value
    return torch.empty_like(parameter).copy_(value).detach()


def _of(name: str, packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {key[len(prefix) :]: value for key, value in packed.items() if key.startswith(prefix)}

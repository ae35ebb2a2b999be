"""Which parameters an optimizer moves, in which groups, and which stay for how long."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..compiler.ir.graph import Graph
from ..compiler.objectives.optimizers import Muon, Optimizer
from ..compiler.objectives.parameter_rules import ParameterRule, is_matrix, treatments
from ..compiler.objectives.parameter_rules import Tensor as Named
from .optimizers import Group


@dataclass(frozen=True)
class Groups:
    """What `make_optimizer` takes, and the same parameters by their names.

    groups: torch's parameter groups. names: parameter -> `<network>.<tensor>`.
    """

    groups: list[Group]
    names: dict[Tensor, str]

    @property
    def parameters(self) -> list[Tensor]:
        return list(self.names)


def group_parameters(
    settings: Optimizer,
    rules: Sequence[ParameterRule],
    graphs: Mapping[str, Graph],
    networks: Mapping[str, nn.Module],
) -> Groups:
    """Group what an optimizer moves by what the rules of `training.parameters` say.

    Parameters that are frozen for the whole run are in none. Those that are frozen for some time
    have groups of their own: torch's fused kernels expect all of a group to start together.

    Args:
        graphs, networks: those that the optimizer moves, by name.
    """
    found: dict[tuple[object, ...], Group] = {}
    names: dict[Tensor, str] = {}
    parameters = _parameters(networks)
    for tensor, treated in treatments(rules, graphs):
        if not tensor.declared.trainable or treated.frozen_until is None:
            continue
        part = _part(settings, tensor)
        key = (part, treated.lr_factor, treated.weight_decay, treated.frozen_until)
        group = found.setdefault(key, _group(part, treated.lr_factor, treated.weight_decay))
        group["params"].append(parameters[tensor.name])
        names[parameters[tensor.name]] = tensor.name
    return Groups(list(found.values()), names)


def _part(settings: Optimizer, tensor: Named) -> int:
    """Which of the settings' `parts` moves a tensor."""
    return int(isinstance(settings, Muon) and not is_matrix(tensor, settings.exclude))


def _group(part: int, lr_factor: float, weight_decay: float | None) -> Group:
    group: Group = {"params": [], "lr_factor": lr_factor, "part": part}
    return group if weight_decay is None else {**group, "weight_decay": weight_decay}


def _parameters(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """`<network>.<parameter>` -> parameter, under all names of those that are shared."""
    return {
        f"{network}.{name}": parameter
        for network, module in networks.items()
        for name, parameter in module.named_parameters(remove_duplicate=False)
    }


class Freezing:
    """Keeps parameters as they are for as long as the rules say.

    A frozen parameter gets no gradient. A batch norm whose statistics a rule freezes is in
    evaluation mode: it uses the stored ones and leaves them alone.
    """

    def __init__(
        self,
        rules: Sequence[ParameterRule],
        graphs: Mapping[str, Graph],
        networks: Mapping[str, nn.Module],
    ) -> None:
        self._parameters: list[tuple[Tensor, int | None]] = []
        self._norms: list[tuple[nn.Module, int | None]] = []
        parameters = _parameters(networks)
        for tensor, treated in treatments(rules, graphs):
            until = treated.frozen_until
            if until == 0:
                continue
            if tensor.declared.trainable:
                self._parameters.append((parameters[tensor.name], until))
            elif tensor.is_statistics:
                self._norms.append((_module(networks, tensor), until))
        timed = [until for _, until in (*self._parameters, *self._norms)]
        self._changes = sorted({until for until in timed if until is not None})
        self._phase: int | None = None

    def at(self, step: int) -> bool:
        """Freeze and unfreeze for an optimizer step; to be called before each, the first is 0.

        Returns: whether anything changed that was settled before: what is trained, and so what
            several processes exchange or a graph has recorded.
        """
        phase = bisect_right(self._changes, step)
        if phase == self._phase:
            return False
        is_first, self._phase = self._phase is None, phase
        for parameter, until in self._parameters:
            _hold(parameter, _is_frozen(until, step))
        for norm, until in self._norms:
            norm.train(not _is_frozen(until, step))
        return not is_first


def _is_frozen(until: int | None, step: int) -> bool:
    return until is None or step < until


def _hold(parameter: Tensor, frozen: bool) -> None:
    parameter.requires_grad_(not frozen)
    if frozen:
        parameter.grad = None


def _module(networks: Mapping[str, nn.Module], tensor: Named) -> nn.Module:
    """The batch norm that keeps a statistic."""
    network, _, path = tensor.name.partition(".")
    return networks[network].get_submodule(path.removesuffix(f".{tensor.declared.key}"))

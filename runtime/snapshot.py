"""What a trainer puts into a checkpoint, and how it takes it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError
from torch import Tensor, nn

from ..compiler.ir.graph import Graph
from .averages import Averages
from .checkpoint import Checkpoint, Damaged
from .objectives.base import Objective
from .weights import collect, restore
from .worker import Worker

OBJECTIVE = "objective/"

Count = Annotated[int, Strict(), Field(ge=0)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]


@dataclass
class State:
    """Where a run is; everything that no tensor holds.

    sums, counts: losses since the last record, as far as they were read, and how many.
    stale: measurements since the early stopping's figure last got better; closest: its best value.
    rewinds: how often the run diverged and went back.
    ended: early stopping ended the run.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    step: Count = 0
    seconds: Number = 0.0
    sums: dict[str, Number] = field(default_factory=dict)
    counts: dict[str, Annotated[Count, Field(ge=1)]] = field(default_factory=dict)
    best_step: Count | None = None
    best_value: Number | None = None
    stale: Count = 0
    closest: Number | None = None
    rewinds: Count = 0
    ended: Annotated[bool, Strict()] = False

    def losses(self) -> dict[str, float]:
        """The means of the losses since the last record."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}


@dataclass(frozen=True)
class Parts:
    """The parts of a trainer that hold tensors."""

    graphs: Mapping[str, Graph]
    objective: Objective
    workers: Sequence[Worker]
    averages: Averages | None

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return self.objective.networks


def first_bad_tensor(parts: Parts) -> str | None:
    """The name of the first weight or average that is not finite; waits for the device once."""
    named = [
        (f"{network}.{name}", tensor)
        for network, module in parts.networks.items()
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point()
    ]
    if parts.averages:
        memory = parts.averages.memory().items()
        named += [(f"{name} (average)", t) for name, t in memory if t.is_floating_point()]
    if not named:
        return None
    # A norm reads each tensor once; it overflows only where the next step would.
    norms = torch.stack([n.double() for n in torch._foreach_norm([t for _, t in named], torch.inf)])
    finite = torch.isfinite(norms).tolist()
    return next((name for (name, _), good in zip(named, finite, strict=True) if not good), None)


def take_snapshot(parts: Parts, state: State) -> Checkpoint:
    """Everything that a run needs to go on."""
    tensors = {key: value for worker in parts.workers for key, value in worker.memory().items()}
    tensors |= {OBJECTIVE + name: tensor for name, tensor in parts.objective.state.items()}
    data = {
        "state": asdict(state),
        "threads": torch.get_num_threads(),
        "scaling": [worker.scaling() for worker in parts.workers],
    }
    averages = parts.averages.memory() if parts.averages else {}
    return Checkpoint(collect(parts.graphs, parts.networks), tensors, data, _by_network(averages))


def _by_network(averages: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in averages.items():
        network, _, name = key.partition(".")
        found.setdefault(network, {})[name] = tensor
    return found


def give_back(parts: Parts, saved: Checkpoint) -> State:
    """Put a checkpoint's tensors into the parts.

    Returns: its state.
    Raises: NetwrightError: R902: it has other weights. Damaged: it lacks something else.
    """
    restore(parts.graphs, parts.networks, saved.weights, saved.folder)
    try:
        scaling = saved.data["scaling"]
        for worker, scale in zip(parts.workers, scaling, strict=True):
            worker.remember(saved.tensors, scale)
        with torch.no_grad():
            for name, tensor in parts.objective.state.items():
                tensor.copy_(saved.tensors[OBJECTIVE + name])
        if parts.averages:
            parts.averages.remember(_joined(saved.averages))
        state = _state(saved.data["state"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise Damaged(f"it does not hold this run's state: {error}") from error
    if saved.folder.name not in ("", f"{state.step:08d}"):
        raise Damaged(f"it holds step {state.step}")
    bad = first_bad_tensor(parts)
    if bad is not None:
        raise Damaged(f"`{bad}` holds NaN or infinity")
    return state


def _joined(averages: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {
        f"{network}.{name}": tensor
        for network, tensors in averages.items()
        for name, tensor in tensors.items()
    }


def _state(data: Mapping[str, Any]) -> State:
    names = {item.name for item in fields(State)}
    if data.keys() != names:
        raise ValueError(f"expected {', '.join(sorted(names))}")
    try:
        state = TypeAdapter(State).validate_python(data)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        raise ValueError(f"`{found['loc'][0]}`: {found['msg']}") from error
    if state.sums.keys() != state.counts.keys():
        raise ValueError("`sums` and `counts` are not of the same losses")
    return state

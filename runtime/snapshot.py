"""What a trainer puts into a checkpoint, and how it takes it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError
from torch import Tensor, nn

from ..compiler.ir.graph import Graph
from .averages import Averages
from .checkpoint import AVERAGES, WEIGHTS, Checkpoint, Damaged, used_weights
from .objectives.base import Objective
from .weights import collect, restore
from .worker import Worker

OBJECTIVE = "objective/"
OPTIMIZER = "optimizer/"
"""What the names of other tensors begin with; `optimizer/<role>/<parameter>/<what>` is one."""

Count = Annotated[int, Strict(), Field(ge=0)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]


@dataclass
class State:
    """Where a run is; everything that no tensor holds.

    sums, counts: losses since the last record, as far as they were read, and how many.
    stale: measurements since the early stopping's figure last got better; closest: its best value.
    rewinds: how often the run diverged and went back; rewound: to which step it did so last.
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
    rewound: Count | None = None
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
    """The name of the first tensor that is not finite, for a message; waits for the device.

    A number of the optimizer that overflowed leaves the weights finite, and never moves them again.
    """
    named = [(n, t) for n, t in _tensors(parts) if t.is_floating_point() and t.numel()]
    alike: dict[tuple[torch.device, torch.dtype], list[tuple[str, Tensor]]] = {}
    for name, tensor in named:
        alike.setdefault((tensor.device, tensor.dtype), []).append((name, tensor))
    bad = {name for group in alike.values() for name in _not_finite(group)}
    return next((name for name, _ in named if name in bad), None)


def _not_finite(named: Sequence[tuple[str, Tensor]]) -> list[str]:
    """Those of tensors of one device and element type that are not finite."""
    # On a CPU the length takes a twentieth of the time of a look at each number. It is finite only
    # where all are; that of large numbers may overflow, and these are looked at.
    lengths = torch.stack(torch._foreach_norm([tensor for _, tensor in named], 2))
    finite = torch.isfinite(lengths).tolist()
    doubtful = [one for one, good in zip(named, finite, strict=True) if not good]
    return [name for name, tensor in doubtful if not bool(tensor.isfinite().all())]


def _tensors(parts: Parts) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a run under a name for users."""
    for network, module in parts.networks.items():
        for name, tensor in module.state_dict().items():
            yield f"{network}.{name}", tensor
    if parts.averages:
        for name, tensor in parts.averages.memory().items():
            yield f"{name} (average)", tensor
    for worker in parts.workers:
        for key, tensor in worker.memory().items():
            yield _readable(key), tensor
    for name, tensor in parts.objective.state.items():
        yield f"{name} (objective)", tensor


def _readable(key: str) -> str:
    """`optimizer/judge/net.weight/exp_avg` as `net.weight (optimizer judge: exp_avg)`."""
    role, _, rest = key.removeprefix(OPTIMIZER).partition("/")
    name, _, what = rest.rpartition("/")
    return f"{name} (optimizer{' ' if role else ''}{role}: {what})"


def take_snapshot(parts: Parts, state: State) -> Checkpoint:
    """Everything that a run needs to go on."""
    tensors = {key: value for worker in parts.workers for key, value in worker.memory().items()}
    tensors |= {OBJECTIVE + name: tensor for name, tensor in parts.objective.state.items()}
    data = {
        "state": asdict(state),
        "threads": torch.get_num_threads(),
        "scaling": [worker.scaling() for worker in parts.workers],
    }
    averages = _by_network(parts.averages.memory() if parts.averages else {})
    taken = Checkpoint(collect(parts.graphs, parts.networks), tensors, data, averages)
    return replace(taken, data={**data, "tensors": taken.tensor_names()})


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
    _check_listed(saved)
    restore(parts.graphs, parts.networks, saved.weights, saved.folder)
    _check_own(parts, saved)
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


def use(saved: Checkpoint, graphs: Mapping[str, Graph], objective: Objective, run: Path) -> None:
    """Let an objective be what a checkpoint is measured and shown with.

    Its networks hold the moving averages, where there are some. What it keeps besides, such as how
    far a stage has come in, is as it was then; checkpoints of older versions may lack it.

    Raises: NetwrightError: R902: it has other weights.
    """
    restore(graphs, objective.networks, used_weights(saved), run)
    with torch.no_grad():
        for name, tensor in objective.state.items():
            kept = saved.tensors.get(OBJECTIVE + name)
            if kept is not None and kept.shape == tensor.shape:
                tensor.copy_(kept)


def _check_listed(saved: Checkpoint) -> None:
    """Raises: Damaged: tensors were lost or added since it was written.

    What parts expect does not show that: an optimizer knows a parameter only once it moved it.
    """
    found, listed = set(saved.tensor_names()), saved.data.get("tensors")
    known = set(map(str, listed)) if isinstance(listed, list) else set()
    if lost := sorted(known - found):
        raise Damaged(f"it lacks the tensor `{lost[0]}`")
    if added := sorted(found - known):
        raise Damaged(f"it holds the tensor `{added[0]}`, which it does not list")


def _check_own(parts: Parts, saved: Checkpoint) -> None:
    """Raises: Damaged: it holds what no part of the run takes."""
    own = {f"{WEIGHTS}/{n}/{name}" for n in parts.networks for name in parts.graphs[n].tensors()}
    if parts.averages:
        own |= {f"{AVERAGES}/{name.replace('.', '/', 1)}" for name in parts.averages.memory()}
    own |= {OBJECTIVE + name for name in parts.objective.state}
    # Workers look at the rest of these names themselves.
    optimizers = tuple(f"{OPTIMIZER}{turn.role}/" for turn in parts.objective.turns)
    for name in saved.tensor_names():
        if name not in own and not name.startswith(optimizers):
            raise Damaged(f"it holds the tensor `{name}`, which this run has no use for")


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

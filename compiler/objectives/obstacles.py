"""What keeps a step from being compiled or recorded, whatever the machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..diagnostics import Code
from ..ir.graph import Graph, Node
from ..ops.base import Op
from ..ops.recurrent import Recurrent
from .base import Context, Objective, trained_graphs
from .optimizers import Implementation, Optimizer
from .planning import LAYOUT_AXES, Planning
from .problem import Problem
from .training import Training


@dataclass(frozen=True)
class Layers:
    """What networks' layers have that decides how a step can be executed, as names of operators.

    recurrent: torch.compile leaves them as they are. drawing: recurrent ones with dropout inside.
    reading: torch reads numbers of their inputs, such as lengths, on the CPU.
    twice: whether the loss holds gradients, whose gradient is then taken.
    lazy: what some steps compute and others leave out.
    """

    recurrent: frozenset[str] = frozenset()
    drawing: frozenset[str] = frozenset()
    reading: frozenset[str] = frozenset()
    twice: bool = False
    lazy: str = ""


def layers_of(graphs: Iterable[Graph], objective: Objective | None = None) -> Layers:
    """What the layers of networks have, and what the objective does with them."""
    nodes = [node for graph in graphs for node in graph.nodes]
    recurrent = [node.op for node in nodes if isinstance(node.op, Recurrent)]
    return Layers(
        recurrent=frozenset(op.name for op in recurrent),
        drawing=frozenset(op.name for op in recurrent if op.dropout),
        reading=frozenset(node.op.name for node in nodes if _reads_values(node)),
        twice=objective is not None and objective.differentiates_twice,
        lazy=objective.lazy if objective else "",
    )


def _reads_values(node: Node) -> bool:
    return isinstance(node.op, Op) and node.op.reads_values(*node.input_types)


def check_plan(
    training: Training, objective: Objective | None, context: Context
) -> Iterator[Problem]:
    """Requests of `plan` that no machine can meet, or that change nothing."""
    plan = training.plan
    layers = layers_of(context.graphs.values(), objective)
    yield from plan.problems()
    found = compile_obstacle(layers)
    if plan.compile and found:
        yield _impossible("compile", found)
    found = graphs_obstacle(training, layers) or _device_obstacle(training)
    if plan.graphs and found:
        yield _impossible("graphs", found)
    graphs = trained_graphs(objective, context)
    if graphs is not None:
        yield from _layout(plan, graphs)


def _layout(plan: Planning, graphs: Mapping[str, Graph]) -> Iterator[Problem]:
    """Whether there are tensors that a memory format is for: inputs, or weights."""
    axes = LAYOUT_AXES.get(plan.memory_format or "")
    ranks = {value.type.rank for graph in graphs.values() for value in graph.inputs}
    ranks |= {len(kept.shape) for graph in graphs.values() for kept in graph.tensors().values()}
    if axes is None or axes in ranks:
        return
    others = [name for name, count in LAYOUT_AXES.items() if count in ranks]
    yield Problem(
        Code.O502,
        f"`memory_format: {plan.memory_format}` expects tensors of {axes} axes among the inputs "
        "and weights of networks, found none",
        ("plan", "memory_format"),
        help=f"write `{others[0]}`, or remove it" if others else "remove `memory_format`",
    )


def _impossible(key: str, why: str) -> Problem:
    message = f"`{key}: true` is not possible: {why}"
    return Problem(Code.O502, message, ("plan", key), help=f"remove `{key}` from `plan`")


def compile_obstacle(layers: Layers) -> str | None:
    """Why torch.compile is of no use to these layers; None where it may be."""
    if layers.recurrent:
        return f"it leaves recurrent layers ({_names(layers.recurrent)}) as they are"
    if layers.twice:
        return "it takes no gradients of gradients, as `regularizers` do"
    return None


def _names(operators: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(operators))


def graphs_obstacle(training: Training, layers: Layers) -> str | None:
    """Why a step can't be recorded as a CUDA graph; None where it can be.

    A graph holds every number but those that are read from tensors: losses' weights and the
    learning rate are, other numbers are not.
    """
    if training.precision == "fp16":
        return "the loss scaling of `precision: fp16` decides on the host"
    if training.plan.compile:
        return "`compile` and `graphs` exclude each other"
    if layers.reading:
        return f"{_names(layers.reading)} reads lengths or other numbers on the CPU"
    if layers.drawing:
        return f"{_names(layers.drawing)} draws dropout from a generator of cuDNN's own"
    if layers.lazy:
        return f"some steps leave out {layers.lazy}, and a graph holds one of them"
    clips = {"clip_norm": training.clip_norm, "clip_value": training.clip_value}
    moving = [name for name, clip in clips.items() if clip is not None and not clip.is_constant]
    if moving:
        return f"`{moving[0]}` changes during the run"
    obstacles = (_recording_obstacle(used, training.plan) for used in used_optimizers(training))
    return next((found for found in obstacles if found), None)


def used_optimizers(training: Training) -> list[Optimizer]:
    """The settings of the optimizers that take turns."""
    return list(training.optimizers.values()) or [training.optimizer]


def recordable_form(training: Training) -> Implementation | None:
    """The fastest form in which a CUDA graph can hold every optimizer; None if there is none."""
    used = used_optimizers(training)
    forms = used[0].implementations
    return next((form for form in forms if all(form in o.recordable for o in used)), None)


def _recording_obstacle(optimizer: Optimizer, plan: Planning) -> str | None:
    name = f"`{optimizer.name}`"
    forms = [form for form in optimizer.implementations if form in optimizer.recordable]
    if not forms:
        return f"{name} keeps numbers on the host that each step changes"
    if plan.optimizer is not None and plan.optimizer not in forms:
        return f"{name} can be recorded as `{forms[0]}` only, found `{plan.optimizer}`"
    moving = sorted(optimizer.moving().keys() - {"lr"})
    return f"`{moving[0]}` of {name} changes during the run" if moving else None


def _device_obstacle(training: Training) -> str | None:
    return "a CPU has no CUDA graphs" if training.device == "cpu" else None

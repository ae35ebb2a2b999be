"""Whether layers that look at a whole batch see more than one number of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..diagnostics import Code
from ..ir.graph import Graph, Node
from ..ir.shapes import elements
from ..ops.base import Op
from ..ops.conditional_batch_norm import BATCH_NORMS, ConditionalBatchNorm
from .problem import Problem
from .training import Training


@dataclass(frozen=True)
class Lone:
    """A layer that has nothing to compare where one sample is trained at a time.

    message: what it expects. instead: what to use in its place.
    """

    message: str
    instead: str


def batch_problems(training: Training, graphs: Mapping[str, Graph]) -> Iterator[Problem]:
    """What a batch of one sample, or micro-batches of one, would be too small for.

    graphs: those that are trained.
    """
    found = lone_layer(graphs) if training.batch // training.accumulate == 1 else None
    if found is not None:
        key, step = ("accumulate", "lower") if training.batch > 1 else ("batch", "raise")
        step = f"{step} `{key}`, or {found.instead}"
        yield Problem(Code.O502, f"{found.message}, found 1", (key,), help=step)


def lone_layer(graphs: Mapping[str, Graph]) -> Lone | None:
    """The first layer that cannot be trained on one sample at a time.

    Batch norm over one number has no variance, and torch refuses to train it; a layer that mixes
    the batch would train, and learn nothing of what it is for.
    """
    for graph in graphs.values():
        for node in graph.nodes:
            what, instead = _of_batch(node)
            if what:
                layer = f"`{node.path}` of `{graph.name}`, a `{node.op.name}` {what}"
                return Lone(f"{layer}, expects 2 samples at a time or more", instead)
    return None


def _of_batch(node: Node) -> tuple[str, str]:
    """Why a layer needs several samples, behind its name, and what to use instead; else empty."""
    if isinstance(node.op, BATCH_NORMS) and _sees_one_number(node):
        by_class = ", times an `embedding` of the label"
        instead = "use `layer_norm`" + by_class * isinstance(node.op, ConditionalBatchNorm)
        return "without axes behind the channels", instead
    if isinstance(node.op, Op) and node.op.mixes_batch:
        return "that compares the samples of a batch", "remove the layer"
    return "", ""


def _sees_one_number(node: Node) -> bool:
    kind = node.input_types[0]
    return kind is not None and elements(kind.shape[2:]) == 1

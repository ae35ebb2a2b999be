"""Whether layers that look at a whole batch see more than one number of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..diagnostics import Code
from ..ir.graph import Graph, Node
from ..ir.shapes import elements
from ..ops.conditional_batch_norm import ConditionalBatchNorm
from ..ops.normalization import BatchNorm
from .problem import Problem
from .training import Training


@dataclass(frozen=True)
class Alone:
    """A layer that has nothing to compare where one sample is trained at a time.

    what: it is, behind its name. instead: what to use in its place.
    """

    what: str
    instead: str


def batch_problems(training: Training, graphs: Mapping[str, Graph]) -> Iterator[Problem]:
    """Batch norm over one number has no variance, and torch refuses to train it.

    graphs: those that are trained.
    """
    if training.batch // training.accumulate != 1:
        return
    key = "accumulate" if training.batch > 1 else "batch"
    for graph in graphs.values():
        for node in graph.nodes:
            alone = _alone(node)
            if alone is not None:
                yield Problem(
                    Code.O502,
                    f"`{node.path}` of `{graph.name}`, a `{node.op.name}` {alone.what}, expects 2 "
                    "samples at a time or more, found 1",
                    (key,),
                    help=f"{'raise' if key == 'batch' else 'lower'} `{key}`, or {alone.instead}",
                )
                return


def _alone(node: Node) -> Alone | None:
    if isinstance(node.op, BatchNorm | ConditionalBatchNorm) and _sees_one_number(node):
        by_class = ", times an `embedding` of the label"
        instead = "use `layer_norm`" + by_class * isinstance(node.op, ConditionalBatchNorm)
        return Alone("without axes behind the channels", instead)
    if getattr(node.op, "mixes_batch", False):
        return Alone("that compares the samples of a batch", "remove the layer")
    return None


def _sees_one_number(node: Node) -> bool:
    kind = node.input_types[0]
    return kind is not None and elements(kind.shape[2:]) == 1

"""Whether layers that look at a whole batch see more than one number of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..diagnostics import Code
from ..ir.graph import Graph, Node
from ..ir.shapes import elements
from ..ops.normalization import BatchNorm
from .problem import Problem
from .training import Training


def batch_problems(training: Training, graphs: Mapping[str, Graph]) -> Iterator[Problem]:
    """Batch norm over one number has no variance, and torch refuses to train it.

    graphs: those that are trained.
    """
    if training.batch // training.accumulate != 1:
        return
    key = "accumulate" if training.batch > 1 else "batch"
    for graph in graphs.values():
        for node in graph.nodes:
            if isinstance(node.op, BatchNorm) and _sees_one_number(node):
                yield Problem(
                    Code.O502,
                    f"`{node.path}` of `{graph.name}`, a `batch_norm` without axes behind the "
                    "channels, expects 2 samples at a time or more, found 1",
                    (key,),
                    help="raise `batch`, or use `layer_norm`"
                    if key == "batch"
                    else "lower `accumulate`, or use `layer_norm`",
                )
                return


def _sees_one_number(node: Node) -> bool:
    kind = node.input_types[0]
    return kind is not None and elements(kind.shape[2:]) == 1

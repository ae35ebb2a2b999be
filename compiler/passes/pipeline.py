"""The passes between a program and its ONNX file, in the order they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..ir.graph import Graph
from ..ir.verifier import InternalError, verify
from .fold_batch_norm import fold_batch_norm
from .fold_spectral_norm import fold_spectral_norm
from .inline_calls import inline_calls
from .prune_dead import prune_dead
from .remove_dropout import remove_dropout

if TYPE_CHECKING:
    from .rewriting import Weights

    Pass = Callable[[Graph, Weights], tuple[Graph, Weights]]

PIPELINE: tuple[Pass, ...] = (
    inline_calls,  # first: every later pass sees layers, not networks
    prune_dead,  # early: heads that a program does not ask for cost the later passes nothing
    remove_dropout,  # before folding: a dropout may stand between a layer and its batch norm
    fold_spectral_norm,  # before batch norm, which scales the weight that is really used
    fold_batch_norm,  # into convolutions and linear layers right before it
    prune_dead,  # last: drops the tensors that folding replaced
)


def run_passes(
    graph: Graph,
    weights: Weights,
    *,
    after: Callable[[str, Graph], None] | None = None,
) -> tuple[Graph, Weights]:
    """Prepare a program for deployment.

    Args:
        weights: tensor name -> array: `<network>.<tensor>` where networks are called, the bare
            tensor names where `graph` is a network itself. It is not changed.
        after: is told the name of each pass and the graph that it left, for `--print-after`.
    Returns: the graph, and the tensors that it reads.
    Raises: InternalError: a pass left an unsound graph; the message names it.
    """
    verify(graph)
    for run in PIPELINE:
        graph, weights = run(graph, weights)
        try:
            verify(graph)
        except InternalError as error:
            raise InternalError(error.problem, stage=run.__name__) from error
        if after:
            after(run.__name__, graph)
    return graph, weights

"""`--print-after`: the graphs as a phase or pass leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .diagnostics import Code, failure
from .driver import Compilation
from .ir.printer import print_graph
from .suggest import did_you_mean

if TYPE_CHECKING:
    from .ir.graph import Graph

PHASES = ("elaborate", "objective")


def graphs_after(compilation: Compilation, name: str) -> Iterator[str]:
    """Print every graph after a phase (`elaborate`, `objective`) or a pass of the pipeline.

    Passes run over the programs with weights of zeros: what they do depends on shapes alone.

    Raises: NetwrightError: S102: there is no such phase or pass.
    """
    if name == "elaborate":
        yield from map(print_graph, compilation.graphs.values())
        return
    if name == "objective":
        yield from map(print_graph, compilation.programs.values())
        return
    yield from _after_pass(compilation, name)


def _after_pass(compilation: Compilation, name: str) -> Iterator[str]:
    from .passes.pipeline import PIPELINE, run_passes

    names = [*PHASES, *dict.fromkeys(run.__name__ for run in PIPELINE)]
    if name not in names:
        raise failure(
            Code.S102,
            f"unknown pass `{name}` to print after",
            help=did_you_mean(name, names, "pass"),
        )
    weights = _zeros(compilation)
    for program in compilation.programs.values():
        printed: list[Graph] = []

        def keep(done: str, graph: Graph, printed: list[Graph] = printed) -> None:
            if done == name:
                printed.append(graph)

        run_passes(program, weights, after=keep)
        yield from (f"# after {name}\n{print_graph(graph)}" for graph in printed)


def _zeros(compilation: Compilation) -> dict[str, Any]:
    import numpy as np

    return {
        f"{network}.{name}": np.zeros(tensor.shape, np.float32 if tensor.dtype.is_float else int)
        for network, graph in compilation.graphs.items()
        for name, tensor in graph.tensors().items()
    }

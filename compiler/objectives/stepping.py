"""Networks that run one chunk at a time, in programs: the diagnostic where they can't, the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..diagnostics import Code, Label
from ..ir.dims import Symbol
from ..ir.graph import Graph, Value
from ..source import Key
from ..streaming.stepped import NotStreamable, Stepped
from ..streaming.stream_network import stream_network
from .base import Context
from .program import ProgramBuilder


def find_stepped(graph: Graph, time: Symbol, context: Context, path: Key) -> Stepped | None:
    """The network as it runs one chunk at a time; None where it can't, which is reported (O503).

    path: leads to the setting that asks for it.
    """
    try:
        return stream_network(graph, time)
    except NotStreamable as refused:
        places = {o.span: Label(o.span, o.reason) for o in refused.obstacles if o.span}
        context.sink.add(
            Code.O503,
            f"the network `{graph.name}` expects layers that run one step after the other, found "
            + ", ".join(f"`{o.name}`, which {o.reason}" for o in refused.obstacles),
            context.span(path),
            also=tuple(places.values()),
            help=next((o.help for o in refused.obstacles if o.help), None),
        )
        return None


def add_step(
    builder: ProgramBuilder, stepped: Stepped, given: Sequence[Value]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Apply a network to a chunk.

    given: its own inputs. Returns: its own outputs, and the states behind the chunk, by name.
    """
    states = [builder.input(state.input, state.type) for state in stepped.states]
    results = builder.call(stepped.graph, [*given, *states])
    behind: Mapping[str, Value] = {s.output: results[s.output] for s in stepped.states}
    return {n: v for n, v in results.items() if n not in behind}, dict(behind)

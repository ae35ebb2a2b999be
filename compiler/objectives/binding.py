"""Which data field each input of a network takes, and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.dims import Dim, Poly, Symbol
from ..ir.graph import Graph, Value
from ..ir.proofs import at_least, divisible
from ..ir.shapes import TensorType, substitute_type
from ..ir.structure import unify
from ..source import Key
from ..suggest import did_you_mean
from .base import Context
from .fields import Field


def field_name(port: str, inputs: Mapping[str, str]) -> str:
    """The field that an input takes: the one that `inputs` names, or that of the same name."""
    return inputs.get(port, port)


def bind_inputs(
    graph: Graph, inputs: Mapping[str, str], context: Context, path: Key
) -> dict[str, TensorType] | None:
    """Bind every input of a network to a field.

    Args:
        inputs: input -> field, where their names differ.
        path: leads to the setting that names the network.
    Returns: the types of the network's outputs for these fields; None where mistakes were
        reported, now or before.
    """
    before = context.sink.errors
    _check_names(graph, inputs, context, path)
    fields = {port.name: field_name(port.name, inputs) for port in graph.inputs}
    known = [_known(graph, port, fields[port.name], context, path) for port in graph.inputs]
    if context.sink.errors > before or not all(known):
        return None
    return _unified(graph, fields, context, path)


def _check_names(graph: Graph, inputs: Mapping[str, str], context: Context, path: Key) -> None:
    ports = [value.name for value in graph.inputs]
    for port in inputs:
        if port not in ports:
            context.misfit(
                f"the network `{graph.name}` has no input `{port}`",
                (*path, "inputs", port),
                did_you_mean(port, ports, "input"),
            )


def _known(graph: Graph, port: Value, name: str, context: Context, path: Key) -> bool:
    if name in context.fields or name in context.broken:
        return name in context.fields
    alike = (n for n, field in context.fields.items() if field.rank == port.type.rank)
    other = next(alike, "...")
    context.misfit(
        f"input `{port.name}` of the network expects a data field `{name}`, which does not exist",
        path,
        f"{did_you_mean(name, context.fields, 'field')}; or bind the input to a field of another "
        f"name: `network: {{network: {graph.name}, inputs: {{{port.name}: {other}}}}}`",
    )
    return False


def _unified(
    graph: Graph, fields: Mapping[str, str], context: Context, path: Key
) -> dict[str, TensorType] | None:
    """The types of the outputs once the network's sizes are those of the fields."""
    binding: dict[str, Dim] = {}
    fitting = True
    for port in graph.inputs:
        field = context.fields[fields[port.name]]
        given = field.network_type(context.dims)
        if not _fits(port.type, given, binding):
            _report_misfit(port, fields[port.name], field, graph, context, path)
            fitting = False
    if not fitting:
        return None
    return {
        name: substitute_type(value.type, lambda s: binding.get(s.name, Poly.of(s)))
        for name, value in graph.outputs.items()
    }


def _fits(wanted: TensorType, given: TensorType, binding: dict[str, Dim]) -> bool:
    """Whether a field's type fits an input's; enters what the input's sizes stand for."""
    try:
        found = unify([wanted], [given])
    except ValueError:
        return False
    in_bounds = all(_allows(s, found[s.name]) for s in wanted.symbols() if s.name in found)
    return in_bounds and all(binding.setdefault(n, size) == size for n, size in found.items())


def _allows(symbol: Symbol, size: Dim) -> bool:
    """Whether a size is within the bounds of a symbol, for every value of its own symbols."""
    above = at_least(size, symbol.min) is True
    below = symbol.max is None or at_least(symbol.max, size) is True
    return above and below and divisible(size, symbol.multiple_of) is True


def _report_misfit(
    port: Value, name: str, field: Field, graph: Graph, context: Context, path: Key
) -> None:
    given = field.network_type(context.dims)
    raw = field.raw_type(context.dims)
    after = f" (stored as {raw})" if raw != given else ""
    context.misfit(
        f"input `{port.name}` of the network expects {port.type}, found the field `{name}` of "
        f"type {given}{after}",
        path,
        _next_step(port.type, given, name),
        also=context.label(("networks", graph.name, "inputs", port.name), "the input"),
    )


def _next_step(wanted: TensorType, given: TensorType, name: str) -> str:
    if wanted.dtype.is_float and not given.dtype.is_float and wanted.rank == given.rank:
        return (
            f"add `scale: [0, 1]` or `normalize` to the field `{name}`: it turns {given.dtype} "
            "into f32"
        )
    return "make the network's input and the field's `shape` and `dtype` agree"

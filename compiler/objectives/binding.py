"""Which data field each input of a network takes, and whether it fits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..ir.dims import Dim, Poly, Symbol
from ..ir.graph import Graph, Value
from ..ir.proofs import at_least, divisible
from ..ir.shapes import TensorType, substitute_type
from ..ir.structure import unify
from ..source import Key
from ..suggest import did_you_mean, suggest
from .base import Context
from .fields import Field
from .id_room import check_room

SOURCE = ("data", "source")
"""Where the source stands in a spec."""


def field_name(port: str, inputs: Mapping[str, str]) -> str:
    """The field that an input takes: the one that `inputs` names, or that of the same name."""
    return inputs.get(port, port)


def bind_inputs(
    graph: Graph, inputs: Mapping[str, str], targets: Collection[str], context: Context, path: Key
) -> dict[str, TensorType] | None:
    """Bind every input of a network to a field.

    Args:
        inputs: input -> field, where their names differ.
        targets: the fields that losses compare with, which messages never offer as an input.
        path: leads to the setting that names the network.
    Returns: the types of the network's outputs for these fields; None where mistakes were
        reported, now or before.
    """
    before = context.sink.errors
    _check_names(graph, inputs, context, path)
    fields = {port.name: field_name(port.name, inputs) for port in graph.inputs}
    inner = _Inputs(graph, frozenset(targets), context, path)
    known = [inner.known(port, fields[port.name]) for port in graph.inputs]
    if context.sink.errors > before or not all(known):
        return None
    check_room(graph, fields, context, path)
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


@dataclass(frozen=True)
class _Inputs:
    """Looks up the fields of a network's inputs. targets: fields that would tell it the answer."""

    graph: Graph
    targets: frozenset[str]
    context: Context
    path: Key

    def known(self, port: Value, name: str) -> bool:
        context = self.context
        if name in context.fields or name in context.broken:
            return name in context.fields
        context.misfit(
            f"input `{port.name}` of the network expects a data field `{name}`, which does not "
            "exist",
            self.path,
            self._next_step(port, name),
        )
        return False

    def _next_step(self, port: Value, name: str) -> str:
        fields = self.context.fields
        offered = [n for n in fields if n not in self.targets]
        close = suggest(name, offered)
        alike = [n for n in offered if fields[n].rank == port.type.rank and n not in self._read()]
        other = close or next(iter(alike), None)
        step = f"add `{name}` to `fields` of `data`"
        if self._from_table():
            step += ", and to `columns` where its column has another name"
        if close:
            step = f"a field with a similar name exists: `{close}`"
        if other is None:
            return step
        return (
            f"{step}; or bind the input to a field of another name: "
            f"`network: {{network: {self.graph.name}, inputs: {{{port.name}: {other}}}}}`"
        )

    def _from_table(self) -> bool:
        source = self.context.span(SOURCE)  # which also stands for keys that are not there
        return any(self.context.span((*SOURCE, kind)) != source for kind in ("csv", "parquet"))

    def _read(self) -> set[str]:
        """Fields that other inputs of the network take by their names."""
        return {port.name for port in self.graph.inputs}


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
        f"input `{port.name}` of the network expects {port.type}, found {_what(name)} `{name}` of "
        f"type {given}{after}",
        path,
        _next_step(port.type, given, name),
        also=context.label(("networks", graph.name, "inputs", port.name), "the input"),
    )


def _what(name: str) -> str:
    """What feeds an input: a data field, or `network.output`."""
    return "the output" if "." in name else "the field"


def _next_step(wanted: TensorType, given: TensorType, name: str) -> str:
    if "." in name:
        return "make the input's `shape` that of the output"
    if wanted.dtype.is_float and not given.dtype.is_float and wanted.rank == given.rank:
        return (
            f"add `scale: [0, 1]` or `normalize` to the field `{name}`: it turns {given.dtype} "
            "into f32"
        )
    return "make the network's input and the field's `shape` and `dtype` agree"

"""One operator applied to its inputs: a node, or a diagnostic that says why not."""

from __future__ import annotations

from collections.abc import Mapping

from ..diagnostics import Code
from ..ir.graph import Node, Value, own_weights
from ..ops.base import Op, Refusal
from .frames import Frame
from .layers import Layer
from .trail import shrinking
from .wiring import Wiring


def apply_operator(
    op: Op,
    wiring: Wiring,
    path: str,
    frame: Frame,
    layer: Layer,
    producers: Mapping[str, Node],
) -> Node | None:
    """The node of an operator at `path`; None where the operator refuses its inputs.

    wiring: without unknown inputs. producers: for the trail of a size that vanishes.
    """
    values = wiring.values()
    types = tuple(value.type if value else None for value in values)
    try:
        _check_count(op, values)
        results = op.inferred(types)
        weights = own_weights(path, op.declared(types))
    except Refusal as refusal:
        _refused(frame, layer, values, refusal, producers)
        return None
    names = op.output_ports()
    outputs = tuple(
        Value(path if len(names) == 1 else f"{path}.{port}", result)
        for port, result in zip(names, results, strict=True)
    )
    span = frame.scope.located.key(layer.arguments_path)
    return Node(path, op, values, outputs, weights, span=span)


def _refused(
    frame: Frame,
    layer: Layer,
    values: tuple[Value | None, ...],
    refusal: Refusal,
    producers: Mapping[str, Node],
) -> None:
    located = frame.scope.located
    merge = refusal.code is Code.D402 and "from" in layer.modifiers
    span = located.span((*layer.path, "from")) if merge else located.key(layer.arguments_path)
    notes = list(frame.scope.notes)
    if refusal.code is Code.D403 and values[0]:
        notes = [*shrinking(values[0], producers), *notes]
    help = refusal.help or _defined_at(frame, layer)  # noqa: A001
    frame.scope.sink.add(
        refusal.code, refusal.message, span, refusal.label, notes=notes, help=help or None
    )


def _defined_at(frame: Frame, layer: Layer) -> str:
    """Where the inputs of a merge stand, for its help."""
    source = layer.modifiers.get("from")
    if not isinstance(source, list):
        return ""
    known = {n: frame.lookup(n) for n in source if isinstance(n, str) and n != "prev"}
    places = [f"`{n}` is defined on line {b.span.line}" for n, b in known.items() if b]
    return "; ".join(places) + ("; make their shapes match" if places else "")


def _check_count(op: Op, values: tuple[Value | None, ...]) -> None:
    """An operator over a list says how few inputs it takes."""
    port = op.ports[0] if op.ports else None
    if port and port.variadic and len(values) < port.least:
        raise Refusal(
            Code.D401,
            f"`{op.name}` needs at least {port.least} inputs, found {len(values)}",
            help="list them: `from: [left, right]`",
        )

"""Elaboration: a network's layers become a typed graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..diagnostics import Code, Sink
from ..ir.dims import Dim, Poly, Symbol
from ..ir.graph import Graph, Value
from ..ir.graph import Scope as GraphScope
from ..ir.shapes import SPEC_DTYPES, TensorType
from ..source import Key, Located
from ..suggest import size_help
from .blocks import Block
from .describe import describe
from .evaluate import FAILED, Scope
from .expand import Expander, ExpansionError
from .frames import UNKNOWN, Bound, Frame, Wire
from .layers import NAME, Layer, Reader
from .outputs import resolve_outputs
from .schema import NetworkModel


@dataclass
class Elaborator:
    """Expands the networks of one spec, in order.

    graphs: the networks done so far (for ties across networks); None where one has mistakes.
    layers: what was read of each network's layers, for questions about the names in them; None
    where it has no list of layers.
    """

    located: Located
    sink: Sink
    env: Mapping[str, Any]
    dims: Mapping[str, Symbol]
    blocks: Mapping[str, Block]
    failed_imports: frozenset[str] = frozenset()
    graphs: dict[str, Graph | None] = field(default_factory=dict)
    layers: dict[str, tuple[Layer, ...] | None] = field(default_factory=dict)

    def network(self, name: str, body: Any, model: NetworkModel | None) -> Graph | None:
        """The typed graph of a network, or None where mistakes were reported.

        Args:
            body: the network as written; its layers are read whatever else is wrong with it.
            model: the same, checked; None where nothing of it can be evaluated.
        """
        path: Key = ("networks", name)
        before = self.sink.errors
        scope = Scope(self.env, self.located, self.sink)
        inputs = {
            port: self._input(port, given, (*path, "inputs", port), scope)
            for port, given in (model.inputs if model else {}).items()
        }
        layers = self.layers[name] = self._read(body, (*path, "layers"), scope)
        if model is None or layers is None:
            return None
        frame = self._root_frame(scope, inputs, path)
        expander = Expander(self.sink, self.graphs)
        try:
            expander.walk(frame, layers)
        except ExpansionError as limit:
            where = self.located.key(path)
            self.sink.add(Code.Y004, f"network `{name}` {limit.what}", where, help=limit.help)
            return None
        outputs = resolve_outputs(frame, model.outputs, (*path, "outputs"), name)
        if expander.broken or self.sink.errors > before:
            return None
        return self._graph(name, frame, inputs, outputs)

    def _read(self, body: Any, path: Key, scope: Scope) -> tuple[Layer, ...] | None:
        items = body.get("layers") if isinstance(body, Mapping) else None
        if not isinstance(items, list) or not items:
            return None
        reader = Reader(scope, frozenset(self.blocks), self.failed_imports)
        return reader.read(items, path)

    def _graph(
        self, name: str, frame: Frame, inputs: Mapping[str, Wire], outputs: Mapping[str, Wire]
    ) -> Graph:
        values = {port: wire for port, wire in inputs.items() if isinstance(wire, Value)}
        results = {port: wire for port, wire in outputs.items() if isinstance(wire, Value)}
        span = self.located.key(("networks", name))
        root = GraphScope("network", "", tuple(frame.items), values, results, span=span)
        return Graph(name, tuple(values.values()), tuple(root.nodes()), results, root)

    def _input(self, port: str, model: Any, path: Key, scope: Scope) -> Wire:
        if not NAME.match(port):
            scope.report(Code.S102, f"an input expects an identifier, found `{port}`", path)
            return UNKNOWN
        if port in ("prev", "none"):
            scope.report(
                Code.G304,
                f"`{port}` is reserved and cannot be an input",
                path,
                key=True,
                help="choose another name",
            )
            return UNKNOWN
        sizes = [self._size(size, (*path, "shape", i), scope) for i, size in enumerate(model.shape)]
        if any(size is None for size in sizes):
            return UNKNOWN
        if model.shape[0] != "B" and not _is_state(model.shape, sizes):
            scope.report(
                Code.D401,
                f"the first axis of an input is the batch, found {describe(model.shape[0])}",
                (*path, "shape", 0),
                help="write `shape: [B, ...]`; only states of recurrent layers are `[layers, B, "
                "hidden]`",
            )
            return UNKNOWN
        dims = tuple(size for size in sizes if size is not None)
        return Value(port, TensorType(SPEC_DTYPES[model.dtype], dims))

    def _size(self, size: Any, path: Key, scope: Scope) -> Dim | None:
        value = scope.evaluate(size, path)
        if value is FAILED:
            return None
        if isinstance(value, str):
            if value in self.dims:
                return Poly.of(self.dims[value])
            scope.report(
                Code.G301,
                f"unknown size `{value}`",
                path,
                help=size_help(value, int(path[-1])),
            )
            return None
        if isinstance(value, Poly):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return value
        scope.report(
            Code.S102,
            f"a size expects at least 1, found {describe(value)}",
            path,
            help=size_help(str(value), int(path[-1])),
        )
        return None

    def _root_frame(self, scope: Scope, inputs: Mapping[str, Wire], path: Key) -> Frame:
        names = {
            port: Bound({port: wire}, self.located.key((*path, "inputs", port)))
            for port, wire in inputs.items()
        }
        prev = next(iter(names.values())) if len(names) == 1 else None
        return Frame("network", "", scope, self.blocks, prev, names)


def _is_state(shape: Sequence[Any], sizes: Sequence[Dim | None]) -> bool:
    """Whether an input holds states of recurrent layers, [layers, B, hidden]."""
    return len(shape) == 3 and isinstance(sizes[0], int) and shape[1] == "B"

"""`share` and `tie`: layers whose weights are another layer's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..diagnostics import Code
from ..ir.graph import Graph, Node, Parameter, TensorRef
from ..ir.graph import Scope as GraphScope
from ..ir.shapes import shape_text
from ..source import Key
from ..suggest import did_you_mean
from .describe import describe
from .evaluate import Scope
from .frames import Frame, Item
from .layers import Layer


def share_items(
    items: Iterable[Item],
    path: str,
    owner: str,
    layer: Layer,
    scope: Scope,
    producers: dict[str, Node],
) -> list[Item]:
    """What a shared layer expanded to at `path`, with the weights of the layer at `owner`."""
    return [_share(item, path, owner, layer, scope, producers) for item in items]


def _share(
    item: Item, path: str, owner: str, layer: Layer, scope: Scope, producers: dict[str, Node]
) -> Item:
    original = owner + item.path[len(path) :]
    if isinstance(item, GraphScope):
        inner = tuple(_share(i, path, owner, layer, scope, producers) for i in item.items)
        return replace(item, items=inner, shares=original, span=layer.span)
    weights = {
        key: replace(ref, name=owner + ref.name[len(path) :])
        if ref.network is None and _below(ref.name, path)
        else ref
        for key, ref in item.weights.items()
    }
    node = replace(item, weights=weights, shares=original, span=layer.span)
    _check_shapes(node, layer, scope, producers)
    producers |= {value.name: node for value in node.outputs}
    return node


def _below(name: str, path: str) -> bool:
    return name == path or name.startswith(path + ".")


def _check_shapes(node: Node, layer: Layer, scope: Scope, producers: Mapping[str, Node]) -> None:
    """The owner's tensors must have the shapes that this use needs."""
    first = next(iter(node.op.output_ports()))
    names = (str(node.shares), f"{node.shares}.{first}")
    owner = next((producers[name] for name in names if name in producers), None)
    if owner is None:
        return
    have = {p.key: p.shape for p in owner.declared()}
    for parameter in node.declared():
        if have.get(parameter.key) != parameter.shape:
            scope.sink.add(
                Code.D402,
                f"`share` needs the weights of `{layer.value}` to fit: `{parameter.key}` "
                f"is {shape_text(have.get(parameter.key, ()))}, "
                f"this input needs {shape_text(parameter.shape)}",
                scope.located.span((*layer.path, "share")),
                notes=scope.notes,
                help="give both uses inputs of the same size",
            )
            return


def resolve_ties(
    node: Node,
    layer: Layer,
    frame: Frame,
    producers: Mapping[str, Node],
    graphs: Mapping[str, Graph | None],
) -> Node:
    """The node with the weights that its `tie` names; mistakes are reported and left out."""
    ties = layer.modifiers.get("tie")
    if ties is None:
        return node
    place: Key = (*layer.path, "tie")
    tying = _Tying(node, frame, producers, graphs)
    if not isinstance(ties, Mapping):
        frame.scope.report(
            Code.S102,
            f"`tie` expects a map such as `{{weight: tokens.weight}}`, found {describe(ties)}",
            place,
        )
        return node
    resolved = {key: tying.resolve(str(key), value, (*place, key)) for key, value in ties.items()}
    found = {key: ref for key, ref in resolved.items() if ref}
    if "weight" in found and getattr(node.op, "init", None) is not None:
        frame.scope.report(
            Code.O502,
            f"`init` and a tied `weight` exclude each other: `{node.path}` has no weight to start",
            (*layer.arguments_path, "init"),
            help="remove `init`; the layer that owns the weight starts it",
        )
    return replace(node, weights={**node.weights, **found})


class _Tying:
    """Resolves the ties of one layer."""

    def __init__(
        self,
        node: Node,
        frame: Frame,
        producers: Mapping[str, Node],
        graphs: Mapping[str, Graph | None],
    ) -> None:
        self.node, self.frame, self.graphs = node, frame, graphs
        self.wanted = {p.key: p for p in node.declared()}
        self.tensors = {
            other.weights[p.key].name: p
            for other in producers.values()
            for p in other.declared()
            if other.owns(p)
        }

    def resolve(self, key: str, value: Any, place: Key) -> TensorRef | None:
        if key not in self.wanted:
            help = did_you_mean(key, self.wanted, "weight") if self.wanted else None  # noqa: A001
            self.frame.scope.report(
                Code.G301,
                f"`{self.node.op.name}` has no weight `{key}`",
                place,
                key=True,
                help=help,
            )
            return None
        name, transpose = value, False
        if isinstance(value, Mapping) and set(value) <= {"of", "transpose"} and "of" in value:
            name, transpose = value["of"], value.get("transpose", False)
        if not isinstance(name, str) or not isinstance(transpose, bool):
            self.frame.scope.report(
                Code.S102,
                "a tie expects the name of a weight, or {of: name, transpose: true}; "
                f"found {describe(value)}",
                place,
            )
            return None
        return self._checked(key, name, transpose, place)

    def _checked(self, key: str, name: str, transpose: bool, place: Key) -> TensorRef | None:
        found = self._find(name, place)
        if found is None:
            return None
        ref, owned = found
        shape = owned.shape[::-1] if transpose else owned.shape
        wanted = self.wanted[key].shape
        if shape != wanted or (transpose and len(shape) != 2):
            self.frame.scope.report(
                Code.D402,
                f"`tie` needs `{key}` of shape {shape_text(wanted)}, found `{name}` of shape "
                f"{shape_text(owned.shape)}" + (" (transposed)" if transpose else ""),
                place,
                help="add `transpose: true`"
                if not transpose and owned.shape[::-1] == wanted
                else "make the sizes of both layers match",
            )
            return None
        return replace(ref, transpose=transpose)

    def _find(self, name: str, place: Key) -> tuple[TensorRef, Parameter] | None:
        head, _, rest = name.partition(".")
        bound = self.frame.lookup(head)
        if bound and bound.recipe:
            local = f"{bound.recipe.path}.{rest}"
            if local in self.tensors:
                return TensorRef(local), self.tensors[local]
        if not bound and head in self.graphs:
            graph = self.graphs[head]
            if graph is None:
                return None
            if rest in graph.tensors():
                return TensorRef(rest, network=head), graph.tensors()[rest]
        elsewhere = [f"{n}.{t}" for n, g in self.graphs.items() if g for t in g.tensors()]
        choices = [*self.tensors, *elsewhere]
        self.frame.scope.report(
            Code.G301,
            f"unknown weight `{name}`",
            place,
            help=did_you_mean(name, choices[:200], "weight") if choices else None,
        )
        return None

"""Replace spectrally normalised weights by plain ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..ir.graph import Graph, Node
from .rewriting import array_of, in_bodies, store, with_arguments

if TYPE_CHECKING:
    from .rewriting import Array, Weights


def fold_spectral_norm(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """Divide each spectrally normalised weight by its largest singular value, once.

    Requires: no `call` is left.
    Establishes: no layer has `weight_norm: spectral`.

        %fc = linear(%x) {features: 1, weight_norm: spectral} : f32[B, 1]
    becomes
        %fc = linear(%x) {features: 1} <weight = fc.weight.normalized> : f32[B, 1]
    """
    tensors = dict(weights)
    return _folded(graph, tensors), tensors


def _folded(graph: Graph, tensors: dict[str, Array]) -> Graph:
    graph = in_bodies(graph, lambda body: _folded(body, tensors))
    if not any(_is_normalised(node) for node in graph.nodes):
        return graph
    nodes = tuple(_plain(n, tensors) if _is_normalised(n) else n for n in graph.nodes)
    return graph.with_nodes(nodes, graph.outputs)


def _is_normalised(node: Node) -> bool:
    return getattr(node.op, "weight_norm", None) == "spectral"


def _plain(node: Node, tensors: dict[str, Array]) -> Node:
    import numpy as np  # here, since `check` lists passes without running them

    refs = dict(node.weights)
    u, v = (array_of(refs.pop(key), tensors) for key in ("weight_u", "weight_v"))
    weight = array_of(refs["weight"], tensors)
    axis = getattr(node.op, "output_axis", 0)
    order = [axis, *(other for other in range(weight.ndim) if other != axis)]
    matrix = weight.transpose(order).reshape(len(u), len(v))
    name = f"{refs['weight'].stored}.normalized"
    with np.errstate(invalid="ignore"):  # a weight of zeros has no direction, as in training
        refs["weight"] = store(weight / (u @ matrix @ v), name, tensors)
    return replace(node, op=with_arguments(node.op, weight_norm=None), weights=refs)

"""Fold batch norm into the layer before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..ir.graph import Graph, Node, Value
from .rewriting import array_of, in_bodies, reading, results, store, with_arguments

if TYPE_CHECKING:
    from .rewriting import Array, Weights

CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d"})
TRANSPOSED = frozenset({"conv_transpose1d", "conv_transpose2d"})


def fold_batch_norm(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """Multiply the scale of a batch norm into the weight of the layer before, and add its shift.

    Requires: no `call` is left, and no `weight_norm` on the layers to fold into.
    Establishes: no batch norm follows a convolution or a linear layer that it alone reads.

        %conv1 = conv2d(%x) {channels: 8, kernel: [3, 3], bias: false} : f32[B, 8, 28, 28]
        %bn1 = batch_norm(%conv1) : f32[B, 8, 28, 28]
        %relu_1 = relu(%bn1) : f32[B, 8, 28, 28]
    becomes
        %conv1 = conv2d(%x) {channels: 8, kernel: [3, 3]}
            <weight = conv1.weight.folded, bias = conv1.bias.folded> : f32[B, 8, 28, 28]
        %relu_1 = relu(%conv1) : f32[B, 8, 28, 28]
    """
    tensors = dict(weights)
    return _folded(graph, tensors), tensors


def _folded(graph: Graph, tensors: dict[str, Array]) -> Graph:
    graph = in_bodies(graph, lambda body: _folded(body, tensors))
    readers = _readers(graph)
    nodes: dict[str, Node] = {}
    values: dict[str, Value] = {}
    makers: dict[str, Node] = {}
    for old in graph.nodes:
        node = reading(old, values)
        before = makers.get(next((value.name for value in node.reads()), ""))
        if node.op.name == "batch_norm" and before and _takes(before, readers):
            made, gone = before.outputs[0], node.outputs[0]
            nodes[before.path] = makers[made.name] = _merged(before, node, tensors)
            values[gone.name] = made
            readers[made.name] = readers[gone.name]
            continue
        nodes[node.path] = node
        makers.update((value.name, node) for value in node.outputs)
    if not values:
        return graph
    return graph.with_nodes(tuple(nodes.values()), results(graph, values))


def _readers(graph: Graph) -> dict[str, int]:
    """Value name -> how often it is read, by nodes or as an output."""
    counts = {value.name: 0 for node in graph.nodes for value in node.outputs}
    read = [value for node in graph.nodes for value in node.reads()]
    for value in (*read, *graph.outputs.values()):
        counts[value.name] = counts.get(value.name, 0) + 1
    return counts


def _takes(node: Node, readers: dict[str, int]) -> bool:
    """Whether a batch norm behind this layer can become a part of it."""
    if readers[node.outputs[0].name] != 1 or getattr(node.op, "weight_norm", None):
        return False
    if node.op.name == "linear":
        return node.outputs[0].type.rank == 2  # of more axes, the norm's channels are another axis
    return node.op.name in CONVOLUTIONS | TRANSPOSED


def _merged(layer: Node, norm: Node, tensors: dict[str, Array]) -> Node:
    scale, shift = _affine(norm, tensors)
    weight = array_of(layer.weights["weight"], tensors)
    if "bias" in layer.weights:
        shift = shift + scale * array_of(layer.weights["bias"], tensors)
    name = layer.weights["weight"].stored
    folded = (weight * _along_outputs(layer, weight, scale)).astype(weight.dtype, copy=False)
    refs = {
        "weight": store(folded, f"{name}.folded", tensors),
        "bias": store(
            shift.astype(weight.dtype), f"{name.rpartition('weight')[0]}bias.folded", tensors
        ),
    }
    return replace(layer, op=with_arguments(layer.op, bias=True), weights=refs)


def _affine(norm: Node, tensors: dict[str, Array]) -> tuple[Array, Array]:
    """The norm as y = scale * x + shift, in double precision."""
    given = {key: array_of(ref, tensors).astype("float64") for key, ref in norm.weights.items()}
    scale = (given["running_var"] + norm.op.eps) ** -0.5  # type: ignore[attr-defined]
    if "weight" in given:
        scale = scale * given["weight"]
    shift = -given["running_mean"] * scale
    return scale, shift + given["bias"] if "bias" in given else shift


def _along_outputs(layer: Node, weight: Array, scale: Array) -> Array:
    """The scale shaped so that it multiplies the weights of each output channel."""
    rest = (1,) * (weight.ndim - 2)
    if layer.op.name not in TRANSPOSED:
        return scale.reshape(-1, 1, *rest).astype(weight.dtype)
    groups: int = layer.op.groups  # type: ignore[attr-defined]
    per_group = scale.reshape(groups, 1, -1).repeat(weight.shape[0] // groups, axis=1)
    return per_group.reshape(weight.shape[0], -1, *rest).astype(weight.dtype)

"""How images and volumes lie in memory: the layout of their tensors, and of kernels' weights."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import torch
from torch import Tensor, nn

from ...compiler.ir.graph import Graph
from ..plan import MemoryFormat, Plan

RANKS = {torch.channels_last: 4, torch.channels_last_3d: 5}
"""Layout -> how many axes the tensors have that it is for."""


PLANE, VOLUME = frozenset({"conv2d", "conv_transpose2d"}), frozenset({"conv3d"})
"""Operators whose kernels have 4 axes, and 5."""


def fitting(operators: Collection[str]) -> MemoryFormat:
    """The layout that makes the convolutions among these operators faster."""
    if PLANE.intersection(operators):
        return "channels_last"
    return "channels_last_3d" if VOLUME.intersection(operators) else "contiguous"


def operators_of(graphs: Iterable[Graph]) -> frozenset[str]:
    """The names of all operators in networks."""
    return frozenset(node.op.name for graph in graphs for node in graph.nodes)


def kernel_weights(graphs: Iterable[Graph]) -> int:
    """How many numbers the kernels of 2D convolutions hold."""
    return sum(
        kept.elements
        for graph in graphs
        for node in graph.nodes
        if node.op.name in PLANE
        for kept in node.declared()
        if kept.key == "weight"
    )


def memory_format(graphs: Iterable[Graph]) -> torch.memory_format:
    """The layout for a use of networks that has no plan."""
    return Plan(memory_format=fitting(operators_of(graphs))).layout


def formatted(x: Tensor, layout: torch.memory_format) -> Tensor:
    """A tensor in this layout, if the layout is for tensors of its rank; else as it is."""
    if RANKS.get(layout, x.ndim) != x.ndim:
        return x
    return x.contiguous(memory_format=layout)


def arrange(network: nn.Module, layout: torch.memory_format) -> None:
    """Bring a network's weights into a layout, in place; those of another rank stay.

    `Module.to(memory_format=...)` refuses a network that has kernels of both 2D and 3D. Kernels of
    one channel get the strides of the layout as well, which `Tensor.contiguous` leaves as they are:
    by these a convolution chooses the layout of its result, where its input fits several.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if RANKS.get(layout, tensor.ndim) == tensor.ndim:
            tensor.data = tensor.data.to(memory_format=layout)

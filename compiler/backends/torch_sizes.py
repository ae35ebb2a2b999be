"""Symbolic sizes in the text of a layer: read off the tensors that are at hand."""

from __future__ import annotations

import re
from typing import Any

from ..ir.dims import Poly
from ..ir.graph import Graph, Node, Value
from ..ir.shapes import TensorType
from ..ops.base import Torch
from ..ops.sizes import size_text
from .torch_names import Verbatim
from .torch_parts import hole

_SOURCE = re.compile(r"\{v(\d+)\}")


def read_sizes(torch: Torch, node: Node, graph: Graph) -> tuple[dict[str, Any], tuple[Value, ...]]:
    """The literals of a layer's text, with Python text in place of symbolic sizes.

    Sizes come from the layer's inputs where these have them, otherwise from the graph's inputs.

    Returns: the literals, and which inputs of the graph the layer reads besides its own inputs.
    """
    own = [value for value in node.inputs if value]
    known = {value.name for value in own}
    values = [*own, *(value for value in graph.inputs if value.name not in known)]
    used: list[Value] = []

    def resolve(literal: Any) -> Any:
        if isinstance(literal, list | tuple):
            return type(literal)(resolve(item) for item in literal)
        if not isinstance(literal, Poly):
            return literal
        text = size_text(literal, _types(own)) or size_text(literal, _types(values))
        assert text, f"{node.path}: no tensor has the size {literal}"
        text = _SOURCE.sub(lambda found: place(int(found.group(1))), text)
        return Verbatim(text[1:-1] if _is_wrapped(text) else text)

    def place(index: int) -> str:
        if index >= len(own) and values[index] not in used:
            used.append(values[index])
        return hole(index if index < len(own) else len(own) + used.index(values[index]))

    return {name: resolve(value) for name, value in torch.numbers.items()}, tuple(used)


def _types(values: list[Value]) -> dict[str, TensorType]:
    return {f"v{place}": value.type for place, value in enumerate(values)}


def _is_wrapped(text: str) -> bool:
    """Whether one pair of brackets encloses the whole text."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place == len(text) - 1 and place > 0
    return False

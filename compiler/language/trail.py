"""How a value came to its size: notes for a dimension that vanishes."""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.graph import Node, Value
from ..ir.shapes import shape_text

LONGEST = 6


def shrinking(value: Value, producers: Mapping[str, Node]) -> list[str]:
    """The layers on the way to a value that changed its sizes, the last ones first in order."""
    steps: list[str] = []
    current: Value | None = value
    seen: set[str] = set()
    while current and current.name in producers and current.name not in seen:
        seen.add(current.name)  # two layers of one name, reported as such, would make a circle
        node = producers[current.name]
        before = next(node.reads(), None)
        if before and before.type.shape != current.type.shape:
            place = f" (line {node.span.line})" if node.span else ""
            change = f"{shape_text(before.type.shape)} -> {shape_text(current.type.shape)}"
            steps.append(f"`{node.path}`{place}: {change}")
        current = before
    if len(steps) > LONGEST:
        steps = [*steps[: LONGEST - 1], f"... and {len(steps) - LONGEST + 1} layers before"]
    return ["\n".join(["sizes on the way:", *reversed(steps)])] if steps else []

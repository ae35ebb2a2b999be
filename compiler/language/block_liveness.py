"""G303: what a block declares and nothing in it uses.

Judged by what is written, not by one use of the block: what `when` leaves out in this spec may be
what another one needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..diagnostics import Sink
from ..ops.base import REGISTRY
from ..source import Key, Located
from .evaluate import expression_names
from .layers import Layer, has_broken
from .schema import BlockModel
from .unused import report_unused


def report_unused_in_block(
    name: str, model: BlockModel, layers: tuple[Layer, ...], path: Key, located: Located, sink: Sink
) -> None:
    """Parameters that no expression of the block mentions, and inputs that nothing in it reads."""
    for param in _unused_params(model):
        what, place = f"parameter `{param}` of block `{name}`", (*path, "params", param)
        report_unused(what, place, f"use it as `${param}`", located, sink)
    if has_broken(layers):
        return  # a layer with a mistake may be the one that reads an input
    for port in _unread_inputs(model, layers):
        what, place = f"input `{port}` of block `{name}`", (*path, "inputs", port)
        report_unused(what, place, "read it with `from`", located, sink)


def _unused_params(model: BlockModel) -> list[str]:
    shapes = [declared.shape for declared in (model.inputs or {}).values()]
    used = expression_names([model.layers, shapes])
    return [param for param in model.params if param not in used]


def _unread_inputs(model: BlockModel, layers: tuple[Layer, ...]) -> list[str]:
    """The declared inputs that no source names, and whose sizes no expression mentions."""
    inputs = model.inputs or {}
    if len(inputs) == 1 and _reads_entry(layers):
        return []
    outputs = model.outputs if isinstance(model.outputs, Mapping) else None
    read = {*_sources(layers), *_heads(outputs)}
    sizes, bound, unread = expression_names(model.layers), set[str](), []
    for port, declared in inputs.items():
        binds = {size for size in declared.shape if isinstance(size, str)} - bound
        bound |= binds
        if port not in read and not binds & sizes:
            unread.append(port)
    return unread


def _sources(layers: tuple[Layer, ...]) -> Iterator[str]:
    """The names that layers, and those of their groups, read."""
    for layer in layers:
        yield from _heads([layer.modifiers.get("from"), layer.modifiers.get("else")])
        yield from _sources(layer.layers)


def _heads(source: Any) -> Iterator[str]:
    """The names at the start of every source inside a value: `down` of `down.2.skip`."""
    if isinstance(source, str):
        yield source.partition(".")[0]
    elif isinstance(source, list | Mapping):
        for inner in source.values() if isinstance(source, Mapping) else source:
            yield from _heads(inner)


def _reads_entry(layers: tuple[Layer, ...]) -> bool:
    """Whether a layer reads by default what comes before the first one: the only input."""
    for layer in layers:
        if _reads_previous(layer):
            return True
        if layer.modifiers.get("else") != "none":
            return False  # from here on, its result is the previous one
    return True


def _reads_previous(layer: Layer) -> bool:
    if "from" not in layer.modifiers:
        cls = REGISTRY.get(layer.operation)
        return cls is None or (bool(cls.ports) and not cls.ports[0].optional)
    source = layer.modifiers["from"]
    # a map that leaves out the first port reads it from the previous layer
    return isinstance(source, Mapping) or "prev" in _heads(source)

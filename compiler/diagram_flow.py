"""What a diagram shows: a network as a flow of rows, and each block once as a flow of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from .ir.graph import Graph, Node, Scope, Value
from .ir.shapes import shape_text
from .ops.base import Op

Item = Node | Scope

LIGHT = frozenset(
    {"activations", "normalization", "layer_normalization", "regularization", "softmax"}
)
"""Families whose layers keep the shape; they are drawn as thin rows under the layer before."""

_UNSHOWN = frozenset({"bias", "init", "weight_norm"})
_EXTENTS = frozenset({"kernel", "size", "shape", "to"})
_PER_AXIS = frozenset({"stride", "padding", "dilation", "scale"})


@dataclass(frozen=True)
class Row:
    """One box.

    kind: `layer`, `light`, `block`, `group`, `input` or `output`.
    details: (argument, value) as texts; a main argument has no name.
    note: the id where the user gave one. copies: how many times in a row.
    reads, makes: names of values. shape: of what it makes. optional: not in each instance.
    """

    kind: str
    title: str
    details: tuple[tuple[str, str], ...] = ()
    note: str = ""
    family: str = ""
    reads: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    shape: str = ""
    copies: int = 1
    optional: bool = False
    inner: Flow | None = None

    @property
    def detail(self) -> str:
        """The arguments in a few words: `64, kernel 3×3`."""
        return ", ".join(" ".join(filter(None, pair)) for pair in self.details)


@dataclass(frozen=True)
class Flow:
    """Rows from top to bottom; edges follow from what they read and make."""

    rows: tuple[Row, ...]


@dataclass
class Picture:
    """The flow of a network, and those of its blocks by title."""

    main: Flow
    blocks: dict[str, Flow] = field(default_factory=dict)


def picture(graph: Graph) -> Picture:
    """What the diagram of a network shows."""
    items: Sequence[Item] = graph.root.items if graph.root else graph.nodes
    inputs = {value.name: value for value in graph.inputs}
    shown = Picture(_flow(items, inputs, graph.outputs))
    for name, instances in _instances(items).items():
        shown.blocks[name] = _block_flow(instances)
    return shown


def _flow(items: Iterable[Item], inputs: Mapping[str, Value], outputs: Mapping[str, Value]) -> Flow:
    rows = _merged(row for item in items for row in _rows(item))
    return _with_inputs(_with_outputs(rows, outputs), inputs)


def _merged(rows: Iterable[Row]) -> list[Row]:
    """Equal blocks that follow each other become one row with a count."""
    merged: list[Row] = []
    for row in rows:
        last = merged[-1] if merged else row
        alike = (row.title, row.details, row.note) == (last.title, last.details, "")
        if merged and row.kind == last.kind == "block" and alike and row.reads == last.makes:
            reads, copies = last.reads, last.copies + row.copies
            merged[-1] = replace(row, reads=reads, copies=copies)
        else:
            merged.append(row)
    return merged


def _with_outputs(rows: list[Row], outputs: Mapping[str, Value]) -> list[Row]:
    """Each output stands right below its maker, if the next layer is not fed from there."""
    found = list(rows)
    for port, value in outputs.items():
        place = next((k + 1 for k, row in enumerate(found) if value.name in row.makes), 0)
        behind = found[place] if 0 < place < len(found) else None
        if not place or (behind and set(found[place - 1].makes) & set(behind.reads)):
            place = len(found)
        found.insert(place, _output(port, value))
    return found


def _with_inputs(rows: list[Row], inputs: Mapping[str, Value]) -> Flow:
    """Each input stands right above its first reader, if nothing else leads there."""
    found = list(rows)
    for port, value in reversed(list(inputs.items())):
        place = next((k for k, row in enumerate(found) if value.name in row.reads), 0)
        before = found[place - 1] if place else None
        if before and set(before.makes) & set(found[place].reads):
            place = 0
        found.insert(place, _input(port, value))
    return Flow(tuple(found))


def _input(port: str, value: Value) -> Row:
    kind = (("", str(value.type.dtype)),)
    return Row("input", port, kind, makes=(value.name,), shape=_shape(value))


def _output(port: str, value: Value) -> Row:
    return Row("output", port, (("", str(value.type.dtype)),), reads=(value.name,))


def _rows(item: Item) -> Iterator[Row]:
    if isinstance(item, Node):
        yield _layer(item)
    elif not any(True for _ in item.nodes()):
        return
    elif item.kind == "repeat":
        yield from _repeat(item)
    elif item.kind == "block":
        yield _block(item)
    else:
        yield _group(item)


def _layer(node: Node) -> Row:
    family = node.op.family if isinstance(node.op, Op) else ""
    one_in = len({value.name for value in node.reads()}) == 1
    kept = one_in and [v.type for v in node.reads()][:1] == [v.type for v in node.outputs]
    return Row(
        "light" if family in LIGHT and kept else "layer",
        node.op.name,
        _details(node),
        _note(node.path, node.op.name),
        family,
        tuple(dict.fromkeys(value.name for value in node.reads())),
        tuple(value.name for value in node.outputs),
        _shape(node.outputs[0]) if node.outputs else "",
    )


def _repeat(scope: Scope) -> Iterator[Row]:
    """One row with a count where the copies follow each other, otherwise a row for each."""
    copies = list(scope.items)
    rows = [row for copy in copies for row in _rows(copy)]
    chained = len(rows) == len(copies) and all(
        set(b.reads) & set(a.makes) for a, b in pairwise(rows)
    )
    hidden = {name for row in rows[:-1] for name in row.makes} & {
        value.name for value in scope.outputs.values()
    }
    if not chained or hidden or len({row.title for row in rows}) > 1 or _differ_outside(rows):
        name = scope.path.rpartition(".")[2]
        yield from (replace(row, note=f"{name}.{k}") for k, row in enumerate(rows))
        return
    reads = dict.fromkeys(name for row in rows for name in row.reads)
    inside = {name for row in rows for name in row.makes}
    yield replace(
        rows[-1],
        kind="layer" if rows[-1].kind == "light" else rows[-1].kind,
        details=_ranges([row.details for row in rows]),
        note=_note(scope.path, rows[-1].title),
        reads=tuple(name for name in reads if name not in inside),
        copies=len(rows),
    )


def _differ_outside(rows: Sequence[Row]) -> bool:
    """Whether copies have several results, which others may read, or read different ones.

    Beside the copy before it, every copy must read the same.
    """
    if any(len(row.makes) > 1 for row in rows):
        return True
    chain = {name for row in rows for name in row.makes}
    others = [set(row.reads) - chain for row in rows]
    return any(read != others[-1] for read in others[1:]) or not others[-1] <= others[0]


def _ranges(copies: Sequence[tuple[tuple[str, str], ...]]) -> tuple[tuple[str, str], ...]:
    """Arguments of copies, with the first and the last value of what differs."""
    if len({tuple(name for name, _ in details) for details in copies}) > 1:
        return ()
    ends = zip(copies[0], copies[-1], strict=True)
    return tuple((name, a if a == b else f"{a} → {b}") for (name, a), (_, b) in ends)


def _block(scope: Scope) -> Row:
    name = scope.block.rpartition(".")[2]
    results = _results(scope)
    return Row(
        "block",
        name,
        tuple((name, _text(value)) for name, value in scope.arguments.items()),
        _note(scope.path, scope.block),
        "block",
        tuple(_free(scope)),
        tuple(value.name for value in results),
        _shape(results[0]) if results else "",
    )


def _group(scope: Scope) -> Row:
    results = _results(scope)
    inner = Flow(tuple(_merged(row for item in scope.items for row in _rows(item))))
    return Row(
        "group",
        scope.path.rpartition(".")[2],
        reads=tuple(_free(scope)),
        makes=tuple(value.name for value in results),
        shape=_shape(results[0]) if results else "",
        inner=inner,
    )


def _results(scope: Scope) -> list[Value]:
    made = {value.name for node in scope.nodes() for value in node.outputs}
    return list({v.name: v for v in scope.outputs.values() if v.name in made}.values())


def _free(scope: Scope) -> dict[str, None]:
    """The values from outside that a part reads."""
    made = {value.name for node in scope.nodes() for value in node.outputs}
    reads = (value.name for node in scope.nodes() for value in node.reads())
    return dict.fromkeys(name for name in reads if name not in made)


# Blocks


def _instances(items: Iterable[Item]) -> dict[str, list[Scope]]:
    """Block -> its instances, in the order of their first use; blocks inside of blocks follow."""
    found: dict[str, list[Scope]] = {}
    waiting = list(items)
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, Scope):
            if item.kind == "block":
                found.setdefault(item.block.rpartition(".")[2], []).append(item)
            waiting.extend(item.items)
    return found


def _block_flow(instances: Sequence[Scope]) -> Flow:
    """The instance with the most layers; what others lack is optional."""
    largest = max(instances, key=lambda scope: sum(1 for _ in scope.nodes()))
    everywhere = set.intersection(*(_members(scope) for scope in instances))
    rows = []
    for item in largest.items:
        optional = _relative(largest, item) not in everywhere
        rows += [replace(row, optional=optional) for row in _rows(item)]
    results = {value.name for value in _results(largest)}
    outputs = {port: v for port, v in largest.outputs.items() if v.name in results}
    return _with_inputs(_with_outputs(_merged(rows), outputs), largest.inputs)


def _members(scope: Scope) -> set[str]:
    return {_relative(scope, item) for item in scope.items}


def _relative(scope: Scope, item: Item) -> str:
    return item.path[len(scope.path) :]


# Texts


def _note(path: str, operation: str) -> str:
    """The id, unless it is the one that a layer gets without an `id`."""
    identity = path.rpartition(".")[2]
    name, _, number = identity.rpartition("_")
    automatic = number.isdigit() and name.lower() in (operation.lower(), "layers")
    return "" if automatic or identity.isdigit() else identity


def _details(node: Node) -> tuple[tuple[str, str], ...]:
    """The arguments that matter in a picture, the main one first and without its name."""
    declared = getattr(node.op, "attributes", {})
    given = {k: v for k, v in node.op.arguments().items() if k not in _UNSHOWN}
    main = [name for name, attribute in declared.items() if attribute.main and name in given]
    first = [("", _text(given.pop(name), name)) for name in main]
    return (*first, *(_named(name, value) for name, value in given.items()))


def _named(name: str, value: Any) -> tuple[str, str]:
    return (name, "") if value is True else (name, _text(value, name))


def _text(value: Any, name: str = "") -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        if value and name not in _EXTENTS and all(item == value[0] for item in value):
            return _text(value[0])
        sign = "×" if name in (*_EXTENTS, *_PER_AXIS) else " "  # noqa: RUF001
        return sign.join(map(_text, value))
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_text(item)}" for name, item in value.items())
    return str(value)


def _shape(value: Value) -> str:
    """A shape with rounded quotients as readers know them: `⌈H/4⌉` for `(H + 3) // 4`."""
    text = re.sub(r"\((\w+) \+ (\d+)\) // (\d+)", _ceiling, shape_text(value.type.shape))
    text = re.sub(r"\b([A-Za-z]\w*) // (\d+)", r"⌊\1/\2⌋", text)
    return re.sub(r"\*\(([⌈⌊][^()]*[⌉⌋])\)", r"\1", text)


def _ceiling(found: re.Match[str]) -> str:
    name, offset, divisor = found.groups()
    return f"⌈{name}/{divisor}⌉" if int(offset) == int(divisor) - 1 else found.group()

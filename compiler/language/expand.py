"""The walk over layers: expands each, infers its types, binds its id, goes on.

Expansion and inference can't be two walks, since `when: $(C != channels)` needs the type of what
came before. A layer that fails gets unknown outputs, which silence what follows from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..diagnostics import Code, Label, Sink
from ..ir.graph import Graph, Node, Value
from ..ir.graph import Scope as GraphScope
from ..ops.base import REGISTRY, Port
from .apply import apply_operator
from .arguments import build_operator
from .copy_source import names_copy
from .describe import plain
from .evaluate import Origins, Scope, truth
from .frames import UNKNOWN, Bound, Frame, Recipe, Wire, unknown
from .instances import block_arguments, block_dims, check_keys, choice_words
from .layers import BROKEN, Layer
from .outputs import resolve_outputs
from .repeats import Copies, read_repeat
from .share_target import shared_layer
from .sharing import resolve_ties, share_items
from .wiring import Wirer, Wiring

LAYER_LIMIT = 3_000
"""How many layers a network may expand to, counting each copy and what `when` leaves out."""


WireIn = Callable[[Frame], Wiring]
"""Wires a layer inside a frame: a copy of a `repeat` sees its own `index` and `count`."""


DEPTH_LIMIT = 50
"""How deep blocks and groups may lie inside each other."""


class ExpansionError(Exception):
    """A network expands beyond a limit; reported once, where the walk began."""

    def __init__(self, what: str, help: str) -> None:  # noqa: A002 - the word of the field
        super().__init__(what)
        self.what, self.help = what, help


@dataclass
class Expander:
    """Expands the layers of one network.

    graphs: the networks before it, for ties. producers: value name -> the node that makes it.
    broken: whether a layer was met whose mistakes the reader of layers has reported.
    """

    sink: Sink
    graphs: Mapping[str, Graph | None]
    producers: dict[str, Node] = field(default_factory=dict)
    expanded: int = 0
    depth: int = 0
    broken: bool = False

    def walk(self, frame: Frame, layers: tuple[Layer, ...]) -> None:
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            raise ExpansionError(
                f"has blocks and groups more than {DEPTH_LIMIT} deep inside each other",
                "use fewer blocks inside blocks",
            )
        frame.later |= {layer.id for layer in layers if layer.id}
        for layer in layers:
            frame.prev = self._layer(frame, layer)
            if layer.id:
                frame.later.discard(layer.id)
        self.depth -= 1

    def _layer(self, frame: Frame, layer: Layer) -> Bound | None:
        """Expand one layer and bind its id; returns what `prev` is for the next one."""
        self._count()
        if layer.operation == BROKEN:
            self.broken = True
            return self._bind(frame, layer, unknown(layer.span))
        operation = layer.operation.rpartition(".")[2]
        default = f"{operation}_{frame.counts[operation]}"
        frame.counts[operation] += 1
        self._check_duplicate(frame, layer)
        kept: bool | None = True
        if "when" in layer.modifiers:
            where = (*layer.path, "when")
            kept = truth(frame.scope, layer.modifiers["when"], where, "`when`")
        if kept is None:
            bound = unknown(layer.span)
        elif not kept:
            bound = self._left_out(frame, layer)
        else:
            bound = self._kept(frame, layer, layer.id or default)
        return self._bind(frame, layer, bound)

    def _count(self) -> None:
        self.expanded += 1
        if self.expanded > LAYER_LIMIT:
            raise ExpansionError(
                f"expands to more than {LAYER_LIMIT:,} layers", "lower the counts of its repeats"
            )

    def _bind(self, frame: Frame, layer: Layer, bound: Bound) -> Bound | None:
        if layer.id:
            frame.names[layer.id] = bound
        return frame.prev if bound.dropped else bound

    def _check_duplicate(self, frame: Frame, layer: Layer) -> None:
        if layer.id is None:
            return
        if layer.id in frame.names:
            frame.scope.report(
                Code.G304,
                f"`{layer.id}` is defined twice",
                (*layer.path, "id"),
                also=[Label(frame.names[layer.id].span, "first defined here")],
                help="give one of them another id",
            )

    def _left_out(self, frame: Frame, layer: Layer) -> Bound:
        """A layer that `when` leaves out passes its input through, or says what stands for it."""
        if layer.is_block and layer.operation in frame.blocks:
            check_keys(frame.blocks[layer.operation], layer, frame.scope)
        wirer = Wirer(frame, layer.path, f"`{layer.operation}`")
        place = (*layer.path, "else")
        instead = layer.modifiers.get("else")
        if instead == "none":
            reason = "is left out here by `when`, with `else: none`"
            return Bound({}, layer.span, dropped=reason)
        if isinstance(instead, Mapping) and not names_copy(instead):
            ports = {str(p): wirer.source(s, (*place, p)) for p, s in instead.items()}
            return Bound(ports, layer.span)
        if instead is not None:
            return Bound({"y": wirer.source(instead, place)}, layer.span)
        source = layer.modifiers.get("from", "prev")
        if isinstance(source, str):
            return Bound({"y": wirer.source(source, (*layer.path, "from"))}, layer.span)
        frame.scope.report(
            Code.S102,
            f"`{layer.operation}` is left out here by `when` and has several inputs, "
            "so it needs `else`",
            layer.path,
            help="write `else: <layer>`, `else: {port: <layer>}` or `else: none`",
        )
        return unknown(layer.span)

    def _kept(self, frame: Frame, layer: Layer, identity: str) -> Bound:
        ports = self._ports(frame, layer)
        if ports is None:
            return unknown(layer.span)
        given = "from" in layer.modifiers

        def wire(where: Frame) -> Wiring:
            wirer = Wirer(where, layer.path, f"`{layer.operation}`")
            return wirer.wire(layer.modifiers.get("from"), ports, given=given)

        if "repeat" in layer.modifiers:
            copies = read_repeat(layer, frame.scope)
            if copies is None:
                return unknown(layer.span)
            if not copies.count:
                return self._no_copies(frame, layer, copies, ports)
            return self._repeat(frame, layer, identity, copies, wire)
        wiring = wire(frame)
        if layer.operation == "layers" and layer.id is None and frame.kind == "group":
            return self._spliced_group(frame, layer, wiring)
        return self._single(frame, layer, self._place(frame, layer, identity), wiring)

    def _place(self, frame: Frame, layer: Layer, identity: str) -> str:
        """The path of a kept layer; members of groups are named by position."""
        if frame.kind == "group":
            identity = layer.id or str(frame.members["kept"])
            frame.members["kept"] += 1
        if identity in frame.taken and layer.id not in frame.names:
            frame.scope.report(
                Code.G304,
                f"two layers are named `{identity}`",
                layer.path,
                help="give one of them an `id` of its own",
            )
        frame.taken.add(identity)
        return frame.child_path(identity)

    def _ports(self, frame: Frame, layer: Layer) -> tuple[Port, ...] | None:
        """The inputs that a layer takes, or None where what it names could not be found."""
        if layer.operation in REGISTRY:
            return REGISTRY[layer.operation].ports
        if layer.operation == "layers":
            return (Port("x"),)
        if layer.operation == "share":
            return self._shared_ports(frame, layer)
        block = frame.blocks.get(layer.operation)
        if block:
            return tuple(Port(name) for name in block.inputs)
        frame.scope.report(
            Code.G302,
            f"block `{layer.operation}` is used before it is defined",
            layer.arguments_path,
            key=True,
            help="a block may use only blocks that are defined above it",
        )
        return None

    def _shared_ports(self, frame: Frame, layer: Layer) -> tuple[Port, ...] | None:
        owner = shared_layer(frame, layer)
        if owner is None or owner.recipe is None:
            return None
        return self._ports(owner.recipe.frame, owner.recipe.layer)

    def _single(self, frame: Frame, layer: Layer, path: str, wiring: Wiring) -> Bound:
        """Expand a layer whose path is known; `repeat` calls this once per copy."""
        if layer.operation == "share":
            return self._share(frame, layer, path, wiring)
        if layer.operation == "layers":
            return self._group(frame, layer, path, wiring)
        if layer.is_block:
            return self._block(frame, layer, path, wiring)
        return self._operator(frame, layer, path, wiring)

    def _operator(self, frame: Frame, layer: Layer, path: str, wiring: Wiring) -> Bound:
        cls = REGISTRY[layer.operation]
        op = build_operator(cls, layer.value, layer.arguments_path, frame.scope)
        if op is None:
            return unknown(layer.span)
        if wiring.is_unknown:
            return unknown(layer.span, op.output_ports())
        node = apply_operator(op, wiring, path, frame, layer, self.producers)
        if node is None:
            return unknown(layer.span, op.output_ports())
        node = resolve_ties(node, layer, frame, self.producers, self.graphs)
        frame.items.append(node)
        self.producers |= {value.name: node for value in node.outputs}
        ports: dict[str, Wire] = dict(zip(op.output_ports(), node.outputs, strict=True))
        return Bound(ports, layer.span, recipe=Recipe(layer, frame, path, node))

    # Groups, blocks, repeats, shares

    def _group(self, frame: Frame, layer: Layer, path: str, wiring: Wiring) -> Bound:
        inner = self._group_frame(frame, layer, path, wiring)
        self.walk(inner, layer.layers)
        return self._close(frame, inner, layer, wiring, "group")

    def _spliced_group(self, frame: Frame, layer: Layer, wiring: Wiring) -> Bound:
        """An anonymous group inside a group: its members become the outer group's."""
        inner = self._group_frame(frame, layer, frame.path, wiring)
        inner.items, inner.members, inner.taken = frame.items, frame.members, frame.taken
        self.walk(inner, layer.layers)
        return inner.prev or unknown(layer.span)

    def _group_frame(self, frame: Frame, layer: Layer, path: str, wiring: Wiring) -> Frame:
        entry = Bound({"x": wiring.wires[0] or UNKNOWN}, layer.span)
        return Frame("group", path, frame.scope, frame.blocks, entry, outer=frame)

    def _close(
        self,
        frame: Frame,
        inner: Frame,
        layer: Layer,
        wiring: Wiring,
        kind: Any,
        outputs: Mapping[str, Wire] | None = None,
        **facts: Any,
    ) -> Bound:
        """Record what was expanded as a scope of its parent and bind its results."""
        results = outputs or {"y": inner.prev.first if inner.prev else UNKNOWN}
        bound = Bound(results, layer.span, recipe=Recipe(layer, frame, inner.path))
        values = {port: w for port, w in results.items() if isinstance(w, Value)}
        if inner.items and len(values) == len(results):
            entries = facts.pop("inputs", None) or {"x": wiring.wires[0]}
            known = {port: w for port, w in entries.items() if isinstance(w, Value)}
            frame.items.append(
                GraphScope(
                    kind, inner.path, tuple(inner.items), known, values, span=layer.span, **facts
                )
            )
        return bound

    def _block(self, frame: Frame, layer: Layer, path: str, wiring: Wiring) -> Bound:
        block = frame.blocks[layer.operation]
        ports = tuple(block.outputs) if isinstance(block.outputs, Mapping) else ("y",)
        arguments = block_arguments(block, layer, frame.scope)
        if arguments is None or wiring.is_unknown:
            return unknown(layer.span, ports)
        span = frame.scope.located.key(layer.arguments_path)
        given = f" with {plain(arguments)}" if arguments else ""
        note = f"in block `{block.name}`, used at {span}{given}"
        env = {**choice_words(block), **arguments}
        scope = Scope(env, block.located, self.sink, (note, *frame.scope.notes))
        values = [v for v in wiring.values() if v]
        dims = block_dims(block, values, layer, frame.scope, scope)
        if dims is None:
            return unknown(layer.span, ports)
        scope = replace(scope, env={**env, **dims}, origins=Origins())
        entries = {
            port: Bound({port: v}, span) for port, v in zip(block.inputs, values, strict=True)
        }
        prev = next(iter(entries.values())) if len(entries) == 1 else None
        inner = Frame("block", path, scope, block.visible, prev, entries)
        self.walk(inner, block.layers)
        outputs: dict[str, Wire] = {"y": inner.prev.first if inner.prev else UNKNOWN}
        if block.outputs is not None:
            place = (*block.path, "outputs")
            outputs = resolve_outputs(inner, block.outputs, place, block.name)
        inputs = dict(zip(block.inputs, values, strict=True))
        return self._close(
            frame,
            inner,
            layer,
            wiring,
            "block",
            outputs,
            inputs=inputs,
            block=block.name,
            arguments=arguments,
            dims=dims,
        )

    def _no_copies(
        self, frame: Frame, layer: Layer, copies: Copies, ports: Sequence[Port]
    ) -> Bound:
        """What a repeat of nothing passes on; what a copy would choose by its number is moot."""
        idle = replace(frame, unbound=frozenset({"index", "count", *copies.over}))
        wirer = Wirer(idle, layer.path, f"`{layer.operation}`")
        given = "from" in layer.modifiers
        wire = wirer.passed(layer.modifiers.get("from"), ports, given=given)
        if wire is None:
            return Bound({}, layer.span, dropped="has no copies here, and nothing stands before it")
        return Bound({"y": wire}, layer.span, copies=())

    def _repeat(
        self, frame: Frame, layer: Layer, identity: str, copies: Copies, wire: WireIn
    ) -> Bound:
        if frame.kind == "group" and layer.id is None:
            return self._chain(frame, layer, copies, wire, None)
        path = self._place(frame, layer, identity)
        bound = self._copies(frame, layer, copies, wire, path)
        return replace(bound, recipe=Recipe(layer, frame, path))

    def _copies(self, frame: Frame, layer: Layer, copies: Copies, wire: WireIn, path: str) -> Bound:
        """The copies of a repeat that has a path of its own, recorded as one scope."""
        holder = replace(frame, items=[])
        bound = self._chain(holder, layer, copies, wire, path)
        results = {port: w for port, w in bound.ports.items() if isinstance(w, Value)}
        if holder.items and len(results) == len(bound.ports):
            wires = wire(frame.extended(next(copies.environments()))).wires
            first = wires[0] if wires else None
            entry = {"x": first} if isinstance(first, Value) else {}
            frame.items.append(
                GraphScope("repeat", path, tuple(holder.items), entry, results, span=layer.span)
            )
        return bound

    def _chain(
        self, frame: Frame, layer: Layer, copies: Copies, wire: WireIn, path: str | None
    ) -> Bound:
        """Expand each copy; the first port runs from copy to copy, the others are wired anew."""
        results: list[Bound] = []
        before = self.sink.errors
        for index, env in enumerate(copies.environments()):
            if self.sink.errors > before:  # the copies to come would repeat the mistake
                return unknown(layer.span, tuple(results[-1].ports))
            self._count()
            inner = frame.extended(env)
            wiring = wire(inner)
            if results and wiring.wires:
                wiring = wiring.with_first(results[-1].first)
            if path is None and layer.operation == "layers":
                bound = self._spliced_group(inner, layer, wiring)
            else:
                place = f"{path}.{index}" if path is not None else self._place(frame, layer, "")
                bound = self._single(inner, layer.once, place, wiring)
            results.append(bound)
        return replace(results[-1], copies=tuple(results))

    def _share(self, frame: Frame, layer: Layer, path: str, wiring: Wiring) -> Bound:
        owner = shared_layer(frame, layer)
        assert owner
        assert owner.recipe
        recipe = owner.recipe
        holder = replace(recipe.frame, items=[])
        copies = None
        if "repeat" in recipe.layer.modifiers:
            copies = read_repeat(recipe.layer, holder.scope)
        if copies:
            bound = self._copies(holder, recipe.layer, copies, lambda _: wiring, path)
        else:
            bound = self._single(holder, recipe.layer, path, wiring)
        frame.items.extend(
            share_items(holder.items, path, recipe.path, layer, frame.scope, self.producers)
        )
        return replace(bound, recipe=recipe, span=layer.span, copies=_owned(bound, owner))


def _owned(bound: Bound, owner: Bound) -> tuple[Bound, ...] | None:
    """The copies of a shared repeat, each with the recipe of the copy whose weights it has."""
    if bound.copies is None or owner.copies is None:
        return None
    pairs = zip(bound.copies, owner.copies, strict=True)
    return tuple(replace(copy, recipe=other.recipe) for copy, other in pairs)

"""Turns the scopes of a network into frames: what each class is made of."""

from __future__ import annotations

import re
from dataclasses import replace

from ..ir.graph import Node, Scope, Value
from .torch_forms import Borrowed, Item, children, last_id
from .torch_layers import LayerBuilder, Place, is_automatic
from .torch_names import class_name, local_name
from .torch_parts import Container, Copy, Frame, Instance, Make, Port, Step, Tensor, hole


class Builder(LayerBuilder):
    """Builds the frames of one graph."""

    def network(self) -> Frame:
        """The frame of the whole graph."""
        root, graph = self.plan.root, self.plan.graph
        family = ("network", graph.name)
        name = class_name(graph.name.replace(".", "_"))
        frame = Frame(family, name, root, file=self.main)
        frame.base = self.plan.base_class(root)
        place = Place(frame, "", {})
        for value in graph.inputs:
            self._give_port(place, local_name(value.name), value)
        self._fill(place, root)
        frame.results = {port: place.keys[v.name] for port, v in graph.outputs.items()}
        frame.result_types = {port: value.type for port, value in graph.outputs.items()}
        return frame

    def _fill(self, place: Place, scope: Scope) -> None:
        for item in children(scope):
            make = self.put(place, item)
            if make:
                place.frame.fields.append((self.plan.field_name(item.path), make))

    def put(self, place: Place, item: Item, copy: Copy | None = None) -> Make | None:
        """Append the steps of an item; returns what constructs its module, if it has one."""
        if isinstance(item, Node):
            return self.put_node(place, item, copy)
        if self.plan.form(item) == "list":
            return self._put_list(place, item)
        owner = self.plan.shared_with(item)
        self.append(place, item, replace(self._scope_step(place, item, owner), copy=copy))
        return None if owner else self._module_of(place, item)

    def _module_of(self, place: Place, scope: Scope) -> Make:
        """What constructs the module of a scope."""
        if self.plan.form(scope) == "chain":
            return self._chain(place, scope)
        frame, comment = self._frame(place, scope), self.line(place, scope.span)
        return Instance(place.relative(scope.path), frame, comment)

    def _scope_step(self, place: Place, scope: Scope, owner: Scope | None) -> Step:
        """The call of a scope's module: with the values of its ports, and what it borrows."""
        used = owner or scope
        inputs = [place.keys[value.name] for _, value in self.plan.ports(scope)]
        texts = [hole(k) for k in range(len(inputs))]
        texts += [self.reach(place, wanted, inputs) for wanted in self._borrowings(used)]
        module = self.reach(place, Borrowed("module", used.path), inputs)
        return Step(
            last_id(scope.path),
            tuple(inputs),
            (),
            f"{module}({', '.join(texts)})",
            is_automatic(scope.block or "layers", last_id(scope.path)),
            tuple(scope.outputs),
            plain=not owner,
            comment=self.line(place, scope.span) if owner else "",
        )

    def _borrowings(self, scope: Scope) -> list[Borrowed]:
        """What the layers of a scope use of other parts, in the order of its class's inputs."""
        found = (b for item in children(scope) for b in self.plan.foreign(item, scope.path))
        return list(dict.fromkeys(found))

    # Containers

    def _chain(self, place: Place, scope: Scope) -> Container:
        """An nn.Sequential."""
        made = [
            (
                last_id(item.path),
                self.field(place, item) if isinstance(item, Node) else self._module_of(place, item),
            )
            for item in children(scope)
        ]
        kind = "chain" if self.plan.is_numbered(scope) else "named"
        where = place.relative(scope.path)
        return Container(kind, where, tuple(made), self.line(place, scope.span))

    def _put_list(self, place: Place, scope: Scope) -> Make | None:
        """A repeat that is no chain: its copies are called one by one."""
        members = self.plan.members(scope)
        access = self.plan.access(place.base, scope.path) if members else ""
        made: list[tuple[str, Make]] = []
        for index, item in enumerate(children(scope)):
            copy = Copy(access, index, len(members)) if members else None
            make = self.put(place, item, copy)
            if make:
                made.append((last_id(item.path), make))
        if not made:
            return None
        kind = "list" if self.plan.counts_up(scope) else "dict"
        if isinstance(made[0][1], Tensor):
            kind = f"parameter_{kind}" if made[0][1].trainable else "buffers"
        where = place.relative(scope.path)
        return Container(kind, where, tuple(made), self.line(place, scope.span))

    # Frames

    def _frame(self, place: Place, scope: Scope) -> Frame:
        """The frame of a block or of a group that is no plain chain."""
        first = children(scope)[0].span
        family, name = _family(place, scope)
        frame = Frame(family, name, scope, file=first.file.name if first else "")
        frame.base = self.plan.base_class(scope)
        frame.is_chain = self.plan.form(scope) == "chain_class"
        inner = Place(frame, scope.path, {})
        for port, value in self.plan.ports(scope):
            self._give_port(inner, local_name(port), value)
        for wanted in self._borrowings(scope):
            kind = "nn.Module" if wanted.kind == "module" else "Tensor"
            key = self._add_port(inner, Port(local_name(wanted.name), "", None, kind))
            inner.borrowed[wanted] = key
        self._fill(inner, scope)
        names = {value.name: port for port, value in reversed(list(scope.outputs.items()))}
        for value in self.plan.makes(scope):
            frame.results[names[value.name]] = inner.keys[value.name]
            frame.result_types[names[value.name]] = value.type
        return frame

    def _give_port(self, place: Place, name: str, value: Value) -> None:
        key = self._add_port(place, Port(name, "", value.type))
        place.keys.setdefault(value.name, key)

    def _add_port(self, place: Place, port: Port) -> str:
        ports = place.frame.ports
        name, taken = port.name, {other.name for other in ports}
        while name in taken:
            name = f"outer_{name}"
        ports.append(replace(port, name=name, key=f"@{len(ports)}"))
        return ports[-1].key


def _family(place: Place, scope: Scope) -> tuple[tuple[str, ...], str]:
    """What scopes may share a class with, and what it is called."""
    if scope.kind == "block":
        return ("block", scope.block), class_name(scope.block)
    words = [part for part in place.relative(scope.path).split(".") if not part.isdigit()]
    words = words or ["part"]
    family = (*place.frame.family, "/", *words)
    if not is_automatic("layers", words[-1]):
        return family, class_name(words[-1])
    own = class_name(re.sub("layers", "group", "_".join(words)))
    return family, f"{place.frame.name}{own}"

"""Looks everything about a network up once: which values its parts read and make, whose weights
they use, and which parts become classes, nn.Sequentials or lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..diagnostics import Code, failure
from ..ir.graph import Graph, Node, Scope, Value
from ..ops.base import Op, Torch
from ..reserved import MODULE_ATTRIBUTES
from .torch_sizes import read_sizes
from .torch_ties import has_function

Item = Node | Scope


@dataclass(frozen=True)
class Borrowed:
    """A `module` (by its path) or a `tensor` (by its name) that another layer keeps."""

    kind: str
    name: str
    network: str | None = None


class Forms:
    """One network, program or body of a loop.

    numbers: path of a layer -> the literals of its text, with sizes read off tensors.
    sized: path of a layer -> the inputs of the graph that it reads sizes off.
    owners: name of a tensor -> path of the layer that keeps it, and the tensor's key there.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        inputs = {value.name: value for value in graph.inputs}
        self.root = graph.root or Scope("network", "", graph.nodes, inputs, graph.outputs)
        self.items: dict[str, Item] = {}
        self.torch: dict[str, Torch] = {}
        self.numbers: dict[str, dict[str, Any]] = {}
        self.sized: dict[str, tuple[Value, ...]] = {}
        self.owners: dict[str, tuple[str, str]] = {}
        self._forms: dict[str, str] = {}
        self._reads: dict[Item, tuple[Value, ...]] = {}
        self._users = graph.users()
        self._index(self.root)
        self.form(self.root)
        for node in graph.nodes:
            self._check_id(node)

    def _index(self, item: Item) -> None:
        self.items[item.path] = item
        if isinstance(item, Scope):
            for child in children(item):
                self._index(child)
        elif isinstance(item.op, Op):
            torch = self.torch[item.path] = item.op.torch(*item.input_types)
            self.numbers[item.path], self.sized[item.path] = read_sizes(torch, item, self.graph)
            for parameter in item.declared():
                if item.owns(parameter):
                    self.owners[item.weights[parameter.key].name] = (item.path, parameter.key)

    def _check_id(self, node: Node) -> None:
        """A submodule cannot be called like a method of its parent."""
        clashing = [part for part in node.path.split(".") if part in MODULE_ATTRIBUTES]
        if clashing and self.makes_field(node):
            raise failure(
                Code.G304,
                f"the id `{clashing[0]}` is the name of a method of PyTorch's modules",
                span=node.span,
                label="this layer would be kept under that name",
                help="choose another id",
            )

    # Values

    def reads(self, item: Item) -> tuple[Value, ...]:
        """The values from outside that an item needs, each once, in the order of their use."""
        if item not in self._reads:
            self._reads[item] = tuple(self._free(item))
        return self._reads[item]

    def _free(self, item: Item) -> Iterator[Value]:
        if isinstance(item, Node):
            found = (*item.reads(), *self.sized.get(item.path, ()))
            yield from {value.name: value for value in found}.values()
            return
        inside = {value.name for node in item.nodes() for value in node.outputs}
        read = (value for child in children(item) for value in self.reads(child))
        yield from {v.name: v for v in read if v.name not in inside}.values()

    def makes(self, item: Item) -> tuple[Value, ...]:
        """The values that an item makes and others can see, each once."""
        if isinstance(item, Node):
            return item.outputs
        inside = {value.name for node in item.nodes() for value in node.outputs}
        seen = {value.name: value for value in item.outputs.values() if value.name in inside}
        return tuple(seen.values())

    def ports(self, scope: Scope) -> list[tuple[str, Value]]:
        """What a scope's `forward` takes: a block's declared inputs, and what else it reads."""
        reads = self.reads(scope)
        named = {value.name: port for port, value in reversed(list(scope.inputs.items()))}
        if scope.kind == "block":
            others = [(last_id(v.name), v) for v in reads if v.name not in named]
            return [*scope.inputs.items(), *others]
        if len(reads) == 1:
            return [("x", reads[0])]
        return [(named.get(v.name, last_id(v.name)), v) for v in reads]

    # Weights of other layers

    def owner(self, node: Node) -> Node:
        """The layer of this graph that keeps what this one uses: itself unless it is a `share`."""
        while node.shares and not node.network:
            shared = self.items[node.shares]
            assert isinstance(shared, Node)
            node = shared
        return node

    def is_tied(self, node: Node) -> bool:
        """Whether the layer uses a tensor that is stored elsewhere, other than by `share`."""
        owner = self.owner(node)
        return any(not owner.owns(parameter) for parameter in owner.declared())

    def shared_with(self, scope: Scope) -> Scope | None:
        """The scope whose module a `share` of a block or group calls again.

        None where it is none, and where the inputs make its layers differ from the owner's: then
        it has a class of its own that is given the owner's layers.
        """
        owner = scope
        while owner.shares:
            shared = self.items[owner.shares]
            assert isinstance(shared, Scope)
            owner = shared
        if owner is scope or self.form(owner) == "list":
            return None
        ports = len(self.ports(scope)) == len(self.ports(owner))
        return owner if ports and self._signature(scope) == self._signature(owner) else None

    def _signature(self, scope: Scope) -> list[Any]:
        """What the layers of a scope compute, whatever their inputs."""
        return [
            (n.path[len(scope.path) :], self.torch.get(n.path), self.numbers.get(n.path))
            for n in scope.nodes()
        ]

    def borrowed(self, item: Item) -> list[Borrowed]:
        """The modules and tensors of other layers that an item uses, each once."""
        return list(dict.fromkeys(self._borrowed(item)))

    def _borrowed(self, item: Item) -> Iterator[Borrowed]:
        if isinstance(item, Scope):
            owner = self.shared_with(item)
            if owner:
                yield Borrowed("module", owner.path)
            for child in children(owner or item):
                yield from self.foreign(child, (owner or item).path)
        elif self.is_tied(item):
            refs = (item.weights[parameter.key] for parameter in item.declared())
            yield from (Borrowed("tensor", ref.name, ref.network) for ref in refs)
        else:
            owner_node = self.owner(item)
            if owner_node is not item and self.makes_field(owner_node):
                yield Borrowed("module", owner_node.path)

    def foreign(self, item: Item, base: str) -> list[Borrowed]:
        """What an item uses of layers that are not below `base`."""
        return [b for b in self.borrowed(item) if b.network or not below(self.home(b), base)]

    def home(self, borrowed: Borrowed) -> str:
        """The path of the layer of this network that keeps it."""
        return borrowed.name if borrowed.kind == "module" else self.owners[borrowed.name][0]

    # Forms

    def makes_field(self, node: Node) -> bool:
        """Whether the layer has a submodule or bare tensor of its own where it stands."""
        torch = self.torch.get(node.path)
        if torch is None or node.shares:
            return False
        if torch.parameter or torch.buffer:
            return True
        if self.is_tied(node):
            owns = any(node.owns(parameter) for parameter in node.declared())
            return owns or not has_function(torch.module)
        inside_chain = self._forms.get(parent_path(node.path)) in ("chain", "chain_class")
        uses = torch.expression is None or "{self}" in torch.expression
        return torch.module is not None and (inside_chain or uses)

    def form(self, scope: Scope) -> str:
        """`class`, `chain` (nn.Sequential), `chain_class` (a subclass of it) or `list`."""
        if scope.path not in self._forms:
            for child in children(scope):
                if isinstance(child, Scope):
                    self.form(child)
            self._forms[scope.path] = self._form(scope)
        return self._forms[scope.path]

    def _form(self, scope: Scope) -> str:
        if scope.kind == "network" or not self._is_chain(scope):
            return "list" if scope.kind == "repeat" else "class"
        if scope.kind == "block":
            return "chain_class" if self.is_numbered(scope) else "class"
        return "chain"

    def _is_chain(self, scope: Scope) -> bool:
        """One value in, one out, and each item is a module that reads the one before it alone."""
        inputs = self.reads(scope)
        if len(inputs) != 1:
            return False
        current = inputs[0]
        for item in children(scope):
            made = self.makes(item)
            if not self._is_link(item) or [v.name for v in self.reads(item)] != [current.name]:
                return False
            if len(made) != 1:
                return False
            current = made[0]
        return [v.name for v in self.makes(scope)] == [current.name] and not self._is_tapped(scope)

    def _is_tapped(self, scope: Scope) -> bool:
        """Whether a copy of a repeat other than the last is read one by one: `down.0`."""
        if scope.kind != "repeat":
            return False
        hidden = {v.name for item in children(scope)[:-1] for v in self.makes(item)}
        readers = (node for name in hidden for node in self._users.get(name, ()))
        return any(not below(node.path, scope.path) for node in readers) or any(
            value.name in hidden for value in self.graph.outputs.values()
        )

    def _is_link(self, item: Item) -> bool:
        if last_id(item.path) in MODULE_ATTRIBUTES:
            return False
        if isinstance(item, Scope):
            independent = not item.shares and not self.borrowed(item)
            return self.form(item) != "list" and independent
        torch = self.torch.get(item.path)
        if torch is None or torch.module is None or item.shares or self.is_tied(item):
            return False
        given = [value is not None for value in item.inputs]
        return given[:1] == [True] and sum(given) == 1

    def is_numbered(self, scope: Scope) -> bool:
        """Whether the ids are 0, 1, 2, ... wherever a tensor is named by them."""
        return all(
            last_id(item.path) == str(place) or not self._has_tensors(item)
            for place, item in enumerate(children(scope))
        )

    def _has_tensors(self, item: Item) -> bool:
        nodes = item.nodes() if isinstance(item, Scope) else [item]
        return any(node.owns(parameter) for node in nodes for parameter in node.declared())


def children(scope: Scope) -> list[Item]:
    """The items of a scope; those of an inner scope of the same path stand in its place."""
    found: list[Item] = []
    for item in scope.items:
        if isinstance(item, Scope) and item.path == scope.path:
            found.extend(children(item))
        elif isinstance(item, Node) or any(True for _ in item.nodes()):
            found.append(item)
    return found


def below(path: str, base: str) -> bool:
    return not base or path.startswith(f"{base}.")


def parent_path(path: str) -> str:
    return path.rpartition(".")[0]


def last_id(path: str) -> str:
    return path.rpartition(".")[2]

"""How the code of one part of a network reaches a module or tensor of another."""

from __future__ import annotations

from ..ir.graph import Graph, Node, Scope
from .torch_forms import Forms, Item, children, last_id
from .torch_names import is_attribute, local_name

DICT_METHODS = frozenset({"clear", "items", "keys", "pop", "update", "values"})


class Plan(Forms):
    """A network, a program, or the body of a loop (with the path of the loop as `prefix`)."""

    def __init__(self, graph: Graph, prefix: str = "") -> None:
        self.prefix = prefix
        super().__init__(graph)

    @property
    def is_program(self) -> bool:
        """Whether all layers stand in one class, whatever dots their paths have."""
        return self.graph.root is None

    def field_name(self, path: str) -> str:
        """The attribute that a layer's module or tensor has in its class."""
        if not self.is_program:
            return last_id(path)
        return local_name(f"{self.prefix}.{path}" if self.prefix else path)

    def members(self, scope: Scope) -> list[Item]:
        """The items of a scope that are modules or bare tensors there."""
        return [
            item
            for item in children(scope)
            if (self.makes_field(item) if isinstance(item, Node) else self.is_module(item))
        ]

    def is_module(self, scope: Scope) -> bool:
        """Whether a scope stands in its parent as a submodule."""
        if self.form(scope) == "list":
            return bool(self.members(scope))
        return self.shared_with(scope) is None

    def counts_up(self, scope: Scope) -> bool:
        """Whether the members have the ids 0, 1, 2, ..."""
        ids = [last_id(item.path) for item in self.members(scope)]
        return ids == [str(place) for place in range(len(ids))]

    def base_class(self, scope: Scope) -> str:
        """What the class of a scope derives from: one with indices where its ids are numbers."""
        if self.form(scope) == "chain_class":
            return "nn.Sequential"
        members = self.members(scope)
        ids = {last_id(item.path) for item in members}
        indexed = [item for item in members if not is_attribute(last_id(item.path))]
        if self.is_program or not indexed or any(map(self._is_bare, indexed)):
            return "nn.Module"
        if self.counts_up(scope):
            return "nn.Sequential"
        return "nn.Module" if ids & DICT_METHODS else "nn.ModuleDict"

    def access(self, base: str, path: str, start: str = "self") -> str:
        """Python text by which the class at `base` reaches the module or tensor at `path`."""
        if self.is_program:
            return f"{start}.{self.field_name(path)}"
        text, at = start, base
        for identity in path[len(base) + 1 if base else 0 :].split("."):
            scope = self.items[at]
            assert isinstance(scope, Scope)
            at = f"{at}.{identity}" if at else identity
            text += self._step(scope, identity, self.items[at])
        return text

    def _step(self, scope: Scope, identity: str, child: Item) -> str:
        form = self.form(scope)
        if form == "class" or (form == "chain" and not self.is_numbered(scope)):
            return self._attribute(scope, identity, child)
        torch = self.torch.get(child.path)
        if torch and torch.buffer:
            return f'.get_buffer("{identity}")'
        if form == "list" and not self.counts_up(scope):
            return f'["{identity}"]'
        return f"[{self.members(scope).index(child)}]"

    def _attribute(self, scope: Scope, identity: str, child: Item) -> str:
        if is_attribute(identity):
            return f".{identity}"
        indexed = {"nn.Sequential": f"[{identity}]", "nn.ModuleDict": f'["{identity}"]'}
        base = self.base_class(scope) if self.form(scope) == "class" else "nn.Module"
        return indexed.get(base) or f'.{self._getter(child)}("{identity}")'

    def _is_bare(self, item: Item) -> bool:
        torch = self.torch.get(item.path)
        return bool(torch and (torch.parameter or torch.buffer))

    def _getter(self, child: Item) -> str:
        torch = self.torch.get(child.path)
        if torch and torch.parameter:
            return "get_parameter"
        return "get_buffer" if torch and torch.buffer else "get_submodule"

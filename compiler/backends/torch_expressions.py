"""Writes what constructs the submodules of a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .torch_arguments import expand
from .torch_classes import ClassDef
from .torch_layout import Bracket, Code, Entry, call, flat
from .torch_names import is_attribute
from .torch_parts import Container, Frame, Instance, Layer, Make, Tensor
from .torch_structure import DEFAULTS, has_defaults

_ALIKE = 3
"""From how many equal modules on a list is written as a comprehension."""

_POSITIONAL = 2
"""How many required arguments are passed without their names."""

_HOLDERS = {
    "list": "nn.ModuleList",
    "dict": "nn.ModuleDict",
    "parameter_list": "nn.ParameterList",
    "parameter_dict": "nn.ParameterDict",
}

Member = tuple[str, str, Code]
"""The id of a module in a container, its comment and what constructs it."""


@dataclass
class Expressions:
    """Writes the expressions of one class.

    of: frame -> its class.
    """

    defined: ClassDef
    of: Mapping[Frame, ClassDef]

    def make(self, make: Make) -> Code:
        """The expression that constructs a module or bare tensor."""
        match make:
            case Layer():
                return self._construct(make)
            case Tensor():
                made = self._construct(make)
                return call("nn.Parameter", [Entry(made)]) if make.trainable else made
            case Instance():
                return self._instance(make)
            case Container():
                return self._container(make)

    def _construct(self, make: Layer | Tensor) -> Code:
        function = make.construct.function
        entries = []
        for name in self.defined.keywords.get(make.where, []):
            text = self._text(make.where, name)
            if name.isdigit():
                entries.append(Entry(text))
            elif not (has_defaults(function) and text == repr(DEFAULTS.get(name))):
                entries.append(Entry(text, f"{name}="))
        return call(function, entries)

    def _text(self, where: str, name: str) -> str:
        return expand(self.defined.texts[where, name], str)

    def _instance(self, make: Instance) -> Code:
        defined = self.of[make.frame]
        entries = []
        for place, argument in enumerate(defined.arguments.ordered()):
            text = self._text(make.where, argument.name)
            if argument.default is None or text != argument.default:
                positional = argument.default is None and place < _POSITIONAL
                entries.append(Entry(text, "" if positional else f"{argument.name}="))
        return call(defined.name, entries)

    def _container(self, make: Container) -> Code:
        members = [(name, child.comment, self.make(child)) for name, child in make.children]
        if make.kind == "named":
            return call("nn.Sequential", [Entry(_ordered_dict(members))])
        if make.kind in ("dict", "parameter_dict"):
            return call(_HOLDERS[make.kind], [Entry(_dict(members))])
        texts = {flat(code) for _, _, code in members}
        if len(members) >= _ALIKE and len(texts) == 1:
            return _repeated(make.kind, texts.pop(), len(members))
        shown = _own_lines(make)
        entries = tuple(Entry(code, "", line if shown else "") for _, line, code in members)
        if make.kind == "chain":
            return call("nn.Sequential", entries)
        return call(_HOLDERS[make.kind], [Entry(Bracket("[", entries, "]"))])


def _own_lines(make: Container) -> bool:
    """Whether the members stand on lines of their own in the spec."""
    lines = {child.comment for _, child in make.children}
    return len(lines) > 1 or make.comment not in lines


def _repeated(kind: str, text: str, count: int) -> Code:
    every = f"{text} for _ in range({count})"
    if kind == "chain":
        return call("nn.Sequential", [Entry(Bracket("*(", (Entry(every),)))])
    return call(_HOLDERS[kind], [Entry(every)])


def _ordered_dict(members: list[Member]) -> Code:
    if all(is_attribute(name) for name, _, _ in members):
        return call("OrderedDict", [Entry(code, f"{n}=", line) for n, line, code in members])
    return call("OrderedDict", [Entry(_dict(members))])


def _dict(members: list[Member]) -> Code:
    return Bracket("{", tuple(Entry(code, f'"{n}": ', line) for n, line, code in members), "}")

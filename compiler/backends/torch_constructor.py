"""Writes the constructor of a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .torch_arguments import expand
from .torch_expressions import Expressions
from .torch_layout import INDENT, WIDTH, Bracket, Code, Entry, call, fit, flat
from .torch_names import is_attribute, local_name
from .torch_parts import Container, Layer, Make, Tensor
from .torch_structure import step_path

_MANY = 4
"""From how many layers on those of one kind are found by a test of their class."""

_BODY = INDENT * 2


@dataclass
class Constructor(Expressions):
    """Writes `__init__`. stored: argument -> attribute that keeps it for `forward`."""

    stored: dict[str, str] = field(default_factory=dict)

    def constructor(self) -> Iterator[str]:
        """The lines of `__init__`; none where there is nothing to construct."""
        frame = self.defined.model
        indexed = frame.base == "nn.Sequential"
        body = list(self._statements(indexed))
        if not body and not indexed:
            return
        yield from self._signature()
        if indexed:
            entries = [self._member(identity, make) for identity, make in frame.fields]
            yield from fit(call("super().__init__", entries), 2)
        else:
            yield f"{_BODY}super().__init__()"
        yield from body

    def _signature(self) -> Iterator[str]:
        frame = self.defined.model
        entries = [Entry("self")]
        entries += [Entry(f"{local_name(name)}: nn.Module") for name in frame.needs()]
        for argument in self.defined.arguments.ordered():
            default = f" = {argument.default}" if argument.default is not None else ""
            entries.append(Entry(f"{argument.name}: {argument.annotation}{default}"))
        yield from fit(call("__init__", entries), 1, prefix="def ", suffix=" -> None:")

    def _statements(self, indexed: bool) -> Iterator[str]:
        frame = self.defined.model
        for name in map(local_name, frame.networks):
            yield f"{_BODY}# In a tuple, so that its tensors are not this network's as well."
            yield f"{_BODY}self.{name} = ({name},)"
        for name, attribute in self.stored.items():
            yield f"{_BODY}self.{attribute} = {name}"
        for name in map(local_name, frame.calls):
            yield f"{_BODY}self.{name} = {name}"
        for name, part in frame.parts.items():
            given = [Entry(local_name(needed)) for needed in part.needs()]
            yield from fit(call(self.of[part].name, given), 2, prefix=f"self.{name} = ")
        for identity, make in frame.fields if not indexed else ():
            yield from self._field(identity, make)
        yield from self._inits()

    # Submodules

    def _member(self, identity: str, make: Make) -> Entry:
        """A module of a class that is an nn.Sequential."""
        code, flag = self.make(make), self.flag(identity)
        if flag:
            code = f"{flat(code)} if {flag} else nn.Identity()"
        return Entry(code, "", make.comment)

    def _field(self, identity: str, make: Make) -> Iterator[str]:
        flag = self.flag(identity)
        if flag and self.may_be_identity(identity):
            yield from self._one_or_identity(identity, make, flag)
            return
        if flag:
            yield f"{_BODY}if {flag}:"
        yield from self._assign(identity, make, 3 if flag else 2)

    def flag(self, identity: str) -> str | None:
        """The argument that says whether an optional layer is there; None for others."""
        flag = self.defined.optional.get(identity)
        return expand(flag, str) if flag else None

    def may_be_identity(self, identity: str) -> bool:
        """Whether an optional layer can be an nn.Identity where it is left out."""
        steps = (step for step in self.defined.model.steps if step_path(step) == identity)
        step = next(steps, None)
        return step is not None and step.plain and len(step.inputs) == 1

    def _one_or_identity(self, identity: str, make: Make, flag: str) -> Iterator[str]:
        target = self._target(identity)
        if isinstance(make, Layer):
            text = f"{target} = {flat(self.make(make))} if {flag} else nn.Identity()"
            comment = f"  # {make.comment}" if make.comment else ""
            if len(_BODY + text + comment) <= WIDTH:
                yield _BODY + text + comment
                return
        yield f"{_BODY}if {flag}:"
        yield from self._assign(identity, make, 3)
        yield f"{_BODY}else:"
        yield f"{_BODY}{INDENT}{target} = nn.Identity()"

    def _target(self, identity: str) -> str | None:
        """What a submodule is assigned to; None where its id cannot be written so."""
        if is_attribute(identity):
            return f"self.{identity}"
        keyed = self.defined.model.base == "nn.ModuleDict"
        return f'self["{identity}"]' if keyed else None

    def _assign(self, identity: str, make: Make, depth: int) -> Iterator[str]:
        if isinstance(make, Container) and make.kind == "buffers":
            yield from self._buffers(identity, make, depth)
            return
        code, target = self.make(make), self._target(identity)
        is_buffer = isinstance(make, Tensor) and not make.trainable
        if target and not is_buffer:
            yield from fit(code, depth, prefix=f"{target} = ", comment=make.comment)
            return
        kind = "parameter" if isinstance(make, Tensor) else "module"
        function = "register_buffer" if is_buffer else f"register_{kind}"
        whole: Code = call(f"self.{function}", [Entry(f'"{identity}"'), Entry(code)])
        yield from fit(whole, depth, comment=make.comment)

    def _buffers(self, identity: str, make: Container, depth: int) -> Iterator[str]:
        target = self._target(identity)
        yield f"{INDENT * depth}{target} = nn.Module()"
        for name, child in make.children:
            whole = call(f"{target}.register_buffer", [Entry(f'"{name}"'), Entry(self.make(child))])
            yield from fit(whole, depth, comment=child.comment)

    # Initialisation

    def _inits(self) -> Iterator[str]:
        """The statements behind the construction; the same for several layers as a loop."""
        groups: dict[tuple[str, str | None], list[str]] = {}
        for where, access, statement in self.defined.model.inits:
            flag = self.flag(where.partition(".")[0])
            groups.setdefault((statement, flag), []).append(access)
        for (statement, flag), layers in groups.items():
            if flag:
                yield f"{_BODY}if {flag}:"
            yield from self._init(statement, layers, 3 if flag else 2)

    def _init(self, statement: str, layers: list[str], depth: int) -> Iterator[str]:
        if len(layers) == 1:
            yield from fit(statement.replace("{self}", layers[0]), depth)
            return
        every = self._all_of_a_kind(layers)
        if every:
            yield f"{INDENT * depth}for layer in {every[0]}:"
            yield f"{INDENT * (depth + 1)}if isinstance(layer, {every[1]}):"
            yield from fit(statement.replace("{self}", "layer"), depth + 2)
            return
        members = Bracket("(", tuple(Entry(layer) for layer in layers))
        yield from fit(members, depth, prefix="for layer in ", suffix=":")
        yield from fit(statement.replace("{self}", "layer"), depth + 1)

    def _all_of_a_kind(self, layers: list[str]) -> tuple[str, str] | None:
        """(text of an nn.Sequential, class) if the layers are its only ones of that class."""
        if len(layers) < _MANY:
            return None
        for identity, make in self.defined.model.fields:
            if not isinstance(make, Container) or make.kind != "chain":
                continue
            target = self._target(identity)
            children = [child for _, child in make.children]
            kinds = [c.construct.function if isinstance(c, Layer) else "" for c in children]
            for kind in dict.fromkeys(filter(None, kinds)):
                members = [f"{target}[{k}]" for k, other in enumerate(kinds) if other == kind]
                if target and members == layers:
                    return target, kind
        return None
